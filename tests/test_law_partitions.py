"""The law of partitions: cutting takes a while, and only idle accelerators are cut; worked out by hand."""

from __future__ import annotations

import pytest

from gpuyard.envs.laws.partitions import Partitions
from gpuyard.envs.vocabulary import InvalidDecision, Partition, Partitioned, Start
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from tales import at, ended, ends, said, tell

LAW = {"partitions": Partitions(seconds=5.0, reset=10.0)}
HALF = Job(0, 0.0, share=0.4)
TWO, THREE = ("3g.20gb", "4g.20gb"), ("3g.20gb", "2g.10gb", "2g.10gb")
CUT = (0.0, Partition("n0/0", TWO))


def test_becoming_instances_or_whole_again_takes_a_reset_more() -> None:
    """Cut at 0: 15 s. Cut otherwise at 20: 5 s. Whole at 30: 15 s. Whole once more at 50: 5 s."""
    script = [CUT, (20.0, Partition("n0/0", THREE)), (30.0, Partition("n0/0", ())), (50.0, Partition("n0/0", ()))]
    told = tell([(HALF, 60.0)], "1x2:A100", LAW, [(0.0, Start(0, at("n0/1"))), *script])
    assert said(told, Partitioned) == [
        Partitioned(15.0, "n0/0", TWO),
        Partitioned(25.0, "n0/0", THREE),
        Partitioned(45.0, "n0/0", ()),
        Partitioned(55.0, "n0/0", ()),
    ]


def test_a_job_starts_on_an_instance_when_it_is_there() -> None:
    """Two jobs on the two instances from 15 on, at full speed; 4/7 of it are more than 0.5, 3/7 are not."""
    jobs = [(HALF, 60.0), (Job(1, 0.0, share=0.5), 70.0)]
    script = [CUT, (15.0, Start(0, at("n0/0#4"))), (15.0, Start(1, at("n0/0#0")))]
    told = tell(jobs, "1x1:A100", LAW, script)
    assert ended(told) == ends((75.0, 0, "finished", 60.0, 0.0), (85.0, 1, "finished", 70.0, 0.0))
    with pytest.raises(InvalidDecision, match="it is 3/7 of an accelerator"):
        tell(jobs, "1x1:A100", LAW, [CUT, (15.0, Start(1, at("n0/0#4")))])


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ([CUT, (14.0, Start(0, at("n0/0")))], "job 0 needs 400/1000 of n0/0, 0/1000 is left"),
        ([CUT, (15.0, Start(0, at("n0/0")))], "job 0 needs 400/1000 of n0/0, 0/1000 is left"),
        ([CUT, (14.0, Start(0, at("n0/0#0")))], "there is none"),
        ([(0.0, Start(0, at("n0/0"))), CUT], "it is in use, or down"),
        ([CUT, (15.0, Start(0, at("n0/0#0"))), (16.0, Partition("n0/0", ()))], "jobs stand on its instances"),
        ([CUT, (10.0, Partition("n0/0", THREE))], "it is in use, or down"),
        ([(0.0, Partition("n0/0", ("4g.20gb", "4g.20gb")))], "do not fit side by side"),
        ([(0.0, Partition("n0/0", ("3g.40gb",)))], "A100 has no MIG profile '3g.40gb'; it has 1g.5gb"),
        ([(0.0, Partition("n1/0", ("1g.5gb",)))], "V100 cannot be cut into MIG instances"),
        ([(0.0, Partition("n9/0", ()))], "there is no accelerator n9/0"),
    ],
)
def test_what_cannot_be_cut_or_had(script: list[tuple[float, Partition | Start]], complaint: str) -> None:
    with pytest.raises(InvalidDecision, match=complaint):
        tell([(HALF, 60.0)], "1x1:A100+1x1:V100", LAW, script)


def test_tenants_may_share_by_instances() -> None:
    """MIG is a wall: two tenants on one accelerator."""
    jobs = [(Job(n, 0.0, share=0.4, tenant=tenant), 60.0) for n, tenant in enumerate(("ada", "ben"))]
    told = tell(jobs, "1x1:A100", LAW, [CUT, (15.0, Start(0, at("n0/0#4"))), (15.0, Start(1, at("n0/0#0")))])
    assert [row[0] for row in ended(told)] == [75.0, 75.0]


def test_an_instance_has_its_memory_and_no_more() -> None:
    """3g.20gb has 20 of 40 GiB."""
    gib = 2**30
    fits, large = (Job(0, 0.0, share=0.4, memory=size) for size in (20 * gib, 20 * gib + 1))
    script = [CUT, (15.0, Start(0, at("n0/0#4")))]
    assert len(ended(tell([(fits, 60.0)], "1x1:A100", LAW, script))) == 1
    with pytest.raises(InvalidDecision, match=f"it has {20 * gib} bytes of memory"):
        tell([(large, 60.0)], "1x1:A100", LAW, script)


def test_seconds_are_seconds() -> None:
    with pytest.raises(BadInput, match="reset = -1"):
        Partitions(reset=-1)


def test_without_partitions_nothing_changes_and_without_the_law_they_take_no_time() -> None:
    trace = generate("philly", 200, 9, largest=8)
    plain, harsh = (tell(trace, "2x8:A100", laws, policy("las")) for laws in ({}, LAW))
    assert list(plain.log.lines()) == list(harsh.log.lines())
    told = tell([(HALF, 60.0)], "1x1:A100", {}, [CUT, (1.0, Start(0, at("n0/0#4")))])
    assert said(told, Partitioned) == [Partitioned(0.0, "n0/0", TWO)]
