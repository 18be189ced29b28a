"""What a comparison found, in numbers, tables, data frames and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from .. import __version__
from ..envs.nodes import Nodes, describe
from ..traces.job import Trace
from ..traces.trouble import BadInput, nearest
from ..traces.windows import fingerprint
from . import curves, figures, fronts
from .contest import Contest, Key, Outcome, identity
from .headroom import Headroom
from .held_out import HeldOut
from .intervals import RESAMPLES
from .options import spoken
from .scene import Scene, accelerators, restarts, told_estimates
from .scores import METRICS
from .standing import Standing, at

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from .compare import Compare

Which = Literal["ratios", "spreads", "profiles", "loads", "trades", "gang", "tenant"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found.

    Attributes:
        everybody: a standing for each policy, load by load, in the order they were named; oracles last.
        reference: the policy that the others were compared with.
        heuristics: those that were not learned.
        contest: what all met.
        known: of each policy, load and window, the rows of `results.csv`.
        headroom: how far the best rule is from the oracles, by load.
        document: all of it in plain values, as `comparison.json` has it.
    """

    everybody: list[Standing]
    reference: str
    heuristics: tuple[str, ...]
    contest: Contest
    known: Mapping[Key, Outcome]
    headroom: Sequence[Headroom]
    document: dict[str, Any]

    @property
    def loads(self) -> list[float]:
        """In the order they were asked for; the first is the one of figures that show one."""
        return list(dict.fromkeys(one.load for one in self.everybody))

    @property
    def by_load(self) -> dict[float, list[Standing]]:
        """Load -> a standing for each policy."""
        return {load: at(self.everybody, load) for load in self.loads}

    @property
    def found(self) -> list[Standing]:
        """Those of the first load."""
        return at(self.everybody, self.loads[0])

    def frame(self) -> DataFrame:
        """A pandas row for each policy (each seed of one), load and window, with all metrics."""
        from .frames import frame

        return frame(self)

    def figure(self, which: Which = "ratios", load: float | None = None) -> Figure:
        """Draws one of the report's figures. Raises BadInput for one that there is not.

        Args:
            which: "ratios" to the reference with intervals; "spreads", every window's score; "profiles"; "loads", all
                of them; "trades", completion times against energy, carbon and money; by "gang" and "tenant".
            load: which, where there are several; the first if not given.
        """
        here = at(self.everybody, self.loads[0] if load is None else load)
        if not here:
            raise BadInput(f"load {load}: was not compared; choose one of {', '.join(f'{x:g}' for x in self.loads)}")
        match which:
            case "ratios":
                return figures.ratios(here, self.reference)
            case "spreads":
                return figures.spreads(here)
            case "profiles":
                return figures.profiles(here)
            case "loads":
                return curves.loads(self.everybody)
            case "trades":
                return curves.trades(here, self.reference)
            case "gang" | "tenant":
                return curves.served(here, which, self.reference)
        raise BadInput(f"there is no figure '{which}'.{nearest(which, list(get_args(Which)))}")


def document(
    args: Compare,
    stage: Scene,
    part: HeldOut,
    contest: Contest,
    found: Sequence[Standing],
    headroom: Sequence[Headroom],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """All that was found and all that is needed to find it again. Times in seconds."""
    trace, work = stage.trace, offered(part.windows, stage.nodes)
    by_load = {load: at(found, load) for load in args.load}
    return {
        "trace": args.trace or stage.setting.trace,
        "cluster": args.cluster,
        "scenario": args.scenario,
        "estimates": told_estimates(trace.estimates),
        "reference": args.reference or args.policy[0],
        "windows": args.windows,
        "jobs": args.jobs,
        "warmup": args.warmup,
        "load": args.load[0],
        "loads": list(args.load),
        "offered_load": _times(work, args.load[0]),
        "restart_cost": stage.setting.restart,
        "restarts": restarts(stage.setting),
        "placement": args.placement,
        "warnings": list(warnings),
        "metrics": {name: about.as_dict() for name, about in METRICS.items()},
        "policies": [one.as_dict() for one in by_load[args.load[0]]],
        "by_load": [
            {
                "load": load,
                "offered_load": _times(work, load),
                "policies": [one.as_dict() for one in some],
                "beaten_in_all_by": fronts.beaten(some),
            }
            for load, some in by_load.items()
        ],
        "headroom": [one.as_dict() for one in headroom],
        "provenance": {
            "command": spoken("compare", args),
            "version": __version__,
            "trace": trace.name,
            "trace_sha256": fingerprint(trace),
            "cluster": describe(stage.nodes),
            "laws": sorted(stage.setting.laws),
            "scenario": None if stage.setting.plain else stage.setting.name,
            "split": part.dates(),
            "windows_sha256": contest.windows_sha256,
            "contest_sha256": contest.sha256,
            "policy_sha256": {name: identity(name) for one in found for name in one.members},
            "disjoint_windows": part.fits,
            "seed": args.seed,
            "bootstrap": {
                "resamples": RESAMPLES,
                "seed": args.seed,
                "interval": "percentile, 95 %",
                "block": part.block,
            },
            "correction": "Holm, over rivals and loads of each metric",
            "skipped": [job.id for job in stage.skipped],
            "load_report": trace.report.as_dict() if trace.report else None,
        },
        "window_list": [_window(contest, number) for number in range(args.windows)],
    }


def offered(windows: Sequence[Trace], nodes: Nodes) -> float | None:
    """The median over windows of the work they bring over the work that the cluster could do while they come."""
    size = accelerators(nodes)
    loads = [window.work / (size * window.span) for window in windows if window.span and size]
    return float(np.median(loads)) if loads else None


def _times(work: float | None, load: float) -> float | None:
    return None if work is None else work * load


def _window(contest: Contest, number: int) -> dict[str, Any]:
    scored = contest.scored(number)
    return {"window": number, "first_job": scored[0], "last_job": scored[-1]}
