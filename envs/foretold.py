"""A world in which jobs come with predictions of their run times, and the demand ahead is told.

It stands around any other world, simulated or live, and passes all on. A job's run time is learned when it ends in that
world and not before: there is nothing else that it could be read from. What a window of a trace begins with is what had
ended before its first submission.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..traces.history import Past
from ..traces.job import Trace
from .demand import Demand
from .nodes import Nodes
from .runtimes import Runtimes
from .session import World
from .vocabulary import BACK, Decision, Event, Foreseen, Start, Stopped, Submitted

EVERY_SECONDS = 300.0
"""The demand ahead is told at most so often, and only together with what happens anyway."""


class Foretold:
    """A world around another: each job that is submitted gets `estimate` (its median) and `upper` (90th percentile).

    Args:
        world: where all happens.
        past: what was there before, None to begin with nothing.
        first: the world's second at which the past ends.

    Attributes:
        runtimes, demand: the predictors.
    """

    def __init__(self, world: World, past: Past | None = None, first: float = 0.0) -> None:
        self.world, self._past = world, past
        start = self._at(first)
        self.runtimes, self.demand = Runtimes(past, start), Demand(past, start)
        self._since: dict[int, float] = {}
        self._ran: dict[int, float] = {}
        self._now, self._said = 0.0, -EVERY_SECONDS

    def __getattr__(self, name: str) -> Any:
        """What else a session asks of a world, such as `does` and `tenants`: the other's."""
        if name == "world":
            raise AttributeError(name)
        return getattr(self.world, name)

    @property
    def nodes(self) -> Nodes:
        """The machines."""
        return self.world.nodes

    def act(self, decision: Decision) -> Sequence[Event]:
        """Lets it become real there."""
        if isinstance(decision, Start):
            self._since[decision.job] = self._now
        return [self._told(event) for event in self.world.act(decision) or ()]

    def wait(self) -> Sequence[Event]:
        """What happens there, with predictions."""
        events = [self._told(event) for event in self.world.wait()]
        if events and self._now >= self._said + EVERY_SECONDS:
            demand = self.demand.foreseen(self._at(self._now))
            if demand is not None:
                self._said = self._now
                events.append(Foreseen(self._now, demand))
        return events

    def _at(self, second: float) -> float:
        return second if self._past is None else self._past.at(second)

    def _told(self, event: Event) -> Event:
        self._now = event.time
        if isinstance(event, Submitted):
            job, time = event.job, self._at(event.time)
            self.demand.submitted(job, time)
            estimate, upper = self.runtimes.submitted(job, time)
            return Submitted(event.time, replace(job, estimate=estimate, upper=upper))
        if isinstance(event, Stopped):
            self._stopped(event)
        return event

    def _stopped(self, event: Stopped) -> None:
        """Learns from a job that has ended: its work, or where the world cannot tell, how long it held its places."""
        job, since = event.job, self._since.pop(event.job, None)
        ran = self._ran.pop(job, 0.0) + (0.0 if since is None else event.time - since)
        if event.reason in BACK:
            self._ran[job] = ran
        elif event.reason == "cancelled":
            self.runtimes.ended(job, None)
        else:
            self.runtimes.ended(job, ran if event.progress is None else event.progress)


def foretold(world: World, trace: Trace) -> World:
    """The world of a trace: with predictions if the trace asks for them."""
    if trace.estimates != "predicted":
        return world
    return Foretold(world, trace.past, trace.jobs[0].submit if trace.jobs else 0.0)
