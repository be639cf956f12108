"""What the rollout's decisions reach, by simulation, beside three other rules: `python -m benchmarks.rollout`."""
