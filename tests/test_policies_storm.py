"""Policies with a will of their own in a world with every law on: what they decide is legal, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storm
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Stopped
from gpuyard.experiments.names import all_policies, policy
from gpuyard.policies.zeus import Zeus
from gpuyard.traces.job import Job, Trace
from strategies import Random
from tales import Befalls, grid
from witness import Witness, watched

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
    "zeus": lambda: Zeus(window=2.0, warmup=1.0),
    "zeus(gandiva)": lambda: Zeus(replace(policy("gandiva"), tick=3.0), window=2.0, warmup=0.0),  # type: ignore[type-var]
    "zeus(afs)": lambda: Zeus(replace(policy("afs"), rest=3.0, restart=0.1), window=2.0, warmup=0.0),  # type: ignore[type-var]
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
    watched(session, one, witness)


def hastened(one: Any) -> Policy:
    """A copy of a policy, as hasty as that world is as far as it can be."""
    known = {f.name for f in fields(one)} if is_dataclass(one) else set()
    hasty = {"tick": 3.0, "lease": 6.0, "round": 6.0, "longest_restart": 1.5, "profiling": 5.0}
    changed: Policy = replace(deepcopy(one), **{name: value for name, value in hasty.items() if name in known})
    return changed


@pytest.mark.parametrize("name", all_policies())
@given(told(), st.integers(0, 9), st.integers(0, 25))
@settings(max_examples=12, deadline=None)
def test_whoever_began_a_policy_can_go_on(name: str, trace: Trace, seed: int, moments: int) -> None:
    """For some moments somebody decides at random; and nothing that is decided then is refused."""
    session, one = Session(storm.world(trace, seed)), hastened(policy(name))
    begins = Random(np.random.default_rng(seed))
    for moment in range(120):
        if not session.advance():
            break
        for decision in (begins if moment < moments else one).decide(session.cluster):
            session.act(decision)
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
