"""Tells Gymnasium of gpuyard's environment: `gymnasium.make("gpuyard/Scheduling-v0")` needs no import of ours."""

import gymnasium


def register() -> None:
    """Registers gpuyard/Scheduling-v0, once. Gymnasium calls it through the package's entry point."""
    if "gpuyard/Scheduling-v0" not in gymnasium.registry:
        gymnasium.register("gpuyard/Scheduling-v0", entry_point="gpuyard.envs.scheduling:SchedulingEnv")
