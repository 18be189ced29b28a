"""Results as pandas DataFrames, and pictures by one call: for notebooks and for those who go on in Python."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import pandas as pd

from ..envs import picture
from ..envs.log import Log
from ..envs.metrics import Tally, breakdown, read, summary
from .entrants import is_oracle
from .groups import Kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .comparison import Comparison


def frame(done: Comparison) -> pd.DataFrame:
    """Every outcome of a comparison, a row for each policy (each seed of one), load and window."""
    names = {name: one.policy for one in done.everybody for name in one.members}
    rows = [
        {**asdict(one), "policy": names[name], "member": name, "oracle": is_oracle(name)}
        for (name, load, _), one in sorted(done.known.items())
        if name in names and load in done.loads
    ]
    return pd.DataFrame(rows).drop(columns=["log_sha256", "groups"])


def standings(done: Comparison) -> pd.DataFrame:
    """A row for each policy and load: means over windows, and the ratio to the reference's with its 95 % interval.

    `..._p` is for no difference, after Holm's correction for all that were compared.
    """
    rows = []
    for load, found in done.by_load.items():
        for one in found:
            row: dict[str, object] = {"load": load, "policy": one.policy}
            for metric, value in one.means.items():
                row[metric] = value.value
            for metric, duel in one.duels.items():
                row |= {f"{metric}_ratio": duel.ratio.value, f"{metric}_low": duel.ratio.low}
                row |= {f"{metric}_high": duel.ratio.high, f"{metric}_p": duel.corrected}
                row |= {f"{metric}_verdict": duel.verdict}
            rows.append(row)
    return pd.DataFrame(rows).set_index(["load", "policy"])


def groups(done: Comparison, kind: Kind = "gang") -> pd.DataFrame:
    """A row for each policy, load and size of gang, or tenant: means of all its jobs, over all windows."""
    return (
        pd.DataFrame(
            [
                {"load": one.load, "policy": one.policy, kind: name, "jobs": group.jobs, "mean_jct": group.jct}
                | {"mean_bounded_slowdown": group.slowdown}
                | {"mean_jct_ratio": 1.0 if group.jct_ratio is None else group.jct_ratio.value}
                for one in done.everybody
                for name, group in one.groups[kind].items()
            ]
        )
        .set_index(["load", "policy", kind])
        .sort_index()
    )


def jobs(log: Log) -> pd.DataFrame:
    """A row for each job of a log: when it came, began to wait and ended, what it had; seconds and accelerators."""
    told = read(log).jobs
    return pd.DataFrame(
        {
            "job": told.job,
            "submit": told["submit"],
            "gang": told["gang"],
            "end": told.end,
            "run": told.run,
            "wait": told.wait,
            "jct": told.jct,
            "bounded_slowdown": told.bounded_slowdown,
            "preemptions": told["preemptions"],
        }
    ).set_index("job")


def summaries(logs: dict[str, Log]) -> pd.DataFrame:
    """A row for each named log: the numbers of `metrics.Summary`."""
    return pd.DataFrame([_flat(name, summary(log)) for name, log in logs.items()]).set_index("name")


def parts(log: Log, by: str = "by_gang") -> pd.DataFrame:
    """A row for each tenant ("by_tenant") or size of gang ("by_gang")."""
    return pd.DataFrame([_flat(name, tally) for name, tally in breakdown(log)[by].items()]).set_index("name")


def _flat(name: str, one: Tally) -> dict[str, object]:
    return {"name": name, **{key: value for key, value in one.as_dict().items() if key != "work"}}


def figure(log: Log, title: str = "") -> Figure:
    """Who stood where, the queue, and what was in use."""
    return picture.figure(log, title, (11.0, 4.6))
