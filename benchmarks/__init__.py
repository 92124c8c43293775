"""What it costs and how good it is: `python -m benchmarks.latency`, `.stages`, `.quality`."""
