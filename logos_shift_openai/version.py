"""The version of the distribution, alone in a module so that building it imports nothing else."""

__version__ = "0.1.0"
