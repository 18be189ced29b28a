"""Training by evolution strategies: a linear score of rows, searched without gradients. The baseline for all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from safetensors.numpy import load as parse
from safetensors.numpy import save as dump

from ..envs.codec import Mask, Observation
from ..envs.commits import Commits
from ..envs.features import MARKS
from ..envs.rates import OBJECTIVES
from ..envs.scheduling import SchedulingEnv
from ..policies.learned import Weights, of_rule
from ..policies.teachers import Rule, Vector, teachers
from .cores import cores
from .evolution import Evolution, Floats
from .lessons import Task, Yard, by_rule, cost, play
from .school import PRACTICE, School, spread, torn
from .screen import progress

LOGARITHMS = frozenset((
    "estimate", "area", "attained", "wait", "time_to_fit", "pressure", "upper", "left", "lost", "victim_left",
    "victim_served", "slack", "leaves",
))  # fmt: skip
"""Features that are logarithms over 16: half a nat is 8 there, and 2 for those that are parts or flags."""


RULE = -1
"""The part of a rule that counts whatever the marks are."""


@dataclass(frozen=True, slots=True)
class Space:
    """What a search moves: a rule's weights, what marks of the last row add to them, and the score of waiting.

    Args:
        row: the names of a row's features.
        parts: what is searched: `RULE`, and positions of marks.
        marks: how many the menu shows.
    """

    row: tuple[str, ...]
    parts: tuple[int, ...] = (RULE,)
    marks: int = 0

    @classmethod
    def of(cls, yard: Yard) -> Space:
        """That of a training: each objective's part where weights are drawn, each mark's too where the game changes."""
        codec = yard.codec
        if yard.wanted.drawn:
            return cls(codec.row, tuple(list(OBJECTIVES).index(name) for name in yard.wanted.names), codec.marks)
        return cls(codec.row, (RULE, *range(codec.marks)) if isinstance(codec, Commits) else (RULE,), codec.marks)

    @property
    def scale(self) -> Floats:
        """How far the first samples stray in each number."""
        row = [8.0 if name in LOGARITHMS else 2.0 for name in self.row]
        return np.array([*row * len(self.parts), 8.0])

    def numbers(self, weights: Weights) -> Floats:
        """A rule's arrays as numbers to search from."""
        lines = [weights["rule.weight"][0] if part == RULE else weights["marks.weight"][part] for part in self.parts]
        return np.concatenate([*lines, weights["wait.bias"]]).astype(np.float64)

    def weights(self, numbers: Floats) -> Weights:
        """The arrays of these numbers."""
        lines = np.zeros((1 + self.marks, len(self.row)), np.float32)
        lines[[1 + part for part in self.parts]] = numbers[:-1].reshape(-1, len(self.row))
        return of_rule(lines[0], float(numbers[-1]), marks=lines[1:] if self.marks else None)

    def rule(self, numbers: Floats) -> Rule:
        """The rule of these numbers: what the network of their arrays does, at less cost."""
        lines: Vector = numbers[:-1].reshape(-1, len(self.row)).astype(np.float32)
        waiting, several = np.float32(numbers[-1]), self.parts != (RULE,)
        marks = [MARKS + part for part in self.parts if part != RULE]
        first = int(RULE in self.parts)

        def rule(observation: Observation, mask: Mask) -> int:
            line = lines[0]
            if several:
                line = observation[-1, marks] @ lines[first:] + (line if first else np.float32(0.0))
            scores = observation @ line
            scores[-1] = waiting
            scores[~mask] = -np.inf
            return int(scores.argmax())

        return rule


class Evolving:
    """One search, from the best teacher on or from where an earlier one stopped."""

    def __init__(self, school: School) -> None:
        self.school, self.args, self.space = school, school.args, Space.of(school.yard)
        self.search: Evolution

    def train(self) -> bool:
        """Trains to the end; False if it was interrupted, with everything kept to go on."""
        if self.args.restart or not self._resume():
            self.school.measure_teachers()
            found = self.school.begin(free=True)
            self.school.validate(found, 0, "as the teacher")
            mean = self._tight(self.space.numbers(found))
            self.search = Evolution(mean, self.space.scale, self.args.population, self.args.sigma)
            self.school.state["taught"] = True
        try:
            self._search()
        except KeyboardInterrupt:
            self._keep()
            return False
        self._keep()
        return True

    def _tight(self, numbers: Floats) -> Floats:
        """With the score of waiting below all that a rule takes that never waits: else no small step would change it.

        That is where the search begins. The rule itself, which starts longer jobs than were seen, too, was kept before.
        """
        if self.space.parts != (RULE,):
            return numbers
        rule, least = self.space.rule(numbers), np.inf
        for task in self.school.tasks:
            for observation, action in _seen(self.school.env, task, rule):
                if action < len(observation) - 1:
                    least = min(least, float(observation[action] @ numbers[:-1]))
        return np.append(numbers[:-1], max(numbers[-1], least - 1.0) if np.isfinite(least) else numbers[-1])

    def _search(self) -> None:
        args, search = self.args, self.search
        with (
            _workers(self.school.yard, args.workers or cores()) as pool,
            progress("evolution", args.generations) as tell,
        ):
            tell(search.generation)
            while search.generation < args.generations:
                seeds = [(args.seed, PRACTICE, search.generation, number) for number in range(args.episodes)]
                samples = search.ask(np.random.default_rng((args.seed, PRACTICE, search.generation)))
                values, decisions = _fitness(pool, seeds, samples, self._bar())
                search.tell(samples, values)
                self.school.state["steps"] += decisions
                tell(search.generation)
                if search.generation % args.validate_generations == 0 or search.generation == args.generations:
                    self.school.validate(
                        self.space.weights(search.mean), self.school.state["steps"], "mean of the search"
                    )
                    self._keep()

    def _bar(self) -> list[str]:
        """The three rules by which windows are measured: the best on validation windows."""
        table, known = self.school.state["teachers"], teachers(self.school.yard.codec)
        return sorted(known, key=table.__getitem__)[:3]

    def _keep(self) -> None:
        if self.school.state["taught"]:
            self.school.keep(dump(self.search.state()))

    def _resume(self) -> bool:
        if (kept := self.school.kept()) is None:
            return False
        try:
            self.search = Evolution.of(parse(kept[1]))
        except Exception as error:  # whatever a torn file brings
            raise torn(self.args.out / "training", error) from None
        self.school.resume(kept[0])
        return True


def _seen(env: SchedulingEnv, task: Task, rule: Rule) -> Iterator[tuple[Observation, int]]:
    """What a rule sees and takes in a task."""
    told = play(env, task, by_rule(rule))
    yield from zip(told.observations, told.actions, strict=True)


@contextmanager
def _workers(yard: Yard, count: int) -> Iterator[Executor | None]:
    """So many processes that hold the yard; none for one."""
    if count <= 1:
        _enter(yard)
        yield None
        return
    with ProcessPoolExecutor(count, get_context("spawn"), initializer=_enter, initargs=(yard,)) as pool:
        yield pool


_yard: tuple[Yard, SchedulingEnv] | None = None


def _enter(yard: Yard) -> None:
    global _yard  # noqa: PLW0603 (a worker process has no other place to keep it)
    _yard = yard, yard.env()


Seed = tuple[int, ...]
Work = tuple[Seed, Sequence[Floats], Sequence[str]]
"""A window's seed, samples that play it, and the teachers by whom it is measured."""


def _fitness(pool: Executor | None, seeds: Sequence[Seed], samples: Sequence[Floats], bar: Sequence[str]) -> Fitness:
    """What each sample is worth, smaller is better, and the decisions of all. All play the same windows."""
    work = [(seed, samples, bar) for seed in seeds]
    rows = list(pool.map(_played, work)) if pool is not None else [_played(one) for one in work]
    best = [row[0] for row in rows]
    values = [spread([row[1][number] for row in rows], best) for number in range(len(samples))]
    return values, sum(row[2] for row in rows)


Fitness = tuple[list[float], int]


def _played(work: Work) -> tuple[float, list[float], int]:
    """A window: what the best of the teachers costs there, what each sample costs, and the decisions of these."""
    assert _yard is not None
    (yard, env), (seed, samples, bar) = _yard, work
    task = yard.task(env, yard.window(*seed), *seed)
    known, space = teachers(yard.codec), Space.of(yard)
    best = min(cost(env, task, by_rule(known[name]))[0] for name in bar)
    rows = [cost(env, task, by_rule(space.rule(numbers))) for numbers in samples]
    return best, [paid for paid, _ in rows], sum(count for _, count in rows)
