"""A run's course through its milestones, at a speed that is constant between events: exact at every moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import simpy
from simpy.events import URGENT

from .laws.law import Run, Saving
from .sim import Moment

Stone = tuple[float, Callable[[Run], None]]
"""A milestone: seconds of work, and what happens when they are done."""


@dataclass(slots=True, eq=False)
class Pace:
    """What all courses of a world have in common.

    Attributes:
        sim: where moments are put.
        factors: what each law makes of a run's speed.
        saver: how runs save their work, None where none does.
    """

    sim: simpy.Environment
    factors: Sequence[Callable[[Run], float]] = ()
    saver: Saving | None = None

    def speed(self, run: Run) -> float:
        """Seconds of work in a second, now."""
        speed = 1.0
        for factor in self.factors:
            speed *= factor(run)
        return speed


class Course:
    """The milestones ahead of a run, the last of them its end, and the moment of the next."""

    __slots__ = ("moment", "next", "over", "pace", "run", "stones")

    def __init__(self, run: Run, stones: list[Stone], pace: Pace) -> None:
        self.run, self.stones, self.pace = run, stones, pace
        self.next = 0
        self.over = False
        self.moment: Moment | None = None

    def settle(self) -> None:
        """Brings the work done up to now."""
        run, now = self.run, self.pace.sim.now
        if now > run.at:
            saver = self.pace.saver
            run.done += run.speed * (now - run.at if saver is None else saver.worked(run, now))
            run.at = now

    def go_on(self) -> None:
        """Goes on at the speed of this moment, up to which its work must have been settled."""
        run, pace = self.run, self.pace
        speed = pace.speed(run)
        if self.moment is not None:
            if speed == run.speed:
                return
            self.moment.callbacks = []
            self.moment = None
        run.speed = speed
        if speed <= 0.0:
            return
        seconds = (self.stones[self.next][0] - run.done) / speed
        time = run.at + seconds if pace.saver is None else pace.saver.wall(run, seconds)
        self.moment = Moment(pace.sim, max(time, pace.sim.now), self._reached, None, URGENT)

    def halt(self) -> None:
        """Stops working, to save its work or to leave."""
        self.settle()
        self.run.speed = 0.0
        self._drop()

    def close(self) -> None:
        """Ends here: the run leaves its place."""
        self.over = True
        self._drop()

    def _drop(self) -> None:
        if self.moment is not None:
            self.moment.callbacks = []
            self.moment = None

    def _reached(self, _: Any) -> None:
        run, (work, then) = self.run, self.stones[self.next]
        self.settle()  # so that who saves the work knows its pace up to here
        run.done, run.at = work, self.pace.sim.now
        self.next += 1
        self.moment = None
        then(run)
        stays = not self.over and not run.stopping and run.goes is None
        if stays and self.moment is None and self.next < len(self.stones):
            self.go_on()
