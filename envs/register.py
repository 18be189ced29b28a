"""Tells Gymnasium of gpuyard's environment.

Importing `gpuyard.envs` does it, and so does `gymnasium.make("gpuyard.envs:gpuyard/Scheduling-v0")` by itself. The
package's `gymnasium.envs` entry point serves programs that load such plug-ins; Gymnasium itself stopped to with 1.0.
"""

import gymnasium

NAME = "gpuyard/Scheduling-v0"


def register() -> None:
    """Registers gpuyard/Scheduling-v0, once."""
    if NAME not in gymnasium.registry:
        gymnasium.register(NAME, entry_point="gpuyard.envs.scheduling:SchedulingEnv")
