"""Richer jobs: each option writes its own fields and nothing else, and draws what its source says."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real import REAL

from gpuyard.envs.profiles import builtin
from gpuyard.traces import table
from gpuyard.traces.enrich import OPTIONS, SWEEP, enriched, numbers
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.shockwave import load
from gpuyard.traces.source import open_trace
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from strategies import rich_traces

WRITES = {
    "profiles": {"profile"},
    "modern": {"profile"},
    "elastic": {"min_gang", "max_gang"},
    "pipelines": {"after"},
    "deadlines": {"deadline"},
    "fractions": {"share"},
    "sweeps": {"group"},
    "data": {"data"},
    "sites": {"sites"},
    "regimes": {"regimes"},
}
ALL = [option for option in WRITES if option != "modern"]
"""All that can be asked at once: `profiles` and `modern` write the same."""
PLAIN = generate("philly", jobs=4000, seed=1)


def column(trace: Trace, name: str) -> list[Any]:
    if name == "regimes":
        return [trace.regimes.get(job.id) for job in trace.jobs]
    return [getattr(job, name) for job in trace.jobs]


def changed(trace: Trace, plain: Trace = PLAIN) -> set[str]:
    written = {f.name for f in fields(Job) if column(trace, f.name) != column(plain, f.name)}
    return written | ({"regimes"} if trace.regimes != plain.regimes else set())


def test_without_options_it_is_the_trace_itself() -> None:
    assert enriched(PLAIN) is PLAIN
    assert enriched(PLAIN, 3, profiles=0.0, elastic=0) is PLAIN


@pytest.mark.parametrize("option", WRITES)
def test_an_option_writes_its_own_fields_and_nothing_else(option: str) -> None:
    assert set(WRITES) == set(OPTIONS) == set(numbers()) | {"sweeps", "sites"}
    trace = enriched(PLAIN, 1, **{option: 0.5})
    assert changed(trace) == WRITES[option]
    assert trace.durations == PLAIN.durations
    assert trace.name == f"synthetic philly seed 1 with {option}=0.5,seed=1"


@pytest.mark.parametrize("option", WRITES)
def test_switching_an_option_on_leaves_what_others_write(option: str) -> None:
    others = {other: 0.4 for other, writes in WRITES.items() if other in ALL and writes != WRITES[option]}
    without, both = enriched(PLAIN, 1, **others), enriched(PLAIN, 1, **others, **{option: 0.6})
    assert changed(both, without) == WRITES[option]
    for name in WRITES[option]:
        assert column(both, name) == column(enriched(PLAIN, 1, **{option: 0.6}), name)


@pytest.mark.parametrize("option", WRITES)
def test_a_larger_part_changes_all_that_a_smaller_one_does(option: str) -> None:
    few, many = (enriched(PLAIN, 1, **{option: part}) for part in (0.3, 0.7))
    field = max(WRITES[option])
    rows = list(zip(*(column(trace, field) for trace in (PLAIN, few, many)), strict=True))
    assert all(more == some for plain, some, more in rows if some != plain)
    assert 0 < sum(plain != some for plain, some, _ in rows) < sum(plain != more for plain, _, more in rows)


def test_the_seed_is_of_all_that_is_drawn() -> None:
    parts = dict.fromkeys(ALL, 0.5)
    assert enriched(PLAIN, 1, **parts) == enriched(PLAIN, 1, **parts)
    assert changed(enriched(PLAIN, 2, **parts), enriched(PLAIN, 1, **parts)) == set().union(*WRITES.values())


# Two bursts of ann's single accelerators, 60 s and more apart; a gang of bob's, and one of ann's a day before her last.
ANN = [Job(n, float(n), tenant="ann") for n in range(10)]
SMALL = Trace(
    (
        *ANN,
        Job(20, 40.0, 4, tenant="ann"),
        Job(21, 41.0, 8, tenant="bob"),
        Job(22, 70.0, tenant="ann"),
        Job(23, 130.0, tenant="ann"),
        Job(24, 40.0 + 86_400, 2, tenant="ann"),
        Job(25, 41.0 + 86_400, tenant="ann"),
    ),
    dict.fromkeys([*range(10), *range(20, 26)], 100.0),
)


def test_bursts_are_like_jobs_of_a_tenant_that_follow_each_other() -> None:
    """Ann's ten are a sweep; 22 is 61 s behind them, 23 is 60 s behind 22."""
    groups = {job.id: job.group for job in enriched(SMALL, sweeps=1).jobs}
    assert groups == {n: "sweep-0" if n < SWEEP else None for n in groups}
    assert len(ANN) == SWEEP
    families = {job.id: job.profile for job in enriched(SMALL, 1, profiles=1).jobs}
    assert set(families.values()) <= set(numbers()["profiles"]["families"])
    assert len({families[n] for n in range(10)}) == 1
    assert families[22] == families[23]


def test_a_pipeline_is_wide_and_then_narrow_within_a_day() -> None:
    """22 and 23 follow ann's gang of 4, as 24 does to the second. For 25 that is too long ago; it follows 24."""
    after = {job.id: job.after for job in enriched(SMALL, pipelines=1).jobs if job.after}
    assert after == {22: (20,), 23: (20,), 24: (20,), 25: (24,)}


def test_elastic_gangs_have_room_by_powers_of_two_up_to_the_largest() -> None:
    seen = {job: set[tuple[int | None, int | None]]() for job in (0, 20, 21, 24)}
    for seed in range(60):
        for job in enriched(SMALL, seed, elastic=1).jobs:
            if job.id in seen:
                seen[job.id].add((job.min_gang, job.max_gang))
    assert seen[0] == {(None, None)}, "a single accelerator is no gang"
    assert seen[20] == {(1, 8), (2, 8)}
    assert seen[21] == {(2, 8), (4, 8)}
    assert seen[24] == {(1, 4), (1, 8)}


def test_deadlines_have_the_slack_of_chronus() -> None:
    whole = enriched(generate("philly", jobs=20_000), deadlines=0.5)
    slack = [(j.deadline - j.submit) / whole.durations[j.id] for j in whole.jobs if j.deadline is not None]
    assert len(slack) / len(whole) == pytest.approx(0.5, abs=0.02)
    assert sum(slack) / len(slack) == pytest.approx(2.13, abs=0.04)
    assert 1.09 < min(slack) < 1.12
    assert 4.8 < max(slack) < 5.01
    assert sorted(slack)[len(slack) // 2] == pytest.approx(1.97, abs=0.03)


def test_model_families_are_as_likely_as_gavel_s_job_types() -> None:
    """9 of 26 job types are ResNets, 1 is CycleGAN. Each of these 5,000 jobs is a burst of its own."""
    apart = Trace(tuple(Job(n, 100.0 * n) for n in range(5000)), dict.fromkeys(range(5000), 1.0))
    seen = Counter(job.profile for job in enriched(apart, profiles=1).jobs)
    assert set(seen) == set(numbers()["profiles"]["families"])
    assert seen["resnet"] / 5000 == pytest.approx(9 / 26, abs=0.02)
    assert seen["cyclegan"] / 5000 == pytest.approx(1 / 26, abs=0.01)


def test_fractions_are_those_of_openb() -> None:
    whole = enriched(generate("philly", jobs=20_000), fractions=0.7)
    assert all(job.share == 1 for job in whole.jobs if job.gang > 1)
    single = [job.share for job in whole.jobs if job.gang == 1]
    some = Counter(share for share in single if share < 1)
    assert some.total() / len(single) == pytest.approx(0.7, abs=0.02)
    asked = {thousandths / 1000: pods for thousandths, pods in numbers()["fractions"]["shares"]}
    assert set(some) <= set(asked)
    for share in (0.81, 0.47, 0.32):
        assert some[share] / some.total() == pytest.approx(asked[share] / sum(asked.values()), abs=0.02)


def test_data_are_those_of_a_burst_and_of_three_sizes_alike() -> None:
    """Each of these 3,000 jobs is a burst of its own; ann's ten are one."""
    apart = Trace(tuple(Job(n, 100.0 * n) for n in range(3000)), dict.fromkeys(range(3000), 1.0))
    seen = Counter(job.data for job in enriched(apart, data=1).jobs)
    assert set(seen) == {10**9, 10**10, 10**11}
    assert min(seen.values()) > 900
    assert len({job.data for job in enriched(SMALL, data=1).jobs if job.id < 10}) == 1


def test_data_that_may_not_leave_are_at_home() -> None:
    assert {job.sites for job in enriched(SMALL, sites=1).jobs} == {("home",)}
    some = enriched(generate("philly", jobs=20_000), sites=0.3).jobs
    assert {job.sites for job in some} == {(), ("home",)}


def test_an_elastic_job_of_one_accelerator_keeps_it_whole() -> None:
    trace = Trace((Job(1, 0.0, max_gang=4), Job(2, 0.0, max_gang=1)), {1: 1.0, 2: 1.0})
    assert [job.share < 1 for job in enriched(trace, fractions=1).jobs] == [False, True]


def test_every_table_of_numbers_says_where_it_comes_from() -> None:
    for name, about in numbers().items():
        assert about["about"], name
        assert about["source"].startswith("An assumption") or len(about["read"]) == 10, name


def test_any_trace_takes_the_options(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("submit,duration,tenant\n0,10,a\n5,20,a\n")
    plain = open_trace(f"table:{path}")
    rich = open_trace(f"table:{path},profiles=1,deadlines=1", seed=4)
    assert rich == enriched(plain, 4, profiles=1, deadlines=1)
    assert rich.report == plain.report
    assert rich.name == "log with profiles=1,deadlines=1,seed=4"
    made = open_trace("synthetic:lab,jobs=30,largest=4,sweeps=1,elastic=1,seed=6", seed=2)
    assert made == enriched(generate("lab", jobs=30, seed=6, largest=4), 6, sweeps=1, elastic=1)


@pytest.mark.parametrize("part", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_part_is_from_0_to_1(part: float) -> None:
    for option in OPTIONS:
        with pytest.raises(BadInput, match=f"{option}=.* cannot be; give a part from 0 to 1"):
            enriched(PLAIN, 0, **{option: part})


def test_an_unknown_option_is_told_of() -> None:
    with pytest.raises(BadInput, match=r"no option 'profile'\. Did you mean 'profiles'\?"):
        enriched(PLAIN, profile=1)


@settings(max_examples=60, deadline=None)
@given(trace=rich_traces(), seed=st.integers(0, 9), parts=st.dictionaries(st.sampled_from(ALL), st.floats(0, 1)))
def test_whatever_is_asked_of_whatever_trace(trace: Trace, seed: int, parts: dict[str, float]) -> None:
    """It is a trace (else it raises), of the same jobs and work; a share's work is its part."""
    rich = enriched(trace, seed, **parts)
    assert changed(rich, trace) <= set().union(*(WRITES[option] for option in parts))
    assert rich.durations == trace.durations


@settings(max_examples=30, deadline=None)
@given(trace=rich_traces())
def test_a_rich_trace_is_the_same_after_a_file(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("rich")
    for ending in (".csv", ".parquet"):
        table.save(trace, folder / f"x{ending}")
        assert table.load(folder / f"x{ending}") == trace


def test_batch_sizes_change_as_shockwave_s_do() -> None:
    """Patterns of its jobs, alike likely; a burst's jobs have the same one. Others keep what they had."""
    whole = enriched(generate("philly", jobs=20_000), regimes=0.3)
    known = [tuple((part, speed) for part, speed in pattern) for pattern in numbers()["regimes"]["patterns"]]
    assert set(whole.regimes.values()) == set(known)
    assert len(known) == 20
    assert len({enriched(SMALL, 3, regimes=1).regimes[n] for n in range(10)}) == 1
    before = Trace(SMALL.jobs, SMALL.durations, regimes={0: ((0.0, 1.0), (0.5, 9.0))})
    assert enriched(before, data=1).regimes == before.regimes
    assert enriched(before, regimes=1).regimes.keys() == SMALL.durations.keys()
    assert enriched(before, regimes=1).regimes[0] in known


def test_patterns_are_those_of_shockwave_s_trace() -> None:
    """To three digits: each is one of a recorded job."""
    name = "900_0.2_5_100_5_15_0,0.5,0.5_0.6,0.3,0.09,0.01_multigpu_dynamic.trace.gz"
    path = REAL / "shockwave" / name
    if not path.exists():
        pytest.skip(f"{path.name} is not here; it lies beside the checkout in shared/traces")
    recorded = {tuple((float(f"{p:.3g}"), float(f"{s:.3g}")) for p, s in one) for one in load(path).regimes.values()}
    assert {tuple((part, speed) for part, speed in one) for one in numbers()["regimes"]["patterns"]} <= recorded


def test_modern_families_were_measured_on_recent_kinds() -> None:
    families = numbers()["modern"]["families"]
    assert families.items() <= numbers()["profiles"]["families"].items()
    for family in numbers()["profiles"]["families"]:
        recent = {"A100", "A100-80GB", "H100", "H200", "B200"} <= set(builtin().of[family].near)
        assert recent == (family in families)
    assert set(column(enriched(PLAIN, modern=1), "profile")) == set(families)
    with pytest.raises(BadInput, match="profiles and modern both say which families there are; give one of them"):
        enriched(PLAIN, profiles=0.5, modern=0.5)


def test_families_are_built_in_profiles_on_all_kinds_of_gavel() -> None:
    known = builtin().of
    for family in numbers()["profiles"]["families"]:
        assert {"K80", "P100", "V100"} <= set(known[family].near)
