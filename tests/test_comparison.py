"""Seeds, loads, oracles, groups, doubts and data frames of a comparison."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command

from gpuyard.envs.log import Log
from gpuyard.envs.metrics import summary
from gpuyard.envs.nodes import parse
from gpuyard.envs.scenario import of_cluster
from gpuyard.envs.story import read
from gpuyard.experiments import compare as module
from gpuyard.experiments import frames
from gpuyard.experiments.compare import Compare, compare
from gpuyard.experiments.comparison import Comparison
from gpuyard.experiments.contest import Contest, Outcome
from gpuyard.experiments.entrants import BOUND, Entrant, entrants
from gpuyard.experiments.fronts import beaten, said, ways
from gpuyard.experiments.groups import against, chosen, grouped, stacked, sums
from gpuyard.experiments.intervals import resamples
from gpuyard.experiments.simulate import simulate
from gpuyard.experiments.standing import Standing, at, extremes, named, standings
from gpuyard.policies.orders import fifo
from gpuyard.policies.preemptive import srtf
from gpuyard.traces.estimates import with_estimates
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput

WINDOWS, JOBS = 4, 12
LOADS = (2.0, 8.0)
SRTF = "oracle(srtf)"


def asked(out: Path, **more: Any) -> Compare:
    settings: dict[str, Any] = {"policy": ("fifo", "team"), "estimates": "noisy:0.5", "workers": 1}
    settings |= {"trace": "synthetic:lab,jobs=600", "cluster": "1x8:A100", "windows": WINDOWS, "jobs": JOBS}
    return Compare(out=out, **settings | {"warmup": 4, "load": LOADS, "oracle": ("srtf",), "oversized": "skip"} | more)


@pytest.fixture(scope="module", autouse=True)
def two_seeds() -> Iterator[None]:
    """`team` stands for two policies, as a folder does for the seeds of one training."""

    def known(*args: Any) -> list[Entrant]:
        return [Entrant("team", ("sjf", "saf")) if one.name == "team" else one for one in entrants(*args)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "entrants", known)
        yield


@pytest.fixture(scope="module")
def done(two_seeds: None, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare(asked(tmp_path_factory.mktemp("compared")))


def test_seeds_are_played_one_by_one_and_compared_as_one(done: Comparison) -> None:
    first, team, *_ = done.found
    assert (team.policy, team.members) == ("team", ("sjf", "saf"))
    assert team.runs["mean_jct"].shape == (2, WINDOWS)
    each: Any = [[done.known[name, 2.0, w].mean_jct for w in range(WINDOWS)] for name in ("sjf", "saf")]
    assert team.means["mean_jct"].value == pytest.approx(np.mean(each))
    assert team.duels["mean_jct"].difference.value == pytest.approx(np.mean(each) - first.means["mean_jct"].value)
    assert any("team has only 2 seeds" in text for text in done.document["warnings"])
    told = done.document["policies"][1]
    assert (told["seeds"], told["members"]) == (2, ["sjf", "saf"])


def test_each_load_is_the_same_windows_submitted_faster_with_the_same_chance(done: Comparison) -> None:
    slow, fast = (done.contest.window(1, load) for load in LOADS)
    assert [job.id for job in slow.jobs] == [job.id for job in fast.jobs]
    assert slow.span == pytest.approx(4 * fast.span)
    lighter, heavier = (at(done.everybody, load)[0] for load in LOADS)
    assert lighter.means["mean_jct"].value < heavier.means["mean_jct"].value
    assert (done.document["load"], done.document["loads"]) == (2.0, [2.0, 8.0])
    low, high = (one["offered_load"] for one in done.document["by_load"])
    assert high == pytest.approx(4 * low)
    assert done.document["offered_load"] == low
    assert done.document["policies"] == done.document["by_load"][0]["policies"]
    assert done.by_load[2.0] == done.found
    rows = {(o.policy, o.load, o.window) for o in done.known.values()}
    assert len(rows) == 5 * len(LOADS) * WINDOWS


def test_another_load_joins_without_the_others_playing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compare(asked(tmp_path, load=(1.0,), oracle=()))
    played, outcome = [], Contest.outcome

    def counted(self: Contest, name: str, number: int, load: float) -> Any:
        played.append(load)
        return outcome(self, name, number, load)

    monkeypatch.setattr(Contest, "outcome", counted)
    again = compare(asked(tmp_path, load=(1.0, 1.5), oracle=()))
    assert set(played) == {1.5}
    assert again.document["provenance"]["windows_sha256"] == first.document["provenance"]["windows_sha256"]
    with (tmp_path / "results.csv").open(newline="") as file:
        assert {row["load"] for row in csv.DictReader(file)} == {"1.0", "1.5"}


def test_the_oracle_is_told_the_true_run_times_and_nobody_else(done: Comparison) -> None:
    trace = with_estimates(done.contest.window(1, 2.0), "exact")
    told = summary(simulate(trace, done.contest.setting, srtf), done.contest.scored(1))
    assert done.known[SRTF, 2.0, 1].mean_jct == told.mean_jct
    for here in done.by_load.values():
        for one in here:
            assert (one.runs["mean_jct"] >= named(here, BOUND).runs["mean_jct"] * (1 - 1e-9)).all()
    assert [one.policy for one in done.found if one.oracle] == [SRTF, BOUND]
    assert {one.duels["mean_jct"].verdict for one in done.found if one.oracle} == {"oracle"}


def test_headroom_is_told_at_each_load_of_each_central_metric(done: Comparison) -> None:
    assert [(one["load"], one["metric"]) for one in done.document["headroom"]] == [
        (load, metric) for load in LOADS for metric in ("mean_bounded_slowdown", "mean_jct")
    ]
    for one in done.headroom:
        here = at(done.everybody, one.load)
        rules = [found for found in here if not found.oracle]
        best = min(rules, key=lambda found: found.means[one.metric].value)
        assert (one.policy, one.rule) == (best.policy, True)
        least = named(here, BOUND).means[one.metric].value
        assert one.over[BOUND].value == pytest.approx(best.means[one.metric].value / least)
        assert one.over[BOUND].low >= 1.0
        assert "times oracle(bound) (no schedule can be below)" in str(one)


def test_a_world_without_a_bound_says_why(tmp_path: Path) -> None:
    more = {"trace": None, "cluster": None, "scenario": "campus", "policy": ("fifo", "easy"), "load": (1.0,)}
    done = compare(asked(tmp_path, limit=1500, estimates=None, windows=2, **more))
    assert [one.policy for one in done.found if one.oracle] == [SRTF]
    assert all("no bound is known in this world (laws: mishaps, " in str(one) for one in done.headroom)
    assert len(done.headroom) == 2
    assert {"energy_kwh", "carbon_kg", "usd", "max_rho"} <= {
        metric for metric, mean in done.found[0].means.items() if np.isfinite(mean.value)
    }


def test_a_policy_that_takes_less_than_was_asked_for_is_found_out(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("gpuyard.experiments.contest.bound", lambda *_: (1e9, 1.0))
    done = compare(asked(tmp_path, load=(1.0,)))
    told = [text for text in done.document["warnings"] if "below the bound's mean JCT" in text]
    assert [text.split()[0] for text in told] == ["fifo", "team", SRTF]


def test_windows_that_overlap_are_told_of_and_drawn_in_runs(tmp_path: Path) -> None:
    """The test part has 163 jobs: 13 windows of 12 fit."""
    done = compare(asked(tmp_path, policy=("fifo", "sjf"), windows=40, load=(1.0,), oracle=()))
    cut = done.document["provenance"]
    fits, block = cut["disjoint_windows"], cut["bootstrap"]["block"]
    assert (fits, block) == (13, 8)
    firsts = [one["first_job"] for one in done.document["window_list"]]
    lasts = [one["last_job"] for one in done.document["window_list"]]
    assert max(sum(first <= lasts[n] for first in firsts[n:]) for n in range(40)) == 4
    (told,) = (text for text in done.document["warnings"] if "overlap" in text)
    assert "40 were asked for, and no more than 13 fit" in told
    assert "in runs of 8, as 4 neighbours share jobs" in told
    assert any("Only 13 windows' worth of jobs" in text for text in done.document["warnings"])


def test_windows_apart_are_drawn_one_by_one(done: Comparison) -> None:
    assert done.document["provenance"]["bootstrap"]["block"] == 1
    assert not any("overlap" in text for text in done.document["warnings"])


def test_neighbouring_windows_that_are_alike_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Contest.outcome

    def drifting(self: Contest, name: str, number: int, load: float) -> Outcome:
        worse = float(number) if name == "sjf" else 0.0
        return replace(outcome(self, name, number, load), mean_bounded_slowdown=9.0 + worse)

    monkeypatch.setattr(Contest, "outcome", drifting)
    more = {"policy": ("fifo", "sjf", "saf"), "oracle": (), "load": (1.0,)}
    done = compare(asked(tmp_path, windows=14, jobs=6, **more))
    (told,) = (text for text in done.document["warnings"] if "Neighbouring windows are alike" in text)
    assert "too narrow, by about 93% (sjf). Take" in told


def test_groups_by_hand() -> None:
    """Two jobs on one accelerator each, one on two; the last is not yet over when the log ends."""
    jobs = (Job(0, 0.0, 1, tenant="a"), Job(1, 0.0, 2, tenant="b"), Job(2, 0.0, 1, tenant="a"), Job(3, 0.0, 1))
    log = simulate(Trace(jobs, {0: 10.0, 1: 20.0, 2: 30.0, 3: 1e6}), parse("1x2:V100"), fifo)
    log = Log(log.nodes, [entry for entry in log.entries if getattr(entry, "time", 0.0) < 1e5])
    assert json.loads(grouped(read(log).jobs)) == {
        "gang": {"1": [2, 70.0, 3.0], "2-4": [1, 30.0, 1.5]},
        "tenant": {"a": [2, 70.0, 3.0], "b": [1, 30.0, 1.5]},
    }


def test_groups_are_pooled_over_windows_and_seeds() -> None:
    texts = [
        ['{"gang": {"1": [1, 10.0, 1.0], "17+": [1, 4.0, 2.0]}}', '{"gang": {"1": [3, 50.0, 9.0]}}'],
        ['{"gang": {"1": [1, 30.0, 1.0]}}', '{"gang": {"1": [3, 70.0, 9.0], "5-8": [1, 1.0, 1.0]}}'],
    ]
    mine, other = stacked(texts, "gang"), stacked(texts[:1], "gang")
    draws = resamples(2, 0)
    assert mine["1"].shape == (3, 2, 2)
    assert chosen("gang", mine) == ["1", "5-8", "17+"]
    found = against(sums(mine, draws.seeds("a", 2), draws), sums(other, draws.seeds("b", 1), draws), "1")
    assert (found.jobs, found.jct, found.slowdown) == (4.0, 20.0, 2.5)
    assert found.jct_ratio is not None
    ratio = found.jct_ratio
    assert [ratio.value, ratio.low, ratio.high] == [pytest.approx(80 / 60), 1.0, pytest.approx(3.0)]
    nobody = against(sums({"1": 0 * mine["1"]}, draws.seeds("a", 2), draws), None, "1")
    assert nobody.jobs == 0
    assert np.isnan(nobody.jct)


def test_a_comparison_is_data_frames_and_figures(done: Comparison) -> None:
    frame = done.frame()
    assert len(frame) == 5 * len(LOADS) * WINDOWS
    assert set(frame[frame.policy == "team"].member) == {"sjf", "saf"}
    assert set(frame[frame.oracle].policy) == {SRTF, BOUND}
    mean = frame[(frame.policy == "team") & (frame.load == 2.0)].mean_jct.mean()
    row = frames.standings(done).loc[2.0, "team"]
    assert row["mean_jct"] == pytest.approx(mean)
    assert row["mean_jct_verdict"] in ("win", "tie", "loss")
    assert row["mean_jct_p"] == named(done.found, "team").duels["mean_jct"].corrected
    assert frames.groups(done, "gang").loc[2.0, "fifo"].jobs.sum() == WINDOWS * JOBS
    for which in ("ratios", "spreads", "profiles", "loads", "trades", "gang", "tenant"):
        done.figure(which)
    assert done.figure("ratios", 8.0).axes[0].get_title() == "mean bounded slowdown"
    with pytest.raises(BadInput, match=r"load 3: was not compared; choose one of 2, 8"):
        done.figure("ratios", 3)
    with pytest.raises(BadInput, match=r"no figure .ratio.*ratios"):
        done.figure("ratio")  # type: ignore[arg-type]


def test_loads_and_oracles_at_the_command_line(gpuyard: Command, tmp_path: Path) -> None:
    words: list[Any] = ["compare", "--policy", "fifo", "--policy", "sjf", "--trace", "synthetic:lab,jobs=600", "--json"]
    words += ["--cluster", "1x8:A100", "--windows", "2", "--jobs", "6", "--warmup", "2", "--workers", "1"]
    words += ["--estimates", "noisy:0.5", "--out", tmp_path]
    code, out, _ = gpuyard(*words, "--load", "0.5", "--load", "1", "--oracle", "srtf")
    assert code == 0
    told = json.loads(out)
    assert "--load 0.5 --load 1.0 --oracle srtf" in told["provenance"]["command"]
    assert [(one["load"], row["policy"]) for one in told["by_load"] for row in one["policies"]] == [
        (load, name) for load in (0.5, 1.0) for name in ("fifo", "sjf", SRTF, BOUND)
    ]
    code, out, _ = gpuyard(*words)
    assert (code, [one["policy"] for one in json.loads(out)["policies"]]) == (0, ["fifo", "sjf", BOUND])


def test_the_screen_has_a_table_and_the_headroom_of_each_load(gpuyard: Command, tmp_path: Path) -> None:
    words: list[Any] = ["compare", "--policy", "fifo", "--policy", "sjf", "--trace", "synthetic:lab,jobs=600"]
    words += ["--cluster", "1x8:A100", "--windows", "2", "--jobs", "6", "--warmup", "2", "--workers", "1"]
    code, out, _ = gpuyard(*words, "--estimates", "noisy:0.5", "--out", tmp_path, "--load", "1", "--load", "4")
    assert code == 0
    first, second = out.index("\nload 1\n"), out.index("\nload 4\n")
    for text in (out[first:second], out[second:]):
        assert text.count("headroom   mean ") == 2
        assert text.count(BOUND) >= 3, "a row, and two lines of headroom"
        assert "ORACLE" in text


def test_the_world_of_a_contest_decides_what_its_windows_are_worth() -> None:
    trace = Trace((Job(0, 0.0), Job(1, 1.0)), {0: 5.0, 1: 5.0})
    one = Contest((trace,), 1, of_cluster("1x1:V100", 0.0), None)
    assert one.sha256 == replace(one).sha256
    assert one.sha256 != replace(one, warmup=0).sha256
    assert one.outcome("fifo", 0).mean_jct == 9.0
    assert one.outcome("fifo", 0, 2.0).mean_jct == 9.5
    assert one.outcome(BOUND, 0, 2.0).mean_jct == 5.0


def stood(known: dict[str, list[Outcome]]) -> list[Standing]:
    """How policies stand whose outcomes are these, the first the reference."""
    rows = {(name, 1.0, number): one for name, some in known.items() for number, one in enumerate(some)}
    draws = resamples(len(next(iter(known.values()))), 0)
    return standings(rows, [Entrant(name, (name,)) for name in known], draws, next(iter(known)))


def _outcome(name: str, window: int, score: float, **more: Any) -> Outcome:
    return Outcome(name, 1.0, window, 0, 4, mean_bounded_slowdown=score, mean_jct=score, **more)


def test_the_largest_win_and_loss_are_found() -> None:
    mine, other = stood(
        {
            name: [_outcome(name, window, score) for window, score in enumerate(scores)]
            for name, scores in {"a": (1.0, 4.0, 2.0), "b": (2.0, 1.0, 2.0)}.items()
        }
    )
    assert extremes(mine, other) == {"wins": 0, "loses": 1}
    assert extremes(mine, mine) == {}
    assert other.duels["mean_bounded_slowdown"].difference.value == pytest.approx(5 / 3 - 7 / 3)


def test_who_is_beaten_in_every_way_is_told_with_those_who_beat_it() -> None:
    """Clean pays more and so does not beat slow; equals beat nobody; money that one does not tell is no way."""
    points = {"quick": (5.0, 3.0, 2.0), "clean": (9.0, 1.0, 9.0), "slow": (9.0, 3.0, 2.0), "again": (5.0, 3.0, 2.0)}
    known = {
        name: [_outcome(name, window, jct, carbon_kg=carbon, usd=usd) for window in range(2)]
        for name, (jct, carbon, usd) in points.items()
    }
    found = stood(known)
    assert beaten(found) == {"quick": [], "clean": [], "slow": ["quick", "again"], "again": []}
    assert list(said(found)) == [
        "mean JCT, carbon, money, by means alone: nobody beats quick, clean, again in all",
        "slow is beaten in all by quick, again",
    ]
    silent = stood(known | {"mute": [_outcome("mute", window, 1.0, carbon_kg=5.0) for window in range(2)]})
    assert ways(silent) == ("mean_jct", "carbon_kg")
    assert beaten(silent)["slow"] == ["quick", "clean", "again"]
    assert beaten(stood({name: [_outcome(name, 0, 1.0), _outcome(name, 1, 1.0)] for name in ("a", "b")})) == {}


def test_a_metric_is_of_the_windows_that_know_it() -> None:
    """In the second window no job has a deadline; in the third only c's are not known, so that nobody can compare."""
    met: dict[str, list[float | None]] = {"a": [0.5, None, 0.5], "b": [0.7, None, 0.7], "c": [0.7, None, None]}
    a, b, c = stood(
        {
            name: [_outcome(name, window, 1.0, deadlines_met=part) for window, part in enumerate(parts)]
            for name, parts in met.items()
        }
    )
    assert a.means["deadlines_met"].value == 0.5
    assert b.duels["deadlines_met"].difference.value == pytest.approx(0.2)
    assert b.duels["deadlines_met"].verdict == "win"
    assert c.duels["deadlines_met"].verdict == "unknown"
    assert a.duels == {}
    assert b.duels["usd"].verdict == "unknown"


def test_a_verdict_is_corrected_for_all_rivals_but_oracles() -> None:
    """Alone b is better for sure enough; among twenty that are as good as the reference it is so by chance."""
    rng = np.random.default_rng(2)
    base = rng.lognormal(1, 0.3, 30)
    scores = {"a": base, "b": base - 0.6 + rng.normal(0, 0.95, 30)}
    crowd = {f"c{number}": base + rng.normal(0, 0.95, 30) for number in range(20)}
    oracles = {f"oracle(c{number})": base + rng.normal(0, 0.95, 30) for number in range(20)}

    def told(of: dict[str, Any]) -> Standing:
        return stood({n: [_outcome(n, w, float(x)) for w, x in enumerate(some)] for n, some in of.items()})[1]

    alone = told(scores).duels["mean_jct"]
    assert (alone.verdict, alone.corrected) == ("win", alone.p)
    assert told(scores | oracles).duels["mean_jct"] == alone
    among = told(scores | crowd).duels["mean_jct"]
    assert (among.verdict, among.p) == ("tie", alone.p)
    assert among.difference == alone.difference
