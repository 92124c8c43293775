"""Export of trained engines to runtime formats."""
