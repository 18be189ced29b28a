"""Windows of a training trace, the teachers' play on them, and the score of a policy on windows kept aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..envs.codec import Starts
from ..envs.rates import Rate, active_jobs, slowdown
from ..envs.scenario import Scenario
from ..envs.scheduling import SchedulingEnv
from ..envs.vector import Par
from ..policies.learned import Weights, logits
from ..policies.teachers import TEACHERS, Rule
from ..traces.job import Trace
from ..traces.windows import compressed, windows

if TYPE_CHECKING:
    from ..policies.network import Lesson

RATES: dict[str, Callable[[Trace], Rate]] = {"jct": lambda _: active_jobs, "slowdown": slowdown}
"""Objective -> the rate of a window: mean job completion time, or mean bounded slowdown."""


@dataclass(frozen=True)
class Yard:
    """What is the same in every episode.

    Attributes:
        trace: what windows are cut from.
        world: where windows happen.
        codec: between ledger and arrays.
        objective: a name of `RATES`.
        jobs: in a window.
        squeeze: drawn windows have their arrivals compressed by a factor from this (log-uniform) to 1: most of a trace
            is quiet, and quiet windows teach nothing.
    """

    trace: Trace
    world: Scenario
    codec: Starts
    objective: str
    jobs: int
    squeeze: float = 1.0

    def env(self) -> SchedulingEnv:
        """A new environment; it skips steps in which only waiting is legal."""
        return SchedulingEnv(
            self.trace,
            self.world,
            Starts(self.codec.k, self.codec.place),
            rate_of=RATES[self.objective],
            skip_forced=True,
        )

    def window(self, *seed: int) -> Trace:
        """A window of consecutive jobs, drawn by the seed, rebased to 0 and squeezed."""
        rng = np.random.default_rng(seed)
        start = int(rng.integers(max(len(self.trace) - self.jobs, 0) + 1))
        window = self.trace.of(self.trace.jobs[start : start + self.jobs]).rebased()
        return compressed(window, float(np.exp(-rng.uniform(np.log(self.squeeze), 0.0))))

    def windows(self, count: int) -> list[Trace]:
        """`count` evenly spaced windows: the same at every call."""
        disjoint = len(self.trace) // self.jobs >= count
        return windows(self.trace, self.jobs, min(count, len(self.trace) - self.jobs + 1), disjoint=disjoint)


@dataclass(slots=True)
class Play:
    """One episode as it went: what was seen, done and paid, and when."""

    observations: list[np.ndarray] = field(default_factory=list)
    masks: list[np.ndarray] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """What the episode cost in all: minus the sum of its rewards."""
        return -sum(self.rewards)

    def par(self) -> Par:
        """What was paid by each time, as a bar for others."""
        cost = max(self.cost, 1e-9)
        return Par(np.array([0.0, *self.times]), -np.cumsum([0.0, *self.rewards]) / cost, cost)

    def lesson(self) -> Lesson:
        """As arrays."""
        from ..policies.network import Lesson

        return Lesson(np.stack(self.observations), np.stack(self.masks), np.array(self.actions, np.int64))


def play(env: SchedulingEnv, window: Trace, rule: Rule) -> Play:
    """Plays a window by a rule."""
    done, told = False, Play()
    observation, _ = env.reset(options={"trace": window})
    assert env.session is not None
    while not done:
        mask = env.action_masks()
        action = rule(observation, mask)
        told.observations.append(observation)
        told.masks.append(mask)
        told.actions.append(action)
        observation, reward, done, _, _ = env.step(np.int64(action))
        told.rewards.append(reward)
        told.times.append(env.session.cluster.now)
    return told


def greedy(weights: Weights) -> Rule:
    """The rule of a network: its best legal row."""
    return lambda observation, mask: int(np.where(mask, logits(weights, observation), -np.inf).argmax())


def best_teacher(
    env: SchedulingEnv, window: Trace, prefer: str | None = None, margin: float = 0.02
) -> tuple[str, Play, dict[str, float]]:
    """Plays every teacher on a window: the cheapest one's name and play, and every one's cost.

    The preferred one is taken while it costs at most `margin` more: on easy windows all are about equal, and a name
    drawn by luck there would teach nothing.
    """
    plays = {name: play(env, window, rule) for name, rule in TEACHERS.items()}
    costs = {name: told.cost for name, told in plays.items()}
    name = min(costs, key=costs.__getitem__)
    if prefer is not None and costs[prefer] <= (1 + margin) * costs[name]:
        name = prefer
    return name, plays[name], costs


def score(env: SchedulingEnv, windows: Sequence[Trace], par: Sequence[float], rule: Rule) -> float:
    """The mean over windows of what a rule costs over `par`, the best teacher's cost: below 1 is better than all."""
    return float(np.mean([play(env, window, rule).cost / cost for window, cost in zip(windows, par, strict=True)]))
