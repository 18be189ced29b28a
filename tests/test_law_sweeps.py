"""The law of sweeps: trials are cancelled unless they are among the best; worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.sweeps import Sweeps
from gpuyard.envs.nodes import parse
from gpuyard.envs.vocabulary import Preempt, Start
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from tales import at, ended, ends, tell

HALVES = Sweeps(halving=2, rungs=1, noise=0.0)
HERE = at("n0/0")


def quality(number: int) -> float:
    """A trial's loss, as the world of seed 0 draws it."""
    return float(HarshWorld(Trace((), {}), parse("1x1:V100")).rng("sweeps", number).normal(size=2)[0])


def trials(order: list[int]) -> list[tuple[Job, float]]:
    """Trials of 100 s, one after the other in the queue."""
    return [(Job(number, float(at), group="lr"), 100.0) for at, number in enumerate(order)]


GOOD_FIRST = sorted(range(4), key=quality)


def test_after_a_good_one_those_that_follow_are_cancelled_half_way() -> None:
    """One accelerator, best first. 1: nobody to compare with. 2 and 3: the best one of two and of three goes on, not
    they. 4: of four the best two go on, not it. Each is cancelled after 50 s."""
    a, b, c, d = GOOD_FIRST
    told = tell(trials(GOOD_FIRST), "1x1:V100", {"sweeps": HALVES}, policy("fifo"))
    assert ended(told) == ends(
        (100.0, a, "finished", 100.0, 0.0),
        (150.0, b, "cancelled", 50.0, 0.0),
        (200.0, c, "cancelled", 50.0, 0.0),
        (250.0, d, "cancelled", 50.0, 0.0),
    )


def test_each_that_is_the_best_so_far_goes_on() -> None:
    told = tell(trials(GOOD_FIRST[::-1]), "1x1:V100", {"sweeps": HALVES}, policy("fifo"))
    assert [(row[0], row[2]) for row in ended(told)] == [(100.0 * n, "finished") for n in (1, 2, 3, 4)]


def test_a_sweep_compares_its_own_trials_alone() -> None:
    a, b, *_ = GOOD_FIRST
    jobs = [(Job(a, 0.0, group="lr"), 100.0), (Job(b, 1.0, group="decay"), 100.0), (Job(99, 2.0), 100.0)]
    told = tell(jobs, "1x1:V100", {"sweeps": HALVES}, policy("fifo"))
    assert {row[2] for row in ended(told)} == {"finished"}


def test_a_trial_reports_once_at_a_rung() -> None:
    """The good one is stopped at 60, after its report at 50, and goes on at 100; its second half has no report.

    The other reports at 150 + 50, is second of two, and is cancelled with 50 s done.
    """
    a, b, *_ = GOOD_FIRST
    script = [(0.0, Start(a, HERE)), (60.0, Preempt(a)), (100.0, Start(a, HERE)), (150.0, Start(b, HERE))]
    told = tell([(Job(n, 0.0, group="lr"), 100.0) for n in (a, b)], "1x1:V100", {"sweeps": HALVES}, script)
    assert ended(told) == ends(
        (60.0, a, "preempted", 60.0, 0.0), (140.0, a, "finished", 100.0, 0.0), (200.0, b, "cancelled", 50.0, 0.0)
    )


def test_rungs_go_up_by_the_halving_and_noise_goes_down() -> None:
    """Work / 64, / 16, / 4; the losses differ from the quality by noise / 4^rung."""
    law = Sweeps(halving=4, rungs=3, noise=0.5)
    a, *_, d = GOOD_FIRST
    jobs = [(Job(a, 0.0, group="lr"), 64.0), (Job(d, 100.0, group="lr"), 64.0)]
    told = tell(jobs, "1x1:V100", {"sweeps": replace(law, noise=0.0)}, policy("fifo"))
    assert ended(told) == ends((64.0, a, "finished", 64.0, 0.0), (101.0, d, "cancelled", 1.0, 0.0))
    world = HarshWorld(Trace((), {}), parse("1x1:V100"))
    following = law.begin(world)
    losses = np.array([following.losses(Job(n, 0.0)) for n in range(500)])
    truth = np.array([quality(n) for n in range(500)])
    assert (losses - truth[:, None]).std(0) == pytest.approx([0.5, 0.5 / 4, 0.5 / 16], rel=0.1)


def test_what_a_sweep_cannot_be() -> None:
    for said in ({"halving": 1}, {"rungs": 0}, {"noise": -1.0}, {"noise": float("nan")}, {"noise": float("inf")}):
        with pytest.raises(BadInput, match="sweeps: halving = "):
            Sweeps(**said)
    for rungs in (1, 7):
        with pytest.raises(BadInput, match=f"rungs = {rungs} cannot be"):
            Sweeps(halving=10**16 if rungs == 1 else 1000, rungs=rungs)
    assert Sweeps(halving=1000, rungs=5)


def test_without_groups_nothing_changes() -> None:
    trace = generate("philly", 200, 11, largest=8)
    plain, harsh = (tell(trace, "2x8:V100", laws, policy("las")) for laws in ({}, {"sweeps": HALVES}))
    assert list(plain.log.lines()) == list(harsh.log.lines())
