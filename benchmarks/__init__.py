"""What the client costs, measured: one script for each group of figures, all run by `python -m benchmarks`."""
