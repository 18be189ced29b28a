"""The law of tuned jobs, and what they are told; worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpuyard.envs.laws.power import Power
from gpuyard.envs.laws.tuned import Tuned
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import parse
from gpuyard.envs.scenario import Scenario
from gpuyard.envs.session import Session
from gpuyard.envs.tuning import speedup, tuning
from gpuyard.envs.vocabulary import Decision, InvalidDecision, Measured, Move, Resize, Start, Tuning
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job
from gpuyard.traces.synthetic import generate
from tales import Script, at, ended, ends, said, tell, trace_of, without

LAW = {"tuned": Tuned()}
HERE = at("n0/0")
RESNET = Job(0, 0.0, profile="resnet")


@pytest.mark.parametrize(
    ("kind", "told", "speed"),
    [
        ("V100", Tuning("fp16"), 2.26),
        ("V100", Tuning("bf16"), 1.0),  # which a V100 does not have: nobody measured it
        ("V100", Tuning(batch=128), 1.28),
        ("V100", Tuning(batch=64), 1.0),
        ("V100", Tuning(watts=150.0), 1.0),  # that is the law of power's
        ("A100", Tuning("bf16"), 1.57),
        ("A100", Tuning("bf16", compile=True), 1.57 * 1.41),
        ("A100", Tuning(compile=True), 1.0),  # it was measured on top of mixed precision
        ("V100-32GB", Tuning("fp16"), 2.26),  # as fast as a V100
        ("K80", Tuning("fp16", True, 128), 1.12),
    ],
)
def test_a_tuning_speeds_up_by_what_was_measured(kind: str, told: Tuning, speed: float) -> None:
    ended_at = tell([(RESNET, 100 * speed)], f"1x1:{kind}", LAW, [(0.0, Start(0, HERE, told))])
    assert ended(ended_at) == ends((100.0, 0, "finished", 100 * speed, 0.0))


def test_a_family_by_another_name_has_a_batch_that_nobody_knows() -> None:
    assert speedup(Tuning(batch=128), "ResNet-50 (batch size 64)", "V100") == 1.0
    assert speedup(Tuning("fp16"), "ResNet-50 (batch size 64)", "V100") == 2.26
    assert speedup(Tuning("fp16"), "unheard-of", "V100") == 1.0
    assert speedup(None, "resnet", "V100") == 1.0


def test_what_is_told_is_the_best_that_is_known() -> None:
    """A V100's limit is 0.6 of its 300 W; a K80 has no fast precision, so its batch is told; a T4 has nothing."""
    assert tuning(RESNET, "V100") == Tuning("fp16", watts=180.0)
    assert tuning(RESNET, "A100") == Tuning("bf16", compile=True)
    assert tuning(RESNET, "K80") == Tuning(batch=128)
    assert tuning(replace(RESNET, profile="ResNet-50 (batch size 64)"), "K80") is None
    assert tuning(RESNET, "T4") is None
    assert tuning(Job(0, 0.0), "P100") == Tuning(watts=180.0)


def test_in_a_tuned_world_every_start_is_told() -> None:
    """fp16 makes it 2.26 times as fast, its limit of 180 W (0.6) 0.899 times: 226 x 0.899 s take 100 s.

    The second says for itself what it wants; the third needs no accelerator. A recommender's 100 s at batch 8192 on a
    P100 are 1.34 times as fast and, at its limit of 180 W (0.6 of 300), 0.965 times.
    """
    jobs = [
        (RESNET, 226 * 0.899),
        (Job(1, 0.0, profile="resnet"), 100.0),
        (Job(2, 0.0, 0), 100.0),
        (Job(3, 0.0, profile="recommendation"), 134 * 0.965),
    ]
    script = [
        (0.0, Start(0, HERE)),
        (0.0, Start(1, at("n0/1"), Tuning("fp32"))),
        (0.0, Start(2, (("n0", ()),))),
        (0.0, Start(3, at("n1/0"))),
    ]
    told = tell(jobs, "1x2:V100+1x1:P100", LAW | {"power": Power()}, script, tuned=True)
    assert [one.tuning for one in said(told, Start)] == [
        Tuning("fp16", watts=180.0),
        Tuning("fp32"),
        None,
        Tuning(batch=8192, watts=180.0),
    ]
    assert sorted(row[1] for row in ended(told)) == [0, 1, 2, 3]
    assert [row[0] for row in ended(told)] == pytest.approx([100.0] * 4)


FP16, BF16 = Tuning("fp16", watts=180.0), Tuning("bf16", compile=True)


@pytest.mark.parametrize(
    ("decision", "said_so", "speed"),
    [
        (Move(0, at("n1/0")), BF16, 1.57 * 1.41),  # an A100: other words, and no limit of a V100's watts
        (Resize(0, at("n1/0", "n1/1")), BF16, 1.57 * 1.41),
        (Move(0, at("n2/0")), Tuning(), 1.0),  # a T4, of which nothing is known: the old words are withdrawn
        (Move(0, at("n0/1")), None, 2.26 * 0.899),  # a V100 again: what it was told still holds
        (Resize(0, at("n0/0", "n0/1")), None, 2.26 * 0.899),
        (Move(0, at("n1/0"), Tuning("bf16")), Tuning("bf16"), 1.57),  # the policy says for itself
    ],
)
def test_in_a_tuned_world_a_job_on_another_kind_is_told_anew(
    decision: Decision, said_so: Tuning | None, speed: float
) -> None:
    """100 s on a V100 at 2.26, and 0.899 by its limit of 180 W; then what is left takes 100 s more where it is."""
    jobs = [(replace(RESNET, max_gang=2), 226 * 0.899 + 100 * speed)]
    laws = LAW | {"power": Power()}
    told = tell(jobs, "1x2:V100+1x2:A100+1x1:T4", laws, [(0.0, Start(0, HERE)), (100.0, decision)], tuned=True)
    assert [one.tuning for one in said(told, Start, Move, Resize)] == [FP16, said_so]
    assert [row[0] for row in ended(told)] == pytest.approx([200.0])


def test_what_a_mover_is_told_is_kept_by_the_log_and_the_ledger(tmp_path: Path) -> None:
    """A log read back says the same, and so does its ledger; a limit that cannot be is refused."""
    script = [(0.0, Start(0, HERE)), (10.0, Move(0, at("n2/0"))), (20.0, Move(0, at("n1/0")))]
    told = tell([(RESNET, 1000.0)], "1x2:V100+1x2:A100+1x1:T4", LAW, script, tuned=True)
    told.log.write(tmp_path / "log.jsonl")
    again = Log.read(tmp_path / "log.jsonl")
    assert again.entries == told.log.entries
    moves = [at for at, entry in enumerate(again.entries) if isinstance(entry, Move)]
    ledgers = [Log(again.nodes, again.entries[: at + 1]).replay() for at in moves]
    assert [ledger.running[0].tuning for ledger in ledgers] == [Tuning(), BF16]
    with pytest.raises(InvalidDecision, match="job 0 cannot be limited to -5 W"):
        tell([(RESNET, 100.0)], "1x2:V100", LAW, [(0.0, Start(0, HERE)), (1.0, Move(0, at("n0/1"), Tuning(watts=-5)))])


def test_a_tuned_scenario_tells_every_start() -> None:
    world = Scenario("one", parse("1x1:V100"), laws=LAW, tuned=True).world(trace_of([(RESNET, 226.0)]))
    told = Session(world)
    told.play(Script([(0.0, Start(0, HERE))]))
    assert ended(told) == ends((100.0, 0, "finished", 226.0, 0.0))


def test_without_tunings_nothing_changes() -> None:
    trace = generate("philly", 200, 4, largest=8)
    plain, harsh = (tell(trace, "2x8:V100", laws, policy("las")) for laws in ({}, LAW))
    assert list(plain.log.lines()) == list(harsh.log.lines())


def test_tunings_without_the_laws_change_nothing_but_what_is_said() -> None:
    """Jobs are told, and nobody minds: the starts differ by their tunings alone."""
    drawn = generate("philly", 100, 5, largest=8)
    trace = replace(drawn, jobs=tuple(replace(job, profile="resnet") for job in drawn.jobs))
    plain, told = (tell(trace, "2x8:V100", {}, policy("fifo"), tuned=tuned) for tuned in (False, True))
    assert without(told.log, Measured) != without(plain.log, Measured)
    untold = [replace(one, tuning=None) if isinstance(one, Start) else one for one in told.log.entries]
    assert untold == plain.log.entries
