"""Windows of a training trace, the teachers' play on them, and the score of a policy on windows kept aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..envs.codec import Starts
from ..envs.commits import Commits
from ..envs.full import Full
from ..envs.rates import Mix
from ..envs.scenario import Scenario
from ..envs.scheduling import SchedulingEnv
from ..envs.session import Policy
from ..envs.vector import Par
from ..envs.vocabulary import Decision, Start
from ..policies.learned import Weights, logits
from ..policies.teachers import Line, Rule, Teacher, teachers
from ..traces.job import Trace
from ..traces.windows import compressed, windows
from .names import policy
from .objectives import Wanted

if TYPE_CHECKING:
    from ..policies.network import Lesson

Floats = npt.NDArray[np.float64]
Player = Callable[[SchedulingEnv], int]
"""Chooses a row of the environment's menu."""


@dataclass(frozen=True)
class Task:
    """A window, and what is wanted in it.

    Attributes:
        window: the jobs.
        weights: of each objective, summing to 1.
        scale: by which each objective's cost is told; a plain rule's costs on the window are 1 then.
        codec: the menus of it, which show what is wanted.
    """

    window: Trace
    weights: Floats
    scale: Floats
    codec: Starts | Commits | Full

    @property
    def options(self) -> dict[str, Any]:
        """What an environment is reset with."""
        return {"trace": self.window, "weights": self.weights * self.scale, "codec": self.codec}


@dataclass(frozen=True)
class Yard:
    """What is the same in every episode.

    Attributes:
        trace: what windows are cut from.
        world: where windows happen.
        codec: between ledger and arrays.
        wanted: what is to be small.
        jobs: in a window, behind those that warm it up.
        squeeze: drawn windows have their arrivals compressed by a factor from this (log-uniform) to 1: most of a trace
            is quiet, and quiet windows teach nothing.
        tick: seconds between ticks, None for none.
        warmup: jobs before each window that fill the cluster.
        warm: the policy that schedules these.
    """

    trace: Trace
    world: Scenario
    codec: Starts | Commits | Full
    wanted: Wanted
    jobs: int
    squeeze: float = 1.0
    tick: float | None = None
    warmup: int = 0
    warm: str = "fifo"

    def env(self) -> SchedulingEnv:
        """A new environment; it skips steps in which only waiting is legal."""
        return SchedulingEnv(
            self.trace,
            self.world,
            replace(self.codec),
            mix=Mix(self.wanted.names),
            tick=self.tick,
            warmup=self.warmup,
            warm=policy(self.warm) if self.warmup else None,
            skip_forced=True,
        )

    @property
    def whole(self) -> int:
        """Jobs in a window, those that warm it up among them."""
        return self.warmup + self.jobs

    def window(self, *seed: int) -> Trace:
        """A window of consecutive jobs, drawn by the seed, rebased to 0 and squeezed."""
        rng = np.random.default_rng(seed)
        start = int(rng.integers(max(len(self.trace) - self.whole, 0) + 1))
        window = self.trace.of(self.trace.jobs[start : start + self.whole]).rebased()
        return compressed(window, float(np.exp(-rng.uniform(np.log(self.squeeze), 0.0))))

    def task(self, env: SchedulingEnv, window: Trace, *seed: int) -> Task:
        """A window with weights drawn by the seed. Several objectives are told as parts of a plain rule's costs."""
        weights = self.wanted.draw(np.random.default_rng((*seed, 7)))
        ones = np.ones(len(weights))
        codec = replace(self.codec)
        if isinstance(codec, Full):
            codec.weights = self.wanted.shown(weights)
        task = Task(window, weights, ones, codec)
        if len(weights) == 1:
            return task
        play(env, replace(task, weights=ones), by_rule(teachers(self.codec)["shortest"]))
        assert env.mix is not None
        paid = env.mix.paid.copy()
        return replace(task, scale=np.divide(1.0, paid, out=np.zeros_like(paid), where=paid > 0))

    def windows(self, count: int) -> list[Trace]:
        """`count` evenly spaced windows: the same at every call."""
        disjoint = len(self.trace) // self.whole >= count
        return windows(self.trace, self.whole, min(count, len(self.trace) - self.whole + 1), disjoint=disjoint)


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


def play(env: SchedulingEnv, task: Task, player: Player) -> Play:
    """Plays a task."""
    done, told = False, Play()
    observation, _ = env.reset(options=task.options)
    assert env.session is not None
    while not done:
        mask = env.action_masks()
        told.observations.append(observation)
        told.masks.append(mask)
        told.actions.append(player(env))
        observation, reward, done, _, _ = env.step(np.int64(told.actions[-1]))
        told.rewards.append(reward)
        told.times.append(env.session.cluster.now)
    return told


def cost(env: SchedulingEnv, task: Task, player: Player) -> tuple[float, int]:
    """What somebody pays for a task, and how many decisions it takes; nothing else is kept."""
    paid, count, done = 0.0, 0, False
    env.reset(options=task.options)
    while not done:
        _, reward, done, _, _ = env.step(np.int64(player(env)))
        paid, count = paid - reward, count + 1
    return paid, count


def by_rule(rule: Rule) -> Player:
    """The player who goes by a rule."""
    return lambda env: rule(env.menu.observation, env.menu.mask)


class ByPolicy:
    """The player who does what a policy decides, as far as it is on the menu; what is not there is let pass."""

    def __init__(self, teacher: Policy) -> None:
        self._policy = teacher
        self._deciding: Iterator[Decision] = iter(())
        self._session: object = None

    def __call__(self, env: SchedulingEnv) -> int:
        """The row of the policy's next decision, the last one for waiting."""
        assert env.session is not None
        menu, cluster = env.menu, env.session.cluster
        if self._session is not env.session:
            self._session, self._deciding = env.session, iter(self._policy.decide(cluster))
        rows = [(row, menu.peek(row)) for row in np.flatnonzero(menu.mask[:-1]).tolist()]
        for decision in self._deciding:
            for row, decisions in rows:
                if any(_alike(decision, one) for one in decisions):
                    return int(row)
        self._deciding = iter(self._policy.decide(cluster))
        return len(menu.mask) - 1 if menu.mask[-1] else int(menu.mask.argmax())


def _alike(mine: Decision, theirs: Decision) -> bool:
    """Whether two decisions do the same thing to the same: a start may be elsewhere, a pool may send another node."""
    if type(mine) is not type(theirs):
        return False
    names = ("job", "pool", "accelerator", "watts")
    same = all(getattr(mine, name, None) == getattr(theirs, name, None) for name in names)
    return same and (not isinstance(mine, Start) or len(mine.placement) > 0)


def greedy(weights: Weights) -> Rule:
    """The rule of a network: its best legal row."""
    return lambda observation, mask: int(np.where(mask, logits(weights, observation), -np.inf).argmax())


Known = Mapping[str, Teacher | Line | Policy]
"""Teachers by name: rules, and policies."""


def player(teacher: Teacher | Line | Policy) -> Player:
    """The player who does as a teacher does."""
    return by_rule(teacher) if isinstance(teacher, Teacher | Line) else ByPolicy(teacher)


def best_teacher(
    env: SchedulingEnv, task: Task, known: Known, prefer: str | None = None, margin: float = 0.02
) -> tuple[str, Play, dict[str, float]]:
    """Lets every teacher play a task: the cheapest one's name and play, and every one's cost.

    The preferred one is taken while it costs at most `margin` more: on easy windows all are about equal, and a name
    drawn by luck there would teach nothing.
    """
    plays = {name: play(env, task, player(teacher)) for name, teacher in known.items()}
    costs = {name: told.cost for name, told in plays.items()}
    name = min(costs, key=costs.__getitem__)
    if prefer is not None and costs[prefer] <= (1 + margin) * costs[name]:
        name = prefer
    return name, plays[name], costs


def score(env: SchedulingEnv, tasks: Sequence[Task], par: Sequence[float], rule: Rule) -> float:
    """The mean over tasks of what a rule costs over `par`, the best teacher's cost: below 1 is better than all."""
    return float(np.mean([cost(env, task, by_rule(rule))[0] / best for task, best in zip(tasks, par, strict=True)]))
