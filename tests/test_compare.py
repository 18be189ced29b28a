"""`gpuyard compare`: the same windows for all, nothing done twice, and intervals that mean what they say."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.placement import packed
from gpuyard.envs.scenario import of_cluster
from gpuyard.envs.vocabulary import Decision, Start
from gpuyard.experiments.compare import Compare, compare, run
from gpuyard.experiments.contest import Contest, identity, outcomes
from gpuyard.experiments.cores import cores
from gpuyard.experiments.entrants import BOUND, seeds
from gpuyard.experiments.held_out import held_out, seen_before
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput
from gpuyard.traces.windows import fingerprint, split

WINDOWS, JOBS, WARMUP = 6, 20, 5


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """700 jobs that crowd two accelerators; a third of them are test jobs."""
    rng = np.random.default_rng(0)
    submits, durations = rng.exponential(60, 700).cumsum().round(), rng.lognormal(4, 1.2, 700).round() + 1
    path = tmp_path_factory.mktemp("trace") / "crowd.csv"
    rows = [f"{s},{d},{g}" for s, d, g in zip(submits, durations, rng.integers(1, 3, 700), strict=True)]
    path.write_text("\n".join(["submit,duration,gang", *rows]))
    return f"table:{path}"


def asked(table: str, out: Path, **more: Any) -> Compare:
    settings: dict[str, Any] = {"policy": ("fifo", "sjf"), "estimates": "noisy:0.3", "workers": 1}
    settings |= {"windows": WINDOWS, "jobs": JOBS, "warmup": WARMUP, "oversized": "skip", **more}
    return Compare(trace=table, cluster="1x2:V100", out=out, **settings)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_comparison_leaves_rows_numbers_and_a_report(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(asked(table, tmp_path, json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "comparison.json").read_text())
    assert [(row["policy"], row["window"]) for row in rows(tmp_path)] == [
        (name, str(number)) for name in ("fifo", BOUND, "sjf") for number in range(WINDOWS)
    ]
    assert {row["jobs"] for row in rows(tmp_path)} == {str(JOBS)}
    fifo, sjf, bound = told["policies"]
    assert (bound["policy"], bound["oracle"]) == (BOUND, True)
    assert fifo["against_reference"] is None
    found = sjf["against_reference"]["mean_bounded_slowdown"]
    assert found["difference"]["value"] == pytest.approx(
        np.mean([float(row["mean_bounded_slowdown"]) for row in rows(tmp_path) if row["policy"] == "sjf"])
        - np.mean([float(row["mean_bounded_slowdown"]) for row in rows(tmp_path) if row["policy"] == "fifo"])
    )
    assert found["difference"]["low"] <= found["difference"]["value"] <= found["difference"]["high"]
    assert told["provenance"]["split"]["part"] == "test"
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert any("derived from true run times" in text for text in told["warnings"])
    assert any("6 windows" in text for text in told["warnings"])


def test_the_table_says_what_was_compared(table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(asked(table, tmp_path, estimates="exact", reference="sjf"))
    out = capsys.readouterr().out
    assert "exact (oracle: true run times)" in out
    assert "an oracle gave every policy the true run times" in out
    names = [line.split()[0] for line in out[out.index("mean bounded slowdown") :].splitlines() if line.strip()]
    assert names.index("sjf") == names.index("reference") - 1
    assert "loss" in out
    assert "report.html" in out


def test_a_finished_comparison_plays_nothing_again(table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compare(asked(table, tmp_path))
    before = (tmp_path / "results.csv").read_bytes()
    monkeypatch.setattr(Contest, "outcome", _never)
    assert compare(asked(table, tmp_path)).document == first.document
    assert (tmp_path / "results.csv").read_bytes() == before


def _never(self: Contest, name: str, number: int, load: float) -> None:
    raise AssertionError(f"{name} plays window {number} again")


def test_an_interrupted_comparison_goes_on(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = compare(asked(table, tmp_path / "whole")).document
    played = _interrupt_after(monkeypatch, 5)
    assert run(asked(table, tmp_path / "part")) == 130
    assert "goes on" in capsys.readouterr().err
    assert len(rows(tmp_path / "part")) == 5
    assert not (tmp_path / "part" / "report.html").exists()
    played.update(left=1000, count=0)
    again = compare(asked(table, tmp_path / "part")).document
    assert played["count"] == 3 * WINDOWS - 5
    assert _scores(again) == _scores(whole)


def _interrupt_after(monkeypatch: pytest.MonkeyPatch, left: int) -> dict[str, int]:
    played, play = {"left": left, "count": 0}, Contest.outcome

    def counted(self: Contest, name: str, number: int, load: float) -> Any:
        if played["count"] == played["left"]:
            raise KeyboardInterrupt
        played["count"] += 1
        return play(self, name, number, load)

    monkeypatch.setattr(Contest, "outcome", counted)
    return played


def _scores(document: dict[str, Any]) -> list[Any]:
    return [(one["policy"], one["means"], one["against_reference"]) for one in document["policies"]]


def test_a_torn_line_is_played_again_and_nothing_else(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(asked(table, tmp_path))
    results = tmp_path / "results.csv"
    results.write_text(results.read_text()[:-20])
    played = _interrupt_after(monkeypatch, 1)
    compare(asked(table, tmp_path))
    assert played["count"] == 1
    assert len(rows(tmp_path)) == 3 * WINDOWS


def test_another_policy_joins_without_the_others_playing_again(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(asked(table, tmp_path))
    played = _interrupt_after(monkeypatch, WINDOWS)
    compare(asked(table, tmp_path, policy=("fifo", "las")))
    assert played["count"] == WINDOWS
    assert len(rows(tmp_path)) == 4 * WINDOWS


def test_a_folder_holds_one_comparison(table: str, tmp_path: Path) -> None:
    compare(asked(table, tmp_path))
    with pytest.raises(BadInput, match=r"holds another comparison.*--fresh"):
        compare(asked(table, tmp_path, restart_cost=1.0))
    assert len(rows(tmp_path)) == 3 * WINDOWS
    compare(asked(table, tmp_path, restart_cost=1.0, fresh=True))
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="is not a comparison's results"):
        compare(asked(table, tmp_path))


def test_processes_find_what_one_process_finds(table: str, tmp_path: Path) -> None:
    alone, together = (compare(asked(table, tmp_path / str(n), workers=n)) for n in (1, 2))
    assert _scores(alone.document) == _scores(together.document)
    assert [row["log_sha256"] for row in rows(tmp_path / "1")] == [row["log_sha256"] for row in rows(tmp_path / "2")]


def test_warm_up_jobs_are_played_and_not_scored() -> None:
    jobs = tuple(Job(number, float(number)) for number in range(1, 7))
    window = Trace(jobs, dict.fromkeys(range(1, 7), 10.0))
    contest = Contest((window,), 4, of_cluster("1x1:V100", 0.0), None)
    assert contest.scored(0) == (5, 6)
    (found,) = outcomes(contest, [("fifo", 1.0, 0)], 1)
    assert (found.first_job, found.jobs, found.decisions) == (5, 2, 6)
    assert found.mean_jct == pytest.approx(((50 + 1 - 5) + (60 + 1 - 6)) / 2)


def test_windows_are_the_same_at_every_call_and_held_out(table: str) -> None:
    trace = _trace(300)
    part = held_out(trace, "test", 5, 10)
    tested = {job.id for job in split(trace, (0.6, 0.1, 0.3), 3600.0)[2].jobs}
    assert all(job.id in tested for window in part.windows for job in window.jobs)
    assert fingerprint(*part.windows) == fingerprint(*held_out(trace, "test", 5, 10).windows)
    assert part.disjoint
    assert not held_out(trace, "test", 20, 10).disjoint
    assert part.dates()["from"] == "2020-01-09 18:00:00"
    with pytest.raises(BadInput, match="windows"):
        held_out(trace, "test", 5, 100)
    with pytest.raises(BadInput, match="--jobs 50: the test part has 90 jobs, too few for two windows"):
        held_out(trace, "test", 5, 50)


def _trace(count: int) -> Trace:
    jobs = tuple(Job(number, 3600.0 * number) for number in range(count))
    return Trace(jobs, dict.fromkeys(range(count), 60.0), name="hours", origin="2020-01-01T00:00:00")


@dataclass
class Trained:
    """Stands for a learned policy: only its card is read."""

    card: dict[str, Any]

    def decide(self, cluster: ClusterView) -> tuple[Decision, ...]:
        return ()


@pytest.mark.parametrize(
    ("trace", "train", "validation", "words"),
    [
        ("same", (0, 100), (110, 150), ""),
        ("same", (0, 250), (260, 270), "trained on jobs of this part"),
        ("same", (0, 100), (110, 250), "chosen by its scores on jobs of this part"),
        ("other name", (0, 250), (260, 270), "zero-shot"),
        ("other jobs", (0, 250), (260, 270), "perhaps trained on"),
        ("other jobs", (0, 100), (110, 150), "saw none of these jobs"),
        ("unsaid", (0, 100), (110, 150), "does not say"),
    ],
)
def test_a_policy_that_saw_the_test_is_told_of(
    trace: str, train: tuple[int, int], validation: tuple[int, int], words: str
) -> None:
    part = held_out(_trace(300), "test", 5, 10)
    sha = fingerprint(part.whole) if trace == "same" else "another"
    name = "weeks" if trace == "other name" else "hours"
    spans = {
        key: {"from": 3600.0 * first, "to": 3600.0 * last}
        for key, (first, last) in {"train": train, "validation": validation}.items()
    }
    card = {"trace": {"sha256": sha, "name": name}, "split": spans} if trace != "unsaid" else {}
    (*told,) = seen_before({"mine": Trained(card)}, part)
    assert len(told) == bool(words)
    assert all(words in text for text in told)


@dataclass
class Half:
    """Starts every other job, and leaves the rest waiting for ever."""

    started: list[int] = field(default_factory=list)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        for job in list(cluster.pending):
            if job.id % 2 and (place := packed(job, cluster.room)):
                yield Start(job.id, place)


def test_a_policy_that_leaves_jobs_undone_gets_no_score(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("gpuyard.experiments.contest.policy", "gpuyard.experiments.scene.policy"):
        monkeypatch.setattr(name, lambda asked, place=None: Half() if asked == "half" else policy(asked, place))
    assert run(asked(table, tmp_path, policy=("fifo", "half"))) == 0
    document = json.loads((tmp_path / "comparison.json").read_text())
    half = document["policies"][1]
    assert half["unfinished"] > 0
    assert half["means"]["mean_jct"]["value"] is None
    assert half["against_reference"]["mean_jct"]["verdict"] == "unknown"
    assert f"half left {half['unfinished']} scored jobs unfinished" in capsys.readouterr().out
    assert "left jobs unfinished" in (tmp_path / "report.html").read_text()


def test_windows_without_a_wait_are_told_of(tmp_path: Path) -> None:
    rows = "\n".join(f"{1000 * number},1" for number in range(300))
    (tmp_path / "calm.csv").write_text(f"submit,duration\n{rows}\n")
    args = asked(f"table:{tmp_path / 'calm.csv'}", tmp_path / "out", estimates="none", policy=("fifo", "las"))
    assert any("No job ever waited" in text for text in compare(args).document["warnings"])


def test_a_policy_is_known_by_what_is_in_its_files(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text("{}")
    before = identity(str(tmp_path))
    assert before == identity(str(tmp_path))
    (tmp_path / "weights.safetensors").write_bytes(b"1")
    assert before != identity(str(tmp_path))
    assert identity("fifo") != identity("sjf")
    assert identity("json:loads") != identity("json:dumps")


def test_a_comparison_can_be_asked_for_again_by_its_command(table: str, tmp_path: Path) -> None:
    command = compare(asked(table, tmp_path)).document["provenance"]["command"]
    assert command.startswith("gpuyard compare --policy fifo --policy sjf --out ")
    assert f" --trace {table} --cluster 1x2:V100 " in command
    assert "--windows 6" in command
    assert cores() >= 1


def test_a_policy_over_anothers_order_is_known_by_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_orders.py").write_text("mine = 1\n")
    before = identity("easy(my_orders:mine)")
    (tmp_path / "my_orders.py").write_text("mine = 2\n")
    assert identity("easy(my_orders:mine)") != before
    assert identity("easy(sjf)") != identity("easy(saf)")


@pytest.mark.parametrize("harm", [lambda _: "", lambda text: text.replace("fifo,1.0,0,", "fifo,1.0,zero,")])
def test_garbled_results_are_refused_in_one_sentence(harm: Any, tmp_path: Path) -> None:
    spec = "synthetic:lab,jobs=600"
    args: dict[str, Any] = {
        "trace": spec,
        "cluster": "1x8:A100",
        "policy": ("fifo", "las"),
        "windows": 2,
        "jobs": 20,
        "warmup": 0,
        "workers": 1,
    }
    compare(Compare(out=tmp_path, **args))
    results = tmp_path / "results.csv"
    results.write_text(harm(results.read_text()))
    with pytest.raises(BadInput, match=r"--fresh"):
        compare(Compare(out=tmp_path, **args))


def test_warm_ups_may_come_from_earlier_parts_and_nobody_is_scored_twice() -> None:
    trace = _trace(300)
    tested = split(trace, (0.6, 0.1, 0.3), 3600.0)[2].jobs
    part = held_out(trace, "test", 8, 10, warmup=50)
    assert part.disjoint
    assert [len(window) for window in part.windows] == [60] * 8
    scored = [job.id for window in part.windows for job in window.jobs[50:]]
    assert len(set(scored)) == 80
    assert scored[0] == tested[0].id
    assert part.windows[0].jobs[0].id == tested[0].id - 50
    assert held_out(trace, "all", 5, 10, warmup=50).windows[0].jobs[50].id == 50


@pytest.mark.parametrize("loads", [(0.0,), (1.0, 1.0), (float("nan"),)])
def test_a_wrong_load_is_one_sentence(table: str, tmp_path: Path, loads: tuple[float, ...]) -> None:
    with pytest.raises(BadInput, match="--load"):
        asked(table, tmp_path, load=loads)


def test_an_oracle_is_told_the_truth_and_stands_apart(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With so wrong estimates the truth is worth much; the oracle is nobody's rival and gets no verdict in the lead."""
    args = asked(table, tmp_path, estimates="noisy:3", oracle=("sjf",), reference="sjf")
    assert run(args) == 0
    told = json.loads((tmp_path / "comparison.json").read_text())
    by_name = {row["policy"]: row for row in told["policies"]}
    assert by_name["oracle(sjf)"]["oracle"]
    assert not by_name["sjf"]["oracle"]
    assert by_name["oracle(sjf)"]["means"]["mean_jct"]["value"] < by_name["sjf"]["means"]["mean_jct"]["value"]
    assert by_name[BOUND]["means"]["mean_jct"]["value"] <= by_name["oracle(sjf)"]["means"]["mean_jct"]["value"]
    page = (tmp_path / "report.html").read_text()
    assert "ORACLE" in page
    assert BOUND in page
    assert "ORACLE" in capsys.readouterr().out
    exact = compare(asked(table, tmp_path / "exact", estimates="exact", policy=("fifo", "sjf")))
    assert by_name["oracle(sjf)"]["means"] == exact.document["policies"][1]["means"]


def test_a_folder_of_seeds_is_found(tmp_path: Path) -> None:
    for seed in (0, 2, 10):
        (tmp_path / f"seed-{seed}").mkdir()
        (tmp_path / f"seed-{seed}" / "policy.json").write_text("{}")
    assert seeds(str(tmp_path)) == tuple(str(tmp_path / f"seed-{seed}") for seed in (0, 2, 10))
    assert seeds(f"{tmp_path}@jct=1")[1] == f"{tmp_path / 'seed-2'}@jct=1"
    assert seeds("fifo") == ("fifo",)
    with pytest.raises(BadInput, match="no seed-N folders"):
        seeds(str(tmp_path.parent))
