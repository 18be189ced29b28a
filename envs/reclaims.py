"""What tenants demand back of those who borrow: decided by the ledger's own rules, whatever the policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..traces.job import Job
from .cluster import Cluster, ClusterView
from .holdings import Holdings
from .placement import packed
from .room import Room
from .roster import Running
from .shares import amount
from .space import Space
from .tenants import Tenants
from .vocabulary import Decision, Placement, Preempt, Start

REST = 1.0
"""Seconds for which a claim that came to nothing rests at least, the first time."""


class Reclaims:
    """Waiting jobs that their tenant's quota covers may claim a place, oldest first, once they have waited `patience`.

    Of those who borrow the newest runs give way, as few as are needed, and none if the job would find no place all the
    same. While a claim waits for them to leave nobody may borrow: what is given back for it would be gone again. When
    its place is there the policy has one round of decisions in which nobody may borrow either; a place that it lets
    pass is anybody's in the next round, at the same moment. Who passed, or was stopped by the policy itself, rests for
    its patience, twice that the next time, and so on; else the same borrowers would be stopped again and again.

    Without patience every covered job would claim its place at the moment it comes, and nobody could borrow in the same
    round: then there are claims only while somebody borrows, and the first to borrow may be stopped at once.

    So whenever nobody may borrow somebody is about to leave, and something happens next.
    """

    def __init__(self, cluster: Cluster, tenants: Tenants) -> None:
        self._cluster, self._tenants = cluster, tenants
        self._waiting = set[int]()
        self._leaving = set[int]()
        self._offered = set[int]()
        self._passed: dict[int, tuple[float, float]] = {}  # job -> until when its claim rests, and for how long
        self._version = -1
        self.again = False
        """Whether the policy is to decide once more before anything happens."""

    def follow(self, decision: Decision) -> None:
        """Follows a decision that the ledger has taken."""
        match decision:
            case Start(job):
                self._waiting.discard(job)
                self._offered.discard(job)
            case Preempt(job) if job not in self._leaving:
                self._pass(job)  # whom the policy stops itself has had its place

    def demands(self) -> Iterable[Preempt]:
        """The preemptions that are due when events have come, before the policy decides."""
        self._offered = set()
        return self._claims()

    def after_all(self) -> Iterator[Preempt]:
        """Those that are due because of what the policy has decided: a place may be gone again. Sets `again`."""
        self.again = False
        if not self._offered and self._version == self._cluster.room.version:
            return
        owed, pending = _holdings(self._cluster.room).owed, self._cluster.pending
        for job in self._offered:
            if job in pending:
                self._pass(job)
        self._offered = set()
        yield from self._claims()
        self.again = bool(self._offered) or (owed and not self._waiting and len(pending) > 0)

    def _pass(self, job: int) -> None:
        rest = 2 * self._passed[job][1] if job in self._passed else max(self._tenants.patience, REST)
        self._passed[job] = self._cluster.now + rest, rest

    def _claims(self) -> Iterable[Preempt]:
        """Who claims what now; nobody may borrow while there is any claim."""
        due: list[Preempt] = []
        before, self._waiting, self._leaving = self._waiting, set(), set()
        matters = self._tenants.patience or before or _holdings(self._cluster.room).over
        if len(self._cluster.pending) and matters and (lines := self._late()):
            now, then = self._cluster.room.scratch(), to_come(self._cluster)
            for line in lines:
                due += self._claimed(line, now, then)
        for job in before - self._waiting - self._offered:
            if job in self._cluster.pending:  # a claim that came to nothing has passed
                self._pass(job)
        self._cluster.owe(bool(self._waiting or self._offered))
        self._version = self._cluster.room.version
        return due

    def _claimed(self, line: list[Job], now: Space, then: Space) -> Iterator[Preempt]:
        """What a tenant's jobs claim, up to the first for which nothing helps.

        Args:
            line: the jobs.
            now: the room there is.
            then: the room there will be when those who are stopping have left.
        """
        for job in line:
            place = packed(job, now)
            giving = self._giving_way(job, then)
            if giving is None:
                return
            if place is not None:
                now.take(job, place)
                self._offered.add(job.id)
            else:
                self._waiting.add(job.id)
            self._leaving.update(running.job.id for running in giving)
            yield from (Preempt(running.job.id) for running in giving)

    def _late(self) -> list[list[Job]]:
        """For each tenant its waiting jobs that its quota covers together, oldest first, if they waited long enough."""
        left, found = _holdings(self._cluster.room).left, []
        for name, line in self._cluster.lines.items():
            if line and (more := left(name)) > 0 and (late := self._line(line, more)):
                found.append(late)
        return found

    def _line(self, line: Mapping[int, Job], left: float) -> list[Job]:
        now, patience, found, never = self._cluster.now, self._tenants.patience, list[Job](), (0.0, 0.0)
        for job in line.values():
            need = amount(job)
            if need <= left and job.submit + patience <= now and now >= self._passed.get(job.id, never)[0]:
                found.append(job)
                left -= need
                if left <= 0:
                    break
        return found

    def _giving_way(self, job: Job, room: Space) -> list[Running] | None:
        """Who has to leave a room so that a job finds a place in it, which it then takes there; None if none helps."""
        giving, place = list[Running](), packed(job, room)
        if place is None:
            if (enough := self._enough(job, room)) is None:
                return None
            giving = enough
            for running in giving:
                room.release(running)
            place = packed(job, room)
        if place is not None:
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
        able = (r for r in self._cluster.running if r.preemptible)
        able = (r for r in able if r.job.id not in self._leaving)
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
