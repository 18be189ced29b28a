"""Who reads a log and keeps books of its own: what stands where, who may hold what, what became of each job.

It knows nothing of how ledgers are kept. What cannot be is an AssertionError.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, inf
from typing import Any

from gpuyard.envs.session import Policy, Session
from gpuyard.envs.vocabulary import (
    Move,
    Moved,
    NodeDown,
    NodeUp,
    Partition,
    Partitioned,
    Placement,
    Preempt,
    Provision,
    Ready,
    Release,
    Resize,
    Resized,
    Start,
    Stopped,
    Submitted,
)

FASTEST = 20.0
"""Seconds of work in a second that nothing here exceeds."""
GONE = {"released", "reclaimed"}


@dataclass
class Stand:
    """A job in its place."""

    job: Any
    here: Placement
    share: float
    since: float
    goes: Placement = ()
    stopping: bool = False

    @property
    def seats(self) -> set[tuple[str, str]]:
        return {(node, a) for node, some in (*self.here, *self.goes) for a in some}

    @property
    def nodes(self) -> set[str]:
        return {node for node, _ in (*self.here, *self.goes)}

    @property
    def amount(self) -> int:
        return max(1, round(self.share * 1000))

    def load(self, node: str) -> Fraction:
        """The part of its CPUs and host memory that a node has to give."""
        if not self.job.gang:
            return Fraction(int(node in self.nodes))
        return Fraction(len([a for n, a in self.seats if n == node]), self.job.gang)


@dataclass
class Witness:
    """Follows entries one by one; `check` looks at all there is after a moment."""

    nodes: tuple[Any, ...]
    tenants: Any
    durations: Any
    now: float = 0.0
    state: dict[int, str] = field(default_factory=dict)
    jobs: dict[int, Any] = field(default_factory=dict)
    stands: dict[int, Stand] = field(default_factory=dict)
    kept: dict[int, float] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    cut: dict[str, int] = field(default_factory=dict)
    cutting: dict[str, tuple[str, ...]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    there: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.there = {n.id: "up" if n.present else "absent" for n in self.nodes}

    def follow(self, entry: Any) -> None:
        time = getattr(entry, "time", self.now)
        assert time >= self.now, "time went back"
        self.now = time
        match entry:
            case Submitted(_, job):
                assert job.id not in self.state
                self.jobs[job.id] = job
                self.state[job.id] = "held" if job.after else "pending"
            case Ready(_, job):
                assert self.state[job] == "held"
                self.state[job] = "pending"
            case Stopped():
                self.stopped(entry)
            case Start(job, placement, _, share):
                assert self.state[job] == "pending"
                self.state[job] = "running"
                asked = self.jobs[job]
                self.stands[job] = Stand(asked, placement, asked.share if share is None else share, self.now)
                if asked.gang:
                    self.may(asked.tenant)
            case Preempt(job):
                assert self.jobs[job].preemptible
                self.settled(job)
                self.stands[job].stopping = True
            case Move(job, placement) | Resize(job, placement):
                assert self.jobs[job].preemptible
                self.settled(job)
                self.stands[job].goes = placement
                self.may(self.jobs[job].tenant)
            case Moved(_, job) | Resized(_, job):
                stand = self.stands[job]
                assert stand.goes
                stand.here, stand.goes = stand.goes, ()
            case _:
                self.machines(entry)

    def settled(self, job: int) -> None:
        assert not self.stands[job].stopping
        assert not self.stands[job].goes

    def stopped(self, stop: Stopped) -> None:
        before, job = self.kept.get(stop.job, 0.0), stop.job
        assert stop.progress is not None
        assert stop.lost >= 0
        assert stop.progress <= self.durations[job] + 1e-6
        if self.state[job] == "running":
            done = stop.progress + stop.lost - before
            assert -1e-6 <= done <= FASTEST * (self.now - self.stands.pop(job).since) + 1e-6
        else:
            assert stop.reason == "cancelled"
            assert (stop.progress, stop.lost) == (before, 0.0)
        if stop.reason == "finished":
            assert stop.progress == self.durations[job]
        assert stop.lost == 0 or stop.reason in ("lost", "preempted")
        back = stop.reason in ("lost", "preempted")
        self.kept[job] = stop.progress
        self.state[job] = ("held" if stop.held else "pending") if back else "ended"
        self.reasons[stop.reason] += 1

    def machines(self, entry: Any) -> None:
        match entry:
            case NodeUp(_, node, some):
                if some:
                    self.broken -= set(some)
                else:
                    assert self.there[node] != "up"
                    self.there[node] = "up"
                    self.broken -= {a.id for n in self.nodes if n.id == node for a in n.accelerators}
            case NodeDown(_, node, reason, some):
                if some:
                    self.broken |= set(some)
                else:
                    assert self.there[node] != "absent"
                    self.there[node] = "absent" if reason in GONE else "down"
            case Partition(accelerator, profiles):
                assert not self.on(accelerator)
                assert accelerator not in self.cutting
                self.cutting[accelerator] = profiles
                self.cut.pop(accelerator, None)
            case Partitioned(_, accelerator, profiles):
                assert self.cutting.pop(accelerator) == profiles
                if profiles:
                    self.cut[accelerator] = len(profiles)
            case Provision(pool, count):
                assert 0 < count <= sum(n.pool == pool for n in self.nodes)
            case Release(node):
                assert self.there[node] == "up"
                assert not any(node in stand.nodes for stand in self.stands.values())
                self.there[node] = "leaving"

    def on(self, accelerator: str) -> list[Stand]:
        """Who holds something of an accelerator."""
        return [s for s in self.stands.values() if any(a.partition("#")[0] == accelerator for _, a in s.seats)]

    # Quotas.

    def used(self) -> Counter[str | None]:
        used: Counter[str | None] = Counter()
        for stand in self.stands.values():
            used[stand.job.tenant] += stand.amount * len(stand.seats)
        return used

    def own(self, name: str | None) -> float:
        tenant = self.tenants.named.get(name or "")
        return 0.0 if tenant is None else inf if tenant.quota is None else 1000 * tenant.quota

    def may(self, name: str | None) -> None:
        """Whoever just took more than its own has borrowed what others lend, and no more than it may."""
        used = self.used()
        borrowed = {one: max(0.0, used[one] - self.own(one)) for one in used}
        if not borrowed.get(name):
            return
        lent = 0.0
        for one, tenant in self.tenants.named.items():
            spare = max(0.0, self.own(one) - used[one])
            lent += min(spare, inf if tenant.lend is None else 1000 * tenant.lend)
        assert sum(borrowed.values()) <= lent

    def quotas(self) -> None:
        for name, amount in self.used().items():
            tenant = self.tenants.named.get(name or "")
            if tenant is not None and tenant.borrow is not None:
                assert amount <= self.own(name) + 1000 * tenant.borrow

    # What there is.

    def check(self, cluster: Any) -> None:
        """All books against each other, and against the ledger."""
        self.quotas()
        self.conserved()
        rosters = {"pending": cluster.pending, "held": cluster.held, "running": cluster.running}
        for job, state in self.state.items():
            assert [name for name, roster in rosters.items() if job in roster] == [state] * (state != "ended")
            if state in ("pending", "held"):
                assert cluster.attained(job) == self.kept.get(job, 0.0)
        assert sum(len(roster) for roster in rosters.values()) == sum(s != "ended" for s in self.state.values())
        self.room(cluster.room)

    def conserved(self) -> None:
        kinds = {a.id: a for n in self.nodes for a in n.accelerators}
        for stand in self.stands.values():
            assert all(self.there[node] == "up" for node in stand.nodes)
            assert all(node == seat.rpartition("/")[0] for node, seat in stand.seats)
        for accelerator, one in kinds.items():
            here = self.on(accelerator)
            if not here:
                continue
            assert accelerator not in self.broken | self.cutting.keys()
            names = [a for s in here for _, a in s.seats if a.partition("#")[0] == accelerator]
            if accelerator in self.cut:
                assert len(set(names)) == len(names) <= self.cut[accelerator]
                assert accelerator not in names
            else:
                assert set(names) == {accelerator}
                assert sum(s.amount for s in here) <= 1000
                assert len({s.job.tenant for s in here}) == 1
                assert one.memory is None or sum(s.job.memory or 0 for s in here) <= one.memory
        for node in self.nodes:
            here = [s for s in self.stands.values() if node.id in s.nodes]
            cpus = sum(Fraction(str(s.job.cpus or 0)) * s.load(node.id) for s in here)
            memory = sum((s.job.host_memory or 0) * s.load(node.id) for s in here)
            assert node.cpus is None or cpus <= node.cpus
            assert node.memory is None or memory <= node.memory

    def room(self, room: Any) -> None:
        """The ledger's free room is what is left."""
        free: Counter[tuple[str, str | None]] = Counter()
        left: dict[str, int] = {}
        for node in self.nodes:
            for a in node.accelerators:
                here = self.on(a.id)
                usable = self.there[node.id] == "up" and a.id not in self.broken and a.id not in self.cutting
                if a.id in self.cut:
                    there = room.shares.open[a.id].bit_count()
                    taken = sum(seat.startswith(f"{a.id}#") for s in here for _, seat in s.seats)
                    assert there == (self.cut[a.id] - taken if usable else 0)
                elif here and any(s.share < 1 for s in here):
                    left[a.id] = 1000 - sum(s.amount for s in here)
                elif usable and not here:
                    free[a.kind, node.site] += 1
        assert sum(free.values()) == room.spare
        assert {f"{kind}@{site}": count for (kind, site), count in free.items()} == {
            group: count for group, count in room.count.items() if count
        }
        assert left == room.left
        for node, cpus in zip(self.nodes, room.cpus, strict=True):
            loads = [ceil(round(1000 * (s.job.cpus or 0), 6)) * s.load(node.id) for s in self.stands.values()]
            assert node.cpus is None or cpus == 1000 * node.cpus - sum(ceil(load) for load in loads)


def watched(session: Session, policy: Policy, witness: Witness, moments: int = 120) -> None:
    """Lets a policy decide for some moments: all is legal, the witness agrees at each, and the log tells the ledger."""
    seen = 0
    for _ in range(moments):
        if not session.advance():
            break
        for decision in policy.decide(session.cluster):
            session.act(decision)
        for entry in session.log.entries[seen:]:
            witness.follow(entry)
        seen = len(session.log.entries)
        witness.check(session.cluster)
    assert session.log.replay().state() == session.cluster.state()
