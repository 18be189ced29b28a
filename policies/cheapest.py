"""Where a job may stand at the least rent: our own nodes first, then what costs least, as another placement says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from operator import attrgetter

from ..envs.nodes import Node
from ..envs.placement import Place
from ..envs.room import Levels, Room
from ..envs.vocabulary import Placement
from ..traces.job import Job, Shape

Rent = Callable[[Node], float]
"""USD an hour."""
listed: Rent = attrgetter("usd_per_hour")
"""As the node's list says, whatever its pool costs at the moment."""


@dataclass(frozen=True, slots=True)
class _Tier:
    """Some nodes: their bays as bits, and their positions."""

    bays: int
    hosts: frozenset[int]

    @classmethod
    def of(cls, room: Room, hosts: frozenset[int]) -> _Tier:
        return cls(sum(1 << bay.position for bay in room.bays if bay.host in hosts), hosts)


_NONE = _Tier(0, frozenset())


class _Part(Room):
    """A room of which some nodes alone are offered."""

    tier: _Tier

    @classmethod
    def of(cls, room: Room, tier: _Tier) -> _Part:
        part = cls.__new__(cls)
        part.__dict__.update(room.__dict__)
        part.tier = tier
        return part

    def levels_for(self, job: Job, kind: str) -> Levels:
        """The offered bays in buckets."""
        return [held & self.tier.bays for held in super().levels_for(job, kind)]

    def hosts(self, job: Job, host: int, count: int) -> bool:
        """Whether a node is offered, and has the CPUs and host memory."""
        return host in self.tier.hosts and super().hosts(job, host, count)


@dataclass(slots=True)
class _Known:
    """What is known of a cluster: ever larger sets of nodes, for any job and without spot; who could do without."""

    nodes: tuple[Node, ...]
    any: tuple[_Tier, ...]
    firm: tuple[_Tier, ...]
    bare: Room | None = None
    could: dict[Shape, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, room: Room, rent: Rent) -> _Known:
        return cls(room.nodes, tuple(_tiers(room, rent, True)), tuple(_tiers(room, rent, False)))

    def tiers(self, job: Job) -> tuple[_Tier, ...]:
        """The sets that a job may stand on, the cheapest first."""
        return self.any if job.preemptible or self.any == self.firm or not self._could(job) else self.firm

    def _could(self, job: Job) -> bool:
        """Whether nodes that are not spot would do, were they all there and free."""
        if self.bare is None:
            self.bare = Room(tuple(replace(node, present=True) for node in self.nodes if not node.spot))
        if job.shape not in self.could:
            self.could[job.shape] = self.bare.could_ever(job)
        return self.could[job.shape]


@dataclass(slots=True)
class Cheapest:
    """Places a job on the nodes with the least rent, and on costlier ones only where it finds no place on those.

    Jobs that may not be preempted stand on no spot node, unless no others could ever hold them.

    Attributes:
        inner: the placement.
        rent: of a node.
    """

    inner: Place
    rent: Rent = listed
    _known: _Known | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def __name__(self) -> str:
        """As tables name it."""
        return f"{getattr(self.inner, '__name__', 'placed')}, cheapest first"

    def __call__(self, job: Job, room: Room) -> Placement | None:
        """A place, or None."""
        if self._known is None or self._known.nodes is not room.nodes:
            self._known = _Known.of(room, self.rent)
        cheaper = _NONE
        for tier in self._known.tiers(job):
            if placement := self._within(tier, job, room):
                return self._fewer(placement, cheaper, job, room)
            cheaper = tier
        return None

    def _within(self, tier: _Tier, job: Job, room: Room) -> Placement | None:
        return self.inner(job, room if len(tier.hosts) == len(room.nodes) else _Part.of(room, tier))

    def _fewer(self, placement: Placement, cheaper: _Tier, job: Job, room: Room) -> Placement:
        """The same, or one with fewer of its costliest nodes, where cheaper ones do instead."""
        costly = [host for node, _ in placement if (host := room.host[node]) not in cheaper.hosts]
        while cheaper.hosts and len(costly) > 1:
            del costly[-1]
            less = self._within(_Tier.of(room, cheaper.hosts.union(costly)), job, room)
            if less is None:
                break
            placement = less
        return placement


def _tiers(room: Room, rent: Rent, spot: bool) -> Iterator[_Tier]:
    """The nodes of the least rent, those of the two least, and so on to all, with spot nodes or without."""
    rents = {host: rent(node) for host, node in enumerate(room.nodes) if spot or not node.spot}
    for most in sorted(set(rents.values())):
        yield _Tier.of(room, frozenset(host for host, each in rents.items() if each <= most))
