"""Conservative backfilling: stories, and the promise that it keeps."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Start
from gpuyard.experiments.names import policy
from gpuyard.policies.conservative import Conservative, conservative
from gpuyard.policies.orders import sjf
from gpuyard.traces.job import Job, Trace


def starts(policy: Conservative, jobs: list[tuple[float, int, float]], cluster: str) -> dict[int, float]:
    """job -> when it started; jobs are (submission, gang, seconds), with true estimates."""
    made = tuple(Job(n, at, gang, estimate=run) for n, (at, gang, run) in enumerate(jobs))
    log = Session(SimWorld(Trace(made, {n: run for n, (_, _, run) in enumerate(jobs)}), parse(cluster))).play(policy)
    return {entry.job: time for time, entry in log.timed() if isinstance(entry, Start)}


def test_the_second_in_line_is_not_delayed_either() -> None:
    """Four accelerators. 0 holds two until 10; 1 wants four, is promised 10 to 20; 2 wants three, is promised 20.

    3 would hold two until 14: EASY lets it pass if it did not delay 1; it does. 4 ends by 10 and delays nobody.
    """
    jobs = [(0.0, 2, 10.0), (1.0, 4, 10.0), (2.0, 3, 5.0), (3.0, 2, 12.0), (4.0, 2, 6.0)]
    assert starts(conservative, jobs, "1x4:A") == {0: 0.0, 4: 4.0, 1: 10.0, 2: 20.0, 3: 25.0}


def test_where_easy_lets_one_pass_that_delays_the_second() -> None:
    """0 holds 3 of 4 until 10. 1 wants 2: promised 10. 2 wants all for 10 s: promised 20, when 1 ends.

    3 wants one for 30 s: started now it leaves 1 its two at 10, which is all that EASY asks, but 2 would wait until 33.
    """
    jobs = [(0.0, 3, 10.0), (1.0, 2, 10.0), (2.0, 4, 10.0), (3.0, 1, 30.0)]
    assert starts(policy("easy"), jobs, "1x4:A") == {0: 0.0, 1: 10.0, 2: 33.0, 3: 3.0}  # type: ignore[arg-type]
    assert starts(conservative, jobs, "1x4:A") == {0: 0.0, 1: 10.0, 2: 20.0, 3: 30.0}


def test_it_takes_the_order_of_another() -> None:
    assert policy("conservative(sjf)") == Conservative(sjf.score)


def brute(jobs: list[tuple[float, int, float]], size: int) -> dict[int, float]:
    """The same in whole seconds on a table of free accelerators: jobs are promised in order, at once and for good.

    With true estimates nothing ever ends sooner, so promises made at submission stay as they are.
    """
    free = [size] * 2000
    told = {}
    for number, (at, gang, run) in enumerate(jobs):
        first = next(t for t in range(int(at), 1900) if all(free[s] >= gang for s in range(t, t + max(int(run), 1))))
        for second in range(first, first + int(run)):
            free[second] -= gang
        told[number] = float(first)
    return told


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4), st.integers(1, 12)), min_size=1, max_size=25),
)
@settings(max_examples=200, deadline=None)
def test_on_one_node_it_is_the_table_of_a_brute_force(gaps: list[tuple[int, int, int]]) -> None:
    jobs, now = [], 0.0
    for gap, gang, run in gaps:
        now += gap
        jobs.append((now, gang, float(run)))
    assert starts(replace(conservative, depth=1000), jobs, "1x4:A") == brute(jobs, 4)
