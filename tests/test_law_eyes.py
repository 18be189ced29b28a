"""The law of eyes: what is seen of accelerators; worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import numpy as np
import pytest

from gpuyard.envs.laws.eyes import USUAL, Eyes
from gpuyard.envs.laws.power import Power
from gpuyard.envs.meter import Meter
from gpuyard.envs.nodes import parse
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
    """0.67 for one without a profile, then 0.86 more: 1. Their memory adds up; one that does not say leaves it open: of
    speech nobody measured any, of no profile nobody could.
    """
    jobs = [
        (Job(0, 0.0, share=0.3, memory=3), 100.0),
        (Job(1, 10.0, share=0.3, profile="resnet", memory=4), 100.0),
        (Job(2, 20.0, share=0.3, profile="speech"), 100.0),
    ]
    told = tell(jobs, "1x1:V100", CLEAR, [(10.0 * n, Start(n, HERE)) for n in range(3)])
    seen = [(time, s.busy, s.memory) for time, s in looks(told)]
    assert seen[1:4] == [(0.0, USUAL, 3), (10.0, 1.0, 7), (20.0, 1.0, None)]
    assert seen[4][:2] == pytest.approx((100.0, 1.0))


def test_gangs_have_link_traffic() -> None:
    """ResNet-50: 5.38e8 bytes a second from each of a gang; unknown for a gang without a profile."""
    jobs = [(Job(0, 0.0, 2, profile="resnet"), 10.0), (Job(1, 0.0, 2), 10.0)]
    told = tell(jobs, "1x4:V100", CLEAR, [(0.0, Start(n, at(f"n0/{2 * n}", f"n0/{2 * n + 1}"))) for n in range(2)])
    began = [s.link for time, s in looks(told) if time == 0.0 and s.busy]
    assert began == [5.38e8, 5.38e8, None, None]


def test_memory_is_the_jobs_own_else_its_profiles_at_most_what_there_is() -> None:
    """Transformers use 12.4 GB, a recommender 2.15 GB. A V100 has 16 GiB, 17.18 GB: two transformers fill it, and start
    none the less; a job's own word goes before its profile.
    """
    jobs = [
        (Job(0, 0.0, share=0.3, profile="transformer"), 30.0),
        (Job(1, 10.0, share=0.3, profile="transformer"), 10.0),
        (Job(2, 40.0, share=0.3, profile="recommendation"), 20.0),
        (Job(3, 50.0, share=0.3, profile="transformer", memory=1_000_000_000), 10.0),
    ]
    script = [(time, Start(n, HERE)) for n, time in enumerate((0.0, 10.0, 40.0, 50.0))]
    seen = [(time, s.memory) for time, s in looks(tell(jobs, "1x1:V100", CLEAR, script))]
    assert seen[:2] == [(0.0, 0), (0.0, 12_400_000_000)]
    assert seen[2:6] == [(10.0, 16 * 2**30), (20.0, 12_400_000_000), (30.0, 0), (40.0, 2_150_000_000)]
    assert seen[6:] == [(50.0, 3_150_000_000), (60.0, 0)]


def test_a_profile_uses_no_more_of_an_instance_than_its_part() -> None:
    """0.1 of 80 GiB is less than the 12.4 GB of a transformer."""
    script = [(0.0, Partition("n0/0", ("1g.10gb",))), (1.0, Start(0, at("n0/0#0")))]
    told = tell([(Job(0, 0.0, share=0.1, profile="transformer"), 10.0)], "1x1:H100", CLEAR, script)
    (run,) = {s.memory for _, s in looks(told) if s.busy}
    assert run == int(0.1 * 80 * 2**30)


def test_link_traffic_has_the_noise_of_busy_and_memory_has_none() -> None:
    """ResNet-50 on two V100: 0.86 busy, 5.38e8 bytes a second, both times the same factor; 5.79 GB."""
    job, pair = Job(0, 0.0, 2, profile="resnet"), at("n0/0", "n0/1")
    told = tell([(job, 500.5)], "1x2:V100", {"eyes": Eyes(0.05, every=1.0)}, [(0.0, Start(0, pair))])
    seen = [s for _, s in looks(told) if s.busy and s.busy < 1]
    busy, link = (np.array(column, np.float64) for column in ([s.busy for s in seen], [s.link for s in seen]))
    assert len(seen) > 900
    assert busy.std() == pytest.approx(0.05 * 0.86, rel=0.1)
    np.testing.assert_allclose(link / 5.38e8, busy / 0.86)
    assert {s.memory for s in seen} == {5_790_000_000}


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
    assert seen.mean(600.0).busy == pytest.approx(0.86 * (1 - exp(-1)))
    assert seen.mean(900.0).busy == pytest.approx(0.86 * (1 - exp(-1)) * exp(-1))


def test_the_mean_is_of_all_that_is_seen() -> None:
    """Two looks 300 s apart, then 300 s more: what was first told at 300 has its mean from there.

    Busy 0.2, then 0.8: at 300 the mean is 0.2, at 600 it is 0.8 - 0.6 / e. Memory 100, then 300: 300 - 200 / e. Watts
    50, then not told: 50 as before. Links not told, then 40: 40. At 900 a third look tells all: watts go on from 50.
    """
    meter, kept = Meter({"n0": parse("1x1:V100")[0]}), exp(-1)
    meter.measure(Measured(0.0, (Sample("n0/0", 0.2, 100, 50.0, None),)))
    assert meter.seen["n0/0"].mean(0.0) == (0.2, 100, 50.0, None)
    meter.measure(Measured(300.0, (Sample("n0/0", 0.8, 300, None, 40.0),)))
    assert meter.seen["n0/0"].mean(300.0) == pytest.approx((0.2, 100, 50.0, 40.0))
    assert meter.seen["n0/0"].mean(600.0) == pytest.approx((0.8 - 0.6 * kept, 300 - 200 * kept, 50.0, 40.0))
    meter.measure(Measured(900.0, (Sample("n0/0", 0.8, 300, 70.0, 10.0),)))
    last = meter.seen["n0/0"].mean(1200.0)
    assert (last.watts, last.link) == pytest.approx((70 - 20 * kept, 10 + 30 * kept))


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
