"""The simulated world keeps the contract of worlds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpuyard.envs.session import World
from gpuyard.envs.sim import SimWorld
from worlds import NODES, Ask, WorldContract, trace_of


class TestSimulated(WorldContract):
    can_fail = False

    def make(self, asks: Sequence[Ask], folder: Path) -> World:
        return SimWorld(trace_of(asks), NODES, restart=0.0)
