"""Pictures of a log: what they are made of, to the digit, and that they show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.grid import absence, means, occupancy, rows
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import Accelerator, Node, parse
from gpuyard.envs.picture import as_pixels, draw, figure
from gpuyard.envs.scheduling import SchedulingEnv
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.sketch import sketch
from gpuyard.envs.timeline import timeline
from gpuyard.envs.vocabulary import (
    Measured,
    NodeDown,
    NodeUp,
    Partition,
    Partitioned,
    Ready,
    Sample,
    Start,
    Stopped,
    Submitted,
    Tick,
)
from gpuyard.policies.orders import fifo
from gpuyard.traces.job import Job, Trace
from strategies import Random, nodes, traces

SERVER = (Node("n0", tuple(Accelerator(f"n0/{i}", "A100", 40 * 2**30, emulated=True) for i in range(3))),)


def day() -> Log:
    """100 s: job 1 on two from 0 to 50, then 0.4 of one from 60 on; the third is away from 20 to 40; job 2 waits."""
    both = (("n0", ("n0/0", "n0/1")),)
    log = Log(SERVER, [
        Submitted(0.0, Job(1, 0.0, 2)),
        Start(1, both),
        Measured(0.0, (Sample("n0/0", 0.5, None, 100.0), Sample("n0/1", 1.0, None, 300.0))),
        Submitted(10.0, Job(2, 10.0, after=(1,))),
        NodeDown(20.0, "n0", "failed", ("n0/2",)),
        NodeUp(40.0, "n0", ("n0/2",)),
        Stopped(50.0, 1, "finished", 50.0),
        Measured(50.0, (Sample("n0/0", 0.0, None, 50.0), Sample("n0/1", 0.0, None, 50.0))),
        Ready(50.0, 2),
        Submitted(60.0, Job(3, 60.0, share=0.4)),
        Start(3, (("n0", ("n0/1",)),)),
        Tick(100.0),
    ])  # fmt: skip
    log.replay()
    return log


def test_levels_are_what_holds_from_one_time_to_the_next() -> None:
    line = timeline(day())
    assert line.times.tolist() == [0.0, 10.0, 20.0, 40.0, 50.0, 60.0, 100.0]
    assert line.waiting.tolist() == [0, 1, 1, 1, 1, 1, 1]
    assert line.back.tolist() == [0, 1, 1, 1, 0, 0, 0]
    assert line.used.tolist() == [2, 2, 2, 2, 0, 0.4, 0.4]
    assert line.up.tolist() == [3, 3, 2, 3, 3, 3, 3]
    assert line.busy.tolist() == [1.5] * 4 + [0.0] * 3
    assert line.watts.tolist() == [400.0] * 4 + [100.0] * 3
    assert [tuple(gap) for gap in line.gaps] == [(("n0/2",), 20.0, 40.0)]
    assert means(line, line.used, 4).tolist() == pytest.approx([2.0, 2.0, 0.24, 0.4])


def test_cells_are_means_of_rows_over_spans() -> None:
    line = timeline(day())
    by = rows(line.nodes, 3)
    assert occupancy(line, by, 4).tolist() == pytest.approx(np.array([[1, 1, 0, 0], [1, 1, 0.24, 0.4], [0, 0, 0, 0]]))
    assert absence(line, by, 4).tolist() == pytest.approx(np.array([[0] * 4, [0] * 4, [0.2, 0.6, 0, 0]]))
    node = rows(line.nodes, 2)
    assert (node.names, node.single) == (["n0"], False)
    assert occupancy(line, node, 1).tolist() == [[pytest.approx((50 + 50 + 16) / 300)]]


@given(traces(), st.integers(0, 3), st.sampled_from([1, 3, 8]), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_all_cells_together_are_what_was_held(trace: Trace, seed: int, most: int, bins: int) -> None:
    session = Session(SimWorld(trace, nodes(), restart=1.0))
    session.play(Random(np.random.default_rng(seed)))
    line = timeline(session.log)
    by = rows(line.nodes, most)
    held = (occupancy(line, by, bins) * by.sizes[:, None]).sum() * line.until / bins
    steps = np.diff(line.times)
    assert held == pytest.approx(float((line.used[:-1] * steps).sum()))
    assert line.used[-1] == 0
    assert line.waiting[-1] == len(session.cluster.pending)


def test_many_nodes_are_grouped_by_pool() -> None:
    many = [Node(f"n{i}", (Accelerator(f"n{i}/0", "A"),)) for i in range(5)]
    many += [Node(f"spot-{i}", (Accelerator(f"spot-{i}/0", "A"),), pool="spot") for i in range(3)]
    by = rows(many, 4)
    assert by.names == ["n0..1", "n2..3", "n4", "spot-0..1", "spot-2"]
    assert by.sizes.tolist() == [2, 2, 1, 2, 1]


def test_a_session_in_letters() -> None:
    # 60 columns leave 25 cells of 4 s: job 1 is b, job 3 (0.4 of one) is d, the gap from 20 to 40 is 5 cells.
    assert sketch(day(), 60).plain.splitlines() == [
        "emulated 1x3:A100: 3 jobs, 100.0 seconds",
        "        n0/0 bbbbbbbbbbbbb············",
        "        n0/1 bbbbbbbbbbbbb··dddddddddd",
        "        n0/2 ·····╱╱╱╱╱···············",
        "             0           100.0 seconds",
        "       queue   ▄██████████████████████ at most 1.0 jobs",
        "      in use ▆▆▆▆▆▆▆▆▆▆▆▆▃  ▂▂▂▂▂▂▂▂▂▂ 39% of 3",
        "    measured ▄▄▄▄▄▄▄▄▄▄▄▄▂             25% busy",
        "       power ████████████▅▂▂▂▂▂▂▂▂▂▂▂▂ at most 0.4 kW",
    ]


def test_a_large_cluster_fits_the_screen() -> None:
    trace = Trace(tuple(Job(n, float(n), 8) for n in range(300)), dict.fromkeys(range(300), 400.0))
    text = sketch(Session(SimWorld(trace, parse("200x8:V100"))).play(fifo), 100, 20).plain.splitlines()
    assert max(map(len, text)) <= 100
    assert len(text) == 1 + 20 + 1 + 2
    assert text[1].startswith("       n0..9 ")
    assert "█" in text[1]
    assert text[20].startswith("   n190..199 ····")  # they are needed from second 190 on, of 800


def test_a_log_of_nothing_is_drawn_as_such(tmp_path: Path) -> None:
    assert "0 jobs" in sketch(Log(SERVER)).plain
    assert draw(Log(SERVER), tmp_path / "deep" / "nothing.png").stat().st_size > 0


def test_the_figure_has_a_panel_for_what_is_known(tmp_path: Path) -> None:
    axes = figure(day()).axes
    assert [one.get_ylabel() for one in axes] == ["accelerator of n0", "jobs", "accelerators", "W"]
    assert axes[0].get_title(loc="right") == "emulated 1x3:A100"
    labels = [text.get_text() for one in axes for text in one.get_legend().get_texts()]  # type: ignore[union-attr]
    assert labels == [
        "not there, or down", "jobs without a place", "of them held back", "there", "in use", "measured busy",
        "drawn from the grid",
    ]  # fmt: skip
    silent = Log(SERVER, [entry for entry in day().entries if not isinstance(entry, Measured)])
    assert [one.get_ylabel() for one in figure(silent).axes] == ["accelerator of n0", "jobs", "accelerators"]
    for ending in ("png", "svg", "pdf"):
        assert draw(day(), tmp_path / f"day.{ending}").stat().st_size > 1000


def bars(log: Log) -> list[tuple[float, float, float, float]]:
    """(begin, end, low, high) of each stay that is drawn, in the order of beginnings."""
    boxes = [path.get_extents() for path in figure(log).axes[0].collections[0].get_paths()]
    return [tuple(round(float(x), 6) for x in (b.x0, b.x1, b.y0, b.y1)) for b in boxes]  # type: ignore[misc]


def test_shares_are_parts_of_a_row_and_neighbours_one_bar() -> None:
    one = (("n0", ("n0/0",)),)
    shares = [Submitted(0.0, Job(n, 0.0, share=share)) for n, share in ((1, 0.5), (2, 0.25), (3, 0.25), (4, 0.5))]
    log = Log(SERVER, [
        *shares, Start(1, one), Start(2, one), Start(3, one),
        Stopped(10.0, 1, "finished", 10.0), Start(4, one), Submitted(10.0, Job(5, 10.0, 2)),
        Start(5, (("n0", ("n0/1", "n0/2")),)), Tick(20.0),
    ])  # fmt: skip
    log.replay()
    assert bars(log) == [
        (0.0, 10.0, 0.0, 0.5), (0.0, 20.0, 0.5, 0.75), (0.0, 20.0, 0.75, 1.0), (10.0, 20.0, 0.0, 0.5),
        (10.0, 20.0, 1.0, 3.0),
    ]  # fmt: skip


def test_mig_instances_are_parts_of_a_row() -> None:
    # The 2g instances begin on slots 0 and 2 of 8, the 3g one on 4: the lower half of the second row.
    cut = ("3g.20gb", "2g.10gb", "2g.10gb")
    log = Log(SERVER, [
        Submitted(0.0, Job(1, 0.0, share=0.25)), Partition("n0/1", cut), Partitioned(5.0, "n0/1", cut),
        Start(1, (("n0", ("n0/1#4",)),)), Stopped(9.0, 1, "finished", 4.0), Tick(20.0),
    ])  # fmt: skip
    log.replay()
    assert bars(log) == [(5.0, 9.0, 1.5, 2.0)]
    (told,) = timeline(log).cuts
    assert (told.begin, told.end) == (5.0, 20.0)
    assert told.instances == {"n0/1#0": (0.0, 0.25), "n0/1#2": (0.25, 0.5), "n0/1#4": (0.5, 1.0)}


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_an_environment_shows_its_session_in_the_same_pictures(mode: str) -> None:
    env = SchedulingEnv(
        Trace((Job(1, 0.0), Job(2, 4.0)), {1: 10.0, 2: 10.0}), "1x1:A100", window=None, render_mode=mode
    )
    env.reset()
    env.step(np.int64(0))
    env.step(np.int64(env.action_space.n - 1))  # type: ignore[attr-defined]
    assert env.session is not None
    shown = env.render()
    if mode == "ansi":
        assert shown == sketch(env.session.log).plain
    else:
        assert (shown.shape, shown.dtype) == ((700, 1000, 3), np.uint8)
        assert (shown == as_pixels(env.session.log)).all()
