"""What policies remember: of each session by itself, and no longer than it lasts."""

from __future__ import annotations

import gc
import weakref
from copy import deepcopy

import pytest

import storm
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Start, Stopped
from gpuyard.experiments.names import all_policies, policy
from gpuyard.policies.memory import Memory, forget
from gpuyard.traces.job import Job
from tales import at, tell, trace_of

JOBS = [(Job(n, float(n), 1 + n % 2, estimate=5.0, name="train"), 5.0) for n in range(6)]


def test_each_session_is_remembered_by_itself_and_a_copy_is_empty() -> None:
    one, other = (tell(JOBS, "1x2:V100", {}, []).cluster for _ in range(2))
    memory = Memory[list[str]]()
    memory.of(one, list).append("one")
    memory.of(other, list).append("other")
    assert memory.of(one, pytest.fail) == ["one"]
    assert memory.of(other, pytest.fail) == ["other"]
    assert deepcopy(memory).of(one, list) == []


@pytest.mark.parametrize("name", all_policies())
def test_no_policy_keeps_a_ledger_whose_session_is_over(name: str) -> None:
    one = deepcopy(policy(name))
    session = Session(storm.world(trace_of(JOBS)))
    session.play(one)
    ledger = weakref.ref(session.cluster)
    del session
    gc.collect()
    assert ledger() is None


def test_a_job_is_forgotten_when_it_neither_waits_nor_runs_nor_is_held() -> None:
    """Of four jobs one has ended, one was stopped and is held, one runs, and one waits."""
    session = Session(SimWorld(trace_of([(Job(n, 0.0), 5.0) for n in range(4)]), parse("1x3:A"), restart=0.0))
    session.advance()
    for job in range(3):
        session.act(Start(job, at(f"n0/{job}")))
    session.cluster.observe(Stopped(1.0, 0, "finished", 5.0))
    session.cluster.observe(Stopped(1.0, 1, "preempted", 1.0, held=True))
    of = dict(enumerate(("ended", "held", "runs", "waits")))
    assert forget(of, session.cluster) == {0: "ended"}
    assert of == {1: "held", 2: "runs", 3: "waits"}
