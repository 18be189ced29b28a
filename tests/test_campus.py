"""Campus: what its `about` claims. Each of its laws acts on its own jobs, and its load is that of a busy hall."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from gpuyard.envs.log import Entry, Log
from gpuyard.envs.metrics import summary
from gpuyard.envs.scenario import all_laws, scenario
from gpuyard.envs.vocabulary import Measured, Priced, Sample
from gpuyard.experiments.simulate import simulate
from gpuyard.policies.orders import fifo
from gpuyard.traces.source import open_trace
from tales import without

CAMPUS = scenario("campus")
TELLS = {"eyes", "market", "power"}
"""Laws that tell, and change nothing that jobs do."""
ELSEWHERE = {"clouds", "spot", "partitions"}
"""Laws that want clouds, or kinds with MIG."""


@cache
def log(law: str = "") -> Log:
    """The first 800 jobs under all laws but one."""
    assert CAMPUS.trace is not None
    whole = open_trace(CAMPUS.trace)
    laws = {name: one for name, one in CAMPUS.laws.items() if name != law}
    return simulate(whole.of(whole.jobs[:800]), replace(CAMPUS, laws=laws), fifo)


def deeds(law: str = "") -> list[Entry]:
    return without(log(law), Measured, Priced)


def samples(law: str = "") -> list[Sample]:
    return [sample for entry in log(law).entries if isinstance(entry, Measured) for sample in entry.samples]


def test_all_laws_are_on_that_can_act_on_its_kinds() -> None:
    assert set(CAMPUS.laws) == set(all_laws()) - ELSEWHERE
    assert CAMPUS.tuned


@pytest.mark.parametrize("law", sorted(set(CAMPUS.laws) - TELLS))
def test_a_law_that_acts_changes_what_becomes_of_jobs(law: str) -> None:
    assert deeds(law) != deeds()


def test_the_laws_that_tell_do() -> None:
    """All of busy, memory, watts and link is told of some accelerators at work; without the law it is not."""
    told = [(s.busy or 0) > 0 and (s.memory or 0) > 0 and (s.watts or 0) > 0 and (s.link or 0) > 0 for s in samples()]
    assert any(told)
    assert all(s.busy is s.memory is s.link is None for s in samples("eyes"))
    assert all(s.watts is None for s in samples("power"))
    meter, dark = log().replay().meter, log("market").replay().meter
    assert meter.grams is not None
    assert meter.usd is not None
    assert dark.grams is dark.usd is None


def test_its_load_is_that_of_a_busy_hall() -> None:
    """First come, first served: waits of minutes to hours, and while jobs come 0.3 to 0.8 of it is in use."""
    assert CAMPUS.trace is not None
    whole = open_trace(CAMPUS.trace)
    played = simulate(whole, CAMPUS, fifo)
    coming = Log(played.nodes, [one for time, one in played.timed() if time <= whole.jobs[-1].submit], played.tenants)
    wait, use = summary(played).mean_wait, summary(coming).utilization
    assert wait is not None
    assert use is not None
    assert 120 < wait < 4 * 3600
    assert 0.3 < use < 0.8
