"""Many environments stepped together in one process, observations and masks written into arrays side by side.

A step of the simulator costs tens of microseconds: a pipe to another process would cost more than the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..traces.job import Trace
from .codec import Mask, Observation
from .scheduling import SchedulingEnv

Windows = Callable[[int], tuple[Trace, float]]
"""Environment's number -> the window it plays next, and what that window's rewards are divided by."""


class Batch:
    """Like environments in step. Those whose episode ends begin their next window at once.

    Args:
        envs: environments with equal spaces.
        windows: which window each environment plays next. Giving the same one to several of them takes the luck of the
            arrivals out of what they are compared by; dividing by what a rule pays there lets easy and hard ones weigh
            alike.

    Attributes:
        observations: float32 of shape (n, rows, features).
        masks: bool of shape (n, rows), for `observations`.
    """

    def __init__(self, envs: Sequence[SchedulingEnv], windows: Windows) -> None:
        self.envs = list(envs)
        self._windows = windows
        rows, features = self.envs[0].codec.observation_space.shape
        self.observations: Observation = np.zeros((len(self.envs), rows, features), np.float32)
        self.masks: Mask = np.zeros((len(self.envs), rows), np.bool_)
        self.returns = np.zeros(len(self.envs))
        self._scales = np.ones(len(self.envs))
        self._steps = np.zeros(len(self.envs), np.int64)

    def __len__(self) -> int:
        return len(self.envs)

    def reset(self) -> Observation:
        """Begins a window in every environment."""
        for number in range(len(self.envs)):
            self._begin(number)
        return self.observations

    def step(
        self, actions: Sequence[int] | npt.NDArray[np.int64]
    ) -> tuple[Observation, npt.NDArray[np.float32], npt.NDArray[np.bool_], list[dict[str, Any]]]:
        """Steps all: observations, rewards and ends of shape (n,), and what is to be said of each.

        An ended episode's info holds `episode` (return "r" and length "l") and `terminal_observation`.
        """
        rewards = np.zeros(len(self.envs), np.float32)
        ends = np.zeros(len(self.envs), np.bool_)
        infos: list[dict[str, Any]] = [{} for _ in self.envs]
        for number, env in enumerate(self.envs):
            observation, reward, over, _, _ = env.step(actions[number])  # type: ignore[arg-type]
            rewards[number] = reward = reward / self._scales[number]
            self.returns[number] += reward
            self._steps[number] += 1
            if over:
                ends[number] = True
                episode = {"r": float(self.returns[number]), "l": int(self._steps[number]), "t": 0.0}
                infos[number] = {"episode": episode, "terminal_observation": observation}
                self._begin(number)
            else:
                self.observations[number] = observation
                self.masks[number] = env.menu.mask
        return self.observations, rewards, ends, infos

    def _begin(self, number: int) -> None:
        window, self._scales[number] = self._windows(number)
        self.returns[number] = self._steps[number] = 0
        self.observations[number], _ = self.envs[number].reset(options={"trace": window})
        self.masks[number] = self.envs[number].menu.mask
