"""`gpuyard quickstart`: the whole way once, from a trace to a trained policy to real processes in their places."""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ..envs.nodes import Nodes, describe
from ..envs.picture import draw
from ..envs.room import Room
from ..executor.emulated import gpus
from ..executor.nvml import NoDriver
from ..traces.catalog import find
from ..traces.job import Job
from . import compare, run, train
from .names import policy
from .options import command_of, option
from .screen import out, say
from .simulate import slug

RIVALS = ("fifo", "sjf", "f1", "easy", "easy(sjf)", "srtf", "las")
NEARBY = Path("../shared/traces/philly/philly.csv.gz")
"""Where a checkout's neighbour may keep the Philly trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quickstart:
    """The whole way once: train a policy on a trace, compare it on windows it never saw, let it place real processes.

    With the Philly trace at hand (gpuyard traces fetch philly) it is used, else generated jobs; it says which.
    """

    out: Path = option(Path("runs/quickstart"), help="Folder for policy, report and logs.", metavar="DIR")
    cluster: str = option("8x8:V100", help="The cluster to train for.")
    estimates: str = option("noisy:0.8", help="Run times that policies see.")
    steps: int = option(100_000, help="Decisions to train on after imitation.")
    windows: int = option(24, help="Held-out windows to compare on.")
    jobs: int = option(256, help="Jobs in a window.")
    gpus: str | None = option(None, help="auto or emulated:4xA100; by default what there is.")
    seed: int = option(0, help="Seed of all that is random.")


def run_all(args: Quickstart) -> int:
    """Trains, compares and runs; ends with where everything is. Exit code 130 when interrupted, 1 if a job failed."""
    began = time.monotonic()
    spec, told = trace()
    nodes, hardware = machines(args.gpus)
    home = args.out / slug(f"{spec.split(':')[0]}-{args.cluster}-{args.estimates}-{args.jobs}-seed{args.seed}")
    say(f"1 of 3: training on {told}")
    settings = train.Train(
        trace=spec,
        cluster=args.cluster,
        out=home / "policy",
        estimates=args.estimates,
        objective="jct",
        oversized="skip",
        steps=args.steps,
        jobs=args.jobs,
        seed=args.seed,
        validate_every=max(args.steps // 4, 1),
    )
    if code := train.run(settings):
        return code
    say("2 of 3: comparing on windows of the trace's last part, which nothing was trained or chosen on")
    contest = compare.Compare(
        trace=spec,
        cluster=args.cluster,
        estimates=args.estimates,
        oversized="skip",
        policy=(str(home / "policy"), *RIVALS),
        windows=args.windows,
        jobs=args.jobs,
        seed=args.seed,
        out=home / "comparison",
        fresh=True,
    )
    if code := compare.run(contest):
        return code
    say(f"3 of 3: the same policy places real processes on {hardware}")
    folder = home / time.strftime("live-%Y%m%d-%H%M%S")
    jobs = work(max(Room(nodes).largest.values()))
    log = run.live(nodes, jobs, policy(str(home / "policy")), folder)
    rows = run.outcomes(log, jobs)
    run.show(rows, log, folder)
    picture = draw(log, folder / "session.png", f"{len(jobs)} real processes on {describe(nodes)}")
    console = out()
    console.print(f"\nreport      {home / 'comparison' / 'report.html'}", markup=False)
    console.print(f"policy      {home / 'policy'}", markup=False)
    console.print(f"live log    {folder / 'session.jsonl'}, its picture {picture.name}", markup=False)
    console.print(f"took        {time.monotonic() - began:.0f} s", markup=False)
    return 0 if all(row["state"] == "finished" for row in rows) else 1


def trace() -> tuple[str, str]:
    """The trace's spec and what it is: Philly's own rows if they are at hand, else jobs from the generator."""
    if NEARBY.exists():
        return f"philly:{NEARBY}", f"the Philly trace in {NEARBY}"
    if find("philly").is_cached:
        return "fetched:philly", "the Philly trace of the fetch cache"
    return (
        "synthetic:philly,jobs=40000",
        "generated jobs (calibrated on Philly; 'gpuyard traces fetch philly' gets the real ones)",
    )


def machines(spec: str | None) -> tuple[Nodes, str]:
    """This machine's GPUs if NVML shows any, else emulated ones, and a word on which."""
    if spec is None:
        try:
            nodes: Nodes = gpus("auto")
        except NoDriver:
            nodes = ()
        if not any(node.accelerators for node in nodes):
            nodes = gpus("emulated:4xA100")
    else:
        nodes = gpus(spec)
    return nodes, describe(nodes)


def work(most: int) -> tuple[Job, ...]:
    """Sixteen small real commands, gangs of 1, 2 and 4 but at most `most`, that come within two seconds."""
    program = "import os, sys, time; print('GPUs', os.environ['CUDA_VISIBLE_DEVICES']); time.sleep(float(sys.argv[1]))"
    plan = [(1, 1.2), (2, 0.8), (1, 0.3), (4, 0.6), (1, 0.4), (1, 1.5), (2, 0.5), (1, 0.2)] * 2
    return tuple(
        Job(
            number,
            submit=0.12 * number,
            gang=min(gang, most),
            estimate=seconds,
            name=f"train-{number}",
            command=(sys.executable, "-c", program, str(seconds)),
        )
        for number, (gang, seconds) in enumerate(plan)
    )


command = command_of(
    Quickstart,
    run_all,
    examples="""
    gpuyard quickstart
    gpuyard quickstart --out runs/longer --steps 1000000 --windows 64
    gpuyard quickstart --gpus emulated:8xH100
    """,
)
