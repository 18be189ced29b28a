"""Pools of nodes beside the premises: they come late or not at all, cost a minimum, and are far from the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import exp, inf

import numpy as np

from ...traces.job import Job
from ...traces.trouble import BadInput, nearest
from ..vocabulary import Billed
from .checkpoints import GB, GIGABYTES, size
from .law import Run, Stage, check, not_negative, part, positive


@dataclass(frozen=True, slots=True)
class Pool:
    """How the nodes of one pool come and go, and what they cost beside their rent (which is the node's, or `Priced`).

    Attributes:
        delay: median seconds from asking for a node to having it: 300 to 900 on AWS, 600 to 1,200 on GCP with a cold
            start, 60 to 120 at specialised clouds; to wake a sleeping server, its boot.
        sigma: of the delay's logarithm; 0 for always the median.
        stockout: probability that there is none: 0.1 to 0.5 for H100.
        answer: seconds until one knows that there is none.
        minimum: seconds of rent that are due in any case; 60 at the large clouds.
        egress: USD a GB that leaves its site: AWS 0.09, Azure 0.087, GCP 0.085 to 0.12.
        image: seconds to fetch the jobs' image, once for each node that has come; 60 to 300.
    """

    delay: float = 300.0
    sigma: float = 0.0
    stockout: float = 0.0
    answer: float = 60.0
    minimum: float = 60.0
    egress: float = 0.0
    image: float = 0.0

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        check(self, "clouds", ("delay", "sigma", "answer", "minimum", "egress", "image"), not_negative, "0 or more")
        check(self, "clouds", ("stockout",), part, "a probability")


@dataclass(frozen=True, slots=True)
class Clouds:
    """Provisioning, stock-outs, minimum rents, egress, images, and data that have to travel.

    A job's data are at the first of its `sites`, else at `home`. Where it runs elsewhere they travel first, whenever it
    starts; and its saved state travels when it goes on at another site, or comes home when it ends, and is paid for
    where it leaves. So in a move between sites: the job has its new place, and works when its state has come.

    Attributes:
        pools: name -> how it is. A pool that is not named is at once there and costs nothing but its rent.
        home: the site of data and results; None for the site of the first node.
        wan_gb_s: GB/s between sites; 0.125 is 1 Gb/s.
        gigabytes: size of the state of a job that does not say its own, as in the law of checkpoints.
    """

    pools: Mapping[str, Pool] = field(default_factory=dict)
    home: str | None = None
    wan_gb_s: float = 0.125
    gigabytes: float = GIGABYTES

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        check(self, "clouds", ("wan_gb_s",), positive, "GB/s above 0")
        check(self, "clouds", ("gigabytes",), not_negative, "0 or more")

    def begin(self, stage: Stage) -> _Clouds:
        """The pools of a world. Raises BadInput for pools and sites that are not there."""
        unknown = set(self.pools) - {node.pool for node in stage.machines.values()}
        if unknown:
            raise BadInput(f"clouds.pools: no node is of pool '{min(unknown)}'; name it in 'pool' of its nodes")
        sites = {node.site for node in stage.machines.values() if node.site is not None}
        if self.home is not None and self.home not in sites:
            near = nearest(self.home, list(sites)) if sites else ""
            raise BadInput(f"clouds.home: no node is at site '{self.home}'; name it in 'site' of its nodes.{near}")
        return _Clouds(self, stage)


class _Clouds:
    def __init__(self, law: Clouds, stage: Stage) -> None:
        self._law, self._stage = law, stage
        self._home = law.home if law.home is not None else next(iter(stage.machines.values())).site
        self._rngs: dict[str, np.random.Generator] = {}
        self._since: dict[str, float] = {}
        self._images: dict[tuple[str, float], float] = {}
        self._at: dict[int, str | None] = {}

    def _pool(self, name: str | None) -> Pool:
        return self._law.pools.get(name or "", _FREE)

    def provision(self, pool: str, nodes: Sequence[str]) -> None:
        """Each comes, or does not, by itself."""
        how, stage = self._pool(pool), self._stage
        rng = self._rngs.setdefault(pool, stage.rng("clouds", pool))
        for node in nodes:
            if rng.random() < how.stockout:
                stage.at(stage.now + how.answer, partial(stage.decline, pool, [node]))
            else:
                delay = how.delay * exp(how.sigma * rng.normal())
                stage.at(stage.now + delay, partial(self._come, node))

    def _come(self, node: str) -> None:
        self._since[node] = self._stage.now
        self._stage.come(node)

    def release(self, node: str) -> None:
        """It is gone at once; what is left of its minimum rent is due."""
        stage, one = self._stage, self._stage.machines[node]
        short = self._pool(one.pool).minimum - (stage.now - self._since.pop(node, -inf))
        if short > 0 and one.usd_per_hour:
            stage.at(stage.now, partial(self._bill, short * one.usd_per_hour / 3600, f"minimum rent of {node}"))
        stage.at(stage.now, partial(stage.fall, node, "released"))

    def _bill(self, usd: float, what: str) -> None:
        self._stage.say(Billed(self._stage.now, usd, what))

    def setup(self, run: Run, resumed: bool) -> float:
        """Image, data and saved state come first."""
        job, site = run.job, self._stage.machines[run.placement[0][0]].site
        seconds = max(self._fetch(node) for node, _ in run.placement)
        seconds += self._travel(job, (job.data or 0) / GB, job.sites[0] if job.sites else self._home, site)
        state = size(job, self._law.gigabytes) if run.base > 0 else 0.0
        seconds += self._travel(job, state, self._at.get(job.id, site), site)
        self._at[job.id] = run.notes["state at"] = site
        return seconds

    def _fetch(self, node: str) -> float:
        """Seconds until a node has the image: the first job there has it fetched, the others wait for the rest."""
        now, since = self._stage.now, self._since.get(node, 0.0)
        image = self._pool(self._stage.machines[node].pool).image
        return max(self._images.setdefault((node, since), now + image) - now, 0.0)

    def _travel(self, job: Job, gigabytes: float, site: str | None, to: str | None) -> float:
        """Seconds in which a job's data or state travel from a site to another; what leaves is billed there."""
        if not gigabytes or site == to:
            return 0.0
        there = (node.pool for node in self._stage.machines.values() if node.site == site and node.pool)
        price = max((self._pool(pool).egress for pool in there), default=0.0)
        if price:
            self._bill(gigabytes * price, f"egress of job {job.id} from {site}")
        return gigabytes / self._law.wan_gb_s

    def ended(self, job: Job, reason: str) -> None:
        """Results come home; nobody waits for that."""
        site = self._at.pop(job.id, self._home)
        if reason == "finished":
            self._travel(job, size(job, self._law.gigabytes), site, self._home)


_FREE = Pool(delay=0.0, minimum=0.0)
