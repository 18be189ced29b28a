"""Gavel's static trace is drawn as published, its FIFO does what its code does, and the makespans come out."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from real import REAL, needs_real

from gpuyard.experiments.gavel_jobs import PublishedFifo, data, drawn, static
from gpuyard.experiments.reproduce_gavel import Kept, Played, Reproduce, command, played, run, summed
from gpuyard.policies.crowd import Crowd
from gpuyard.traces.job import Job
from gpuyard.traces.trouble import BadInput

TABLE = REAL / "gavel" / "simulation_throughputs.json.gz"


def crowd(gangs: list[int], rates: list[list[float]], first: int = 0) -> Crowd:
    """Jobs on four accelerators each of three kinds."""
    jobs, none = tuple(Job(first + n, 0.0) for n in range(len(gangs))), np.zeros(len(gangs))
    return Crowd(jobs, np.array(rates, float), np.array(gangs, float), np.full(3, 4.0), none, none, none)


def small(folder: Path, types: list[str]) -> Path:
    """A table of these types, as fast on V100 in every gang, half as fast on P100, not measured on K80."""
    keys = [(name, gang) for name in types for gang in (1, 2, 4, 8)]
    table = {kind: {str(key): {"null": rate} for key in keys} for kind, rate in (("v100", 2.0), ("p100", 1.0))}
    path = folder / "throughputs.json"
    path.write_text(json.dumps(table))
    return path


def test_the_longest_jobs_are_those_of_the_published_trace() -> None:
    """Gavel's makespan for 100 to 300 jobs is the longest job of each of the three traces: 161.16 h on average."""
    longest = [max(seconds for _, _, seconds in drawn(300, seed)) / 3600 for seed in data()["published"]["seeds"]]
    assert longest == pytest.approx([165.545, 155.888, 162.057], abs=0.001)
    assert float(np.mean(longest)) == pytest.approx(data()["published"]["gavel"][0], rel=1e-5)


def test_traces_of_one_seed_begin_alike_and_only_some_types_come_in_gangs() -> None:
    many = list(drawn(700, 1))
    assert many[:100] == list(drawn(100, 1))
    assert {gang for _, gang, _ in many} == {1, 2, 4, 8}
    assert not any(gang > 1 and name.startswith(("A3C", "CycleGAN", "Recommendation")) for name, gang, _ in many)


def test_fifo_as_published_gives_the_last_kind_to_more_than_it_holds() -> None:
    """Gangs of 3, of which one fits: it is never just empty, and all five are given it."""
    assert PublishedFifo(0)(crowd([3] * 5, [[1, 1, 1]] * 5)).tolist() == [[0, 0, 1]] * 5


@pytest.mark.parametrize(("seed", "second"), [(0, [0, 0, 1]), (5, [0, 1, 0])])
def test_fifo_as_published_takes_another_kind_off_its_list_than_it_gave(seed: int, second: list[int]) -> None:
    """The last kind is full. It is off the list only if it was drawn by chance; else the next job is given it, too."""
    assert PublishedFifo(seed)(crowd([4, 4], [[1, 1, 1]] * 2)).tolist() == [[0, 0, 1], second]


def test_fifo_as_published_lets_the_next_in_line_follow_on_the_kind_that_is_left() -> None:
    policy = PublishedFifo(0)
    assert policy(crowd([4], [[1, 0, 0]])).tolist() == [[0, 0, 0]], "there it has no speed, and it waits"
    assert policy(crowd([4], [[1, 1, 1]])).tolist() == [[0, 0, 1]]
    assert policy(crowd([4], [[1, 1, 1]], first=7)).tolist() == [[0, 0, 1]], "7 comes when 0 is gone"


def test_a_table_of_other_types_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"has no speed of .* on V100; give simulation_throughputs.json"):
        static(small(tmp_path, ["A3C"]), 50, 0)
    with pytest.raises(click.UsageError, match="has no speed of"):
        run(Reproduce(throughputs=small(tmp_path, ["A3C"])))
    told = CliRunner().invoke(command, ["--throughputs", str(small(tmp_path, ["A3C"])), "--most", "50"])
    assert told.exit_code == 2
    assert "--most 50: give 100 or more" in told.output


def test_what_was_played_is_not_played_again_and_torn_lines_are(tmp_path: Path) -> None:
    table, path = small(tmp_path, ["A3C"]), tmp_path / "kept.jsonl"
    one, other = Played("fifo", 100, 0, 12.5, 0.1), Played("fifo", 100, 1, 13.5, 0.1)
    kept = Kept(path, table)
    kept.add(one)
    kept.add(other)
    path.write_text(path.read_text()[:-9])
    assert Kept(path, table).known == {("fifo", 100, 0): one}
    assert Kept(path, small(tmp_path, ["LM"])).known == {}, "another table, other makespans"
    assert Kept(None, table).known == {}


def test_rows_are_means_over_seeds_beside_the_published() -> None:
    (row,) = summed([Played("gavel_makespan", 100, seed, 160.0 + seed, 1.0) for seed in range(3)])
    assert (row.hours, row.by_seed, row.wall_seconds) == (161.0, (160.0, 161.0, 162.0), 3.0)
    assert row.off == pytest.approx(161.0 / 161.163998 - 1)


@needs_real
@pytest.mark.slow
def test_the_makespans_of_a_hundred_jobs_come_out_as_published() -> None:
    rows = {row.policy: row for row in summed(played(Reproduce(throughputs=TABLE, most=100, workers=1)))}
    for name in ("gavel_makespan", "FIFO as published"):
        off = rows[name].off
        assert off is not None
        assert abs(off) < 0.01, name
    assert rows["fifo"].hours > 5 * rows["gavel_makespan"].hours, "long jobs sit on K80 to their end"
