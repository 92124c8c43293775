"""Networks: what a bundle says of its own, and what runs it. Knows no engine."""

AUTO = "auto"  # of backends: the first that can
