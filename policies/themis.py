"""Themis: accelerators whose leases end are auctioned among the applications that are treated worst.

Mahajan et al., NSDI 2020, "Themis: Fair and Efficient GPU Cluster Scheduling". An application's finish-time fairness is
    rho = T_shared / T_independent,
the time from its arrival to its end as things stand, over what it would be with its own part of the cluster. Whenever
accelerators are free, or leases end, the part 1 - f of the applications whose rho is worst are offered them; each bids
1 / rho for the bundles that its next jobs would need, and `auction.auction` decides. What nobody won or kept is left
with those who hold it, else goes to whoever fits, oldest first, so that nothing idles.

An application is a tenant where there are tenants, else a sweep (`Job.group`), else a job. With remaining work R and
the most that it can use F (both of all its jobs now; accelerator-seconds, accelerators), and `waited` seconds old,
    T_shared with k accelerators = waited + min(R / k, lease + (R - lease k) / F)
    T_independent = N x (all work of its jobs) / F
where N is how many applications there were, averaged over its life. The minimum says that after this lease it will be
given all it can use; so an application of one job has waited + R / F if it wins, one lease more if it does not.

Simplified: an application without accelerators has an infinite rho in the paper, here that of one lease more. Bids
count accelerators: their kinds, and how near they are to each other, are left to the placement function. Of a gang that
the payment would cut in two, all is kept with the probability that it should keep, as gangs are of no use in part. What
is left over goes by age, not by lot. Leases end together, at multiples of the lease, so that large gangs find room.
Estimates stand for predicted numbers of iterations, searches end no trial early, and applications have no say of their
own: bids are made here, by one rule for all.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ..envs.cluster import ClusterView
from ..envs.placement import Place, packed
from ..envs.roster import Running
from ..envs.space import Space
from ..envs.vocabulary import Decision, Preempt
from ..traces.job import Job
from .auction import Bid, auction
from .crowd import SHORTEST
from .leases import Seats, filled, gives_way, seated, seats, stays
from .memory import Memory
from .needs import ESTIMATES, Needs
from .orders import expected
from .ranked import fitting, submitted

App = str | int
"""What an application is called: a tenant, a sweep, or the id of its one job."""


@dataclass(slots=True)
class Themis:
    """Auctions what is free and what leases have ended on among the applications with the worst rho.

    Attributes:
        fairness: f; the part 1 - f of the applications with the worst rho is offered what there is. 0.8 is what the
            paper settles on, as recalled.
        lease: seconds for which what was won is safe; 600, as recalled. One that begins late in an interval of it, with
            less than half to go, lasts to the end of the next.
        place: where a job may stand.
        tick: seconds between looks at the leases.
        seed: of the lots by which gangs are kept.
        most: waiting jobs, the oldest, that take part.
        needs: run times.
    """

    fairness: float = 0.8
    lease: float = 600.0
    place: Place = packed
    tick: float = 60.0
    seed: int = 0
    most: int = 1000
    needs: Needs = ESTIMATES
    _memory: Memory[Agora] = field(default_factory=Memory, init=False, repr=False, compare=False)

    @property
    def longest_restart(self) -> float:
        """Seconds; if a restart takes longer than a lease, jobs could be stopped again and again with nothing done."""
        return self.lease

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields stops of those who have lost their leases, starts of who won, and starts where room is left."""
        agora = self._memory.of(cluster, lambda: Agora(np.random.default_rng(self.seed)))
        yield from seated(agora.seats, cluster)
        if not len(cluster.pending):
            return
        over = agora.over(cluster, self.lease)
        if not agora.seats and (over or len(fitting(cluster))):
            yield from self._auction(agora, over, cluster)
            yield from seated(agora.seats, cluster)
        yield from filled(agora.seats, cluster, self.place, _anywhere)

    def _auction(self, agora: Agora, over: dict[int, Running], cluster: ClusterView) -> Iterator[Decision]:
        apps = agora.apps(over, cluster, self.most, self.lease)
        room = cluster.room.scratch()
        for running in over.values():
            room.release(running)
        pool = int(sum(room.count.values()) + len(room.left))
        bidders = _worst(apps, self.fairness)
        wins = auction([app.bid(pool) for app in bidders], pool)
        won = [
            job for app, win in zip(bidders, wins, strict=True) for job in app.kept(win.bundle, win.keeps, agora.rng)
        ]
        stay = [over.pop(job.id) for job in won if job.id in over]
        for running in stay:
            room.put_back(running)
        come = [job for job in won if job.id in cluster.pending]
        agora.seats, lose = self._seats(come, list(over.values()), room)
        agora.leases |= {r.job.id: cluster.now for r in (*stay, *over.values()) if r not in lose}
        for running in lose:
            yield Preempt(running.job.id)

    def _seats(self, come: list[Job], over: list[Running], room: Space) -> tuple[Seats, list[Running]]:
        """Places for winners, and who has to go for them: nobody if there is room beside all."""
        beside = room.scratch()
        for running in over:
            beside.put_back(running)
        if len(found := seats(come, self.place, beside)) == len(come):
            return found, []
        found = seats(come, self.place, room)
        return found, [running for running in over if not stays(running, room)]


@dataclass(slots=True)
class Agora:
    """What is remembered of a session.

    Attributes:
        rng: of lots.
        seats: who won a place that is not free yet.
        leases: job -> when its lease was last renewed, seconds.
        seen: application -> (when it came, the sum of counts over time until then).
        sum: applications times seconds, until now.
        count: applications since `at`, seconds.
    """

    rng: np.random.Generator
    seats: Seats = field(default_factory=dict)
    leases: dict[int, float] = field(default_factory=dict)
    seen: dict[App, tuple[float, float]] = field(default_factory=dict)
    sum: float = 0.0
    count: int = 0
    at: float = 0.0

    def over(self, cluster: ClusterView, lease: float) -> dict[int, Running]:
        """The runs whose leases have ended, by job."""
        runs = [running for running in cluster.running if gives_way(running)]
        self.leases = {r.job.id: max(r.since, self.leases.get(r.job.id, r.since)) for r in runs}
        return {r.job.id: r for r in runs if _over(self.leases[r.job.id], cluster.now, lease)}

    def apps(self, over: dict[int, Running], cluster: ClusterView, most: int, lease: float) -> list[Application]:
        """The applications that want more, in the order of their oldest jobs."""
        mine: defaultdict[App, Demand] = defaultdict(Demand)
        for running in cluster.running:
            if running.job.gang:
                app = mine[_app(running.job, cluster)]
                app.add(running.job, running.served(cluster.now), running.job.id not in over)
        for job in cluster.pending.first(submitted, most):
            if job.gang:
                mine[_app(job, cluster)].add(job, cluster.attained(job.id), holds=False)
        self._count(mine, cluster.now)
        return [self._application(app, mine[app], cluster, lease) for app in mine if mine[app].eager]

    def _count(self, apps: Iterable[App], now: float) -> None:
        self.sum += self.count * (now - self.at)
        self.seen = {app: self.seen.get(app, (now, self.sum)) for app in apps}
        self.count, self.at = len(self.seen), now

    def _application(self, app: App, demand: Demand, cluster: ClusterView, lease: float) -> Application:
        since, before = self.seen[app]
        others = (self.sum - before) / (cluster.now - since) if cluster.now > since else self.count
        most = min(demand.most, cluster.room.size)
        alone = max(others, 1.0) * demand.whole / most
        jobs = tuple(job for _, _, job in sorted(demand.eager))
        return Application(jobs, cluster.now - demand.oldest, demand.left, most, demand.held, alone, lease)


@dataclass(slots=True)
class Demand:
    """What the jobs of one application come to.

    Attributes:
        oldest: when the first of them came, seconds.
        whole: accelerator-seconds of work in all of them.
        left: accelerator-seconds of it that are still to do.
        most: accelerators that they can use.
        held: accelerators that they have for longer.
        eager: (seconds of work that are still to do, id, job) of those that want some.
    """

    oldest: float = math.inf
    whole: float = 0.0
    left: float = 0.0
    most: float = 0.0
    held: float = 0.0
    eager: list[tuple[float, int, Job]] = field(default_factory=list)

    def add(self, job: Job, attained: float, holds: bool) -> None:
        """Counts a job of it."""
        size, run = _size(job), expected(job)
        left = max(run - attained, SHORTEST)
        self.oldest = min(self.oldest, job.submit)
        self.whole += max(run, SHORTEST) * size
        self.left += left * size
        self.most += size
        if holds:
            self.held += size
        else:
            self.eager.append((left, job.id, job))


@dataclass(frozen=True, slots=True)
class Application:
    """One bidder.

    Attributes:
        jobs: those that want accelerators, least remaining work first.
        waited: seconds since its oldest job came.
        left: accelerator-seconds of work that all its jobs still have.
        most: accelerators that it can use.
        held: accelerators that it has for longer.
        alone: T_independent, seconds.
        lease: seconds.
    """

    jobs: tuple[Job, ...]
    waited: float
    left: float
    most: float
    held: float
    alone: float
    lease: float

    def rho(self, more: float = 0.0) -> float:
        """Finish-time fairness with so many accelerators more."""
        count = self.held + more
        ends = self.left / count if count else math.inf
        return (self.waited + min(ends, self.lease + max(self.left - self.lease * count, 0.0) / self.most)) / self.alone

    def bid(self, pool: int) -> Bid:
        """1 / rho for none, one, two and more of its jobs, as long as there is enough for them."""
        sizes = [0]
        for job in self.jobs:
            if (size := sizes[-1] + math.ceil(_size(job))) > pool:
                break
            sizes.append(size)
        return Bid(tuple(sizes), tuple(1 / self.rho(size) for size in sizes))

    def kept(self, count: int, part: float, rng: np.random.Generator) -> Iterator[Job]:
        """Of the first `count` jobs, those that make up this part of their accelerators; by lot where it cuts one."""
        rest = part * sum(_size(job) for job in self.jobs[:count])
        for job in self.jobs[:count]:
            if rest >= _size(job) - 1e-9 or rng.random() < rest / _size(job):
                yield job
            rest = max(rest - _size(job), 0.0)


def _over(since: float, now: float, lease: float) -> bool:
    return now // lease > since // lease and now - since >= lease / 2


def _worst(apps: list[Application], fairness: float) -> list[Application]:
    """The part 1 - f of the applications with the worst rho, one at least."""
    count = max(math.ceil((1 - fairness) * len(apps) - 1e-9), 1)
    return sorted(apps, key=lambda app: -app.rho())[:count]


def _app(job: Job, cluster: ClusterView) -> App:
    if cluster.tenants is not None:
        return job.tenant or ""
    return job.id if job.group is None else job.group


def _size(job: Job) -> float:
    """Accelerators that a job holds."""
    return job.gang * job.share


def _anywhere(_: Job) -> tuple[str]:
    return ("",)


themis = Themis()
"""Finish-time fair by auction, by estimates."""
