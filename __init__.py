"""gpuyard learns to schedule GPU clusters in simulation, and puts the very same policy to work on real GPUs."""

__version__ = "0.1.0"
