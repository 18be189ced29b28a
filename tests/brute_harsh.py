"""A cluster under laws that goes by small steps: whoever works in a step works for all of it.

It shares nothing with the product but the fields of jobs and decisions. It judges nothing: it is told what was decided
and when, and says what comes of it. Each change falls on a step, so none comes later than one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

Fall = tuple[float, float, str, tuple[str, ...]]
"""From when, until when, which node, which of its accelerators (none: all of it)."""


@dataclass(frozen=True)
class Saves:
    """What saving costs: seconds, and GB/s for a state of so many GB."""

    interval: float
    stall: float
    persist: float
    restore: float
    restore_rate: float
    move_rate: float
    grace: float
    size: float

    @property
    def save(self) -> float:
        return self.stall + self.size / self.persist


@dataclass(frozen=True)
class Draw:
    """Watts of an accelerator, and limit -> (speed, energy for the same work)."""

    idle: float
    context: float
    most: float
    busy: float
    limits: Mapping[float, tuple[float, float]]


@dataclass(frozen=True)
class Nature:
    """The laws: `rates` by profile and gang, `kept` by own and other profile."""

    restart: float = 0.0
    saves: Saves | None = None
    draw: Draw | None = None
    rates: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    kept: Callable[[str, str], float] = lambda own, other: 1.0


@dataclass(eq=False)
class Body:
    """A job in its place."""

    job: Any
    where: tuple[tuple[str, str], ...]
    work: float
    base: float
    setup: float
    since: float = 0.0
    pause: float = 0.0
    leaves: float | None = None
    whole: bool = True
    goes: tuple[tuple[str, str], ...] = ()
    copies: list[list[float]] = field(default_factory=list)
    safe: float = 0.0
    begun: bool = False

    def stands(self, node: str, accelerators: tuple[str, ...]) -> bool:
        return any(n == node and (not accelerators or a in accelerators) for n, a in (*self.where, *self.goes))


class Steps:
    """The whole story, step by step. `edge` is how near it came to going otherwise, seconds."""

    def __init__(self, step: float, nodes: Iterable[Any], durations: Mapping[int, float], nature: Nature) -> None:
        self.step, self.durations, self.nature = step, durations, nature
        self.on = {a.id: n.id for n in nodes for a in n.accelerators}
        self.now, self.joules, self.edge, self.changes, self.slowest = 0.0, 0.0, inf, 0, 1.0
        self.bodies: dict[int, Body] = {}
        self.done: dict[int, float] = {}
        self.lost: dict[int, float] = {}
        self.ends: dict[int, float] = {}
        self.limits: dict[str, float] = {}
        self.down: set[str] = set()

    def play(self, script: list[tuple[float, Any]], jobs: Mapping[int, Any], falls: list[Fall], until: float) -> None:
        script, falls = list(script), sorted(falls)
        rises: list[Fall] = []
        while self.now < until:
            for fall in [f for f in falls if f[0] <= self.now]:
                falls.remove(fall)
                rises.append(fall)
                self.fall(fall[2], fall[3])
            for fall in [f for f in rises if f[1] <= self.now and not f[3]]:
                self.down.discard(fall[2])
            while script and script[0][0] <= self.now:
                self.decide(script.pop(0)[1], jobs)
            self.go(min(self.step, until - self.now))

    def fall(self, node: str, accelerators: tuple[str, ...]) -> None:
        if not accelerators:
            self.down.add(node)
        for body in [b for b in self.bodies.values() if b.stands(node, accelerators)]:
            self.leave(body, self.saved(body) if self.nature.saves is not None else 0.0)

    def saved(self, body: Body) -> float:
        """What is safe of a body's work; it was a near thing where a copy is just being done."""
        self.edge = min([self.edge, *(abs(wait) for wait, _ in body.copies)])
        return body.safe

    def decide(self, decision: Any, jobs: Mapping[int, Any]) -> None:
        kind, job = type(decision).__name__, getattr(decision, "job", None)
        self.changes += 1
        late = self.bodies.get(job) if job is not None else None
        if late is not None and late.leaves is not None:
            self.wait(late, late.leaves)
        if kind == "Start":
            before, where = self.done.get(decision.job), seats(decision.placement)
            kept = before or 0.0
            setup = 0.0 if before is None else self.resume
            self.bodies[decision.job] = Body(jobs[decision.job], where, kept, kept, setup, safe=kept)
        elif kind == "Cap":
            self.limits.pop(decision.accelerator, None)
            if decision.watts is not None:
                self.limits[decision.accelerator] = decision.watts
        elif kind == "Preempt":
            self.stop(self.bodies[decision.job])
        elif job is not None:
            self.move(self.bodies[job], seats(decision.placement))

    @property
    def resume(self) -> float:
        """Seconds before a job that ran before works again."""
        saves = self.nature.saves
        return self.nature.restart if saves is None else saves.restore + saves.size / saves.restore_rate

    def saving(self, body: Body) -> float:
        """Seconds until a last copy is safe; nothing has to be saved before work has begun."""
        if self.nature.saves is None or not body.begun:
            return 0.0
        return self.nature.saves.save

    def stop(self, body: Body) -> None:
        grace = self.nature.saves.grace if self.nature.saves is not None else inf
        needs = self.saving(body)
        body.leaves, body.whole = min(needs, grace), needs <= grace
        if body.leaves == 0:
            self.leave(body, body.work)

    def move(self, body: Body, where: tuple[tuple[str, str], ...]) -> None:
        saves, needs = self.nature.saves, self.saving(body)
        far = not {n for n, _ in where} <= {n for n, _ in body.where}
        body.goes = where
        if needs:
            body.copies.append([needs, body.work])
        body.leaves = needs + (saves.size / saves.move_rate if saves is not None and far else 0.0)
        if body.leaves == 0:
            self.arrive(body)

    def arrive(self, body: Body) -> None:
        moved = Body(body.job, body.goes, body.work, body.work, self.resume, safe=body.work)
        del self.bodies[body.job.id]
        self.bodies[body.job.id] = moved  # the last who came
        self.changes += 2

    def leave(self, body: Body, kept: float) -> None:
        del self.bodies[body.job.id]
        self.changes += 1
        self.done[body.job.id] = kept
        self.lost[body.job.id] = self.lost.get(body.job.id, 0.0) + body.work - kept

    def go(self, seconds: float) -> None:
        """Lets one step pass: what everybody does is settled before."""
        speeds = {number: self.speed(body) for number, body in self.bodies.items()}
        self.joules += self.watts() * seconds
        self.now += seconds
        for number, body in list(self.bodies.items()):
            self.persist(body, seconds)
            if body.leaves is not None:
                self.wait(body, seconds)
            elif body.setup > 0:
                body.setup -= seconds
            elif body.pause > 0:
                body.pause -= seconds
            else:
                self.labour(body, speeds[number], seconds)

    def persist(self, body: Body, seconds: float) -> None:
        for copy in body.copies:
            copy[0] -= seconds
            if copy[0] <= 0:
                body.safe = max(body.safe, copy[1])

    def wait(self, body: Body, seconds: float) -> None:
        assert body.leaves is not None
        body.leaves -= seconds
        if body.leaves <= 0:
            if body.goes:
                self.arrive(body)
            else:
                self.leave(body, body.work if body.whole else self.saved(body))

    def labour(self, body: Body, speed: float, seconds: float) -> None:
        body.begun = True
        body.work += speed * seconds
        body.since += seconds
        saves, total = self.nature.saves, self.durations[body.job.id]
        if body.work >= total - 1e-9:
            if saves is not None:
                self.edge = min(self.edge, body.since if body.copies else inf, saves.interval - body.since)
            body.work = total
            self.leave(body, total)
            self.ends[body.job.id] = self.now
        elif saves is not None and body.since >= saves.interval - 1e-9:
            body.since, body.pause = 0.0, saves.stall
            body.copies.append([saves.save, body.work])
            self.changes += 2

    def speed(self, body: Body) -> float:
        nature, job = self.nature, body.job
        rates = nature.rates.get(job.profile, {})
        pace = rates[len(body.where)] / rates[job.gang] if rates else 1.0
        pace *= min((self.shared(body, a) for _, a in body.where), default=1.0)
        if nature.draw is not None:
            pace *= min((self.limited(a)[0] for _, a in body.where), default=1.0)
        if pace:
            self.slowest = min(self.slowest, pace)
        return pace

    def there(self, accelerator: str) -> list[Body]:
        return [b for b in self.bodies.values() if any(a == accelerator for _, a in b.where)]

    def shared(self, body: Body, accelerator: str) -> float:
        """What it keeps beside others; who came later stands still beside one that leaves it no room."""
        working: list[Body] = []
        for one in self.there(accelerator):
            if all(self.nature.kept(one.job.profile, other.job.profile) for other in working):
                working.append(one)
        kept = 1.0 if body in working else 0.0
        for other in working:
            if other is not body:
                kept *= self.nature.kept(body.job.profile, other.job.profile)
        return kept

    def limited(self, accelerator: str) -> tuple[float, float]:
        assert self.nature.draw is not None
        return self.nature.draw.limits.get(self.limits.get(accelerator, inf), (1.0, 1.0))

    def watts(self) -> float:
        draw, total = self.nature.draw, 0.0
        if draw is None:
            return 0.0
        for accelerator, node in self.on.items():
            jobs = len(self.there(accelerator))
            if node in self.down:
                continue
            speed, energy = self.limited(accelerator)
            full = draw.idle + draw.context + (draw.most - draw.idle) * min(1.0, jobs * draw.busy)
            total += max(min(full, draw.most) * speed * energy, draw.idle) if jobs else draw.idle
        return total


def seats(placement: Iterable[tuple[str, Iterable[str]]]) -> tuple[tuple[str, str], ...]:
    return tuple((node, a) for node, some in placement for a in some)
