"""The world under laws jumps from event to event; one that goes by small steps tells the same, to the step's error.

Whatever changes in the small steps falls on a step, so it comes late by less than one: each of `changes` puts an end,
or what was done by then, off by at most a step, stretched by the slowest speed. Examples that a step could turn into
another story (a job ends just when it is told to stop, or is lost just when its snapshot is safe) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from brute_harsh import Draw, Fall, Nature, Saves, Steps
from gpuyard.envs.cluster import Cluster
from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.laws.law import Law, Stage
from gpuyard.envs.laws.power import Power
from gpuyard.envs.laws.sharing import Sharing
from gpuyard.envs.laws.speed import Speed
from gpuyard.envs.log import DECISIONS
from gpuyard.envs.nodes import parse
from gpuyard.envs.placement import packed
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import (
    Cap,
    Decision,
    InvalidDecision,
    Move,
    Placement,
    Preempt,
    Resize,
    Start,
    Stopped,
    Submitted,
    Tick,
)
from gpuyard.traces.job import Job, Trace

STEP = 1 / 256
NODES = parse("2x2:V100")
SEATS = [(n.id, a.id) for n in NODES for a in n.accelerators]
HORIZON = 8.0
"""Seconds in which a policy does whatever comes to its mind; then it only starts what waits."""

RATES = {"heavy": {1: 2.0, 2: 3.0, 3: 3.3, 4: 3.2}, "light": {1: 1.0, 2: 1.9, 3: 2.7, 4: 3.5}}
KEPT = {"heavy": {"heavy": 0.0, "light": 0.6}, "light": {"heavy": 0.35, "light": 0.9}}


def table(folder: Path) -> str:
    """The same rates and parts as a file of profiles."""
    lines = []
    for name, rates in RATES.items():
        points = [[gang, rate] for gang, rate in rates.items()]
        lines.append(f'[profiles.{name}]\nnear = {{ V100 = {{ "by hand" = {points} }} }}')
        lines.append(f'spread = {{ V100 = {{ "by hand" = {points} }} }}')
    for own, row in KEPT.items():
        lines.append(f"[kept.V100.{own}]\n" + "\n".join(f"{other} = {part}" for other, part in row.items()))
    path = folder / "profiles.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@dataclass(frozen=True)
class Scripted:
    """Nodes and accelerators fall and rise when they are told to."""

    falls: tuple[Fall, ...]

    def begin(self, stage: Stage) -> object:
        for down, up, node, accelerators in self.falls:
            stage.at(down, partial(stage.fall, node, "failed", accelerators))
            stage.at(up, partial(stage.rise, node, "failed", accelerators))
        return object()


@dataclass(frozen=True)
class Story:
    """A few jobs, the laws of their world in both tellings, and what a policy may do there."""

    trace: Trace
    laws: dict[str, Law]
    nature: Nature
    seed: int
    does: tuple[str, ...]
    falls: tuple[Fall, ...] = ()


@dataclass
class Whims:
    """Decides at ticks, at random, legally or not; what the ledger refuses has not been said."""

    session: Session
    rng: np.random.Generator
    does: tuple[str, ...]
    said: list[tuple[float, Decision]] = field(default_factory=list)

    def play(self) -> None:
        read = 0
        while self.session.advance():
            fresh, read = self.session.log.entries[read:], len(self.session.log.entries)
            if any(isinstance(entry, Tick | Submitted) for entry in fresh) or not len(self.session.cluster.running):
                for decision in self.thoughts(self.session.cluster):
                    self.say(decision)
            read = len(self.session.log.entries)

    def say(self, decision: Decision) -> None:
        try:
            self.session.act(decision)
        except InvalidDecision:
            return

    def thoughts(self, cluster: Cluster) -> Iterator[Decision]:
        rng, wild = self.rng, cluster.now < HORIZON
        for job in list(cluster.pending):
            if wild and rng.random() < 0.7:
                share = 0.5 if "pack" in self.does and rng.random() < 0.7 else None
                yield Start(job.id, self.somewhere(job.gang, job), share=share)
        for job in list(cluster.pending):
            if (not wild or not len(cluster.running)) and (placement := packed(job, cluster.room)):
                yield Start(job.id, placement)
        if wild and rng.random() < 0.5 and (running := [r.job for r in cluster.running]):
            job = running[rng.integers(len(running))]
            match self.does[rng.integers(len(self.does))]:
                case "preempt":
                    yield Preempt(job.id)
                case "move":
                    yield Move(job.id, self.somewhere(cluster.running[job.id].gang))
                case "resize":
                    yield Resize(job.id, self.somewhere(int(rng.integers(1, 5))))
                case "cap":
                    yield Cap(SEATS[rng.integers(4)][1], [None, 120.0, 180.0, 240.0][rng.integers(4)])

    def somewhere(self, gang: int, job: Job | None = None) -> Placement:
        if job is not None and job.max_gang is not None:
            gang = int(self.rng.integers(job.min_gang or 1, job.max_gang + 1))
        chosen = [SEATS[i] for i in sorted(self.rng.permutation(4)[:gang])]
        nodes = dict.fromkeys(node for node, _ in chosen)
        return tuple((node, tuple(a for n, a in chosen if n == node)) for node in nodes)


CHECKPOINTS = Checkpoints(
    interval=0.83, stall=0.11, persist_gb_s=4.0, restore_s=0.21, restore_gb_s=8.0, move_gb_s=3.0, grace=9.0,
    gigabytes=1.2,
)  # fmt: skip
HASTY = Checkpoints(
    interval=0.83, stall=0.11, persist_gb_s=4.0, restore_s=0.21, restore_gb_s=8.0, move_gb_s=3.0, grace=0.3,
    requeue=0.5, gigabytes=1.2,
)  # fmt: skip
LIMITS = {120.0: (0.725, 0.836), 180.0: (0.899, 0.806), 240.0: (0.965, 0.897)}
"""Zeus' medians for the V100 at 40, 60 and 80 % of 300 W."""
DRAW = Draw(idle=32.0, context=0.0, most=300.0, busy=0.67, limits=LIMITS)


def saves(law: Checkpoints) -> Saves:
    return Saves(
        law.interval, law.stall, law.persist_gb_s, law.restore_s, law.restore_gb_s, law.move_gb_s, law.grace,
        law.gigabytes,
    )  # fmt: skip


KINDS = {
    "elastic": ("speed", "preempt", "resize", "resize", "move"),
    "co-located": ("speed", "sharing", "pack", "move", "preempt"),
    "capped": ("power", "cap", "cap", "preempt", "move"),
    "failing": ("fall", "preempt", "move"),
    "checkpointed": ("checkpoints", "fall", "fall", "preempt", "move"),
    "hasty": ("hasty", "fall", "preempt", "move"),
    "all": ("speed", "sharing", "power", "checkpoints", "fall", "pack", "resize", "move", "preempt", "cap"),
}


@st.composite
def stories(draw: st.DrawFn, kind: str, profiles: str) -> Story:
    on = KINDS[kind]
    jobs, durations, now = [], {}, 0.0
    for number in range(draw(st.integers(1, 4))):
        now += draw(st.sampled_from([0.0, 0.0, 0.5, 1.5]))
        gang = draw(st.sampled_from([1, 1, 2]))
        bounds = (1, 4) if "resize" in on else (None, None)
        profile = draw(st.sampled_from(["heavy", "light"])) if "speed" in on else None
        jobs.append(Job(number, now, gang, profile=profile, min_gang=bounds[0], max_gang=bounds[1]))
        durations[number] = draw(st.integers(2, 12)) * 0.617
    falls = tuple(fall for _, fall in zip(range(on.count("fall")), iter(lambda: draw(falling()), None), strict=False))
    falls = falls if len({f[2] for f in falls}) == len(falls) else falls[:1]
    saver = {"checkpoints": CHECKPOINTS, "hasty": HASTY}.get(next((o for o in on if o in ("checkpoints", "hasty")), ""))
    laws: dict[str, Law] = {"scripted": Scripted(falls)}
    laws |= {"speed": Speed(profiles=profiles)} if "speed" in on else {}
    laws |= {"sharing": Sharing(profiles=profiles)} if "sharing" in on else {}
    laws |= {"power": Power()} if "power" in on else {}
    laws |= {} if saver is None else {"checkpoints": saver}
    nature = Nature(
        0.37,
        None if saver is None else saves(saver),
        DRAW if "power" in on else None,
        RATES if "speed" in on else {},
        kept if "sharing" in on else alone,
    )
    return Story(Trace(tuple(jobs), durations), laws, nature, draw(st.integers(0, 10_000)), on, falls)


def kept(own: str, other: str) -> float:
    return KEPT[own][other]


def alone(own: str, other: str) -> float:
    return 1.0


def falling() -> st.SearchStrategy[Fall]:
    return st.builds(
        lambda at, seconds, number, whole: (
            at / 64 + 0.3,
            at / 64 + 0.3 + seconds,
            NODES[number].id,
            () if whole else (NODES[number].accelerators[0].id,),
        ),
        st.integers(0, 400),
        st.sampled_from([0.5, 2.0]),
        st.integers(0, 1),
        st.booleans(),
    )


def tell(story: Story) -> tuple[Session, Steps, dict[int, float], dict[int, float]]:
    """Both tellings: the session, the steps, and the ends and lost seconds of the session's jobs."""
    world = HarshWorld(story.trace, NODES, story.laws, restart=0.37, tick=0.5)
    session = Session(world)
    Whims(session, np.random.default_rng(story.seed), story.does).play()
    script = [(time, entry) for time, entry in session.log.timed() if isinstance(entry, DECISIONS)]
    stops = [entry for entry in session.log.entries if isinstance(entry, Stopped)]
    steps = Steps(STEP, NODES, story.trace.durations, story.nature)
    last = session.cluster.now
    ends = {stop.job: stop.time for stop in stops if stop.reason == "finished"}
    lost = {number: sum(stop.lost for stop in stops if stop.job == number) for number in {s.job for s in stops}}
    asks = [time for time, decision in script] + [fall[0] for fall in story.falls]
    near = [abs(stop.time - time) for stop in stops for time in asks if stop.time != time]
    assume(min(near, default=1.0) > 16 * STEP)
    steps.play(script, {j.id: j for j in story.trace.jobs}, list(story.falls), last)
    energy = steps.joules
    while steps.bodies and steps.now < last + 5:
        steps.go(STEP)
    steps.joules = energy
    assume(steps.edge > STEP * (1 + steps.changes))
    return session, steps, ends, lost


def check(story: Story) -> float:
    """How far apart the tellings are, in parts of what they may be."""
    session, steps, ends, lost = tell(story)
    assert steps.ends.keys() == ends.keys() == story.trace.durations.keys()
    bound = STEP * (1 + steps.changes) / steps.slowest
    apart = [abs(steps.ends[job] - end) for job, end in ends.items()]
    apart += [abs(steps.lost[job] - seconds) for job, seconds in lost.items()]
    if story.nature.draw is not None:
        joules = session.cluster.meter.joules
        assert joules is not None
        apart.append(abs(joules - steps.joules) / story.nature.draw.most)
    assert max(apart) <= bound
    return max(apart) / bound


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> str:
    return table(tmp_path_factory.mktemp("profiles"))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_small_steps_and_jumps_tell_the_same(kind: str, profiles: str, data: st.DataObject) -> None:
    check(data.draw(stories(kind, profiles)))
