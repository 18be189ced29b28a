"""The law of power: draws, energy and what a limit costs; worked out by hand.

A V100 idles at 32 W and draws at most 300 W. ResNet-50 keeps it 0.86 busy: 32 + 268 x 0.86 = 262.48 W. At half of its
limit it works at 0.853 and needs 0.796 of the energy for the same work; at 0.6, 0.899 and 0.806.
"""

from __future__ import annotations

import pytest

from gpuyard.envs.laws.power import Power, curves, limited
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.vocabulary import Cap, InvalidDecision, Measured, Provision, Release, Start, Tuning
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from tales import at, draws, ended, ends, tell, without

LAW = {"power": Power()}
RESNET = Job(0, 0.0, profile="resnet")
HERE = at("n0/0")
FULL = 262.48


def test_energy_of_one_at_work_and_one_idle() -> None:
    told = tell([(RESNET, 100.0)], "1x2:V100", LAW, [(0.0, Start(0, HERE))])
    assert draws(told)[-3:] == [(0.0, "n0/1", 32.0), (0.0, "n0/0", pytest.approx(FULL)), (100.0, "n0/0", 32.0)]
    assert told.cluster.meter.joules == pytest.approx(100 * (FULL + 32))


def test_hosts_and_buildings_count() -> None:
    """A host draws 100 W, and each watt costs 1.5 W from the grid."""
    node = Node("n0", (Accelerator("n0/0", "V100"),), watts=100.0, pue=1.5)
    told = tell([(RESNET, 100.0)], [node], LAW, [(0.0, Start(0, HERE))])
    assert told.cluster.meter.joules == pytest.approx(100 * (FULL + 100) * 1.5)


@pytest.mark.parametrize(("law", "watts"), [(Power(), 542.594), (Power(context=False), 492.694)])
def test_a_live_context_draws(law: Power, watts: float) -> None:
    """An H100: 71.8 + 49.9 + (700 - 71.8) x 0.67, which is how busy a job without a profile keeps it."""
    told = tell([(Job(0, 0.0), 100.0)], "1x1:H100", {"power": law}, [(0.0, Start(0, HERE))])
    assert told.cluster.meter.joules == pytest.approx(100 * watts)


def test_the_draw_bends_with_its_exponent_and_two_jobs_fill_it() -> None:
    """Alone: 32 + 268 x 0.86^0.5; two of them: min(1.72, 1), all 300 W."""
    jobs = [(Job(n, 0.0, share=0.5, profile="resnet"), 100.0 * (n + 1)) for n in range(2)]
    script = [(0.0, Start(0, HERE)), (0.0, Start(1, HERE))]
    told = tell(jobs, "1x1:V100", {"power": Power(alpha=0.5)}, script)
    assert told.cluster.meter.joules == pytest.approx(100 * 300 + 100 * (32 + 268 * 0.86**0.5))


def test_a_limit_in_the_middle_of_a_run() -> None:
    """50 s at full power; the other 50 s of work take 50 / 0.853 s and 0.796 of their energy."""
    told = tell([(RESNET, 100.0)], "1x1:V100", LAW, [(0.0, Start(0, HERE)), (50.0, Cap("n0/0", 150.0))])
    assert ended(told) == ends((50 + 50 / 0.853, 0, "finished", 100.0, 0.0))
    assert told.cluster.meter.joules == pytest.approx(50 * FULL * (1 + 0.796))


def test_a_limit_that_is_lifted_again() -> None:
    """From 20 to 60 it does 40 x 0.853 = 34.12 s of its 100 s."""
    script = [(0.0, Start(0, HERE)), (20.0, Cap("n0/0", 150.0)), (60.0, Cap("n0/0", None))]
    told = tell([(RESNET, 100.0)], "1x1:V100", LAW, script)
    assert ended(told) == ends((60 + 80 - 34.12, 0, "finished", 100.0, 0.0))
    assert told.cluster.meter.joules == pytest.approx(FULL * (100 - 34.12 + 34.12 * 0.796))


def test_between_two_measured_limits_it_lies_between_them() -> None:
    """165 W are 0.55 of 300: speed 0.876, energy 0.801."""
    assert limited("V100", 0.55) == pytest.approx((0.876, 0.801))


def test_below_the_lowest_measured_limit_nothing_changes_any_more() -> None:
    """As at 0.4: speed 0.725."""
    told = tell([(RESNET, 72.5)], "1x1:V100", LAW, [(0.0, Cap("n0/0", 10.0)), (0.0, Start(0, HERE))])
    assert ended(told) == ends((100.0, 0, "finished", 72.5, 0.0))


@pytest.mark.parametrize("kind", [kind for kind in curves() if kind != "P100"])
def test_energy_rises_again_below_some_limit(kind: str) -> None:
    """As Zeus measured: the least energy is neither at the lowest limit nor at the highest."""
    energies = [energy for _, _, energy in curves()[kind]]
    assert min(energies) < min(energies[0], energies[-1])
    assert min(energies) == pytest.approx(min(limited(kind, part / 100)[1] for part in range(45, 100)), rel=0.01)


def test_a_gang_goes_at_the_pace_of_its_slowest() -> None:
    """One of two is limited: both at 0.853; it draws 0.853 x 0.796 of its watts, the other all."""
    job = Job(0, 0.0, 2, profile="resnet")
    told = tell([(job, 85.3)], "1x2:V100", LAW, [(0.0, Cap("n0/1", 150.0)), (0.0, Start(0, at("n0/0", "n0/1")))])
    assert ended(told) == ends((100.0, 0, "finished", 85.3, 0.0))
    assert told.cluster.meter.joules == pytest.approx(100 * FULL * (1 + 0.853 * 0.796))


def test_a_told_limit_holds_for_those_beside_it_and_no_longer() -> None:
    """Job 1 was told 180 W: both work at 0.899 until its 89.9 s are done at 100; job 0 then has its 100 s before it."""
    jobs = [(Job(0, 0.0, share=0.5), 189.9), (Job(1, 0.0, share=0.5), 89.9)]
    script = [(0.0, Start(0, HERE)), (0.0, Start(1, HERE, Tuning(watts=180.0)))]
    told = tell(jobs, "1x1:V100", LAW, script)
    assert ended(told) == ends((100.0, 1, "finished", 89.9, 0.0), (200.0, 0, "finished", 189.9, 0.0))


def test_the_lower_of_two_limits_holds() -> None:
    told = tell(
        [(RESNET, 85.3)], "1x1:V100", LAW, [(0.0, Cap("n0/0", 150.0)), (0.0, Start(0, HERE, Tuning(watts=180.0)))]
    )
    assert ended(told) == ends((100.0, 0, "finished", 85.3, 0.0))


def test_a_sleeping_node_draws_nothing() -> None:
    """Two nodes of a pool on the premises, each a host of 100 W and a V100 of 32 W; n1 sleeps from 100 to 400."""
    nodes = [Node(f"n{n}", (Accelerator(f"n{n}/0", "V100"),), pool="hall", watts=100.0) for n in range(2)]
    script = [(0.0, Start(0, HERE)), (100.0, Release("n1")), (400.0, Provision("hall"))]
    told = tell([(RESNET, 1000.0)], nodes, LAW, script)
    assert told.cluster.meter.joules == pytest.approx(1000 * (100 + FULL) + 700 * 132)


def test_unknown_kinds_are_refused_or_given_watts() -> None:
    with pytest.raises(BadInput, match="tdp = inf"):
        Power(tdp=float("inf"))
    with pytest.raises(BadInput, match=r"the draw of 'Abacus' is not known; give laws\.power\.tdp"):
        tell([(RESNET, 1.0)], "1x1:Abacus", LAW, [])
    told = tell([(Job(0, 0.0), 100.0)], "1x1:Abacus", {"power": Power(tdp=100.0)}, [(0.0, Start(0, HERE))])
    assert told.cluster.meter.joules == pytest.approx(100 * (10 + 90 * 0.67))


@pytest.mark.parametrize("watts", [0.0, -1.0, float("nan")])
def test_a_limit_is_above_zero(watts: float) -> None:
    with pytest.raises(InvalidDecision, match="n0/0 cannot be limited"):
        tell([(RESNET, 1.0)], "1x1:V100", LAW, [(0.0, Cap("n0/0", watts))])


def test_without_limits_watts_are_seen_and_nothing_else_changes() -> None:
    trace = generate("philly", 200, 7, largest=8)
    plain, harsh = (tell(trace, "2x8:V100", laws, policy("las")) for laws in ({}, LAW))
    assert without(harsh.log, Measured) == plain.log.entries
    looks = [sample for look in harsh.log.entries if isinstance(look, Measured) for sample in look.samples]
    assert looks
    assert all(s.watts is not None and s.busy is s.memory is s.link is None for s in looks)
