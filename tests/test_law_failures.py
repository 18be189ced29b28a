"""Failures: recorded ones by hand, drawn ones by their laws."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from math import gamma
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.failures import Failures, series
from gpuyard.envs.laws.law import Law
from gpuyard.envs.laws.renewal import gap, merged, rest
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.recordings import faults
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import NodeDown, NodeUp, Ready, Stopped
from gpuyard.policies.orders import fifo, sjf
from gpuyard.traces.estimates import with_estimates
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from tales import Fate, ended, ends, said, tell

DAY = 86400.0
KIND = {"Level": "Hardware Failure", "Class": "Fan", "Desc": "it broke"}


def racks(nodes: int, per: int, each: int = 8) -> tuple[Node, ...]:
    return tuple(
        Node(f"n{n}", tuple(Accelerator(f"n{n}/{i}", "A100") for i in range(each)), rack=f"r{n // per}")
        for n in range(nodes)
    )


def told(log: Log, *kinds: type) -> list[object]:
    return [one for one in log.entries if isinstance(one, kinds)]


def csv(folder: Path, *lines: str) -> str:
    path = folder / "faults.csv"
    path.write_text("node,start_s,end_s\n" + "\n".join(lines) + "\n")
    return str(path)


def infinitehbd(folder: Path, *events: tuple[str, float, str, str]) -> Path:
    path = folder / "faults.json.gz"
    made = [
        {"node_id": node, "event_time": day, "event_type": f"fault_{what}", "fault_type": KIND | {"Class": of}}
        for node, day, what, of in events
    ]
    path.write_bytes(gzip.compress(json.dumps(made).encode()))
    return path


def test_a_recorded_fault_takes_the_node_and_its_job(tmp_path: Path) -> None:
    """One node; 100 s of work begun at 0, lost at 40, begun anew at 60 after the repair (a restart takes 10 s): 170."""
    law = Failures(recorded=csv(tmp_path, "n0,40,60"))
    world = HarshWorld(Trace((Job(0, 0.0),), {0: 100.0}), parse("1x1:V100"), {"failures": law}, restart=10.0)
    log = Session(world).play(fifo)
    assert told(log, NodeDown, NodeUp, Stopped) == [
        NodeDown(40.0, "n0", "failed"),
        Stopped(40.0, 0, "lost", 0.0, 40.0),
        NodeUp(60.0, "n0"),
        Stopped(170.0, 0, "finished", 100.0),
    ]


def test_what_was_persisted_is_kept(tmp_path: Path) -> None:
    """Snapshots after every 30 s of work, of no size and no stall: at 100 s, 90 are kept and 10 are lost.

    The node is back at 200, restoring takes 5 s, the other 30 s of work end at 235.
    """
    laws: dict[str, Law] = {
        "checkpoints": Checkpoints(interval=30, stall=0, gigabytes=0, restore_s=5),
        "failures": Failures(recorded=csv(tmp_path, "n0,100,200")),
    }
    log = Session(HarshWorld(Trace((Job(0, 0.0),), {0: 120.0}), parse("1x1:V100"), laws)).play(fifo)
    assert told(log, Stopped, Ready) == [Stopped(100.0, 0, "lost", 90.0, 10.0), Stopped(235.0, 0, "finished", 120.0)]


def test_overlapping_faults_of_a_node_are_one(tmp_path: Path) -> None:
    law = Failures(recorded=csv(tmp_path, "n0,10,20", "n0,15,30", "n0,30,35", "n0,50,50", "n1,12,"))
    nodes = parse("2x1:V100")
    assert [(f.node, f.start, f.end) for f in series(law, nodes, 100.0)] == [
        ("n0", 10.0, 35.0),
        ("n1", 12.0, float("inf")),
    ]


def test_chaos_hastens_recorded_faults_but_not_their_repairs(tmp_path: Path) -> None:
    law = Failures(recorded=csv(tmp_path, "n0,100,150", "n0,400,410"), chaos=4)
    assert [(f.start, f.end) for f in series(law, parse("1x1:V100"), 1000.0)] == [(25.0, 75.0), (100.0, 110.0)]


def test_a_recorded_fault_of_a_gpu_takes_one_accelerator(tmp_path: Path) -> None:
    """Two jobs on a node of two: the fault at day 1 stops the one on the accelerator that it takes, and no other."""
    path = infinitehbd(tmp_path, ("n0", 1.0, "start", "GPU"), ("n0", 1.5, "end", "GPU"))
    trace = Trace((Job(0, 0.0), Job(1, 0.0)), {0: 2 * DAY, 1: 2 * DAY})
    world = HarshWorld(trace, parse("1x2:V100"), {"failures": Failures(recorded=str(path))}, restart=0.0)
    log = Session(world).play(fifo)
    (down,) = told(log, NodeDown)
    assert isinstance(down, NodeDown)
    assert down.accelerators in (("n0/0",), ("n0/1",))
    hit = int(down.accelerators[0][-1])
    assert told(log, Stopped) == [
        Stopped(DAY, hit, "lost", 0.0, DAY),
        Stopped(2 * DAY, 1 - hit, "finished", 2 * DAY),
        Stopped(3.5 * DAY, hit, "finished", 2 * DAY),
    ]


def test_recorded_nodes_are_dealt_out_once_and_more_nodes_get_them_later(tmp_path: Path) -> None:
    """A fleet of three, one of which failed, for six nodes: two rounds, so two nodes fail, once each."""
    path = csv(tmp_path, "somewhere,1000,1600", "somewhere,9000,9600")
    found = series(Failures(recorded=path, fleet=3), parse("6x1:V100"), 1e6, seed=4)
    assert len(found) == 4
    names = sorted({fall.node for fall in found}, key=lambda name: int(name[1:]))
    assert len(names) == 2
    assert int(names[0][1:]) < 3 <= int(names[1][1:])
    assert [f.start for f in found if f.node == names[0]] == [1000.0, 9000.0]
    assert [f.start for f in found if f.node == names[1]] != [1000.0, 9000.0]
    assert {round(f.end - f.start, 6) for f in found} == {600.0}


def test_a_rack_fails_and_is_repaired_as_one() -> None:
    law = Failures(rack=1.0, mtbf=DAY, repairs=((1.0, 3600.0, 0.0),))
    found = series(law, racks(6, 3), 20 * DAY)
    assert {f.reason for f in found} == {"rack failed"}
    starts = sorted({f.start for f in found})
    for start in starts:
        together = [f for f in found if f.start == start]
        assert len({f.end for f in together}) == 1
        assert {f.node for f in together} in ({"n0", "n1", "n2"}, {"n3", "n4", "n5"})
    assert len(starts) > 10


def test_without_racks_all_faults_are_a_nodes_own() -> None:
    found = series(Failures(rack=1.0, mtbf=DAY), parse("4x2:V100"), 20 * DAY)
    assert len(found) > 10
    assert {f.reason for f in found} == {"failed"}


def test_nodes_that_are_not_there_do_not_break() -> None:
    """Half of the nodes would have to be provisioned; the log of the other half is what it would be without them."""
    here = racks(4, 4)
    away = tuple(Node(f"c{n}", (Accelerator(f"c{n}/0", "A100"),), pool="cloud", present=False) for n in range(4))
    law = {"failures": Failures(mtbf=DAY)}
    trace = generate("lab", 30, 0)
    one, two = (Session(HarshWorld(trace, nodes, law)).play(fifo) for nodes in (here, here + away))
    assert told(one, NodeDown) == told(two, NodeDown)
    assert len(told(one, NodeDown)) > 3


def test_failures_do_not_depend_on_the_policy() -> None:
    """Two orders of the same jobs: other stops, the same falls."""
    works = {n: 100.0 + 37 * n % 1000 for n in range(100)}
    trace = with_estimates(Trace(tuple(Job(n, 0.0, 1 + n % 2) for n in works), works), "exact", 0)
    law = {"failures": Failures(mtbf=2000.0, shape=1.0, repairs=((1.0, 300.0, 1.0),))}
    logs = [Session(HarshWorld(trace, racks(2, 1, 2), law, seed=3)).play(one) for one in (fifo, sjf)]
    assert told(logs[0], Stopped) != told(logs[1], Stopped)
    falls = [told(log, NodeDown, NodeUp) for log in logs]
    shortest = min(map(len, falls))
    assert shortest > 3
    assert falls[0][:shortest] == falls[1][:shortest]


def test_chaos_multiplies_the_count() -> None:
    """400 nodes, a year, hardly any time down: 0.4 x chaos x 365 x 400 / 100 = 584 and 2,920 on average."""
    quick = {"mtbf": 250 * DAY, "rack": 0.0, "repairs": ((1.0, 1.0, 0.0),)}
    few, many = (
        np.array([len(series(Failures(chaos=chaos, **quick), racks(400, 4, 1), 365 * DAY, s)) for s in range(4)])  # type: ignore[arg-type]
        for chaos in (1, 5)
    )
    assert few.mean() == pytest.approx(584, rel=0.1)
    assert many.mean() == pytest.approx(2920, rel=0.06)


def test_lemons_fail_more_often() -> None:
    """A tenth of the nodes, 20 times as often: 2 / (0.9 + 2) = 69 % of the failures; without lemons a tenth of them."""
    quick = {"mtbf": 10 * DAY, "shape": 1.0, "rack": 0.0, "repairs": ((1.0, 1.0, 0.0),)}
    parts = []
    for lemons in (0.0, 0.1):
        counts = [0] * 200
        for fall in series(Failures(lemons=lemons, worse=20.0, **quick), racks(200, 4), 300 * DAY):  # type: ignore[arg-type]
            counts[int(fall.node[1:])] += 1
        parts.append(sum(sorted(counts)[-20:]) / sum(counts))
    assert parts[0] < 0.2
    assert 0.55 < parts[1] < 0.85


@given(st.floats(0.4, 3.0), st.floats(1.0, 1e6))
def test_gaps_have_their_mean_and_rests_are_stationary(shape: float, mean: float) -> None:
    """The mean of what is left is E[gap^2] / 2 E[gap]."""
    rng = np.random.default_rng(0)
    gaps = np.array([gap(rng, mean, shape) for _ in range(4000)])
    rests = np.array([rest(rng, mean, shape) for _ in range(4000)])
    assert gaps.mean() == pytest.approx(mean, rel=6 * gaps.std() / gaps.mean() / 4000**0.5)
    second = (mean / gamma(1 + 1 / shape)) ** 2 * gamma(1 + 2 / shape)
    assert rests.mean() == pytest.approx(second / 2 / mean, rel=6 * rests.std() / rests.mean() / 4000**0.5)


spans = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda p: (float(min(p)), float(max(p)))))


@given(spans)
def test_a_union_covers_what_its_parts_cover(parts: list[tuple[float, float]]) -> None:
    union = merged(parts)
    for moment in np.arange(0.25, 20, 0.5):
        assert any(a <= moment < b for a, b in union) == any(a <= moment < b for a, b in parts)
    assert all(a[1] < b[0] for a, b in pairwise(union))


@given(st.integers(0, 1000))
def test_equal_seeds_equal_series(seed: int) -> None:
    law, nodes = Failures(mtbf=5 * DAY), racks(4, 2, 2)
    assert series(law, nodes, 30 * DAY, seed) == series(law, nodes, 30 * DAY, seed)
    assert series(law, nodes, 30 * DAY, seed) != series(law, nodes, 30 * DAY, seed + 1)


def test_recordings_are_read(tmp_path: Path) -> None:
    path = infinitehbd(
        tmp_path,
        ("a", 1.0, "start", "Fan"),
        ("b", 2.0, "start", "GPU"),
        ("a", 3.0, "end", "Fan"),
        ("c", 4.0, "start", "NIC"),
    )
    found, fleet = faults(path)
    assert [(f.node, f.start / DAY, f.end / DAY, f.accelerator) for f in found] == [
        ("a", 1.0, 3.0, False),
        ("b", 2.0, float("inf"), True),
        ("c", 4.0, float("inf"), False),
    ]
    assert fleet == 400


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("node,start_s,end_s\nn0,5,4\n", "line 2, column 'end_s': '4' is below 5"),
        ("node,start_s,end_s\n,5,6\n", "line 2, column 'node': is empty"),
        ("node,start\nn0,5\n", "start_s"),
        ("[1, 2", "is not valid JSON"),
        ('[{"node_id": "a"}]', "entry 1: KeyError('fault_type')"),
        (
            json.dumps([{"node_id": "a", "event_time": 1, "event_type": "fault_end", "fault_type": KIND}]),
            "entry 1: a fault ends that had not begun",
        ),
    ],
)
def test_recordings_that_cannot_be_read_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "faults"
    path.write_text(text)
    with pytest.raises(BadInput, match=r".") as caught:
        faults(path)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"mtbf": 0.0},
        {"shape": -1.0},
        {"worse": 0.0},
        {"chaos": 0.0},
        {"lemons": 1.5},
        {"accelerator": -0.1},
        {"rack": 2.0},
        {"repairs": ()},
        {"repairs": ((1.0, 0.0, 1.0),)},
        {"repairs": ((float("inf"), 2.0, 1.0),)},
        {"shape": 0.001},
        {"fleet": 0},
    ],
)
def test_what_cannot_be_is_refused_by_its_key(change: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(change))):
        Failures(**change)  # type: ignore[arg-type]


DAY = 86400.0


@pytest.mark.parametrize(("days", "waits"), [(20.0, True), (400.0, False)])
def test_who_needs_what_is_under_repair_is_waited_for_and_not_for_ever(days: float, waits: bool) -> None:
    """Job 1 wants both accelerators of which one broke while job 0 ran; a year is the longest that a repair takes."""
    fates: list[Fate] = [
        (50.0, lambda stage: stage.fall("n0", "failed", ("n0/1",))),
        (days * DAY, lambda stage: stage.rise("n0", "failed", ("n0/1",))),
    ]
    jobs = [(Job(0, 0.0), 100.0), (Job(1, 10.0, 2), 100.0)]
    told = tell(jobs, "1x2:V100", {}, fifo, fates)
    assert ended(told)[1:] == ends(*[(days * DAY + 100.0, 1, "finished", 100.0, 0.0)] * waits)


def test_whoever_is_not_served_where_nothing_is_broken_is_waited_for_a_week() -> None:
    """Nobody decides anything. What breaks after the last job has come keeps nothing alive."""
    fates: list[Fate] = [
        (6 * DAY, lambda stage: stage.fall("n0", "failed")),
        (8 * DAY, lambda stage: stage.rise("n0", "failed")),
    ]
    told = tell([(Job(0, 0.0), 100.0)], "1x2:V100", {}, [], fates)
    assert [one.time for one in said(told, NodeDown, NodeUp)] == [6 * DAY]
