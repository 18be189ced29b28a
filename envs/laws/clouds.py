"""Pools of nodes beside the premises: they come late or not at all, cost a minimum, and are far from the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import exp, inf, log

import numpy as np

from ...traces.job import Job
from ...traces.trouble import BadInput
from ..nodes import Node
from ..vocabulary import Billed
from .law import Run, Stage

GB = 1e9


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
        image: seconds to fetch a job's image, once for each node that has come; 60 to 300.
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
        for key in ("delay", "sigma", "answer", "minimum", "egress", "image"):
            if not 0 <= getattr(self, key) < inf:
                raise BadInput(f"clouds: {key} = {getattr(self, key)} cannot be; give 0 or more")
        if not 0 <= self.stockout <= 1:
            raise BadInput(f"clouds: stockout = {self.stockout} cannot be; give a probability")


@dataclass(frozen=True, slots=True)
class Clouds:
    """Provisioning, stock-outs, minimum rents, egress, images, and data that have to travel.

    A job's data are at the first of its `sites`, else at `home`. Where it runs elsewhere they travel first, whenever it
    starts; and its saved state travels when it goes on at another site, or comes home when it ends, and is paid for
    where it leaves.

    Attributes:
        pools: name -> how it is. A pool that is not named is at once there and costs nothing but its rent.
        home: the site of data and results; None for the site of the first node.
        wan_gb_s: GB/s between sites; 0.125 is 1 Gb/s.
    """

    pools: Mapping[str, Pool] = field(default_factory=dict)
    home: str | None = None
    wan_gb_s: float = 0.125

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        if not 0 < self.wan_gb_s < inf:
            raise BadInput(f"clouds: wan_gb_s = {self.wan_gb_s} cannot be; give GB/s above 0")

    def begin(self, stage: Stage) -> _Clouds:
        """The pools of a world."""
        unknown = set(self.pools) - {node.pool for node in stage.machines.values()}
        if unknown:
            raise BadInput(f"clouds: no node is of pool '{min(unknown)}'; name it in 'pool' of its nodes")
        return _Clouds(self, stage)


class _Clouds:
    def __init__(self, law: Clouds, stage: Stage) -> None:
        self._law, self._stage = law, stage
        self._home = law.home if law.home is not None else next(iter(stage.machines.values())).site
        self._rngs: dict[str, np.random.Generator] = {}
        self._since: dict[str, float] = {}
        self._images: set[tuple[str, float]] = set()
        self._at: dict[int, str | None] = {}

    def _pool(self, name: str | None) -> Pool:
        return self._law.pools.get(name or "", _FREE)

    def _node(self, run: Run) -> Node:
        return self._stage.machines[run.placement[0][0]]

    def provision(self, pool: str, nodes: Sequence[str]) -> None:
        """Each comes, or does not, by itself."""
        how, stage = self._pool(pool), self._stage
        rng = self._rngs.setdefault(pool, stage.rng("clouds", pool))
        for node in nodes:
            if rng.random() < how.stockout:
                stage.at(stage.now + how.answer, partial(stage.decline, pool, [node]))
            else:
                delay = exp(log(how.delay) + how.sigma * rng.normal()) if how.delay else 0.0
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
        node, job = self._node(run), run.job
        seconds = 0.0
        image = (node.id, self._since.get(node.id, 0.0))
        if image not in self._images:
            self._images.add(image)
            seconds += self._pool(node.pool).image
        if job.data is not None and node.site not in (job.sites or (self._home,)):
            seconds += job.data / GB / self._law.wan_gb_s
        before = self._at.get(job.id, node.site)
        if before != node.site:
            seconds += self._travel(job, before)
        self._at[job.id] = node.site
        return seconds

    def _travel(self, job: Job, site: str | None) -> float:
        """Seconds in which a job's state leaves a site; its egress is billed."""
        size = (job.checkpoint or 0) / GB
        price = max(
            (self._pool(node.pool).egress for node in self._stage.machines.values() if node.site == site and node.pool),
            default=0.0,
        )
        if size * price:
            self._bill(size * price, f"egress of job {job.id} from {site}")
        return size / self._law.wan_gb_s

    def ended(self, job: Job, reason: str) -> None:
        """Results come home; nobody waits for that."""
        site = self._at.pop(job.id, self._home)
        if reason == "finished" and site != self._home:
            self._travel(job, site)


_FREE = Pool(delay=0.0, minimum=0.0)
