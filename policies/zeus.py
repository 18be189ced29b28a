"""Zeus: each job's power limit is the one of least cost in energy and time, by what was measured while it ran.

You, Chung and Chowdhury, "Zeus: Understanding and Optimizing GPU Energy Consumption of DNN Training", NSDI 2023. The
cost of a job, and the limit that is best for it (sections 3.1 and 4.2):

    cost = eta x energy + (1 - eta) x MAXPOWER x time
    best = the limit p of the least (eta x draw(p) + (1 - eta) x MAXPOWER) / throughput(p)

with MAXPOWER the largest limit of the kind. As there, limits go from the largest down, are profiled one after the other
when a job begins, and hold for all accelerators of a gang. What was measured serves the job for the rest of its run,
and whoever recurs: jobs of its family, sweep, or user and name, on as many accelerators of the kind. A profile that a
job's end broke off is gone on with by the next.

Draws are measured. Throughput is not shown to policies: it is told from how far the draw fell below that without a
limit, by Zeus' own public tables (`paces.slowed`). So a job that a limit does not touch is not taken for slower; and a
world with other tables than the public ones is not known of.

A job that was told a limit for its hardware has no other to compare with above it: its draw without is told by the same
tables, and only lower limits are profiled. Jobs that share an accelerator, and kinds whose largest limit is not known,
have no limit set.

Left out: batch sizes (section 4.3, the bandit) are the user's here; and with them early stopping, drift, and what the
paper calls time to accuracy: jobs end when their work is done. Windows are longer than the paper's 5 s, as a policy is
asked again by ticks, which are all the cluster's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import ClassVar

from ..envs.cluster import ClusterView
from ..envs.kinds import kind as facts
from ..envs.meter import Seen
from ..envs.paces import drawn, slowed
from ..envs.roster import Running
from ..envs.session import Policy
from ..envs.vocabulary import Cap, Decision, Placement
from ..traces.trouble import BadInput
from .backfill import Easy
from .governor import Governor
from .habits import MOST_KIN, kin
from .memory import Memory
from .needs import Needs

LIMITS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
"""Parts of the largest limit: the 100 to 250 W in steps of 25 W that the paper measured on a V100 of 250 W."""
HAIR = 1e-6
"""Seconds, and parts of a limit, that sums may be off."""

Draws = dict[float, float]
"""Limit, as a part of the largest -> mean draw of one accelerator under it, watts."""


def best(draws: Draws, kind: str, most: float, eta: float) -> float:
    """The limit of the least cost, as a part of the largest; the highest of equals.

    Args:
        draws: what was measured, of one limit at least.
        kind: of the accelerators.
        most: watts of the largest limit.
        eta: weight of energy against time, 0 to 1.
    """
    first = max(draws)
    full = draws[first] / drawn(kind, first)

    def cost(part: float) -> float:
        return (eta * draws[part] + (1 - eta) * most) / slowed(kind, draws[part] / full)

    return min(sorted(draws, reverse=True), key=cost)


@dataclass(slots=True)
class Watch:
    """A run, and what is being measured of it.

    Attributes:
        names: its accelerators.
        kind: theirs.
        most: watts of their largest limit.
        limits: those that it may have, as parts of that, from the highest down.
        draws: what was measured of it and of its like.
        ready: when it may be measured, seconds.
        part: the limit that is being measured, None while none is.
        since: when that began, seconds.
        last: up to when the draw was followed, seconds.
        watts: what the gang was last seen to draw.
        joules: drawn since.
    """

    names: tuple[str, ...]
    kind: str
    most: float
    limits: tuple[float, ...]
    draws: Draws
    ready: float
    part: float | None = None
    since: float = 0.0
    last: float = 0.0
    watts: float | None = None
    joules: float = 0.0

    @property
    def wanted(self) -> float | None:
        """The next limit to measure, None when all are."""
        return next((part for part in self.limits if part not in self.draws), None)

    def best(self, eta: float) -> float:
        """The limit of the least cost, see `best`."""
        return best({part: self.draws[part] for part in self.limits}, self.kind, self.most, eta)

    def limited(self, part: float, cluster: ClusterView) -> Iterator[Cap]:
        """Sets the limit of the gang; none where it may have no higher one."""
        watts = None if part == self.limits[0] else part * self.most
        caps = cluster.estate.caps
        yield from [Cap(name, watts) for name in self.names if caps.get(name) != watts]

    def begin(self, part: float, now: float) -> None:
        """A limit is measured from here."""
        self.part, self.since, self.last, self.joules = part, now, now, 0.0

    def follow(self, now: float) -> None:
        """Lets time pass; a draw that nobody can tell has the measurement begin anew."""
        if self.part is not None:
            if self.watts is None:
                self.begin(self.part, now)
            self.joules += (self.watts or 0.0) * (now - self.last)
            self.last = now

    def look(self, seen: Mapping[str, Seen]) -> None:
        """Sees what the gang draws now."""
        self.watts = 0.0
        for name in self.names:
            watts = seen[name].sample.watts if name in seen else None
            if watts is None or self.watts is None:
                self.watts = None
            else:
                self.watts += watts

    def end(self, window: float) -> bool:
        """Whether the limit has been measured for long enough, which is noted."""
        if self.part is None or not self.watts or self.last - self.since < window - HAIR:
            return False
        self.draws[self.part] = self.joules / (self.last - self.since) / len(self.names)
        self.part = None
        return True


@dataclass(slots=True)
class _Notes:
    """What is remembered of a session.

    Attributes:
        known: whose -> what was measured of them.
        at: job -> where its run was when its limit was set.
        watched: job -> what is being measured of it, or is about to be.
    """

    known: dict[object, Draws] = field(default_factory=dict)
    at: dict[int, Placement] = field(default_factory=dict)
    watched: dict[int, Watch] = field(default_factory=dict)

    def follow(self, cluster: ClusterView, window: float) -> None:
        """Lets time pass, and forgets those who run no more."""
        for watch in self.watched.values():
            watch.follow(cluster.now)
        for job in self.at.keys() - set(cluster.running.columns.keys):
            del self.at[job]
            if (gone := self.watched.pop(job, None)) is not None:
                gone.end(window)

    def draws(self, whose: object) -> Draws:
        """What was measured of a job or its like; those not met for long are forgotten."""
        draws = self.known.pop(whose, None)
        self.known[whose] = draws = {} if draws is None else draws
        while len(self.known) > MOST_KIN:
            del self.known[next(iter(self.known))]
        return draws


@dataclass
class Zeus(Governor):
    """Sets the power limits of the jobs that another policy starts.

    Attributes:
        inner: who decides all else; it should leave limits alone.
        eta: weight of energy against time: 0 for time alone, 1 for energy alone.
        limits: to choose from beside the largest, parts of it.
        window: seconds for which each is measured, and between looks.
        warmup: seconds of a run before anything is measured.
    """

    inner: Policy = field(default_factory=Easy)
    eta: float = 0.5
    limits: tuple[float, ...] = LIMITS
    window: float = 60.0
    warmup: float = 60.0
    own: ClassVar[Needs] = frozenset({"power"})
    _memory: Memory[_Notes] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises BadInput for numbers that cannot be."""
        if not 0 <= self.eta <= 1 or not self.limits or not all(0 < part <= 1 for part in self.limits):
            raise BadInput(
                f"zeus: eta = {self.eta}, limits = {self.limits}: give 0 to 1, and parts above 0 and up to 1"
            )
        if not 0 < self.window < inf or not 0 <= self.warmup < inf:
            raise BadInput(f"zeus: window = {self.window}, warmup = {self.warmup}: give seconds above 0, and 0 or more")

    @property
    def tick(self) -> float:
        """Seconds between looks, the inner policy's if those are fewer."""
        return min(self.window, getattr(self.inner, "tick", None) or inf)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields the limits of runs whose measurement is over, what the inner policy decides, and limits of starts."""
        if Cap not in cluster.does:
            yield from self.inner.decide(cluster)
            return
        notes = self._memory.of(cluster, _Notes)
        notes.follow(cluster, self.window)
        yield from self._measure(cluster)
        yield from self._welcome(cluster)
        decided = False
        for decision in self.inner.decide(cluster):
            decided = True
            yield decision
        if decided:
            yield from self._welcome(cluster)
        for watch in [watch for watch in notes.watched.values() if watch.part is not None]:
            watch.look(cluster.meter.seen)

    def _measure(self, cluster: ClusterView) -> Iterator[Cap]:
        """Goes on to the next limit where one was measured for long enough, or to the best where all were."""
        watched = self._memory.of(cluster, _Notes).watched
        for job, watch in list(watched.items()):
            run = cluster.running[job]
            if run.stopping or run.goes is not None:
                del watched[job]
            elif watch.end(self.window) or (watch.part is None and cluster.now >= watch.ready - HAIR):
                yield from self._next(job, watch, cluster)

    def _next(self, job: int, watch: Watch, cluster: ClusterView) -> Iterator[Cap]:
        watched = self._memory.of(cluster, _Notes).watched
        if (part := watch.wanted) is None:
            watched.pop(job, None)
            yield from watch.limited(watch.best(self.eta), cluster)
        else:
            watched[job] = watch
            watch.begin(part, cluster.now)
            yield from watch.limited(part, cluster)

    def _welcome(self, cluster: ClusterView) -> Iterator[Cap]:
        """Sets the limits of runs that are new in their place: the best if it is known, else the highest at first."""
        notes = self._memory.of(cluster, _Notes)
        for run in [run for run in cluster.running if notes.at.get(run.job.id) is not run.placement]:
            notes.at[run.job.id] = run.placement
            notes.watched.pop(run.job.id, None)
            if (watch := self._watch(run, notes, cluster)) is None:
                there = {name.partition("#")[0] for _, some in run.placement for name in some}
                yield from [Cap(name, None) for name in sorted(there & cluster.estate.caps.keys())]
            elif watch.wanted is None or not self.warmup:
                yield from self._next(run.job.id, watch, cluster)
            else:
                notes.watched[run.job.id] = watch
                yield from watch.limited(watch.limits[0], cluster)

    def _watch(self, run: Running, notes: _Notes, cluster: ClusterView) -> Watch | None:
        """How to measure a run, None where its limit is not to be set."""
        names = tuple(name for _, some in run.placement for name in some)
        kind = cluster.room.kind_of(names[0]) if names and run.share == 1 else None
        known = None if kind is None else facts(kind)
        if kind is None or known is None or known.tdp is None:
            return None
        told = (run.tuning.watts if run.tuning is not None else None) or known.tdp
        top = min(told / known.tdp, 1.0)
        limits = (top, *sorted({part for part in self.limits if part < top - HAIR}, reverse=True))
        draws = notes.draws((kin(run.job) or run.job.id, kind, len(names)))
        return Watch(names, kind, known.tdp, limits, draws, cluster.now + self.warmup)


zeus = Zeus()
"""Zeus over EASY; `zeus(srtf)` and the like on the command line for other policies."""
