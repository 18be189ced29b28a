"""The live world: real processes on the accelerators that NVML shows, or on emulated ones."""
