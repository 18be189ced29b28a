"""The law of sharing: what two jobs on one accelerator keep of their speed; worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.sharing import Sharing
from gpuyard.envs.profiles import builtin
from gpuyard.envs.vocabulary import InvalidDecision, Partition, Preempt, Resize, Start
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from tales import at, ended, ends, said, tell

LAW = {"sharing": Sharing()}
HERE = at("n0/0")


def half(number: int, profile: str | None = None, submit: float = 0.0) -> Job:
    return Job(number, submit, share=0.5, profile=profile, checkpoint=0)


def test_each_of_a_pair_keeps_what_was_measured_until_the_other_leaves() -> None:
    """On a V100 ResNet-50 keeps 0.482 beside a transformer, which keeps 0.202 (Gavel).

    ResNet's 482 s of work end at 1000; the transformer has done 202 s by then, and its other 101 s take 101 s.
    """
    jobs = [(half(0, "resnet"), 482.0), (half(1, "transformer"), 303.0)]
    told = tell(jobs, "1x1:V100", LAW, [(0.0, Start(0, HERE)), (0.0, Start(1, HERE))])
    assert ended(told) == ends((1000.0, 0, "finished", 482.0, 0.0), (1101.0, 1, "finished", 303.0, 0.0))


def test_beside_several_it_keeps_the_product() -> None:
    """Three without a profile keep 0.686^2 each; the second comes at 100, the third at 200.

    Job 0 by 100: 100 s; by 200: 168.6 s; by 300: 168.6 + 47.0596 = 215.6596 s, its whole work.
    Job 1, with 1000 s, has 68.6 + 47.0596 = 115.6596 by 300. Job 2 has 47.0596 s of 115.6596 then; the 68.6 s left
    beside job 1 alone take 100 s: it ends at 400. Job 1 has 184.2596 s then, and ends after 815.7404 s more.
    """
    jobs = [
        (Job(0, 0.0, share=0.3), 215.6596),
        (Job(1, 100.0, share=0.3), 1000.0),
        (Job(2, 200.0, share=0.3), 115.6596),
    ]
    told = tell(jobs, "1x1:V100", LAW, [(100.0 * n, Start(n, HERE)) for n in range(3)])
    assert ended(told) == ends(
        (300.0, 0, "finished", 215.6596, 0.0),
        (400.0, 2, "finished", 115.6596, 0.0),
        (1215.7404, 1, "finished", 1000.0, 0.0),
    )


def test_no_two_built_in_families_are_infeasible() -> None:
    """Refusals come with tables that say so, as in the next tale, or with the memory that jobs ask for."""
    known = builtin()
    kept = [known.kept(one, two, kind) for one in known.of for two in known.of for kind in ("V100", "P100", "K80")]
    assert sum(part is not None for part in kept) == 3 * 6 * 6, "all but speech"
    assert all(part > 0 for part in kept if part is not None)


def test_an_infeasible_pair_is_refused_and_placed_apart(tmp_path: Path) -> None:
    """b does not fit beside a: no policy can pack them, and `packed` finds it another accelerator, or none."""
    table = tmp_path / "two.toml"
    table.write_text(
        "[profiles.a.near]\nV100 = { m = [[1, 1]] }\n[profiles.b.near]\nV100 = { m = [[1, 1]] }\n"
        "[kept.V100]\na = { a = 0.5, b = 0.0 }\nb = { a = 0.5 }\n"
    )
    laws = {"sharing": Sharing(profiles=str(table))}
    jobs = [(half(0, "a"), 100.0), (half(1, "b"), 50.0), (half(2, "a"), 50.0)]
    with pytest.raises(InvalidDecision, match="job 1 needs 500/1000 of n0/0, beside 'a' 'b' does not fit on V100"):
        tell(jobs[:2], "1x1:V100", laws, [(0.0, Start(0, HERE)), (0.0, Start(1, HERE))])
    told = tell(jobs, "1x2:V100", laws, policy("fifo"))
    assert said(told, Start) == [Start(0, HERE), Start(1, at("n0/1")), Start(2, HERE)]
    told = tell(jobs[:2], "1x1:V100", laws, policy("fifo"))
    assert ended(told) == ends((100.0, 0, "finished", 100.0, 0.0), (150.0, 1, "finished", 50.0, 0.0))


def test_a_packed_gang_goes_at_the_pace_of_its_most_crowded_accelerator() -> None:
    """A gang of two at half shares has company on one of its accelerators: it keeps 0.686 while that is there.

    Job 1's 68.6 s take 100 s; the gang has done 68.6 of 168.6 s then.
    """
    jobs = [(Job(0, 0.0, 2), 168.6), (half(1), 68.6)]
    script = [(0.0, Start(0, at("n0/0", "n0/1"), share=0.5)), (0.0, Start(1, at("n0/1")))]
    told = tell(jobs, "1x2:V100", LAW, script)
    assert ended(told) == ends((100.0, 1, "finished", 68.6, 0.0), (200.0, 0, "finished", 168.6, 0.0))


def test_a_gang_that_shrinks_frees_its_neighbour() -> None:
    """At 100 the packed gang gives up the accelerator that job 1 shares.

    Job 1 has done 68.6 of 168.6 s: the other 100 s take 100 s. The gang has 68.6 s done too, and its rest of 31.4 s
    is as fast (there is no law of speed).
    """
    jobs = [(Job(0, 0.0, 2, min_gang=1), 100.0), (half(1), 168.6)]
    script = [
        (0.0, Start(0, at("n0/0", "n0/1"), share=0.5)),
        (0.0, Start(1, at("n0/1"))),
        (100.0, Resize(0, at("n0/0"))),
    ]
    told = tell(jobs, "1x2:V100", LAW, script)
    assert ended(told) == ends((131.4, 0, "finished", 100.0, 0.0), (200.0, 1, "finished", 168.6, 0.0))


def test_one_leaves_while_the_other_is_restoring() -> None:
    """Restoring takes 30 s, saving nothing (no stall, nothing to write).

    0 to 100: job 1 alone, preempted with 100 of 200 s. From 100 job 0 works alone, from 110 beside job 1, which
    restores until 140 and holds its place. Job 0's 23.72 s: 10 alone, 13.72 beside it: it leaves at 130. Job 1 works
    from 140, alone: it ends at 240.
    """
    law = Checkpoints(stall=0, restore_s=30)
    jobs = [(half(0), 23.72), (half(1), 200.0)]
    script = [(0.0, Start(1, HERE)), (100.0, Preempt(1)), (100.0, Start(0, HERE)), (110.0, Start(1, HERE))]
    told = tell(jobs, "1x1:V100", LAW | {"checkpoints": law}, script)
    assert ended(told) == ends(
        (100.0, 1, "preempted", 100.0, 0.0), (130.0, 0, "finished", 23.72, 0.0), (240.0, 1, "finished", 200.0, 0.0)
    )


def test_instances_are_walls_and_less_than_was_asked_is_slower() -> None:
    """Two on MIG instances feel nothing; job 1 asked for a whole accelerator and got half of one: 100 s take 200 s."""
    jobs = [(Job(0, 0.0, share=0.4), 100.0), (Job(1, 0.0), 100.0)]
    script = [
        (0.0, Partition("n0/0", ("3g.40gb", "4g.40gb"))),
        (1.0, Start(0, at("n0/0#4"))),
        (1.0, Start(1, at("n0/0#0"), share=0.5)),
    ]
    told = tell(jobs, "1x1:H100", LAW, script)
    assert ended(told) == ends((101.0, 0, "finished", 100.0, 0.0), (201.0, 1, "finished", 100.0, 0.0))


def test_a_part_kept_is_a_part() -> None:
    with pytest.raises(BadInput, match=r"kept = 1\.5 cannot be"):
        Sharing(kept=1.5)


@pytest.mark.parametrize("name", ["fifo", "las"])
def test_without_shares_nothing_changes(name: str) -> None:
    trace = generate("philly", 200, 2, largest=8)
    plain, harsh = (tell(trace, "2x8:V100", laws, policy(name)) for laws in ({}, LAW))
    assert list(plain.log.lines()) == list(harsh.log.lines())
