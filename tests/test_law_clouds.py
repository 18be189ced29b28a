"""The law of clouds: nodes that come late, and what it costs to be far from the data; worked out by hand.

The hall has one V100. The cloud has two that can be rented for 3.6 USD an hour, a thousandth of a dollar a second; they
come after 300 s, are due for 600 s, fetch an image in 120 s, and 9 cents are asked for a GB that leaves. A GB takes 8 s
from site to site.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.clouds import Clouds, Pool
from gpuyard.envs.laws.law import Law
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.placement import packed
from gpuyard.envs.scenario import scenario
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import (
    Billed,
    Decision,
    Declined,
    InvalidDecision,
    Move,
    Moved,
    NodeDown,
    NodeUp,
    Placement,
    Preempt,
    Priced,
    Provision,
    Release,
    Start,
)
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job
from gpuyard.traces.source import open_trace
from gpuyard.traces.synthetic import generate
from gpuyard.traces.trouble import BadInput
from tales import at, ended, ends, said, tell

GB = 1_000_000_000
POOL = Pool(delay=300, minimum=600, egress=0.09, image=120)
LAW = {"clouds": Clouds({"cloud": POOL})}
NODES = (
    Node("n0", (Accelerator("n0/0", "V100"),), site="hall"),
    *(
        Node(f"c{n}", (Accelerator(f"c{n}/0", "V100"),), site="cloud", pool="cloud", present=False, usd_per_hour=3.6)
        for n in range(2)
    ),
)
HALL, CLOUD = at("n0/0"), at("c0/0")
JOB = Job(0, 0.0, checkpoint=GB)
RENT = (0.0, Provision("cloud"))
WATCH = (Job(9, 0.0, 0), 2000.0)
"""Keeps the tale going."""
WATCHED = (0.0, Start(9, (("n0", ()),)))


def test_a_rented_node_from_first_to_last() -> None:
    """There at 300; the image until 420; the job until 520, when its GB of results comes home for 0.09 USD.

    Given back at 1000, after 700 s: 0.7 USD of rent, nothing of the minimum.
    """
    told = tell([(JOB, 100.0), WATCH], NODES, LAW, [RENT, WATCHED, (300.0, Start(0, CLOUD)), (1000.0, Release("c0"))])
    assert said(told, NodeUp, NodeDown, Billed) == [
        NodeUp(300.0, "c0"),
        Billed(520.0, 0.09, "egress of job 0 from cloud"),
        NodeDown(1000.0, "c0", "released"),
    ]
    assert ended(told)[0] == ends((520.0, 0, "finished", 100.0, 0.0))[0]
    assert told.cluster.meter.usd == pytest.approx(0.7 + 0.09)


def test_a_minimum_is_due_in_any_case() -> None:
    """Given back after 200 s: 0.2 USD of rent, and 0.4 for the 400 s that are left of the minimum."""
    told = tell([WATCH], NODES, LAW, [RENT, WATCHED, (500.0, Release("c0"))])
    assert said(told, Billed) == [Billed(500.0, 400 * 3.6 / 3600, "minimum rent of c0")]
    assert told.cluster.meter.usd == pytest.approx(0.6)


def test_what_is_given_back_can_be_rented_again_and_fetches_its_image_again() -> None:
    """Back at 1000, asked for at 1100, there at 1400; the second job works from 1520 on."""
    jobs = [(JOB, 100.0), (Job(1, 0.0), 100.0), WATCH]
    script = [
        RENT, WATCHED, (300.0, Start(0, CLOUD)), (1000.0, Release("c0")), (1100.0, Provision("cloud")),
        (1400.0, Start(1, CLOUD)),
    ]  # fmt: skip
    told = tell(jobs, NODES, LAW, script)
    assert ended(told)[:2] == ends((520.0, 0, "finished", 100.0, 0.0), (1620.0, 1, "finished", 100.0, 0.0))


def test_an_image_is_fetched_once_for_a_node() -> None:
    """Job 0 comes at 300 and works from 420 on; job 1, beside it from 360 on, from 420 on; job 2 at 530 at once."""
    jobs = [*((Job(n, 0.0, share=0.3), 100.0) for n in range(3)), WATCH]
    script = [RENT, WATCHED, *((time, Start(n, CLOUD)) for n, time in enumerate((300.0, 360.0, 530.0)))]
    told = tell(jobs, NODES, LAW, script)
    assert [row[0] for row in ended(told)][:3] == [520.0, 520.0, 630.0]


def test_a_gang_waits_for_the_image_on_each_of_its_nodes() -> None:
    """c0 has it from 420 on; c1, rented at 200, comes at 500 and has it at 620."""
    jobs = [(JOB, 10.0), (Job(1, 0.0, 2), 100.0), WATCH]
    script = [
        RENT,
        WATCHED,
        (200.0, Provision("cloud")),
        (300.0, Start(0, CLOUD)),
        (500.0, Start(1, at("c0/0", "c1/0"))),
    ]
    told = tell(jobs, NODES, LAW, script)
    assert [row[0] for row in ended(told)][:2] == [430.0, 720.0]


def test_a_stock_out_is_known_after_a_while() -> None:
    law = {"clouds": Clouds({"cloud": replace(POOL, stockout=1.0, answer=60.0)})}
    told = tell([WATCH], NODES, law, [(0.0, Provision("cloud", 2)), WATCHED, (70.0, Provision("cloud", 2))])
    assert said(told, Declined, NodeUp) == [Declined(time, "cloud", 1) for time in (60.0, 60.0, 130.0, 130.0)]
    assert not told.cluster.meter.usd


def test_delays_vary_by_their_sigma() -> None:
    """exp(ln 300 + 0.5 z): the median is 300 s, and each world of a seed has its own."""
    law = {"clouds": Clouds({"cloud": replace(POOL, sigma=0.5)})}
    delays = sorted(
        up.time for seed in range(60) for up in said(tell([WATCH], NODES, law, [RENT, WATCHED], seed=seed), NodeUp)
    )
    assert len(delays) == len(set(delays)) >= 59, "one may come after the tale has ended"
    assert 240 < delays[30] < 375
    again = said(tell([WATCH], NODES, law, [RENT, WATCHED], seed=3), NodeUp)
    assert again == said(tell([WATCH], NODES, law, [RENT, WATCHED], seed=3), NodeUp)


def test_data_travel_first() -> None:
    """5 GB from the hall: 40 s after the image; what leaves the hall costs nothing."""
    told = tell([(replace(JOB, data=5 * GB), 100.0)], NODES, LAW, [RENT, (300.0, Start(0, CLOUD))])
    assert ended(told) == ends((560.0, 0, "finished", 100.0, 0.0))
    assert said(told, Billed) == [Billed(560.0, 0.09, "egress of job 0 from cloud")]


@pytest.mark.parametrize(
    ("sites", "there", "end", "usd"),
    [
        (("cloud",), CLOUD, 520.0, 0.0),  # they are where they may be
        (("hall", "cloud"), CLOUD, 560.0, 0.0),  # they are at the first
        (("cloud", "hall"), HALL, 440.0, 0.45),  # 5 GB leave the cloud
    ],
)
def test_data_are_at_the_first_of_their_sites(sites: tuple[str, ...], there: Placement, end: float, usd: float) -> None:
    job = Job(0, 0.0, data=5 * GB, sites=sites, checkpoint=0)
    told = tell([(job, 100.0)], NODES, LAW, [RENT, (300.0, Start(0, there))])
    assert ended(told) == ends((end, 0, "finished", 100.0, 0.0))
    assert sum(bill.usd for bill in said(told, Billed)) == pytest.approx(usd)


def test_data_that_may_not_leave_do_not() -> None:
    with pytest.raises(InvalidDecision, match="job 0 cannot stand on V100@hall: not with its memory, sites or gang"):
        tell([(Job(0, 0.0, sites=("cloud",)), 1.0)], NODES, LAW, [(0.0, Start(0, HALL))])
    with pytest.raises(InvalidDecision, match="job 0 may not leave cloud"):
        tell([(Job(0, 0.0, 0, sites=("cloud",)), 1.0)], NODES, {}, [(0.0, Start(0, (("n0", ()),)))])


def test_a_gang_does_not_span_sites() -> None:
    script = [RENT, WATCHED, (300.0, Start(0, at("n0/0", "c0/0")))]
    with pytest.raises(InvalidDecision, match="job 0 wants one kind, the placement has V100@cloud, V100@hall"):
        tell([(Job(0, 0.0, 2), 1.0), WATCH], NODES, LAW, script)


def test_a_move_home_takes_its_state_and_its_data_along() -> None:
    """Working in the cloud from 420, moved at 450 with 30 s done: its GB for 0.09 USD takes 8 s; data are at home.

    Had its data been in the cloud, their 5 GB would have cost 0.45 USD and 40 s.
    """
    script = [RENT, (300.0, Start(0, CLOUD)), (450.0, Move(0, HALL))]
    told = tell([(replace(JOB, data=None), 100.0)], NODES, LAW, script)
    assert said(told, Moved) == [Moved(450.0, 0)]
    assert ended(told) == ends((528.0, 0, "finished", 100.0, 0.0))
    assert said(told, Billed) == [Billed(450.0, 0.09, "egress of job 0 from cloud")]
    job = replace(JOB, data=5 * GB, sites=("cloud", "hall"))
    told = tell([(job, 100.0)], NODES, LAW, script)
    assert ended(told) == ends((568.0, 0, "finished", 100.0, 0.0))
    assert sum(bill.usd for bill in said(told, Billed)) == pytest.approx(0.54)


@pytest.mark.parametrize(
    ("clouds", "from_", "to", "there", "end"),
    [
        (True, HALL, CLOUD, 420.0, 575.0),
        (True, CLOUD, at("c1/0"), 430.0, 565.0),
        (False, HALL, CLOUD, 430.0, 565.0),
    ],
)
def test_a_move_between_sites_carries_the_state_once(
    clouds: bool, from_: Placement, to: Placement, there: float, end: float
) -> None:
    """Asked at 400 with 100 s done of 200: 10 + 10 / 1 = 20 s of saving. Restoring takes 30 + 10 / 2 = 35 s.

    Between sites 10 GB take 20 s at 0.5 GB/s, when the job has its new place; to another node of the cloud, or of
    whatever there is without the law, 10 s at 1 GB/s before it has.
    """
    laws: dict[str, Law] = {"checkpoints": Checkpoints(interval=1000, stall=10)}
    if clouds:
        laws["clouds"] = Clouds({"cloud": Pool(delay=300)}, wan_gb_s=0.5)
    jobs = [(replace(JOB, checkpoint=10 * GB), 200.0)]
    script = [(0.0, Provision("cloud", 2)), (300.0, Start(0, from_)), (400.0, Move(0, to))]
    told = tell(jobs, NODES, laws, script)
    assert said(told, Moved) == [Moved(there, 0)]
    assert ended(told) == ends((end, 0, "finished", 200.0, 0.0))


@pytest.mark.parametrize(
    ("job", "gigabytes"),
    [(Job(0, 0.0), 5.0), (Job(0, 0.0, profile="resnet"), 0.204), (Job(0, 0.0, profile="resnet", checkpoint=GB), 1.0)],
)
def test_a_state_of_which_the_job_does_not_speak_travels_too(job: Job, gigabytes: float) -> None:
    """5 GB of anybody, 204 MB of a ResNet: 8 s a GB on the way to the hall, where it goes on, and 9 cents each."""
    script = [RENT, (300.0, Start(0, CLOUD)), (450.0, Preempt(0)), (460.0, Start(0, HALL))]
    told = tell([(job, 100.0)], NODES, LAW, script)
    assert ended(told)[1:] == ends((530.0 + 8 * gigabytes, 0, "finished", 100.0, 0.0))
    (bill,) = said(told, Billed)
    assert bill.usd == pytest.approx(0.09 * gigabytes)


def test_one_that_has_kept_nothing_has_no_state() -> None:
    """Lost in the cloud at 450 without any law of checkpoints, it begins anew in the hall, at once."""
    fall = (450.0, lambda stage: stage.fall("c0", "failed"))
    told = tell([(JOB, 100.0)], NODES, LAW, [RENT, (300.0, Start(0, CLOUD)), (450.0, Start(0, HALL))], [fall])
    assert ended(told) == ends((450.0, 0, "lost", 0.0, 30.0), (550.0, 0, "finished", 100.0, 0.0))
    assert not said(told, Billed)


def test_a_preempted_job_goes_on_at_another_site_with_its_state() -> None:
    """30 s done in the hall at 310; a node with its image waits since 430: 8 s for the GB, from 508 on."""
    jobs = [(JOB, 100.0), (Job(1, 0.0), 10.0)]
    script = [RENT, (280.0, Start(0, HALL)), (300.0, Start(1, CLOUD)), (310.0, Preempt(0)), (500.0, Start(0, CLOUD))]
    told = tell(jobs, NODES, LAW, script)
    assert ended(told) == ends(
        (310.0, 0, "preempted", 30.0, 0.0), (430.0, 1, "finished", 10.0, 0.0), (578.0, 0, "finished", 100.0, 0.0)
    )


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ([(0.0, Provision("cloud", 3))], "pool 'cloud' cannot give 3 nodes: 2 more may come"),
        ([RENT, (10.0, Provision("cloud", 2))], "pool 'cloud' cannot give 2 nodes: 1 more may come"),
        ([(0.0, Provision("moon"))], "there is no pool 'moon'; there is cloud"),
        ([(0.0, Release("c0"))], "node c0 is absent"),
        ([RENT, (300.0, Start(0, CLOUD)), (310.0, Release("c0"))], "jobs stand on it"),
        ([RENT, (300.0, Release("c0")), (300.0, Start(0, CLOUD))], "job 0 cannot have c0/0: it is taken"),
        ([(0.0, Start(0, CLOUD))], "job 0 cannot have c0/0: it is taken"),
    ],
)
def test_what_a_pool_cannot_give(script: list[tuple[float, Provision]], complaint: str) -> None:
    with pytest.raises(InvalidDecision, match=complaint):
        tell([(JOB, 100.0), WATCH], NODES, LAW, [WATCHED, *script])


def test_a_node_of_no_pool_stays() -> None:
    with pytest.raises(InvalidDecision, match="node n0 is of no pool: it cannot be given back"):
        tell([(JOB, 100.0)], NODES, LAW, [(0.0, Release("n0"))])


def test_a_node_on_the_premises_sleeps_and_wakes() -> None:
    """A pool without rent or image: asleep from 100 on, woken at 200, there after its boot of 90 s."""
    nodes = [NODES[0], replace(NODES[1], pool="rack", present=True, site="hall", usd_per_hour=0.0)]
    law = {"clouds": Clouds({"rack": Pool(delay=90, minimum=0)})}
    script = [WATCHED, (100.0, Release("c0")), (200.0, Provision("rack")), (290.0, Start(0, CLOUD))]
    told = tell([(JOB, 100.0), WATCH], nodes, law, script)
    assert said(told, NodeDown, NodeUp) == [NodeDown(100.0, "c0", "released"), NodeUp(290.0, "c0")]
    assert ended(told)[0] == ends((390.0, 0, "finished", 100.0, 0.0))[0]
    assert told.cluster.meter.usd is None


def test_without_the_law_nodes_are_there_at_once_for_their_rent() -> None:
    told = tell([(JOB, 100.0), WATCH], NODES, {}, [RENT, WATCHED, (1.0, Start(0, CLOUD)), (500.0, Release("c0"))])
    assert said(told, NodeUp, NodeDown) == [NodeUp(0.0, "c0"), NodeDown(500.0, "c0", "released")]
    assert told.cluster.meter.usd == pytest.approx(0.5)


def test_what_clouds_cannot_be() -> None:
    with pytest.raises(BadInput, match="stockout = 2"):
        Pool(stockout=2)
    with pytest.raises(BadInput, match="delay = -1"):
        Pool(delay=-1)
    with pytest.raises(BadInput, match="wan_gb_s = 0"):
        Clouds(wan_gb_s=0)
    with pytest.raises(BadInput, match="gigabytes = -1"):
        Clouds(gigabytes=-1)
    with pytest.raises(
        BadInput, match=r"clouds\.home: no node is at site 'mars'; name it in 'site' of its nodes\. There"
    ):
        tell([(JOB, 1.0)], NODES, {"clouds": Clouds(home="mars")}, [])
    with pytest.raises(BadInput, match="no node is of pool 'moon'"):
        tell([(JOB, 1.0)], NODES, {"clouds": Clouds({"moon": Pool()})}, [])


@dataclass
class Renting:
    """Rents all there is at once, and starts each waiting job on the first node of another site that it may have."""

    rented: bool = False

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        if not self.rented:
            self.rented = True
            yield from (Provision(pool, 8) for pool in ("east", "west-spot"))
        for job in list(cluster.pending):
            if placement := packed(replace(job, sites=job.sites or ("east", "west")), cluster.room):
                yield Start(job.id, placement)


def test_the_hybrid_scenario_makes_use_of_the_law() -> None:
    """Data travel, results are billed, some jobs may not leave; both clouds have carbon, and a price of their own."""
    world = scenario("hybrid")
    trace = open_trace(str(world.trace)).first(300)
    stay = {job.id for job in trace.jobs if job.sites}
    assert 0 < len(stay) < 300
    assert {job.sites for job in trace.jobs} == {(), ("home",)}
    assert any(job.data and job.id not in stay for job in trace.jobs)
    told = Session(world.world(trace))
    told.play(Renting())
    where = {one.job: one.placement[0][0].partition("-")[0] for one in said(told, Start)}
    assert {where[job] for job in stay if job in where} == {"hall"}
    assert {where[job] for job in set(where) - stay} == {"east", "west"}
    assert any("egress" in bill.what and "from east" in bill.what for bill in said(told, Billed))
    assert {"home", "east", "west", "west-spot"} == {one.place for one in said(told, Priced)}


def test_without_pools_nothing_changes() -> None:
    trace = generate("philly", 200, 10, largest=8)
    plain, harsh = (tell(trace, "2x8:V100", laws, policy("las")) for laws in ({}, {"clouds": Clouds()}))
    assert list(plain.log.lines()) == list(harsh.log.lines())
