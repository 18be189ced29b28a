"""Many environments stepped together in one process, observations and masks written into arrays side by side.

A step of the simulator costs tens of microseconds: a pipe to another process would cost more than the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .codec import Mask, Observation
from .scheduling import SchedulingEnv


@dataclass(frozen=True, slots=True)
class Par:
    """What a rule paid on a window by each time, in parts of what it paid in all: from 0 to 1.

    The luck of the arrivals is the same for all who play a window; taken out of the rewards, what is left is what a
    policy does better or worse. (Mao et al., ICLR 2019, call it an input-driven baseline.)

    Attributes:
        times: seconds, ascending.
        paid: the part paid by then; in between it is taken to grow evenly.
        cost: what was paid in all.
    """

    times: npt.NDArray[np.float64]
    paid: npt.NDArray[np.float64]
    cost: float

    def by(self, time: float) -> float:
        """The part paid by this time."""
        return float(np.interp(time, self.times, self.paid))


NO_PAR = Par(np.zeros(1), np.zeros(1), 1.0)
"""Nothing is expected: rewards stay what they are."""

Windows = Callable[[int], tuple[dict[str, Any], Par]]
"""Environment's number -> the options with which it begins its next window, and the par for it."""


class Batch:
    """Like environments in step. Those whose episode ends begin their next window at once.

    Args:
        envs: environments with equal spaces.
        windows: which window each environment plays next. Rewards are told as parts of its par's cost, less what par
            paid in the same seconds: an episode's sum is 0 for par, 0.1 for a policy that pays a tenth less. Without
            it each environment draws windows of its own, and rewards are the environments'.

    Attributes:
        observations: float32 of shape (n, rows, features).
        masks: bool of shape (n, rows), for `observations`.
    """

    def __init__(self, envs: Sequence[SchedulingEnv], windows: Windows | None = None) -> None:
        self.envs = list(envs)
        self._windows = windows or (lambda number: ({"trace": self.envs[number].draw()}, NO_PAR))
        rows, features = self.envs[0].codec.observation_space.shape
        self.observations: Observation = np.zeros((len(self.envs), rows, features), np.float32)
        self.masks: Mask = np.zeros((len(self.envs), rows), np.bool_)
        self.returns = np.zeros(len(self.envs))
        self._pars: list[Par] = [NO_PAR] * len(self.envs)
        self._paid = np.zeros(len(self.envs))
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
            rewards[number] = reward = self._told(number, reward, over)
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

    def _told(self, number: int, reward: float, over: bool) -> float:
        """A reward against par: what is left of it is settled when the episode ends."""
        par, session = self._pars[number], self.envs[number].session
        if par is NO_PAR:
            return reward
        assert session is not None
        paid = 1.0 if over else par.by(session.cluster.now)
        told = reward / par.cost + paid - float(self._paid[number])
        self._paid[number] = paid
        return told

    def _begin(self, number: int) -> None:
        options, self._pars[number] = self._windows(number)
        self._paid[number] = 0.0
        self.returns[number] = self._steps[number] = 0
        self.observations[number], _ = self.envs[number].reset(options=options)
        self.masks[number] = self.envs[number].menu.mask
