"""Lucid: the least expected accelerator time first, and two jobs on one accelerator where neither needs much of it.

Hu et al., "Lucid: A Non-intrusive, Scalable and Interpretable Scheduler for Deep Learning Training Jobs", ASPLOS 2023.
Nobody is ever stopped. Waiting jobs are served by

    priority = expected run time x gang, smallest first,

whoever fits, consolidated. Who finds no accelerators of its own is packed with a run of as many (indolent packing), if

- both stand on one node, nobody else does there, and all that both keep in memory fits;
- their sharing scores are 2 together at most: 0 (tiny) for a job that keeps 0.95 of its pace beside others, 1 (medium)
  for 0.85, 2 (jumbo) for less. Families that were measured in pairs on the kind have the mean of those; others are told
  by how busy they are seen to make an accelerator, see `TINY`. Whom nobody has seen yet is not packed;
- the newcomer's priority is no more than twice the other's: it would hold it up for too long.

A ledger fixes the share of a run when it starts, so where packing may come every whole job on one node is started with
half of each accelerator, which alone is as good as all; that happens only where the ledger knows what can stand side
by side, and not where tenants have quotas, which would count it as half of what it keeps from others.

Left out: the partition in which jobs are profiled before they queue, and where the short ones end. Here a run is
profiled in its own place, once it has been there for `profiling` seconds, for itself and for its kin: its family, its
sweep, jobs of its name and user. Left out too is the prediction of load that turns packing off, as here nobody is
packed who finds room; run times are predicted by the world (`--estimates predicted`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.kinds import kind as facts
from ..envs.placement import Place, consolidated
from ..envs.profiles import builtin, facts_of
from ..envs.roster import Running
from ..envs.vocabulary import Decision, Placement, Start
from ..traces.job import Job, Shape
from .habits import Habit, Habits, alone
from .memory import Memory
from .needs import ESTIMATES, Needs
from .orders import area
from .ranked import Formula, Ranked, fitting, in_order

HALF = 0.5
KEEPS = (0.95, 0.85)
"""The parts kept that make a job tiny, and medium: section 3.3, and simulation/analyzer/analyzer.py."""
TINY, MEDIUM = 0.25, 0.6
"""How busy, below: the two cuts that tell most of the 66 workloads in Lucid's simulation/analyzer/single_data.csv (of
S-Lab-System-Group/Lucid at 9b9ba89, read 2026-11-25) from each other, 53, by GPU utilisation alone."""
PATIENCE = 2.0
"""Times the other's priority that a newcomer's may be: simulation/policy/lucid.py."""
ORDER = Formula(area)
"""Priority: expected accelerator-seconds."""


Hosts = dict[tuple[int, str | None, str, int], list[Running]]
"""(gang, tenant, kind, sharing score) -> runs."""


@dataclass
class Lucid:
    """Smallest area first, packed where that is harmless.

    Attributes:
        place: where a job may stand alone.
        budget: sharing scores of a pair at most; the paper packs nobody, or tiny ones alone, where it is less.
        profiling: seconds of a run until what was seen of it counts; 200 in the paper's evaluation.
        tick: seconds between looks at what the meter says.
    """

    place: Place = consolidated
    budget: int = 2
    profiling: float = 200.0
    tick: float = 200.0
    needs: Needs = ESTIMATES
    _habits: Memory[Habits] = field(default_factory=Memory, init=False, repr=False, compare=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts, some of them beside others."""
        if cluster.room.fits is None or cluster.room.tenants is not None:
            yield from Ranked(ORDER, self.place, strict=False).decide(cluster)
            return
        self._habits.of(cluster, Habits).look(cluster, self.profiling)
        if len(cluster.pending):
            yield from self._starts(cluster)

    def _starts(self, cluster: ClusterView) -> Iterator[Start]:
        hosts: Hosts = {}
        for run in cluster.running:
            self._add(run, hosts, cluster)
        if not hosts and not len(fitting(cluster)):
            return
        rows, refused = np.arange(len(cluster.pending)), set[Shape]()
        for job in in_order(cluster, ORDER, rows):
            shape = cluster.room.shape(job)
            placement = None if shape in refused else self._alone(job, cluster)
            if placement is not None:
                yield Start(job.id, placement, share=HALF if _halves(job, placement) else None)
                self._add(cluster.running[job.id], hosts, cluster)
                continue
            refused.add(shape)
            if (host := self._host(job, hosts, cluster)) is not None:
                yield Start(job.id, host.placement, share=HALF)

    def _add(self, run: Running, hosts: Hosts, cluster: ClusterView) -> None:
        """Adds a run to those that could have somebody beside them, if it could."""
        kind = cluster.room.kind_of(run.placement[0][1][0]) if self._open(run, cluster) else None
        if kind is not None and (score := self._score(run.job, kind, cluster)) is not None:
            hosts.setdefault((run.gang, run.job.tenant, kind, score), []).append(run)

    def _host(self, job: Job, hosts: Hosts, cluster: ClusterView) -> Running | None:
        """With whom a waiting job is packed; that run takes nobody else."""
        for (gang, tenant, kind, score), runs in hosts.items():
            if job.share < 1 or gang != job.gang or tenant != job.tenant:
                continue
            mine = self._score(job, kind, cluster)
            if mine is not None and mine + score <= self.budget:
                for run in runs:
                    if self._suits(job, run, kind, cluster):
                        runs.remove(run)
                        return run
        return None

    def _alone(self, job: Job, cluster: ClusterView) -> Placement | None:
        """Where a job could stand; one that asks for a part not beside a job that did not, but as they would be."""
        placement = self.place(job, cluster.room)
        if placement is None or job.share == 1 or not self._guests(placement, cluster):
            return placement
        return self.place(replace(job, share=1.0), cluster.room)

    def _guests(self, placement: Placement, cluster: ClusterView) -> bool:
        """Whether somebody stands there who asked for a whole accelerator."""
        there = {accelerator for _, some in placement for accelerator in some}
        if there.isdisjoint(cluster.room.left):
            return False
        return any(run.job.share == 1 and there.intersection(*(s for _, s in run.placement)) for run in cluster.running)

    def _open(self, run: Running, cluster: ClusterView) -> bool:
        """Whether a run could have somebody beside it: it has half of its accelerators, alone, and stays."""
        if run.job.share < 1 or run.share != HALF or run.stopping or run.goes is not None:
            return False
        return alone(run, cluster)

    def _suits(self, job: Job, run: Running, kind: str, cluster: ClusterView) -> bool:
        """Whether a waiting job, whose score is low enough, can be packed with a run."""
        if area(job) > PATIENCE * area(run.job) or not self._holds(job, run, kind, cluster):
            return False
        return cluster.room.scratch().took(job, run.placement, HALF)

    def _holds(self, job: Job, run: Running, kind: str, cluster: ClusterView) -> bool:
        """Whether the memory of an accelerator holds both; not if nobody knows."""
        bay = cluster.room.bays[cluster.room.seat[run.placement[0][1][0]][0]]
        known = facts(kind)
        has = bay.memory if bay.memory is not None or known is None else known.memory
        mine, other = self._memory(job, cluster), self._memory(run.job, cluster)
        return mine is not None and other is not None and has is not None and mine + other <= has

    def _memory(self, job: Job, cluster: ClusterView) -> int | None:
        """Bytes that a job keeps: as it says, else as seen, else its family's."""
        seen, known = self._seen(job, cluster), facts_of(job.profile)
        found = job.memory if job.memory is not None or seen is None else seen.memory
        return found if found is not None or known is None else known.memory

    def _score(self, job: Job, kind: str, cluster: ClusterView) -> int | None:
        return score(job, kind, self._seen(job, cluster))

    def _seen(self, job: Job, cluster: ClusterView) -> Habit | None:
        return self._habits.of(cluster, Habits).of(job)


def score(job: Job, kind: str, seen: Habit | None = None) -> int | None:
    """The sharing score of a job on a kind, None while nobody knows; by what was `seen` of it or of its kin."""
    known = facts_of(job.profile)
    if known is not None and (kept := known.kept.get(builtin().kind(kind))):
        return sum(fmean(kept.values()) < part for part in KEEPS)
    busy = seen.busy if seen is not None else None if known is None else known.busy
    return None if busy is None else int(busy >= TINY) + int(busy >= MEDIUM)


def _halves(job: Job, placement: Placement) -> bool:
    """Whether a job is started with half of its accelerators, so that another could come."""
    return job.share == 1 and job.gang > 0 and len(placement) == 1


lucid = Lucid()
"""Lucid, by estimates."""
