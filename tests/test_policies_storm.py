"""Policies with a will of their own in a world with every law on: what they decide is legal, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Stopped
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job, Trace
from tales import Befalls, grid
from witness import Witness

DAYS: Any = {"slot": 2.0, "day": 6.0, "restart": 0.1}
HASTY: dict[str, Callable[[], Policy]] = {
    "afs": lambda: replace(policy("afs"), rest=3.0, restart=0.1),  # type: ignore[type-var]
    "optimus": lambda: replace(policy("optimus"), rest=3.0, restart=0.1),  # type: ignore[type-var]
    "pollux": lambda: replace(policy("pollux"), rest=3.0, restart=0.1, tick=2.0),  # type: ignore[type-var]
    "gandiva": lambda: replace(policy("gandiva"), tick=3.0),  # type: ignore[type-var]
    "burst": lambda: replace(policy("burst"), patience=2.0, hold=1.0, rest=3.0),  # type: ignore[type-var]
    "burst_ahead": lambda: replace(policy("burst_ahead(srtf)"), patience=2.0, hold=1.0),  # type: ignore[type-var]
    "ces": lambda: replace(policy("ces(gandiva)"), every=1.0, day=20.0, buffer=0.0),  # type: ignore[type-var]
    "sleepy": lambda: replace(policy("burst(sleepy(afs))").inner, idle=2.0),  # type: ignore[attr-defined]
    "carbon_scaler": lambda: replace(policy("carbon_scaler"), rest=1.0, **DAYS),  # type: ignore[type-var]
    "wait_awhile": lambda: replace(policy("wait_awhile"), tick=1.0, **DAYS),  # type: ignore[type-var]
}
"""The policies, as hasty as that world is."""
WEATHER = Befalls(grid(*[100.0, 20.0, 60.0] * 9, site="hall", slot=2.0))
"""Days of three slots."""


@st.composite
def told(draw: st.DrawFn) -> Trace:
    """Jobs of any kind, all with estimates, right or wrong."""
    trace = draw(storm.traces())
    jobs = tuple(replace(job, estimate=draw(st.sampled_from([0.0, 1.0, 8.0, 50.0]))) for job in trace.jobs)
    return replace(trace, jobs=jobs)


@pytest.mark.parametrize("name", HASTY)
@given(told(), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_all_that_is_decided_in_a_storm_is_legal(name: str, trace: Trace, seed: int) -> None:
    session, one = Session(storm.world(trace, seed, weather=WEATHER)), HASTY[name]()
    witness = Witness(session.cluster.nodes, session.cluster.tenants, trace.durations)
    seen = 0
    for _ in range(120):
        if not session.advance():
            break
        for decision in one.decide(session.cluster):
            session.act(decision)
        for entry in session.log.entries[seen:]:
            witness.follow(entry)
        seen = len(session.log.entries)
    assert session.log.replay().state() == session.cluster.state()


@pytest.mark.parametrize(
    "name", ["tiresias", "tiresias_gittins", "gandiva", "afs", "optimus", "pollux", "wait_awhile", "carbon_scaler"]
)
def test_with_the_longest_restart_that_it_takes_all_come_to_an_end(name: str) -> None:
    """Nine jobs of an hour, on two accelerators: whoever is stopped has done something."""
    one = replace(policy(name))  # type: ignore[type-var]
    jobs = tuple(Job(n, 60.0 * n, 1 + n % 2, estimate=3600.0) for n in range(9))
    trace = Trace(jobs, {job.id: 3600.0 for job in jobs})
    world = SimWorld(trace, parse("1x2:V100"), restart=one.longest_restart, tick=one.tick)  # type: ignore[attr-defined]
    log = Session(world).play(one)
    stops = [entry for entry in log.entries if isinstance(entry, Stopped)]
    assert {stop.job for stop in stops if stop.reason == "finished"} == set(trace.durations)
    assert len(stops) < 400
