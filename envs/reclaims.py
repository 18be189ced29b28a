"""What tenants demand back of those who borrow: decided by the ledger's own rules, whatever the policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..traces.job import Job
from .cluster import Cluster, ClusterView
from .holdings import Holdings
from .placement import packed
from .room import Room
from .roster import Running
from .shares import thousandths
from .space import Space
from .tenants import Tenants
from .vocabulary import Placement, Preempt


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
        self._covered = self._covered or job.tenant not in _holdings(self._cluster.room).over

    def demands(self) -> Iterable[Preempt]:
        """The preemptions that are due when events have come, before the policy decides."""
        if self._covered:
            self._passed, self._covered = set(), False
        elif self._offered:
            self._passed |= self._offered
        self._offered = set()
        return self._due()

    def after_all(self) -> Iterable[Preempt]:
        """Those that are due because of what the policy has decided: a place may be gone again."""
        return () if self._version == self._cluster.room.version else self._due()

    def _due(self) -> Iterable[Preempt]:
        self._version = self._cluster.room.version
        if len(self._cluster.pending) and (self._asked or _holdings(self._cluster.room).over):
            return self._all()
        self._cluster.owe(False)
        return ()

    def _all(self) -> Iterator[Preempt]:
        self._asked = {job for job in self._asked if job in self._cluster.pending}
        if lines := self._late():
            now, then = self._cluster.room.scratch() if self._asked else None, to_come(self._cluster)
            for line in lines:
                yield from self._demanded(line, now, then)
        wanted = self._asked - self._passed
        self._cluster.owe(bool(wanted) and any(job.id in wanted for line in lines for job in line))
        self._version = self._cluster.room.version

    def _demanded(self, line: list[Job], now: Space | None, then: Space) -> Iterator[Preempt]:
        """What a tenant's jobs demand, up to the first for which nothing helps.

        Args:
            line: the jobs.
            now: the room there is, if that matters to anybody who has asked.
            then: the room there will be when those who are stopping have left.
        """
        for job in line:
            if job.id in self._passed:
                continue
            if now is not None and (place := packed(job, now)) is not None:
                now.take(job, place)
                if job.id in self._asked:
                    self._offered.add(job.id)
            if (giving := self._giving_way(job, then)) is None:
                return
            if giving:
                self._asked.add(job.id)
            yield from (Preempt(running.job.id) for running in giving)

    def _late(self) -> list[list[Job]]:
        """For each tenant its waiting jobs that its quota covers together, oldest first, if they waited long enough."""
        left, found = _holdings(self._cluster.room).left, []
        for name, line in self._cluster.lines.items():
            if line and (more := left(name)) > 0 and (late := self._line(line, more)):
                found.append(late)
        return found

    def _line(self, line: Mapping[int, Job], left: float) -> list[Job]:
        now, patience, found = self._cluster.now, self._tenants.patience, list[Job]()
        for job in line.values():
            need = job.gang * thousandths(job.share)
            if need <= left and job.submit + patience <= now:
                found.append(job)
                left -= need
                if left <= 0:
                    break
        return found

    def _giving_way(self, job: Job, room: Space) -> list[Running] | None:
        """Who has to leave a room so that a job finds a place in it, which it then takes there; None if none helps."""
        giving = [] if packed(job, room) is not None else self._enough(job, room)
        if giving is None:
            return None
        for running in giving:
            room.release(running)
        if (place := packed(job, room)) is not None:
            room.take(job, place)
        return giving

    def _enough(self, job: Job, room: Space) -> list[Running] | None:
        """As few borrowers, the newest first, as have to leave for a job to find a place; None if all are too few."""
        borrowers, giving = self._borrowers(), list[Running]()
        if not borrowers or _without(job, room, borrowers) is None:
            return None
        trial = room.scratch()
        for running in borrowers:
            if running.job.tenant in _holdings(trial).over:
                trial.release(running)
                giving.append(running)
                if packed(job, trial) is not None:
                    return _needed(job, room, giving)
        return None

    def _borrowers(self) -> list[Running]:
        """Runs that may give way, newest first."""
        over = _holdings(self._cluster.room).over
        able = (r for r in self._cluster.running if r.job.preemptible and not r.stopping and r.goes is None)
        return sorted((r for r in able if r.job.tenant in over), key=lambda r: (-r.since, -r.order))


def _holdings(room: Room) -> Holdings:
    """What tenants hold; there are tenants here."""
    assert room.holdings is not None
    return room.holdings


def to_come(cluster: ClusterView) -> Space:
    """The room there will be when all who are stopping have stopped."""
    room = cluster.room.scratch()
    for running in cluster.running:
        if running.stopping:
            room.release(running)
    return room


def _without(job: Job, room: Space, leaving: Iterable[Running]) -> Placement | None:
    """Where a job would find its place in a room if these had left."""
    trial = room.scratch()
    for running in leaving:
        trial.release(running)
    return packed(job, trial)


def _needed(job: Job, room: Space, giving: list[Running]) -> list[Running]:
    """Those without whose leaving the job would find no place."""
    needed = giving
    for spared in giving[:-1]:
        fewer = [running for running in needed if running is not spared]
        if _without(job, room, fewer) is not None:
            needed = fewer
    return needed
