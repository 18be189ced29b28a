"""`gpuyard simulate`: what it prints, to the digit, on three jobs that one can play in one's head."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner
from conftest import Command
from rich.console import Console
from rich.text import Text

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import parse
from gpuyard.envs.placement import packed
from gpuyard.envs.vocabulary import Decision, Start, Tick
from gpuyard.experiments import scene as module
from gpuyard.experiments.fitting import fitting, wants
from gpuyard.experiments.options import command_of, option, spoken
from gpuyard.experiments.scene import told_estimates
from gpuyard.experiments.screen import print_table
from gpuyard.experiments.simulate import Simulate, log_files, simulate
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput

THREE = """submit,duration,gang,estimate
0,100,2,80
10,50,1,60
20,10,2,10
"""
"""On two accelerators FIFO runs the first 0-100, the second 100-150, and the third, which needs both, 150-160."""
KEYS = {
    "policy", "jobs", "finished", "mean_jct", "median_jct", "p99_jct", "mean_wait", "mean_bounded_slowdown", "makespan",
    "utilization", "preemptions", "decisions", "wall_seconds", "log_sha256",
}  # fmt: skip


@pytest.fixture
def three(tmp_path: Path) -> str:
    path = tmp_path / "three.csv"
    path.write_text(THREE)
    return f"table:{path}"


def test_the_json_object_is_exact(gpuyard: Command, three: str) -> None:
    code, out, err = gpuyard("simulate", "--trace", three, "--cluster", "1x2:V100", "--policy", "fifo", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert {"trace", "cluster", "estimates", "runs"} <= told.keys()
    assert (told["trace"], told["cluster"], told["estimates"]) == (three, "1x2:V100", "recorded")
    (run,) = told["runs"]
    assert run.keys() >= KEYS
    assert len(run.pop("log_sha256")) == 64
    assert run.pop("wall_seconds") > 0
    assert run == {
        "policy": "fifo",
        "jobs": 3,
        "finished": 3,
        "failed": 0,
        "cancelled": 0,
        "mean_jct": pytest.approx((100 + 140 + 140) / 3),
        "median_jct": 140.0,
        "p95_jct": 140.0,
        "p99_jct": 140.0,
        "mean_wait": pytest.approx((0 + 90 + 130) / 3),
        "median_wait": 90.0,
        "p95_wait": pytest.approx(90 + 0.9 * 40),
        "p99_wait": pytest.approx(90 + 0.98 * 40),
        "mean_bounded_slowdown": pytest.approx((1 + 140 / 50 + 140 / 10) / 3),
        "median_bounded_slowdown": 140 / 50,
        "p95_bounded_slowdown": pytest.approx(2.8 + 0.9 * 11.2),
        "p99_bounded_slowdown": pytest.approx(2.8 + 0.98 * 11.2),
        "makespan": 160.0,
        "utilization": pytest.approx((2 * 100 + 50 + 2 * 10) / (2 * 160)),
        "goodput": pytest.approx((2 * 100 + 50 + 2 * 10) / (2 * 160)),
        "fragmentation": pytest.approx(2 / 3),  # one is free while job 2 runs: two of three jobs want both
        "work": {
            "held": 270.0,
            "kept": 270.0,
            "lost": {"preempted": 0.0, "lost": 0.0, "failed": 0.0, "cancelled": 0.0},
            "overhead": 0.0,
            "under_way": 0.0,
        },
        "preemptions": 0,
        "losses": 0,
        "restarts": 0,
        "moves": 0,
        "resizes": 0,
        "decisions": 3,
        "placement": "packed",
        **dict.fromkeys(("deadlines_met", "max_rho", "p95_rho", "jain", "measured_utilization")),
        **dict.fromkeys(("energy_kwh", "carbon_kg", "usd")),
    }


def test_each_policy_has_its_row_in_the_order_asked(gpuyard: Command, three: str) -> None:
    words = ("--policy", "sjf", "--policy", "fifo")
    _, out, _ = gpuyard("simulate", "--trace", three, "--cluster", "1x2:V100", *words, "--json")
    assert [(run["policy"], run["mean_jct"]) for run in json.loads(out)["runs"]] == [
        ("sjf", pytest.approx((100 + 150 + 90) / 3)),
        ("fifo", pytest.approx(380 / 3)),
    ]


def test_the_same_command_makes_the_same_log(gpuyard: Command, tmp_path: Path) -> None:
    words = ("--trace", "synthetic:philly,jobs=200,seed=3", "--cluster", "4x8:V100", "--oversized", "skip")
    more = ("--policy", "las", "--estimates", "noisy:0.8", "--seed", "5", "--json")
    digests = set()
    for name in ("once", "again"):
        _, out, _ = gpuyard("simulate", *words, *more, "--log", tmp_path / name)
        digests.add(json.loads(out)["runs"][0]["log_sha256"])
    assert digests == {Log.read(tmp_path / "once").sha256()}
    assert (tmp_path / "once").read_bytes() == (tmp_path / "again").read_bytes()


def test_columns_are_there_where_a_run_has_them(gpuyard: Command, three: str, tmp_path: Path) -> None:
    (tmp_path / "priced.toml").write_text(
        '[[nodes]]\naccelerators = 2\nkind = "V100"\nusd_per_hour = 36.0\n[tenants.none]\nquota = 2\n',
        encoding="utf-8",
    )
    words = ("--trace", three, "--policy", "fifo")
    plain = gpuyard("simulate", *words, "--cluster", "1x2:V100")[1]
    priced = gpuyard("simulate", *words, "--scenario", tmp_path / "priced.toml")[1]
    assert "USD" not in plain
    assert "USD" in priced
    assert " 1.60 " in priced  # 160 s at 36 USD an hour


def test_estimates_say_what_they_are(gpuyard: Command, three: str) -> None:
    words = ("simulate", "--trace", three, "--cluster", "1x2:V100", "--policy", "sjf")
    _, out, _ = gpuyard(*words, "--estimates", "exact", "--json")
    assert json.loads(out)["estimates"] == "exact (oracle: true run times)"
    _, out, _ = gpuyard(*words, "--estimates", "exact")
    table = out[out.index("mean") :]
    assert "exact (oracle: true run times)" in table
    assert told_estimates("noisy:0.5") == "noisy:0.5 (derived from true run times)"
    assert told_estimates("recorded") == "recorded"


def test_with_several_policies_each_writes_its_own_log(gpuyard: Command, three: str, tmp_path: Path) -> None:
    words = ("--policy", "fifo", "--policy", "sjf", "--log", tmp_path / "log.jsonl")
    code, out, _ = gpuyard("simulate", "--trace", three, "--cluster", "1x2:V100", *words)
    assert code == 0
    for name in ("fifo", "sjf"):
        assert len(Log.read(tmp_path / f"log.{name}.jsonl").entries) == 9
        assert f"log.{name}.jsonl" in out.replace("\n", "")


def test_a_policys_path_makes_a_plain_file_name() -> None:
    files = log_files(Path("x/log.jsonl"), ["runs/mine", "fifo"])
    assert files == {"runs/mine": Path("x/log.runs-mine.jsonl"), "fifo": Path("x/log.fifo.jsonl")}
    with pytest.raises(BadInput, match="one file"):
        log_files(Path("log"), ["a/b", "a-b"])


def test_limit_takes_the_first_jobs(gpuyard: Command, three: str) -> None:
    words = ("--limit", "2", "--policy", "fifo", "--json")
    _, out, _ = gpuyard("simulate", "--trace", three, "--cluster", "1x2:V100", *words)
    assert json.loads(out)["runs"][0]["makespan"] == 150.0


def test_oversized_jobs_are_skipped_by_choice(gpuyard: Command, three: str) -> None:
    words = ("simulate", "--trace", three, "--cluster", "1x1:V100", "--policy", "fifo", "--oversized", "skip")
    _, out, _ = gpuyard(*words, "--json")
    told = json.loads(out)
    assert (told["skipped"], told["runs"][0]["jobs"], told["runs"][0]["finished"]) == ([1, 3], 1, 1)
    assert "2 jobs that this cluster could never run" in gpuyard(*words)[1]


def test_a_restart_costs_what_it_is_said_to(tmp_path: Path, gpuyard: Command) -> None:
    (tmp_path / "two.csv").write_text("submit,duration,estimate\n0,100,100\n10,20,20\n")
    words = ("--trace", f"table:{tmp_path / 'two.csv'}", "--cluster", "1x1:V100", "--policy", "srtf", "--json")
    ends = [
        json.loads(gpuyard("simulate", *words, *more)[1])["runs"][0]["makespan"] for more in ((), ("--restart-cost", 7))
    ]
    assert ends == [150.0, 127.0]


@dataclass
class Restless:
    """Starts what it can and asks for a tick every 30 seconds."""

    tick: float = 30.0
    seen: list[float] = field(default_factory=list)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        self.seen.append(cluster.now)
        for job in cluster.pending:
            if place := packed(job, cluster.room):
                yield Start(job.id, place)
                return


def test_a_policy_gets_the_ticks_it_asks_for() -> None:
    trace = Trace((Job(1, 0.0),), {1: 70.0})
    log = simulate(trace, parse("1x1:V100"), Restless())
    assert [entry.time for entry in log.entries if isinstance(entry, Tick)] == [30.0, 60.0]


class Idle:
    """Never starts anything."""

    def decide(self, cluster: ClusterView) -> tuple[Decision, ...]:
        return ()


class Wrong:
    """Starts what is not there."""

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        yield Start(99, ())


@pytest.mark.parametrize(
    ("policy", "words"), [(Idle(), "left 3 of 3 jobs unfinished"), (Wrong(), "job 99 is not waiting")]
)
def test_a_policy_that_fails_is_told_of_plainly(
    gpuyard: Command, three: str, monkeypatch: pytest.MonkeyPatch, policy: Any, words: str
) -> None:
    monkeypatch.setattr(module, "policy", lambda name, placement: policy)
    code, out, err = gpuyard("simulate", "--trace", three, "--cluster", "1x2:V100", "--policy", "mine")
    assert words in (err if code else out)
    assert (code, err.count("\n")) in ((0, 0), (2, 1))


def test_an_interrupt_leaves_nothing_half_written(
    gpuyard: Command, three: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gpuyard.envs.session.Session.play", interrupted)
    words = ("--policy", "fifo", "--log", tmp_path / "logs" / "log")
    assert gpuyard("simulate", "--trace", three, "--cluster", "1x2:V100", *words, "--json")[:2] == (130, "")
    assert not (tmp_path / "logs").exists()


def test_what_never_fits_is_named_with_what_it_needs() -> None:
    trace = Trace((Job(7, 0.0, gang=4, kinds=("A100",), cpus=96.0), Job(8, 1.0, gang=9)), {7: 1.0, 8: 1.0})
    with pytest.raises(BadInput, match=r"job 7 needs 4 accelerators \(A100\), 96 CPUs .*nor can 1 other"):
        fitting(trace, parse("1x8:V100"), {})
    assert wants(Job(1, 0.0, share=0.5, host_memory=2**31)) == "0.5 of an accelerator, 2.0 GiB of host memory"


def test_a_placement_that_would_never_place_a_job_refuses_it() -> None:
    trace = Trace((Job(7, 0.0, gang=12), Job(8, 1.0, gang=4)), {7: 1.0, 8: 1.0})
    nodes = parse("1x8:V100+1x4:V100")
    assert fitting(trace, nodes, {"packed": packed}) == (trace, ())
    kept, out = fitting(trace, nodes, {"picky": lambda job, room: packed(job, room) if job.gang < 9 else None}, "skip")
    assert ([job.id for job in kept.jobs], [job.id for job in out]) == ([8], [7])


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Say something."""

    first: str = option(help="A word.")
    more: tuple[str, ...] = option((), help="More words.")
    times: int = option(1, help="How often.")
    how: Literal["loud", "low"] = option("low", help="How.")
    path: Path | None = option(None, help="Where.")  # noqa: RUF009 (it is `field`)
    shout: bool = option(False, flag="--now", help="At once.")


def test_a_dataclass_is_a_commands_options() -> None:
    got: list[Words] = []
    command = command_of(Words, got.append, examples="say --first a\nsay --first b")
    words = ["--first", "a", "--more", "b", "--more", "c", "--times", "2", "--how", "loud", "--path", "p", "--now"]
    assert CliRunner().invoke(command, words).exit_code == 0
    assert got == [Words(first="a", more=("b", "c"), times=2, how="loud", path=Path("p"), shout=True)]
    assert spoken("say", got[0]) == "gpuyard say --first a --more b --more c --times 2 --how loud --path p --now"
    told = CliRunner().invoke(command, ["--help"]).output
    assert "Say something." in told
    assert "Examples:\n    say --first a\n    say --first b" in told


def test_a_narrow_screen_loses_whole_columns_and_says_which() -> None:
    columns = {title: partial(_digits, width) for title, width in (("policy", 9), ("spare", 15), ("needed", 15))}
    for width, shown, lost in ((80, "spare", False), (40, "needed", True)):
        console = Console(width=width, file=StringIO())
        print_table(console, columns, [7], ("spare",))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert shown in text
        assert text.count("7" * 15) == (1 if lost else 2)
        assert ("left out for want of width: spare" in text) is lost


def _digits(width: int, row: int) -> Text:
    return Text(str(row) * width)


def test_a_report_is_said_in_the_order_of_the_table(gpuyard: Command, three: str) -> None:
    _, out, _ = gpuyard("simulate", "--trace", three, "--cluster", "1x2:V100", "--policy", "fifo")
    assert [line.split()[0] for line in out.splitlines()[:5]] == [
        "trace",
        "cluster",
        "estimates",
        "loaded",
        "placement",
    ]
    assert Simulate(trace=three, cluster="1x2:V100", policy=("fifo",)).restart_cost is None
