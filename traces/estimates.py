"""What a scheduler is told of run times: nothing, what users said, predictions, or the truth with noise on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from .history import History, Past
from .job import Trace
from .trouble import BadInput, nearest

MODES = ("recorded", "none", "predicted", "exact", "noisy:SIGMA")
DERIVED = "derived from the true run times: no user stated them"


def with_estimates(trace: Trace, mode: str, seed: int = 0) -> Trace:
    """The same trace with other estimates, and `Trace.estimates` says which.

    Args:
        trace: any.
        mode: "recorded", the estimates as they are; "none"; "predicted", none either, as the world in which the trace
            happens is to predict them from jobs that have ended there or before; "exact", each job's true run time, so
            a policy that reads it is an oracle; "noisy:SIGMA", the true run time x exp(N(0, SIGMA)), one fixed draw a
            job.
        seed: of the noise.

    Raises:
        BadInput: another mode, or a SIGMA that is not from 0 to 10.
    """
    if mode == "predicted" or (mode == "recorded" and trace.estimates == "predicted"):
        bare = _told(trace, [None] * len(trace), "predicted")
        return bare if bare.past is not None else replace(bare, past=Past(History(bare)))
    if mode == "recorded":
        return trace
    if mode == "none":
        return _told(trace, [None] * len(trace), mode)
    truths = np.array([trace.durations[job.id] for job in trace.jobs])
    if mode == "exact":
        return _told(trace, truths.tolist(), mode)
    sigma = _sigma(mode)
    noise = np.random.default_rng(seed).normal(0.0, sigma, len(truths))
    return _told(trace, (truths * np.exp(noise)).tolist(), f"noisy:{sigma:g}")


def explained(label: str) -> str:
    """A label of `Trace.estimates` in words, for tables and reports."""
    words = {
        "recorded": "as recorded",
        "none": "none",
        "predicted": "predicted from jobs that had ended",
        "exact": f"exact, an oracle ({DERIVED})",
    }
    return words.get(label, f"{label} ({DERIVED})")


def _sigma(mode: str) -> float:
    name, _, text = mode.partition(":")
    if name != "noisy":
        raise BadInput(f"estimates '{mode}': there is no such mode.{nearest(mode, list(MODES))}")
    try:
        sigma = float(text)
    except ValueError:
        raise BadInput(f"estimates '{mode}': SIGMA is not a number; write noisy:0.8") from None
    if not 0 <= sigma <= 10:
        raise BadInput(f"estimates '{mode}': SIGMA has to be from 0 to 10; write noisy:0.8")
    return sigma


def _told(trace: Trace, estimates: Iterable[float | None], mode: str) -> Trace:
    jobs = tuple(replace(job, estimate=e, upper=None) for job, e in zip(trace.jobs, estimates, strict=True))
    return replace(trace, jobs=jobs, estimates=mode)
