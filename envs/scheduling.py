"""The Gymnasium face of a session: a step is one decision, or a wait for what happens next."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from ..traces.job import Trace
from ..traces.trouble import BadInput
from .codec import Codec, Mask, Menu, Observation, Starts
from .nodes import Nodes
from .rates import Mix, Rate, active_jobs
from .scenario import Scenario, of_cluster
from .session import Policy, Session
from .sim import RESTART


class SchedulingEnv(gym.Env[Observation, np.int64]):
    """Schedules a window of a trace.

    A decision takes no time and earns nothing. Waiting lets the world go on to its next events and earns the rate times
    the seconds that passed. An episode ends when every job of its window is done. An action outside the mask is read as
    waiting (as the first legal row where waiting is not legal) and counted in `info["illegal"]`.

    Args:
        trace: jobs to draw windows from, or a spec such as "synthetic:philly,jobs=2000,largest=32", the default.
        cluster: nodes, a spec such as "4x8:V100" (the default), or a scenario. Its chance is another in each window,
            and the same whenever a window is played.
        codec: between the ledger and arrays; `Starts()` by default.
        rate: reward per second, of a view of the ledger.
        rate_of: makes the rate of each window instead, for rewards that know true run times (`rates.slowdown`).
        mix: several objectives instead, with weights.
        window: consecutive jobs in an episode, drawn at random at each reset; None for the whole trace.
        restart: seconds a preempted job needs before it works again; a scenario has its own.
        tick: seconds between ticks, at which it is to decide though nothing happened; None for none.
        warmup: jobs of each window that `warm` schedules, to fill the cluster; then it is the agent's turn.
        warm: who schedules them.
        skip_forced: go on by itself while waiting is all that can be done.
        oversized: what to do with jobs that the cluster could never run.
        render_mode: "ansi" for text, "rgb_array" for a picture: who stood where so far, the queue, what was in use.

    `reset(options={"trace": trace})` plays that window instead of a drawn one. With a mix, `weights` are those of its
    objectives' costs; a `codec` takes the place of the environment's, with the same spaces.

    Raises BadInput for specs that cannot be read, a window of no jobs, and jobs to be refused.
    """

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}  # noqa: RUF012 (Gymnasium declares it so)

    def __init__(
        self,
        trace: Trace | str | None = None,
        cluster: Nodes | str | Scenario | None = None,
        codec: Codec | None = None,
        rate: Rate = active_jobs,
        *,
        rate_of: Callable[[Trace], Rate] | None = None,
        mix: Mix | None = None,
        window: int | None = 256,
        restart: float = RESTART,
        tick: float | None = None,
        warmup: int = 0,
        warm: Policy | None = None,
        skip_forced: bool = False,
        oversized: Literal["refuse", "skip"] = "refuse",
        render_mode: str | None = None,
    ) -> None:
        self.trace = _trace(trace)
        self.world = cluster if isinstance(cluster, Scenario) else of_cluster(cluster or "4x8:V100", restart)
        self.nodes = self.world.nodes
        self.codec: Codec = codec or Starts()
        self.rate, self.rate_of, self.mix, self.tick = rate, rate_of, mix, tick
        self.window, self.skip_forced = window, skip_forced
        self.warmup, self.warm = warmup, warm
        self.render_mode = render_mode
        self.observation_space = self.codec.observation_space  # type: ignore[assignment]
        self.action_space = self.codec.action_space
        self._check(oversized if trace is not None else "skip")
        self.session: Session | None = None
        self.menu: Menu

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins a window at its first submission."""
        super().reset(seed=seed)
        window: Trace = options["trace"] if options and "trace" in options else self.draw()
        if self.rate_of is not None:
            self.rate = self.rate_of(window)
        if self.mix is not None:
            self.mix.begin(window, (options or {}).get("weights"))
        if options and "codec" in options:
            self.codec = replace(options["codec"])  # codecs remember their session: replicas must not share one
        self.session = Session(self.world.drawn(window.jobs[0].id).world(window, tick=self.tick))
        self.illegal = 0
        self._warm_up(window)
        self._look()
        return self.menu.observation, {"illegal": 0}

    def _warm_up(self, window: Trace) -> None:
        """Goes on to the first submission that is the agent's to schedule."""
        assert self.session is not None
        session, warm = self.session, deepcopy(self.warm)
        first = window.jobs[min(self.warmup, len(window) - 1)].submit if warm is not None else -1.0
        while session.advance() and warm is not None and session.cluster.now < first:
            for decision in warm.decide(session.cluster):
                session.act(decision)

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Decides, or waits. Raises gymnasium.error.ResetNeeded before the first reset."""
        if self.session is None:
            raise gym.error.ResetNeeded("call reset() before step()")
        row = int(action)
        if not 0 <= row < len(self.menu.mask):
            raise gym.error.InvalidAction(f"action {row}: the menu has rows 0 to {len(self.menu.mask) - 1}")
        if not self.menu.mask[row]:
            self.illegal += 1
            row = len(self.menu.mask) - 1 if self.menu.mask[-1] else int(self.menu.mask.argmax())
        reward, over = 0.0, False
        if (decisions := self.menu.choose(row)) is not None:
            for decision in decisions:
                self.session.act(decision)
        else:
            reward, over = self._wait()
        self._look()
        if self.skip_forced and not over:
            more, over = self._skip()
            reward += more
        return self.menu.observation, reward, over, False, {"illegal": self.illegal}

    def action_masks(self) -> Mask:
        """What may be chosen now, bool of shape (rows,). MaskablePPO asks for it under this name."""
        return self.menu.mask

    def render(self) -> Any:
        """The session so far as text, or as a picture: uint8 of shape (700, 1000, 3)."""
        from .picture import as_pixels
        from .sketch import sketch

        if self.session is None:
            raise gym.error.ResetNeeded("call reset() before render()")
        if self.render_mode == "ansi":
            return sketch(self.session.log).plain
        return as_pixels(self.session.log) if self.render_mode == "rgb_array" else None

    def _check(self, oversized: str) -> None:
        """Jobs that can never run would end every episode early, and leave their cost unpaid."""
        if self.window is not None and self.window < 1:
            raise BadInput(f"window={self.window}: give 1 job or more, or None for the whole trace")
        room = self.world.room()
        shapes = {room.shape(job): job for job in reversed(self.trace.jobs)}
        never = {shape for shape, job in shapes.items() if not room.could_ever(job)}
        out = [job for job in self.trace.jobs if room.shape(job) in never]
        if out and oversized == "refuse":
            raise BadInput(f"job {out[0].id} can never run on this cluster; choose a larger one, or oversized='skip'")
        if out:
            self.trace = self.trace.of(job for job in self.trace.jobs if room.shape(job) not in never)
        if not len(self.trace):
            raise BadInput("the trace has no jobs that this cluster could run; choose another trace or cluster")

    def _look(self) -> None:
        assert self.session is not None
        self.menu = self.codec.menu(self.session.cluster)

    def _wait(self) -> tuple[float, bool]:
        assert self.session is not None
        cluster = self.session.cluster
        if self.mix is not None:
            self.mix.before(cluster)
            over = not self.session.advance()
            return self.mix.after(cluster), over
        then, rate = cluster.now, self.rate(cluster)
        over = not self.session.advance()
        return rate * (cluster.now - then), over

    def _skip(self) -> tuple[float, bool]:
        """Waits on while nothing else can be chosen."""
        total, over = 0.0, False
        while not over and self.menu.forced:
            reward, over = self._wait()
            total += reward
            self._look()
        return total, over

    def draw(self) -> Trace:
        """A window at random, rebased to second 0."""
        if self.window is None or self.window >= len(self.trace):
            return self.trace.rebased()
        start = int(self.np_random.integers(len(self.trace) - self.window + 1))
        return self.trace.of(self.trace.jobs[start : start + self.window]).rebased()


def _trace(trace: Trace | str | None) -> Trace:
    if isinstance(trace, Trace):
        return trace
    from ..traces.estimates import with_estimates
    from ..traces.source import open_trace

    return with_estimates(
        open_trace(trace or "synthetic:philly,jobs=2000,seed=0,largest=32"),
        "noisy:0.8" if trace is None else "recorded",
        0,
    )
