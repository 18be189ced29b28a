"""Kinds of accelerators: figures have sources; gangs, moves and MIG geometry are kept by the ledger."""

from __future__ import annotations

import tomllib
from datetime import date
from importlib.resources import files
from itertools import combinations_with_replacement, product
from math import isfinite

import pytest

from gpuyard.envs.kinds import Kind, kind, known, sources
from gpuyard.envs.mig import instances
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.vocabulary import InvalidDecision, Move, Placement, Preempt, Resize, Start
from gpuyard.traces.job import Job
from tales import at, ended, ends, tell

TEXT = files("gpuyard.envs").joinpath("kinds.toml").read_text(encoding="utf-8")
TABLE = tomllib.loads(TEXT)
WANTED = "K80 P100 V100 T4 A100 A100-80GB L4 H100 H200 B200 MI300X TPU-v4 TPU-v5e TPU-v5p Trainium2".split()  # noqa: SIM905
GIB = 2**30


def of(name: str) -> Kind:
    found = kind(name)
    assert found is not None
    return found


def test_the_kinds_that_a_world_may_want_are_there() -> None:
    assert set(WANTED) <= set(known())
    assert kind("Abacus") is None


@pytest.mark.parametrize("name", known())
def test_each_figure_is_a_number_with_a_source_that_exists(name: str) -> None:
    for key, said in TABLE["kinds"][name].items():
        if key == "maker":
            continue
        assert said[-1] in sources(), f"{name}.{key}"
        if key not in ("mig", "gangs", "moves"):
            assert isfinite(said[0]), f"{name}.{key}"
            assert said[0] > 0, f"{name}.{key}"
    one = of(name)
    assert one.maker
    assert one.memory
    assert one.idle is None or one.tdp is None or one.idle < one.tdp
    assert one.spot_usd_per_hour is None or one.usd_per_hour is None or one.spot_usd_per_hour < one.usd_per_hour


def test_each_source_says_what_it_is_and_when_it_was_read_and_is_used() -> None:
    for key, source in sources().items():
        assert TEXT.count(key) > 1, f"nothing is from {key}"
        assert source.title
        assert source.read == "recalled" or date.fromisoformat(source.read) < date(2100, 1, 1)


def test_figures_as_makers_state_them() -> None:
    assert of("V100").memory == 16 * GIB
    assert (of("H100").tdp, of("H100").link, of("H100").tflops) == (700, 900e9, 989.4)
    assert of("A100").memory == 40 * GIB
    assert of("T4").link is None, "it has none to other accelerators that is known"


@pytest.mark.parametrize(
    ("name", "may", "may_not"),
    [("V100", {1, 3, 17}, set()), ("TPU-v4", {4, 8, 64, 128}, {1, 6, 65}), ("Trainium2", {1, 16, 32}, {2, 8, 17})],
)
def test_gangs_are_given_out_in_some_sizes(name: str, may: set[int], may_not: set[int]) -> None:
    assert {gang for gang in may | may_not if of(name).admits(gang)} == may


def slice_of(name: str, number: int) -> Node:
    return Node(f"n{number}", tuple(Accelerator(f"n{number}/{i}", name) for i in range(8)))


def chips(count: int, node: int = 0) -> Placement:
    return at(*(f"n{node}/{i}" for i in range(count)))


@pytest.mark.parametrize("count", [2, 6])
def test_the_ledger_refuses_gangs_that_are_not_given_out(count: int) -> None:
    with pytest.raises(InvalidDecision, match=f"job 0 cannot have {count} of TPU-v4: it is given out in"):
        tell([(Job(0, 0.0, count), 1.0)], [slice_of("TPU-v4", 0)], {}, [(0.0, Start(0, chips(count)))])
    assert ended(tell([(Job(0, 0.0, 4), 1.0)], [slice_of("TPU-v4", 0)], {}, [(0.0, Start(0, chips(4)))]))


def test_an_elastic_job_gets_no_other_gangs_either() -> None:
    job = Job(0, 0.0, 4, min_gang=1, max_gang=8)
    for count in (3, 6):
        with pytest.raises(InvalidDecision, match=f"cannot have {count} of TPU-v4: it is given out in"):
            tell([(job, 1.0)], [slice_of("TPU-v4", 0)], {}, [(0.0, Start(0, chips(count)))])
    assert ended(tell([(job, 1.0)], [slice_of("TPU-v4", 0)], {}, [(0.0, Start(0, chips(8)))]))


@pytest.mark.parametrize("name", ["TPU-v4", "TPU-v5e", "TPU-v5p", "Trainium2"])
def test_what_has_no_live_move_is_stopped_and_started_instead(name: str) -> None:
    nodes = [slice_of(name, 0), slice_of(name, 1)]
    gang = 1 if of(name).admits(1) else 4
    job = Job(0, 0.0, gang, max_gang=16)
    begin = (0.0, Start(0, chips(gang)))
    for decision in (Move(0, chips(gang, 1)), Resize(0, chips(8, 1))):
        with pytest.raises(InvalidDecision, match=f"job 0 cannot be moved while it runs on {name}"):
            tell([(job, 100.0)], nodes, {}, [begin, (10.0, decision)])
    told = tell([(job, 100.0)], nodes, {}, [begin, (10.0, Preempt(0)), (20.0, Start(0, chips(gang, 1)))])
    assert ended(told)[-1:] == ends((110.0, 0, "finished", 100.0, 0.0))


def test_tpus_and_trainium_cannot_be_cut() -> None:
    for name in ("TPU-v4", "TPU-v5e", "TPU-v5p", "Trainium2", "V100", "MI300X"):
        with pytest.raises(InvalidDecision, match=f"{name} cannot be cut into MIG instances"):
            instances(name, ("1g.5gb",))


@pytest.mark.parametrize(
    ("cut", "starts"),
    [
        ((), []),
        (("1g.5gb",) * 7, [0, 1, 2, 3, 4, 5, 6]),
        (("3g.20gb", "4g.20gb"), [0, 4]),
        (("3g.20gb", "3g.20gb"), [0, 4]),
        (("2g.10gb", "2g.10gb", "2g.10gb", "1g.5gb"), [0, 2, 4, 6]),
        (("3g.20gb", "2g.10gb", "1g.5gb", "1g.5gb"), [0, 2, 3, 4]),  # behind a 3g on slot 0 the second 1g has none
        (("7g.40gb",), [0]),
        (("1g.10gb",) * 4, [0, 2, 4, 6]),
    ],
)
def test_instances_begin_where_they_may(cut: tuple[str, ...], starts: list[int]) -> None:
    assert [one.start for one in instances("A100", cut)] == starts


@pytest.mark.parametrize(
    "cut",
    [
        ("4g.20gb", "4g.20gb"),  # one may begin on slot 0 alone
        ("3g.20gb", "3g.20gb", "1g.5gb"),  # 7/7 of compute, but all memory is gone
        ("2g.10gb",) * 4,
        ("1g.5gb",) * 8,
        ("7g.40gb", "1g.5gb"),
        ("1g.10gb",) * 5,
    ],
)
def test_what_does_not_fit_is_refused(cut: tuple[str, ...]) -> None:
    with pytest.raises(InvalidDecision, match="they do not fit side by side"):
        instances("A100", cut)


@pytest.mark.parametrize("name", ["A30", "A100", "H100", "H200", "B200"])
def test_all_cuts_are_those_that_brute_force_finds(name: str) -> None:
    """Every set of up to four profiles: all choices of start slots are tried; sizes are those of the table."""
    there = {one.profile: one for one in of(name).mig}
    for count in range(1, 5):
        for cut in combinations_with_replacement(there, count):
            ways = product(*(there[profile].starts for profile in cut))
            slots = ([s + i for p, s in zip(cut, way, strict=True) for i in range(there[p].memory)] for way in ways)
            fits = any(len(taken) == len(set(taken)) and max(taken) < 8 for taken in slots)
            fits &= sum(there[profile].compute for profile in cut) <= 7
            try:
                made = instances(name, cut)
            except InvalidDecision:
                assert not fits, cut
                continue
            assert fits, cut
            assert sorted(one.profile for one in made) == sorted(cut)
            used = [one.start + i for one in made for i in range(there[one.profile].memory)]
            assert len(used) == len(set(used))
            assert all(one.start in there[one.profile].starts for one in made)


@pytest.mark.parametrize("name", [name for name in known() if of(name).mig])
def test_an_instance_has_about_the_memory_that_its_name_says(name: str) -> None:
    """Eighths of all, within a GiB and a half of the name: NVIDIA rounds, and keeps a little for itself."""
    for one in of(name).mig:
        made = instances(name, (one.profile,))[0]
        said = float(one.profile.partition(".")[2].removesuffix("gb"))
        assert made.memory / GIB == pytest.approx(said, abs=1.5 + 0.02 * said)
        assert made.compute == one.compute
