"""Nodes and accelerators break and are repaired; some more often than others, and racks at one blow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path

import numpy as np

from ...traces.trouble import BadInput, within
from ..nodes import Node, Nodes
from ..recordings import Fault, faults
from .alone import Alone, Fall
from .law import Filename, Stage, check, part, positive
from .renewal import Mixture, gap, measured, merged, mixed, rest

BROKEN = "failed"
RACK = "rack failed"
_KNOWN = measured("failures")
LEAST_SHAPE = 0.1
"""Below it a Weibull's mean is millions of times its median, and soon no number any more."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Renewal processes, one for each node, each accelerator and each rack: works Weibull, is down two lognormals.

    A node's faults are in part its accelerators' (each breaks alone), in part its rack's (all nodes of `Node.rack` at
    one moment, repaired together), else its own. At the beginning all works and has done so for long: first failures
    are stationary, not those of new machines. Nothing of it depends on jobs or decisions. What is not there (not
    provisioned, asleep) does not break; nor do accelerators of a node that is down.

    A recorded series (see `recordings.faults`) is replayed with its own times. Where all its nodes are named as the
    scenario's, each gets its own faults; else the scenario's nodes get those of nodes of the recorded fleet, drawn
    without repetition; where the scenario has more nodes, further rounds of the fleet are turned in time by a random
    part of the series. After its end nothing breaks. Which accelerator of a node was faulty is drawn.

    Attributes:
        mtbf: seconds that a node works, on average, between faults of any cause: all of it, whatever its accelerators.
        shape: of the Weibull, 0.1 or more; below 1 what has just been repaired is likeliest to fail again.
        lemons: part of the nodes that fail more often.
        worse: times as often.
        accelerator: part of the faults that are of one accelerator.
        rack: part of the faults that are of the whole rack; a node without a rack has none of them.
        repairs: (part, median seconds, sigma of the logarithm) of each lognormal.
        chaos: multiplies the rates; a recorded series begins its faults that many times as fast after each other, and
            each lasts as long as recorded.
        recorded: a file to replay; None to draw.
        fleet: nodes of the recorded fleet, with those that never failed; None for what the file's format says.
    """

    mtbf: float = _KNOWN["mtbf"]
    shape: float = _KNOWN["shape"]
    lemons: float = _KNOWN["lemons"]
    worse: float = _KNOWN["worse"]
    accelerator: float = _KNOWN["accelerator"]
    rack: float = _KNOWN["rack"]
    repairs: Mixture = field(default=tuple(map(tuple, _KNOWN["repairs"])))
    chaos: float = 1.0
    recorded: Filename | None = None
    fleet: int | None = None

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        check(self, "failures", ("mtbf", "shape", "worse", "chaos"), positive, "a number above 0")
        if self.shape < LEAST_SHAPE:
            raise BadInput(f"failures: shape = {self.shape} cannot be; give {LEAST_SHAPE} or more")
        check(self, "failures", ("lemons", "accelerator", "rack"), part, "a part from 0 to 1")
        if not self.repairs or not all(0 < p < inf and 0 < m < inf and 0 <= s < inf for p, m, s in self.repairs):
            raise BadInput(f"failures: repairs = {self.repairs} cannot be; give [part, median seconds, sigma] of each")
        if self.fleet is not None and self.fleet < 1:
            raise BadInput(f"failures: fleet = {self.fleet} cannot be; give 1 or more")

    def begin(self, stage: Stage) -> object:
        """The faults of a world to come."""
        return _replay(self, stage) if self.recorded is not None else _draw(self, stage)


def series(law: Failures, nodes: Nodes, seconds: float, seed: int = 0) -> list[Fall]:
    """The faults of nodes without jobs, as a world of that seed has them, in the order of their beginnings."""
    return sorted(Alone(law, nodes, seed).play(seconds).falls, key=lambda fall: fall.start)


def _draw(law: Failures, stage: Stage) -> list[_Process]:
    """One process for each thing that can break."""
    racks: defaultdict[str, list[str]] = defaultdict(list)
    made: list[_Process] = []
    usual = law.mtbf / law.chaos * (1 - law.lemons + law.lemons * law.worse)
    for node in stage.machines.values():
        if node.rack is not None:
            racks[node.rack].append(node.id)
        rng = stage.rng("failures", node.id)
        mean = usual / (law.worse if rng.random() < law.lemons else 1.0)
        made += [_Process(law, stage, rng, *one) for one in _parts(law, node, mean)]
    for rack, there in racks.items():
        if law.rack:
            rng = stage.rng("failures", "rack", rack)
            made.append(_Process(law, stage, rng, law.mtbf / law.chaos / law.rack, tuple(there), RACK))
    return made


def _parts(law: Failures, node: Node, mean: float) -> Iterable[tuple[float, tuple[str, ...], str, tuple[str, ...]]]:
    """(mean seconds between, nodes, reason, accelerators) of what can break in a node."""
    alone = 1.0 if node.rack is None else 1 - law.rack
    theirs = law.accelerator if node.accelerators else 0.0
    if own := alone * (1 - theirs):
        yield mean / own, (node.id,), BROKEN, ()
    if each := alone * theirs / max(len(node.accelerators), 1):
        for accelerator in node.accelerators:
            yield mean / each, (node.id,), BROKEN, (accelerator.id,)


class _Process:
    """One thing that breaks and is repaired, for ever."""

    def __init__(
        self,
        law: Failures,
        stage: Stage,
        rng: np.random.Generator,
        mean: float,
        nodes: tuple[str, ...],
        reason: str,
        accelerators: tuple[str, ...] = (),
    ) -> None:
        self._law, self._stage, self._rng, self._mean = law, stage, rng.spawn(1)[0], mean
        self._nodes, self._reason, self._accelerators = nodes, reason, accelerators
        stage.at(stage.now + rest(self._rng, mean, law.shape), self._breaks)

    def _breaks(self) -> None:
        for node in self._nodes:
            _fall(self._stage, node, self._reason, self._accelerators)
        self._stage.at(self._stage.now + mixed(self._rng, self._law.repairs), self._mended)

    def _mended(self) -> None:
        for node in self._nodes:
            self._stage.rise(node, self._reason, self._accelerators)
        self._stage.at(self._stage.now + gap(self._rng, self._mean, self._law.shape), self._breaks)


def _fall(stage: Stage, node: str, reason: str, accelerators: tuple[str, ...]) -> None:
    if not accelerators or stage.up[node]:
        stage.fall(node, reason, accelerators)


# Recorded series.


def _replay(law: Failures, stage: Stage) -> object:
    """Has all recorded faults happen, united where they overlap."""
    with within("failures.recorded"):
        found, fleet = faults(Path(law.recorded or ""))
    spans: defaultdict[tuple[str, tuple[str, ...]], list[tuple[float, float]]] = defaultdict(list)
    for node, fault in _mapped(found, max(law.fleet or fleet, len({f.node for f in found})), stage):
        start = fault.start / law.chaos
        spans[node.id, _accelerators(node, fault, stage)].append((start, start + fault.end - fault.start))
    for (node_id, accelerators), each in spans.items():
        for start, end in merged(each):
            stage.at(start, partial(_fall, stage, node_id, BROKEN, accelerators))
            if end < inf:
                stage.at(end, partial(stage.rise, node_id, BROKEN, accelerators))
    return object()


def _accelerators(node: Node, fault: Fault, stage: Stage) -> tuple[str, ...]:
    if not fault.accelerator or not node.accelerators:
        return ()
    rng = stage.rng("failures", node.id, int(fault.start))
    return (node.accelerators[int(rng.integers(len(node.accelerators)))].id,)


def _mapped(found: list[Fault], fleet: int, stage: Stage) -> Iterable[tuple[Node, Fault]]:
    """(the scenario's node, a fault of its own)."""
    names = sorted({fault.node for fault in found})
    if set(names) <= set(stage.machines):
        yield from ((stage.machines[fault.node], fault) for fault in found)
        return
    of: defaultdict[int, list[Fault]] = defaultdict(list)
    for fault in found:
        of[names.index(fault.node)].append(fault)
    rng, span = stage.rng("failures", "recorded"), found[-1].start if found else 0.0
    seats, turn = rng.permutation(fleet), _turned(0.0, span)
    for number, node in enumerate(stage.machines.values()):
        if number and number % fleet == 0:
            turn = _turned(float(rng.uniform(0, span)), span)
        yield from ((node, turn(fault)) for fault in of[int(seats[number % fleet])])


def _turned(by: float, span: float) -> Callable[[Fault], Fault]:
    """The same fault later in the series, which goes round."""

    def turn(fault: Fault) -> Fault:
        start = (fault.start + by) % span if by else fault.start
        return Fault(fault.node, start, start + fault.end - fault.start, fault.accelerator)

    return turn
