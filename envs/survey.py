"""A room as arrays: what is left of every accelerator, bay by bay, for placements that weigh all places at once.

A survey follows a room by comparing what it saw last with what there is now, so it follows scratch copies as well, and
costs little while little changes. Buckets (`room.levels`) answer quicker where counts of free accelerators are enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import ReferenceType, ref

import numpy as np
import numpy.typing as npt

from ..traces.job import Job
from .room import Room, needs
from .shares import WHOLE

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Survey:
    """What is left in a room. Bays are its rows, in the room's order.

    Attributes:
        left: thousandths that are free of each accelerator, 0 for what is taken, down or cut. Shape (bays, widest).
        whole: accelerators that are free as a whole. Shape (bays,).
        cpus: thousandths of CPUs that are free, inf where unknown. Shape (nodes,).
        memory: bytes of host memory that are free, inf where unknown. Shape (nodes,).
        host: each bay's node. Shape (bays,).
        size: accelerators of each bay. Shape (bays,).
        mixed: the bays whose node has others besides, of other kinds. Shape (bays,).
        moment: how often something had changed.
        stamps: the moment at which a bay, or its node, last changed. Shape (bays,).
    """

    def __init__(self, room: Room) -> None:
        self.bays = room.bays
        self.host = np.array([bay.host for bay in room.bays], np.intp)
        self.size = np.array([bay.size for bay in room.bays], np.int64)
        self.mixed = np.bincount(self.host, minlength=len(room.nodes))[self.host] > 1
        self._groups = {kind: np.array([bay.group == kind for bay in room.bays], np.bool_) for kind in room.kinds}
        self._sites = np.array([node.site for node in room.nodes], object)
        self.left: Ints = np.zeros((len(room.bays), int(self.size.max(initial=1))), np.int64)
        self.whole: Ints = np.zeros(len(room.bays), np.int64)
        self.cpus, self.memory = np.array(room.cpus, np.float64), np.array(room.memory, np.float64)
        self.moment, self.stamps = 1, np.ones(len(room.bays), np.int64)
        self._free: list[int] = []
        self._up: list[int] = []
        self._shares: dict[str, int] = {}
        self._room: ReferenceType[Room] = ref(room)
        self._version = -1
        self.follow(room)

    def follow(self, room: Room) -> None:
        """Looks at what has changed. The room has the nodes that the survey was made for."""
        if self._room() is room and self._version == room.version:
            return
        self._room, self._version = ref(room), room.version
        self.moment += 1
        for position in self._changed(room):
            self._look(position, room)
        cpus, memory = np.array(room.cpus, np.float64), np.array(room.memory, np.float64)
        hosts = (cpus != self.cpus) | (memory != self.memory)
        self.stamps[hosts[self.host]] = self.moment
        self.cpus, self.memory = cpus, memory

    def _changed(self, room: Room) -> Iterable[int]:
        """The positions of bays in which accelerators came, went, or are shared otherwise."""
        free, up, shares = room.free, room.up, room.shares.left
        if up != self._up:
            found = set(range(len(free)))
        elif free != self._free:
            found = {at for at, (now, then) in enumerate(zip(free, self._free, strict=True)) if now != then}
        else:
            found = set()
        if shares != self._shares:
            then = self._shares
            found |= {room.seat[name][0] for name, left in shares.items() if then.get(name) != left}
            found |= {room.seat[name][0] for name in then if name not in shares}
            self._shares = dict(shares)
        self._free, self._up = list(free), list(up)
        return found

    def _look(self, position: int, room: Room) -> None:
        bay, free, up = self.bays[position], room.free[position], room.up[position]
        shares = room.shares.left
        for at, name in enumerate(bay.accelerators):
            there = WHOLE if free >> at & 1 else shares.get(name, 0) if up >> at & 1 else 0
            self.left[position, at] = there
        self.whole[position] = free.bit_count()
        self.stamps[position] = self.moment

    def of(self, groups: Iterable[str]) -> Bools:
        """The bays of these groups. Shape (bays,)."""
        found: Bools = np.zeros(len(self.bays), np.bool_)
        for group in groups:
            found |= self._groups[group]
        return found

    def hosts(self, job: Job, count: int, room: Room) -> Bools:
        """The nodes that have the CPUs and host memory for so many of a job's accelerators. Shape (nodes,)."""
        cpus, memory = needs(job, count)
        able: Bools = (self.cpus >= cpus) & (self.memory >= memory)
        if room.shut:
            able[list(room.shut)] = False
        if job.sites and not job.gang:
            able &= np.isin(self._sites, list(job.sites))
        return able

    def usable(self, job: Job, room: Room) -> Ints:
        """How many of its whole accelerators a job could have in each bay, CPUs and memory counted. Shape (bays,)."""
        able = self.whole.astype(np.float64)
        for have, need in zip((self.cpus, self.memory), needs(job, job.gang), strict=True):
            if need:
                able = np.minimum(able, np.floor(have[self.host] * job.gang / need))
        if room.shut:
            able[np.isin(self.host, list(room.shut))] = 0
        return able.astype(np.int64)
