"""Tenants: quotas, borrowing, lending and reclaim, kept by the ledger whatever the policy does; by hand."""

from __future__ import annotations

from typing import Any

import pytest

from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import InvalidDecision, Preempt, Start, Stopped
from gpuyard.experiments.names import policy
from gpuyard.traces.job import Job
from gpuyard.traces.trouble import BadInput
from tales import at, ended, ends, said, tell

HALVES = Tenants([Tenant("ada", quota=2), Tenant("ben", quota=2)])
NODE = "1x4:V100"


def of(tenant: str, number: int, submit: float = 0.0, gang: int = 1, **more: Any) -> Job:
    return Job(number, submit, gang, tenant=tenant, **more)


def starts(*placements: tuple[str, ...]) -> list[tuple[float, Start]]:
    return [(0.0, Start(number, at(*some))) for number, some in enumerate(placements)]


def test_beyond_its_quota_a_tenant_borrows_what_others_leave() -> None:
    """Ada's four are two of her own and two of ben's; a fifth would be nobody's to lend."""
    five = [(of("ada", n), 10.0) for n in range(5)]
    told = tell(five[:4], NODE, {}, starts(*[(f"n0/{n}",) for n in range(4)]), tenants=HALVES)
    assert [row[0] for row in ended(told)] == [10.0] * 4
    with pytest.raises(InvalidDecision, match="the others have no more to lend"):
        tell(five, "1x5:V100", {}, starts(*[(f"n0/{n}",) for n in range(5)]), tenants=HALVES)


@pytest.mark.parametrize(
    ("ada", "ben", "most"),
    [
        (Tenant("ada", quota=2, borrow=1), Tenant("ben", quota=2), 3),
        (Tenant("ada", quota=2, borrow=0), Tenant("ben", quota=2), 2),
        (Tenant("ada", quota=2), Tenant("ben", quota=2, lend=1), 3),
        (Tenant("ada", quota=2, borrow=2), Tenant("ben", quota=2, lend=0), 2),
        (Tenant("ada"), Tenant("ben", quota=2), 4),  # no quota, no limit
        (Tenant("eve", quota=0), Tenant("ben", quota=3), 3),  # ada is not named: she has what she borrows
        (Tenant("ada", quota=1.5), Tenant("ben", quota=0), 1),
    ],
)
def test_no_policy_gets_more_than_quota_and_loans(ada: Tenant, ben: Tenant, most: int) -> None:
    """Fifo starts what may start: the first `most` of four jobs, the others when they have ended."""
    jobs = [(of("ada", n), 10.0) for n in range(4)]
    told = tell(jobs, NODE, {}, policy("fifo"), tenants=Tenants([ada, ben]))
    ends_at = [10.0 * (1 + n // most) for n in range(4)]
    assert [row[0] for row in ended(told)] == ends_at


def test_shares_count_as_their_part() -> None:
    """Ada may have one accelerator: two halves, and not a thousandth more."""
    one = Tenants([Tenant("ada", quota=1, borrow=0)])
    jobs = [(of("ada", 0, share=0.5), 10.0), (of("ada", 1, share=0.5), 10.0), (of("ada", 2, share=0.001), 10.0)]
    script = starts(("n0/0",), ("n0/1",), ("n0/2",))
    assert len(ended(tell(jobs[:2], NODE, {}, script[:2], tenants=one))) == 2
    with pytest.raises(InvalidDecision, match="its quota is 1 accelerators and it may borrow 0"):
        tell(jobs, NODE, {}, script, tenants=one)


def test_an_owner_has_its_own_back_at_once() -> None:
    """Ada borrows two at 0 and 5; ben's pair comes at 20: both loans give way, the newest first, and fifo starts it.

    Her own two run on to 100. The others go on when ben's pair has ended, at 50, with 80 and 85 s left.
    """
    jobs = [
        (of("ada", 0), 100.0), (of("ada", 1), 100.0), (of("ada", 2), 100.0), (of("ada", 3, 5.0), 100.0),
        (of("ben", 4, 20.0, 2), 30.0),
    ]  # fmt: skip
    told = tell(jobs, NODE, {}, policy("fifo"), tenants=HALVES)
    assert said(told, Preempt) == [Preempt(3), Preempt(2)]
    assert ended(told) == ends(
        (20.0, 3, "preempted", 15.0, 0.0),
        (20.0, 2, "preempted", 20.0, 0.0),
        (50.0, 4, "finished", 30.0, 0.0),
        (100.0, 0, "finished", 100.0, 0.0),
        (100.0, 1, "finished", 100.0, 0.0),
        (130.0, 2, "finished", 100.0, 0.0),
        (135.0, 3, "finished", 100.0, 0.0),
    )


def test_what_was_taken_back_is_not_lent_again_to_those_who_are_first_in_the_queue() -> None:
    """The loan of job 1 gives way; it is older than ben's job, but what is free is owed to that."""
    tenants = Tenants([Tenant("ada", quota=1), Tenant("ben", quota=1)])
    jobs = [(of("ada", 0), 100.0), (of("ada", 1), 100.0), (of("ben", 2, 10.0), 20.0)]
    told = tell(jobs, "1x2:V100", {}, policy("fifo"), tenants=tenants)
    assert ended(told) == ends(
        (10.0, 1, "preempted", 10.0, 0.0),
        (30.0, 2, "finished", 20.0, 0.0),
        (100.0, 0, "finished", 100.0, 0.0),
        (120.0, 1, "finished", 100.0, 0.0),
    )


def test_an_owner_is_patient_and_no_longer() -> None:
    """Nothing else happens at 10.1 + 60: the ledger takes its own back all the same."""
    tenants = Tenants([Tenant("ada", quota=1), Tenant("ben", quota=1)], patience=60.0)
    jobs = [(of("ada", 0), 1000.0), (of("ada", 1), 1000.0), (of("ben", 2, 10.1), 20.0)]
    told = tell(jobs, "1x2:V100", {}, policy("fifo"), tenants=tenants)
    assert ended(told)[:2] == ends((70.1, 1, "preempted", 70.1, 0.0), (90.1, 2, "finished", 20.0, 0.0))


def test_patience_ends_with_a_free_place() -> None:
    """Job 1 ends by itself at 30, before ben's patience does."""
    tenants = Tenants([Tenant("ada", quota=1), Tenant("ben", quota=1)], patience=60.0)
    jobs = [(of("ada", 0), 1000.0), (of("ada", 1), 30.0), (of("ben", 2, 10.0), 20.0)]
    told = tell(jobs, "1x2:V100", {}, policy("fifo"), tenants=tenants)
    assert not said(told, Preempt)
    assert ended(told)[:2] == ends((30.0, 1, "finished", 30.0, 0.0), (50.0, 2, "finished", 20.0, 0.0))


def test_each_of_an_owners_jobs_has_its_own_back() -> None:
    """Two jobs of ben's come at once: both of ada's loans give way in that moment."""
    jobs = [(of("ada", n), 100.0) for n in range(4)] + [(of("ben", n, 10.0), 20.0) for n in (4, 5)]
    told = tell(jobs, NODE, {}, policy("fifo"), tenants=HALVES)
    assert [(time, job) for time, job, *_ in ended(told)][:4] == [(10.0, 3), (10.0, 2), (30.0, 4), (30.0, 5)]


def test_while_a_borrower_saves_its_work_nobody_borrows_what_comes_free() -> None:
    """Saving takes 2 + 5 = 7 s. Two are owed to ben's pair from 20 on: ada's newest, 3 and 2, leave at 27.

    Job 1 ends at 23; its place is no loan to ada's others meanwhile. At 27 she has one run left: fifo starts her job 2
    again, which is within her quota, and ben's pair. When that ends at 57, jobs 3 and 5 may borrow again.
    """
    jobs = [
        (of("ada", 0), 100.0), (of("ada", 1), 23.0), (of("ada", 2), 100.0), (of("ada", 3), 100.0),
        (of("ben", 4, 20.0, 2), 30.0), (of("ada", 5, 21.0), 50.0),
    ]  # fmt: skip
    told = tell(jobs, NODE, {"checkpoints": Checkpoints()}, policy("fifo"), tenants=HALVES)
    assert [(s.time, s.job, s.reason) for s in said(told, Stopped)][:3] == [
        (23.0, 1, "finished"), (27.0, 3, "preempted"), (27.0, 2, "preempted"),
    ]  # fmt: skip
    begun = [(time, start.job) for time, start in told.log.timed() if isinstance(start, Start) and 0 < time < 60]
    assert begun == [(27.0, 2), (27.0, 4), (57.0, 3), (57.0, 5)]


def test_what_may_not_be_preempted_stays_though_it_is_borrowed() -> None:
    jobs = [(of("ada", n, preemptible=False), 100.0) for n in range(4)] + [(of("ben", 4, 10.0), 20.0)]
    told = tell(jobs, NODE, {}, policy("fifo"), tenants=HALVES)
    assert not said(told, Preempt)
    assert ended(told)[-1:] == ends((120.0, 4, "finished", 20.0, 0.0))


def test_two_tenants_never_share_an_accelerator_softly() -> None:
    jobs = [(of("ada", 0, share=0.5), 10.0), (of("ben", 1, share=0.5), 10.0)]
    with pytest.raises(InvalidDecision, match="tenant ada has the rest"):
        tell(jobs, NODE, {}, starts(("n0/0",), ("n0/0",)), tenants=HALVES)
    with pytest.raises(InvalidDecision, match="tenant ada has the rest"):
        tell(jobs, NODE, {}, starts(("n0/0",), ("n0/0",)))


def test_an_isolated_share_is_the_quota_or_a_part_of_what_is_left() -> None:
    who = Tenants([Tenant("ada", quota=4), Tenant("ben", weight=1), Tenant("eve", weight=3)])
    assert [who.part(name, 12) for name in ("ada", "ben", "eve", "new")] == [4, 2, 6, 0]


@pytest.mark.parametrize("said", [{"weight": 0.0}, {"quota": -1.0}, {"borrow": float("nan")}, {"lend": float("inf")}])
def test_what_cannot_be_is_refused(said: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=r"tenant 'ada': .* cannot be"):
        Tenant("ada", **said)
