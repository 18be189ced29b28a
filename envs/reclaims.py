"""What tenants demand back of those who borrow: decided by the ledger's own rules, whatever the policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..traces.job import Job
from .cluster import Cluster
from .placement import packed
from .roster import Running
from .shares import thousandths
from .space import Space
from .tenants import Tenants
from .vocabulary import Preempt


class Reclaims:
    """Waiting jobs that their tenant's quota covers may demand a place, oldest first, once they have waited `patience`.

    Of those who borrow the newest runs give way, as few as are needed, and none if the job would find no place all the
    same. Until its place is there, and for the one round of decisions in which it then could start, nobody may borrow:
    what was given back for it would be gone again. A job whose place the policy lets pass demands nothing more until
    something within a quota has started; else the same borrowers would be stopped again and again.
    """

    def __init__(self, cluster: Cluster, tenants: Tenants) -> None:
        self._cluster, self._tenants = cluster, tenants
        self._asked = set[int]()
        self._offered = set[int]()
        self._passed = set[int]()
        self._covered = False
        self._version = -1

    def started(self, job: Job) -> None:
        """Follows a start."""
        self._asked.discard(job.id)
        self._offered.discard(job.id)
        self._covered = self._covered or not self._tenants.borrowed(self._cluster.room.usage, job.tenant)

    def demands(self) -> Iterator[Preempt]:
        """The preemptions that are due when events have come, before the policy decides."""
        self._passed = set() if self._covered else self._passed | self._offered
        self._offered, self._covered = set(), False
        yield from self._all()

    def after_all(self) -> Iterator[Preempt]:
        """Those that are due because of what the policy has decided: a place may be gone again."""
        if self._version != self._cluster.room.version:
            yield from self._all()

    def _all(self) -> Iterator[Preempt]:
        if self._asked:
            self._asked = {job for job in self._asked if job in self._cluster.pending}
        lines = self._late() if self._asked or self._lends() else []
        if lines:
            now, then = self._cluster.room.scratch(), _to_come(self._cluster)
            for line in lines:
                yield from self._demanded(line, now, then)
        waits = (job for line in lines for job in line)
        self._cluster.owe(any(job.id in self._asked and job.id not in self._passed for job in waits))
        self._version = self._cluster.room.version

    def _demanded(self, line: list[Job], now: Space, then: Space) -> Iterator[Preempt]:
        """What a tenant's jobs demand, up to the first for which nothing helps."""
        for job in line:
            if job.id in self._passed:
                continue
            if (place := packed(job, now)) is not None:
                now.take(job, place)
                if job.id in self._asked:
                    self._offered.add(job.id)
            if (giving := self._giving_way(job, then)) is None:
                return
            if giving:
                self._asked.add(job.id)
            yield from (Preempt(running.job.id) for running in giving)

    def _lends(self) -> bool:
        """Whether anybody borrows."""
        own = self._tenants.own
        return any(used > own(name) for name, used in self._cluster.room.usage.items())

    def _late(self) -> list[list[Job]]:
        """For each tenant its waiting jobs that its quota covers together, oldest first, if they waited long enough."""
        found = (self._line(name, line) for name, line in self._cluster.lines.items() if line)
        return [line for line in found if line]

    def _line(self, name: str | None, line: Mapping[int, Job]) -> list[Job]:
        left = self._tenants.own(name) - self._cluster.room.usage.get(name, 0)
        now, patience, found = self._cluster.now, self._tenants.patience, list[Job]()
        for job in line.values() if left > 0 else ():
            need = job.gang * thousandths(job.share)
            if need <= left and job.submit + patience <= now:
                found.append(job)
                left -= need
                if left <= 0:
                    break
        return found

    def _giving_way(self, job: Job, room: Space) -> list[Running] | None:
        """Who has to leave a room so that a job finds a place in it, which it then takes there; None if none helps."""
        giving: list[Running] = []
        place, trial = packed(job, room), room.scratch()
        for running in self._borrowers() if place is None else ():
            if self._tenants.borrowed(trial.usage, running.job.tenant) > 0:
                trial.release(running)
                giving.append(running)
                if (place := packed(job, trial)) is not None:
                    break
        if place is None:
            return None
        giving = _needed(job, room, giving)
        for running in giving:
            room.release(running)
        if (place := packed(job, room)) is not None:
            room.take(job, place)
        return giving

    def _borrowers(self) -> list[Running]:
        """Runs that may give way, newest first."""
        used, borrowed = self._cluster.room.usage, self._tenants.borrowed
        able = (r for r in self._cluster.running if r.job.preemptible and not r.stopping and r.goes is None)
        return sorted((r for r in able if borrowed(used, r.job.tenant) > 0), key=lambda r: (-r.since, -r.order))


def _to_come(cluster: Cluster) -> Space:
    """The room there will be when all who are stopping have stopped."""
    room = cluster.room.scratch()
    for running in cluster.running:
        if running.stopping:
            room.release(running)
    return room


def _needed(job: Job, room: Space, giving: list[Running]) -> list[Running]:
    """Those without whose leaving the job would find no place."""
    needed = giving
    for spared in giving[:-1]:
        fewer = [running for running in needed if running is not spared]
        trial = room.scratch()
        for running in fewer:
            trial.release(running)
        if packed(job, trial) is not None:
            needed = fewer
    return needed
