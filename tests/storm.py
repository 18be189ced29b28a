"""A world with every law on, small and hasty: within a minute of it everything has happened."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.clouds import Pool
from gpuyard.envs.laws.law import Law
from gpuyard.envs.laws.market import Place
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.scenario import all_laws
from gpuyard.envs.session import Session
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.traces.job import Job, Trace
from strategies import Random

GIB = 2**30


def node(name: str, kind: str, count: int, **more: Any) -> Node:
    return Node(name, tuple(Accelerator(f"{name}/{i}", kind, 16 * GIB) for i in range(count)), **more)


NODES = (
    node("n0", "V100", 3, cpus=8, memory=64 * GIB, rack="r0", site="hall"),
    node("n1", "V100", 2, cpus=4.5, rack="r0", site="hall", watts=300.0, pue=1.4),
    node("m0", "A100", 2, site="hall"),
    node("t0", "TPU-v4", 4, site="hall"),
    node("s0", "V100", 2, cpus=8, site="hall", pool="hall", watts=400.0),
    node("c0", "V100", 2, site="east", pool="cloud", present=False, spot=True, usd_per_hour=5.0),
    node("c1", "V100", 2, cpus=8, site="east", pool="cloud", spot=True, usd_per_hour=5.0),
    Node("h0", cpus=4, memory=32 * GIB, site="hall"),
)
SEATS = [(n.id, a.id) for n in NODES for a in n.accelerators]
TENANTS = Tenants((Tenant("a", quota=3, borrow=2, lend=1), Tenant("b", quota=4), Tenant("c", quota=1.5, lend=0)), 3.0)
HASTY: dict[str, dict[str, Any]] = {
    "checkpoints": {
        "interval": 4.0, "stall": 0.5, "restore_s": 1.5, "grace": 3.0, "requeue": 1.5, "gigabytes": 2.0,
    },
    "clouds": {
        "pools": {
            "cloud": Pool(delay=4, sigma=0.5, stockout=0.3, answer=2, minimum=30, egress=0.09, image=2),
            "hall": Pool(delay=3),
        },
        "wan_gb_s": 1.0,
    },
    "eyes": {"every": 7.0},
    "failures": {"mtbf": 50.0, "accelerator": 0.5, "rack": 0.3, "repairs": ((0.7, 1.0, 0.5), (0.3, 9.0, 1.0))},
    "market": {"places": {"hall": Place(carbon=300.0, price=0.2), "cloud": Place(spot="synthetic")}},
    "mishaps": {"probability": 0.3, "scale": 10.0},
    "partitions": {"seconds": 3.0, "reset": 6.0},
    "power": {"tdp": 300.0},
    "spot": {"chaos": 1000.0, "notice": 3.0},
    "stragglers": {"every": 20.0, "lasts": 5.0, "link_every": 20.0, "link_lasts": 5.0},
    "sweeps": {"halving": 2, "rungs": 2},
}  # fmt: skip
"""Parameters that make things happen within a minute; a law that is not named here has its defaults."""


def laws() -> dict[str, Law]:
    """Every law there is."""
    return {name: law(**HASTY.get(name, {})) for name, law in all_laws().items()}


def world(trace: Trace, seed: int = 0, **more: Law) -> HarshWorld:
    return HarshWorld(trace, NODES, {**laws(), **more}, tenants=TENANTS, tick=5.0, seed=seed, tuned=bool(seed % 2))


@st.composite
def jobs(draw: st.DrawFn, number: int, submit: float) -> Job:
    """A job of any kind that this world knows."""
    gang = draw(st.sampled_from([1, 1, 1, 2, 3, 4, 0]))
    share = draw(st.sampled_from([1.0, 1.0, 0.5, 0.25, 0.125])) if gang == 1 else 1.0
    kinds = draw(st.sampled_from([(), ("V100",), ("V100",), ("A100", "V100"), ("TPU-v4",)]))
    elastic = gang > 0 and share == 1 and draw(st.booleans())
    return Job(
        number,
        submit,
        gang,
        share,
        kinds=kinds if gang else (),
        cpus=draw(st.sampled_from([None, None, 0.7, 3.0])),
        host_memory=draw(st.sampled_from([None, 8 * GIB])),
        tenant=draw(st.sampled_from(["a", "a", "b", "b", "c", None])),
        deadline=draw(st.sampled_from([None, submit + 30.0])),
        preemptible=draw(st.sampled_from([True, True, True, False])),
        profile=draw(st.sampled_from([None, "resnet", "lm"])) if kinds == ("V100",) and gang else None,
        min_gang=1 if elastic else None,
        max_gang=draw(st.integers(gang, 6)) if elastic else None,
        memory=draw(st.sampled_from([None, None, 4 * GIB, 9 * GIB])),
        checkpoint=draw(st.sampled_from([None, 10**9, 5 * 10**9])),
        after=tuple(draw(st.sets(st.integers(max(number - 3, 0), number - 1), max_size=2)))
        if number and draw(st.integers(0, 3)) == 0
        else (),
        group=draw(st.sampled_from([None, None, "sweep"])),
        sites=draw(st.sampled_from([(), (), ("hall",), ("east", "hall")])),
        data=draw(st.sampled_from([None, 10**9])),
    )


@st.composite
def traces(draw: st.DrawFn, least: int = 1) -> Trace:
    made, durations, regimes, now = [], {}, {}, 0.0
    for number in range(draw(st.integers(least, 12))):
        now += draw(st.sampled_from([0.0, 0.0, 1.0, 2.5, 6.0]))
        made.append(draw(jobs(number, now)))
        durations[number] = draw(st.sampled_from([0.0, 1.0, 6.5, 20.0, 45.0]))
        if draw(st.integers(0, 4)) == 0:
            regimes[number] = ((0.0, 1.0), (0.4, 2.0), (0.7, 0.5))
    return Trace(tuple(made), durations, regimes=regimes)


def told(trace: Trace, seed: int) -> Session:
    """The first moments of a world in which somebody decides at random, but legally."""
    session, policy = Session(world(trace, seed)), Random(np.random.default_rng(seed))
    for _ in range(80):
        if not session.advance():
            break
        for decision in policy.decide(session.cluster):
            session.act(decision)
    return session
