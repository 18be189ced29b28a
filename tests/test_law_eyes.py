"""The law of eyes: what is seen of accelerators; worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import numpy as np
import pytest

from gpuyard.envs.laws.eyes import USUAL, Eyes
from gpuyard.envs.laws.power import Power
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import Measured, Partition, Sample, Start
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from tales import at, tell, without

CLEAR = {"eyes": Eyes(noise=0.0)}
HERE = at("n0/0")


def looks(told: Session) -> list[tuple[float, Sample]]:
    return [(e.time, sample) for e in told.log.entries if isinstance(e, Measured) for sample in e.samples]


def test_who_comes_and_goes_is_seen() -> None:
    """ResNet-50 keeps a V100 0.86 busy; it says 3 GB of memory; alone it has no link traffic."""
    told = tell([(Job(0, 10.0, profile="resnet", memory=3), 100.0)], "1x1:V100", CLEAR, [(10.0, Start(0, HERE))])
    idle, work = Sample("n0/0", 0.0, 0, None, 0.0), Sample("n0/0", 0.86, 3, None, 0.0)
    assert looks(told) == [(0.0, idle), (10.0, work), (110.0, idle)]


def test_those_that_share_add_up_to_one_at_most() -> None:
    """0.67 for one without a profile, then 0.86 more: 1. Their memory adds up; one that does not say leaves it open."""
    jobs = [
        (Job(0, 0.0, share=0.3, memory=3), 100.0),
        (Job(1, 10.0, share=0.3, profile="resnet", memory=4), 100.0),
        (Job(2, 20.0, share=0.3, profile="recommendation"), 100.0),
    ]
    told = tell(jobs, "1x1:V100", CLEAR, [(10.0 * n, Start(n, HERE)) for n in range(3)])
    seen = [(time, s.busy, s.memory) for time, s in looks(told)]
    assert seen[1:4] == [(0.0, USUAL, 3), (10.0, 1.0, 7), (20.0, 1.0, None)]
    assert seen[4][:2] == pytest.approx((100.0, 0.86 + 0.03))


def test_gangs_have_link_traffic() -> None:
    """ResNet-50: 5.38e8 bytes a second from each of a gang; unknown for a gang without a profile."""
    jobs = [(Job(0, 0.0, 2, profile="resnet"), 10.0), (Job(1, 0.0, 2), 10.0)]
    told = tell(jobs, "1x4:V100", CLEAR, [(0.0, Start(n, at(f"n0/{2 * n}", f"n0/{2 * n + 1}"))) for n in range(2)])
    began = [s.link for time, s in looks(told) if time == 0.0 and s.busy]
    assert began == [5.38e8, 5.38e8, None, None]


def test_an_instance_can_be_busy_no_more_than_its_part() -> None:
    """0.67 of 0.4; the look is at the whole accelerator."""
    script = [(0.0, Partition("n0/0", ("3g.40gb",))), (1.0, Start(0, at("n0/0#0")))]
    told = tell([(Job(0, 0.0, share=0.4), 10.0)], "1x1:H100", CLEAR, script)
    assert [(time, s.accelerator, s.busy) for time, s in looks(told)][1:] == [
        (1.0, "n0/0", pytest.approx(0.4 * USUAL)),
        (11.0, "n0/0", 0.0),
    ]


def test_the_ledger_keeps_the_last_look_and_a_mean() -> None:
    """Idle until 300, 0.86 until 600: the mean over 300 s has come to 0.86 (1 - 1/e), and 300 s later to that / e."""
    jobs = [(Job(0, 300.0, profile="resnet"), 300.0), (Job(1, 900.0, 0), 1.0)]
    told = tell(jobs, "1x1:V100", CLEAR, [(300.0, Start(0, HERE)), (900.0, Start(1, (("n0", ()),)))])
    seen = told.cluster.meter.seen["n0/0"]
    assert (seen.sample.busy, seen.since) == (0.0, 600.0)
    assert seen.busy(600.0) == pytest.approx(0.86 * (1 - exp(-1)))
    assert seen.busy(900.0) == pytest.approx(0.86 * (1 - exp(-1)) * exp(-1))


def test_every_so_often_those_at_work_are_looked_at() -> None:
    told = tell([(Job(0, 0.0), 100.0)], "1x2:V100", {"eyes": Eyes(0.0, every=30.0)}, [(0.0, Start(0, HERE))])
    seen = [(time, s.accelerator) for time, s in looks(told)]
    assert seen == [
        (0.0, "n0/0"),
        (0.0, "n0/1"),
        (0.0, "n0/0"),
        *((30.0 * n, "n0/0") for n in (1, 2, 3)),
        (100.0, "n0/0"),
    ]


def test_noise_is_relative_and_what_is_seen_is_drawn() -> None:
    """A thousand looks at 0.67 with 5 %: their mean and deviation; watts are 32 + 268 x what was seen."""
    laws = {"eyes": Eyes(0.05, every=1.0), "power": Power()}
    told = tell([(Job(0, 0.0), 1000.5)], "1x1:V100", laws, [(0.0, Start(0, HERE))])
    busy = np.array([s.busy for _, s in looks(told)][2:-1], np.float64)
    watts = np.array([s.watts for _, s in looks(told)][2:-1], np.float64)
    assert len(busy) == 1000
    assert busy.mean() == pytest.approx(USUAL, abs=4 * 0.05 * USUAL / 1000**0.5)
    assert busy.std() == pytest.approx(0.05 * USUAL, rel=0.1)
    np.testing.assert_allclose(watts, 32 + 268 * busy)


def test_what_eyes_cannot_be() -> None:
    with pytest.raises(BadInput, match=r"noise = 1\.0"):
        Eyes(noise=1.0)
    with pytest.raises(BadInput, match=r"every = 0\.0"):
        Eyes(every=0.0)
    with pytest.raises(BadInput, match="every = inf"):
        Eyes(every=float("inf"))


@pytest.mark.parametrize(("law", "name"), [(Eyes(), "las"), (Eyes(every=600.0), "fifo")])
def test_it_adds_looks_and_nothing_else(law: Eyes, name: str) -> None:
    """Looks every so often wake the policy as ticks do: fifo does not mind, las would."""
    drawn = generate("philly", 200, 8, largest=8)
    trace = replace(drawn, jobs=tuple(replace(job, profile="lm") for job in drawn.jobs))
    plain, harsh = (tell(trace, "2x8:V100", laws, policy(name)) for laws in ({}, {"eyes": law}))
    assert without(harsh.log, Measured) == plain.log.entries
