"""Let's wait awhile: jobs that have time are put off to the greenest hours before their deadline.

Wiesner, Behnke, Scheinert, Gontarska and Thamsen, "Let's Wait Awhile: How Temporal Workload Shifting Can Reduce Carbon
Emissions in the Cloud", Middleware 2021, section 5. A job that needs `left` seconds more and is to have ended by
`deadline` runs

- interrupting: in the greenest slots before its deadline, as many as it needs, so now unless
  (seconds before the deadline in which less carbon than now is expected) >= left;
- non-interrupting: in the one window of `left` seconds of least carbon, so now unless a later start s, with
  s + left <= deadline, has a smaller integral of the forecast over [s, s + left].

Of equal slots the first is taken. That is looked at anew with each slot, as what is expected and what is left change.
Jobs that may not be stopped are not interrupted. Those whose time has come, and they alone, are then served by EASY
backfilling over an order; nobody waits beyond the last moment at which its deadline can be kept for greener hours, so
whoever EASY serves in the end is served here.

Deadlines are the jobs' own, else those of a rule of `slack`, lengths are estimates. No forecast is shown to policies:
here it is persistence of the day before (`Outlook`), where the paper has the truth with noise added. Jobs without an
estimate, without accelerators, or at sites that tell no carbon do not wait.

Left out: jobs known before their time, which the paper's first scenario also runs earlier; other sites, which the paper
leaves to others too: a job counts with the site where most accelerators are that it accepts. Unlike there, machines are
not without number, so whoever finds none waits on, at worst past its deadline; and stops cost a restart, for which the
greener hours have to suffice too. Where kinds are unlike, many who begin in one hour also fill the slower, less
efficient ones, which may cost more carbon than the hour saves: `place` says where, and does not know of it.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..envs.cluster import ClusterView
from ..envs.paces import at
from ..envs.placement import Place, packed
from ..envs.roster import Columns, Floats, Register, Running
from ..envs.vocabulary import Decision, Preempt, Start
from ..traces.job import Job
from .backfill import Easy
from .leases import gives_way
from .memory import Memory
from .needs import Needs
from .outlook import HOUR, Outlook
from .ranked import Order, submitted
from .slack import TWICE, Until, due

Mask = npt.NDArray[np.bool_]


@dataclass
class WaitAwhile:
    """Lets jobs wait for greener hours, and starts those whose time has come.

    Attributes:
        order: whom of those to serve first.
        until: by when a job without a deadline is to have ended; by default twice its estimate, a day more at most.
        interrupts: whether jobs that may be stopped run in pieces.
        place: where a job may stand.
        slot, day: seconds, of what is expected to come again.
        tick: seconds between looks, and the least that a run has before it is stopped.
        restart: seconds that a stop is taken to cost, for which greener ones have to suffice too.
        longest_restart: seconds, half of what a run has at least.
    """

    order: Order = submitted
    until: Until = TWICE
    interrupts: bool = True
    place: Place = packed
    slot: float = HOUR
    day: float = 24 * HOUR
    tick: float = 600.0
    restart: float = 60.0
    longest_restart: float = 300.0
    needs: Needs = frozenset({"estimates", "carbon"})
    _memory: Memory[_Watch] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields stops for those who are to wait for greener hours, and starts for those whose time has come."""
        watch = self._memory.of(cluster, lambda: _Watch(Outlook(self.slot, self.day), Line(cluster)))
        if turned := watch.outlook.follow(cluster):
            watch.line = Line(cluster)
        if self.interrupts and (turned or cluster.now - watch.looked >= self.tick):
            watch.looked = cluster.now
            yield from (Preempt(run.job.id) for run in self._stops(cluster, watch.outlook))
        come = self._due(watch.line.strangers(), cluster, watch.outlook)
        yield from watch.line.served(come, Easy(self.order, self.place))

    def _due(self, keys: list[int], cluster: ClusterView, outlook: Outlook) -> list[int]:
        """Of waiting jobs those whose time has come."""
        if not keys:
            return keys
        jobs = [cluster.pending[key] for key in keys]
        left = still(cluster.pending.columns.of(keys))
        waits = self._waits(jobs, left, outlook.waiting(jobs, cluster.room), outlook)
        return [key for key, later in zip(keys, waits.tolist(), strict=True) if not later]

    def _stops(self, cluster: ClusterView, outlook: Outlook) -> list[Running]:
        """Runs that the greener hours before their deadline suffice for."""
        latest = cluster.now - self.tick
        runs = [run for run in cluster.running if run.since <= latest and gives_way(run)]
        if not runs:
            return runs
        paces = np.array([at(run.job, run.placement, cluster.room) for run in runs])
        columns = cluster.running.columns.of([run.job.id for run in runs])
        left = still(columns, paces * (cluster.now - columns[Columns.SINCE])) / np.minimum(paces, 1.0)
        sites = outlook.running(runs, cluster.room)
        waits = self._waits([run.job for run in runs], left + self.restart, sites, outlook)
        return [run for run, later in zip(runs, waits.tolist(), strict=True) if later]

    def _waits(self, jobs: Sequence[Job], left: Floats, sites: list[str], outlook: Outlook) -> Mask:
        """Whether each of these jobs is better off later. Shape (jobs,)."""
        waits, there = np.zeros(len(jobs), np.bool_), np.array(sites)
        able = ~np.isnan(left) & np.array([job.gang > 0 for job in jobs])
        pieces = np.array([self.interrupts and job.preemptible for job in jobs])
        for site in dict.fromkeys(sites):
            if (ahead := outlook.ahead(site)).flat:
                continue
            mine = able & (there == site)
            for rows, whole in ((np.flatnonzero(mine & pieces), False), (np.flatnonzero(mine & ~pieces), True)):
                end = np.array([due(jobs[row], self.until) for row in rows.tolist()])
                need = left[rows]
                waits[rows] = ahead.better_later(need, end - need) if whole else ahead.greener(end) >= need
        return waits


def still(columns: Floats, more: Floats | float = 0.0) -> Floats:
    """Seconds of work that jobs still need, of their columns, NaN without an estimate; runs have done some `more`.

    One that has outrun its estimate is expected to need a tenth of what it did.
    """
    done = columns[Columns.ATTAINED] + more
    left: Floats = np.maximum(np.maximum(columns[Columns.ESTIMATE] - done, 0.1 * done), 1.0)
    return left


@dataclass(slots=True)
class _Watch:
    """What is remembered of a session: the outlook, who is in the line, when runs were last looked at."""

    outlook: Outlook
    line: Line
    looked: float = 0.0


class Line:
    """The ledger as if only those whose time has come were waiting.

    Attributes:
        pending: those.
    """

    def __init__(self, cluster: ClusterView) -> None:
        self._cluster, self._known = weakref.proxy(cluster), set[int]()
        self._view = cast(ClusterView, self)
        self.pending = Register[Job](self._view)

    def __getattr__(self, name: str) -> Any:
        """All else is the ledger's."""
        return getattr(self._cluster, name)

    def strangers(self) -> list[int]:
        """Waiting jobs that nobody has judged yet; those who wait no more are forgotten."""
        keys = self._cluster.pending.columns.keys
        for key in self._known.difference(keys):
            self._leave(key)
        return [key for key in keys if key not in self._known] if len(keys) > len(self._known) else []

    def served(self, come: list[int], easy: Easy) -> Iterator[Decision]:
        """Lets some more join the line, and then serves it."""
        self._known.update(self._cluster.pending.columns.keys)
        those = self._cluster.pending.columns.of(come)
        for key, had, order in zip(come, those[Columns.ATTAINED].tolist(), those[Columns.ORDER].tolist(), strict=True):
            job = self._cluster.pending[key]
            self.pending.enter(job, job, had, int(order))
        for decision in easy.decide(self._view):
            yield decision
            if isinstance(decision, Start):
                self._leave(decision.job)

    def _leave(self, key: int) -> None:
        self._known.discard(key)
        if key in self.pending:
            self.pending.leave(key)


wait_awhile = WaitAwhile()
"""In the greenest slots before the deadline: interrupting, but for jobs that may not be stopped."""
wait_awhile_whole = WaitAwhile(interrupts=False)
"""In the greenest window before the deadline, in one piece."""
