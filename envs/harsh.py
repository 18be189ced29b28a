"""The simulated world as harsh as the real one: a trace happening on nodes under laws of nature.

Without laws it is the plain simulator, to the byte. A run has a speed, the product of what each law makes of it, which
is constant between events; so work done is exact at every moment, and so is the time of the next milestone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, assert_never

import simpy
from simpy.events import URGENT

from ..traces.job import Job, Trace
from .acting import Acting
from .chance import Chance
from .course import Course, Pace
from .instruments import Instruments
from .laws.law import Law, Run
from .machines import Machines
from .nodes import Nodes
from .patience import Patience
from .pipelines import Pipelines
from .sim import RESTART, Arrivals, Moment, Ticks, check_seconds
from .tenants import Tenants
from .vocabulary import (
    BACK,
    EVERY,
    Cap,
    Decision,
    Declined,
    Event,
    Move,
    Moved,
    Partition,
    Partitioned,
    Preempt,
    Provision,
    Ready,
    Release,
    Resize,
    Resized,
    Start,
    Stopped,
    Submitted,
)

PATIENCE, REPAIR = 7 * 86400.0, 366 * 86400.0
"""Seconds without any job in its place or to come after which nothing is expected any more of a policy, of a repair."""


class HarshWorld:
    """A trace happening on nodes under laws. Without that of speed, kind and gang do not matter; see docs/world.md.

    Args:
        trace: the jobs, and the truth about them.
        nodes: the machines, those that may be provisioned included.
        laws: name -> law. Their order is that in which they are asked.
        tenants: who may hold how much; the ledger keeps it.
        restart: seconds that a job which ran before needs before it works again, where no law of checkpoints says more.
        tick: seconds between `Tick` events while anything runs or is to come, None for none.
        seed: of all chance. What one law draws changes nothing for another.
        tuned: jobs are told how to make the best of the hardware they got.
        opening: decisions that are made before anything happens.

    Attributes:
        now, trace, machines, up, runs: see `laws.law.Stage`, which this is.
    """

    does = EVERY

    def __init__(
        self,
        trace: Trace,
        nodes: Nodes,
        laws: Mapping[str, Law] | None = None,
        *,
        tenants: Tenants | None = None,
        restart: float = RESTART,
        tick: float | None = None,
        seed: int = 0,
        tuned: bool = False,
        opening: Sequence[Decision] = (),
    ) -> None:
        check_seconds(restart, tick)
        self.trace, self.tenants, self.tick, self.seed, self.tuned = trace, tenants, tick, seed, tuned
        self.nodes, self.opening = tuple(nodes), tuple(opening)
        self.rng, self.lots = Chance(seed).rng, Chance(seed).lots
        self._machines = Machines(nodes, lambda: self.now, self.say, self._clear)
        self.machines, self.up = self._machines.of, self._machines.up
        self.runs: dict[int, Run] = {}
        self._restart = restart
        self._sim = simpy.Environment(0.0)
        self._happened: list[Event] = []
        self._kept: dict[int, float] = {}
        self._courses: dict[int, Course] = {}
        self._waiting: dict[int, Job] = {}
        self._limbo: set[int] = set()
        self._places: defaultdict[str, list[Run]] = defaultdict(list)
        self._pipelines = Pipelines(trace) or None
        self._last = 0.0
        self._ticks = Ticks(self._sim, tick, self._alive, self.say)
        self._arrivals = Arrivals(self._sim, trace.jobs, self._arrived)
        patience = [Patience(tenants, self)] if tenants is not None and tenants.patience else []
        self._laws = Acting([*(law.begin(self) for law in (laws or {}).values()), *patience])
        self.fits = self._laws.fits
        self._pace = Pace(self._sim, self._laws.factors, self._laws.saver)
        self._instruments = Instruments(self.nodes, self.up, self._laws.senses)

    # What sessions ask.

    def act(self, decision: Decision) -> Sequence[Event]:
        """Begins to make a decision real; what comes of it at once is returned."""
        match decision:
            case Start():
                self._start(decision)
            case Preempt(job):
                self._preempt(self.runs[job])
            case Move() | Resize():
                self._relocate(self.runs[decision.job], decision)
            case Cap(accelerator, watts):
                for tell in self._laws.capped:
                    tell(accelerator, watts)
                self.look(accelerator)
            case Partition(accelerator, profiles):
                seconds = self._laws.cutter.cut(accelerator, profiles) if self._laws.cutter else 0.0
                self.at(self.now + seconds, lambda: self.say(Partitioned(self.now, accelerator, profiles)))
            case Provision(pool, count):
                self._provision(pool, count)
            case Release(node):
                self._release(node)
            case _:
                assert_never(decision)
        return self._told()

    def wait(self) -> Sequence[Event]:
        """Jumps to the next moment at which something happens: its events, stops before submissions."""
        queue, step, instruments = self._sim._queue, self._sim.step, self._instruments
        while True:
            while queue and not self._happened and not instruments.unseen:
                if self.runs:
                    self._last = queue[0][0]
                elif self._over(queue[0][0]):
                    return ()
                step()
            now = self._sim.now
            while queue and queue[0][0] == now:
                step()
            if (told := self._told()) or not queue:
                return told

    def _told(self) -> list[Event]:
        """What is to be told, looks at accelerators last: they see how all has settled."""
        told, self._happened = self._happened, []
        if self._instruments.unseen and (measured := self._instruments.measure(self.now)) is not None:
            told.append(measured)
        return told

    def _over(self, time: float) -> bool:
        """Laws go on for ever; a session ends with its jobs, or when nobody has been served for too long."""
        if self._alive():
            self._last = time
            return False
        return not self._waiting or time - self._last > (REPAIR if self._machines.broken(self._last) else PATIENCE)

    def _alive(self) -> bool:
        return bool(self.runs or self._arrivals.left or self._limbo)

    # What laws ask: see `laws.law.Stage`.
    @property
    def now(self) -> float:
        """Seconds."""
        return self._sim._now

    def at(self, time: float, then: Callable[[], None]) -> None:
        """Calls `then` at a time, before jobs are submitted. A sum of seconds may be a hair before now: that is now."""
        Moment(self._sim, max(time, self._sim.now), lambda _: then(), None, URGENT)

    def say(self, event: Event) -> None:
        """Tells the ledger."""
        self._happened.append(event)

    def on(self, accelerator: str) -> Sequence[Run]:
        """Who stands on an accelerator, in the order in which they came."""
        return self._places.get(accelerator, ())

    def look(self, *accelerators: str) -> None:
        """Has accelerators measured at the end of this moment."""
        self._instruments.look(accelerators)

    def touch(self, run: Run) -> None:
        """Says that a run's speed may have changed."""
        course = self._courses.get(run.job.id)
        if course is not None and course.run is run and not run.stopping and run.goes is None:
            course.settle()
            course.go_on()

    def end(self, job: int, reason: str) -> None:
        """Ends a job, or its run."""
        if (run := self.runs.get(job)) is not None:
            self._courses[job].settle()
            kept = run.done if reason not in BACK else self._saved(run)
            self._leave(run, reason, kept)
        elif job in self._waiting and reason == "cancelled":
            self._happened.append(Stopped(self.now, job, "cancelled", self._kept.pop(job, 0.0)))
            self._over_with(self._waiting.pop(job), "cancelled")

    def ready(self, job: int) -> None:
        """A held job joins the queue."""
        self._limbo.discard(job)
        if job in self._waiting:
            self._happened.append(Ready(self.now, job))
            self._ticks.go_on()

    def fall(self, node: str, reason: str, accelerators: tuple[str, ...] = ()) -> None:
        """A node goes down, or some of its accelerators."""
        self._machines.fall(node, reason, accelerators)

    def rise(self, node: str, reason: str, accelerators: tuple[str, ...] = ()) -> None:
        """What fell for this reason is over."""
        self._machines.rise(node, reason, accelerators)
        self.look(*(a.id for a in self.machines[node].accelerators))

    def come(self, node: str) -> None:
        """A node that was provisioned is there, if it can be had."""
        if not all(offers(node) for offers in self._laws.offers):
            self.decline(self.machines[node].pool or "", [node])
            return
        self._machines.come(node)
        self.look(*(a.id for a in self.machines[node].accelerators))
        for tell in self._laws.came:
            tell(node)

    def decline(self, pool: str, nodes: Sequence[str]) -> None:
        """Nodes that were asked for do not come."""
        self._machines.withdraw(nodes)
        self._happened.append(Declined(self.now, pool, len(nodes)))

    # Submissions.

    def _arrived(self, job: Job) -> None:
        self._happened.append(Submitted(job.submit, job))
        self._waiting[job.id] = job
        for tell in self._laws.submitted:
            tell(job)
        if self._pipelines is not None:
            self._decide_fates(self._pipelines.submitted(job))
        self._ticks.go_on()

    def _decide_fates(self, fates: Iterator[tuple[int, bool]]) -> None:
        for job, may in fates:
            if may:
                self.ready(job)
            else:
                self.end(job, "cancelled")

    # Runs.

    def _start(self, start: Start) -> None:
        job = self._waiting.pop(start.job)
        before = self._kept.get(job.id)
        base, share = before or 0.0, job.share if start.share is None else start.share
        there = tuple(a for _, some in start.placement for a in some)
        run = Run(
            job, start.placement, there, share, start.tuning,
            self.now, self.now, self.trace.durations[job.id], base, base, self.now,
        )  # fmt: skip
        self.runs[job.id] = run
        self._enter(run, resumed=before is not None)
        self._ticks.go_on()

    def _enter(self, run: Run, resumed: bool) -> None:
        """A run takes its place, and works when it is set up."""
        for accelerator in run.accelerators:
            self._places[accelerator.partition("#")[0]].append(run)
        self._instruments.look(run.accelerators)
        if resumed and self._laws.saver is None:
            run.begins = run.at = self.now + self._restart
        for seconds in self._laws.setups:
            run.begins = run.at = run.begins + seconds(run, resumed)
        stones = [stone for ask in self._laws.milestones for stone in ask(run)]
        stones = sorted((stone for stone in stones if run.base < stone[0] < run.total), key=itemgetter(0))
        course = self._courses[run.job.id] = Course(run, [*stones, (run.total, self._finished)], self._pace)
        for tell in self._laws.started:
            tell(run)
        course.go_on()

    def _finished(self, run: Run) -> None:
        self._leave(run, "finished", run.total)

    def _preempt(self, run: Run) -> None:
        run.stopping = True
        seconds = self._laws.saver.stop(run) if self._laws.saver is not None else 0.0
        if seconds > 0:
            self._courses[run.job.id].halt()
        Moment(self._sim, self.now + seconds, self._preempted, run, URGENT)

    def _preempted(self, moment: Moment) -> None:
        run: Run = moment._value
        if self.runs.get(run.job.id) is not run:
            return  # it finished in this very moment, before it could be stopped, or was lost while it saved its work
        self._courses[run.job.id].settle()
        self._leave(run, "preempted", self._laws.saver.left(run) if self._laws.saver is not None else run.done)

    def _saved(self, run: Run) -> float:
        """What is kept of a run that is lost: what was persisted; without any law, the whole job begins anew."""
        return float(self._laws.saver.kept(run)) if self._laws.saver is not None else 0.0

    def _leave(self, run: Run, reason: Any, kept: float) -> None:
        """A run leaves its place."""
        job = run.job
        self._vacate(run)
        del self.runs[job.id]
        lost = max(0.0, run.done - kept)
        again = reason in BACK
        delay = self._laws.saver.requeue if again and self._laws.saver is not None else 0.0
        self._happened.append(Stopped(self.now, job.id, reason, kept, lost, delay > 0))
        if not again:
            self._kept.pop(job.id, None)
            self._over_with(job, reason)
            return
        self._kept[job.id] = kept
        self._waiting[job.id] = job
        if delay > 0:
            self._limbo.add(job.id)
            self.at(self.now + delay, lambda: self.ready(job.id))

    def _vacate(self, run: Run) -> None:
        self._courses.pop(run.job.id).close()
        for accelerator in run.accelerators:
            self._places[accelerator.partition("#")[0]].remove(run)
        self._instruments.look(run.accelerators)
        for tell in self._laws.stopped:
            tell(run)

    def _over_with(self, job: Job, reason: str) -> None:
        for tell in self._laws.ended:
            tell(job, reason)
        if self._pipelines is not None:
            self._decide_fates(self._pipelines.ended(job.id, reason == "finished"))

    # Moves.

    def _relocate(self, run: Run, move: Move | Resize) -> None:
        run.goes = move.placement
        seconds = self._laws.saver.move(run, move.placement) if self._laws.saver is not None else 0.0
        self._courses[run.job.id].halt()
        Moment(self._sim, self.now + seconds, self._arrives, (run, move), URGENT)

    def _arrives(self, moment: Moment) -> None:
        run: Run = moment._value[0]
        move: Move | Resize = moment._value[1]
        if self.runs.get(run.job.id) is not run:
            return  # it was lost on the way
        self._vacate(run)
        run.placement, run.goes = move.placement, None
        run.tuning = run.tuning if move.tuning is None else move.tuning
        run.accelerators = tuple(a for _, some in run.placement for a in some)
        run.base, run.begins, run.at = run.done, self.now, self.now
        arrived = Resized if isinstance(move, Resize) else Moved
        self._happened.append(arrived(self.now, run.job.id))
        self._enter(run, resumed=True)

    # Machines.

    def _clear(self, node: str, accelerators: frozenset[str]) -> None:
        """Who stands on a node, or on some accelerators of it, or is on the way there, is lost."""
        for run in list(self.runs.values()):
            for where, some in (*run.placement, *(run.goes or ())):
                hit = where == node and (not accelerators or any(a.partition("#")[0] in accelerators for a in some))
                if hit and run.job.id in self.runs:
                    self.end(run.job.id, "lost")

    def _provision(self, pool: str, count: int) -> None:
        names = self._machines.promise(pool, count)
        if self._laws.cloud is not None:
            self._laws.cloud.provision(pool, names)
            return
        for name in names:
            self.at(self.now, partial(self.come, name))

    def _release(self, node: str) -> None:
        if self._laws.cloud is not None:
            self._laws.cloud.release(node)
        else:
            self.at(self.now, partial(self.fall, node, "released"))
