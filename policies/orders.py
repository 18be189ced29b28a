"""The published orders of a waiting line. Each is strict: its first job blocks those behind it until it fits.

The published formulas divide by estimates and gangs and take their logarithms: an estimate below a second counts as a
second there, and a job without accelerators as one with one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..envs.roster import Columns, Floats, Moving
from ..traces.job import Job
from ..traces.trouble import BadInput
from .needs import ESTIMATES
from .ranked import Formula, Ranked, submitted


def expected(jobs: Any) -> Any:
    """The estimate of a `Job`, or those of `Columns`, seconds. BadInput if there is none: a guess would be a lie."""
    estimate = jobs.estimate
    if isinstance(jobs, Job):
        if estimate is None:
            raise _no_estimate(jobs.id)
    elif (unknown := np.isnan(estimate)).any():
        raise _no_estimate(jobs.keys[int(unknown.argmax())])
    return estimate


def _no_estimate(job: int) -> BadInput:
    return BadInput(
        f"job {job} has no estimate and this policy needs one; add --estimates exact or --estimates noisy:SIGMA, "
        "or choose a policy that needs none, such as fifo or las"
    )


def _seconds(jobs: Any) -> Any:
    return np.maximum(expected(jobs), 1.0)


def _gang(jobs: Any) -> Any:
    return np.maximum(jobs.gang, 1.0)


def longest(jobs: Any) -> Any:
    """The longest estimate first."""
    return -expected(jobs)


def area(jobs: Any) -> Any:
    """Estimate times gang, accelerator-seconds."""
    return expected(jobs) * _gang(jobs)


def fitted(jobs: Any) -> Any:
    """log10(estimate) gang + 870 log10(submit): F1 of Carastan-Santos and de Camargo, SC 2017, fitted to simulations.

    A submission in the first second of the trace counts as one second after its start, where the logarithm begins.
    """
    return np.log10(_seconds(jobs)) * _gang(jobs) + 870.0 * np.log10(np.maximum(jobs.submit, 1.0))


def waits_cubed(columns: Columns, now: float) -> Floats:
    """-(wait / estimate)^3 gang: WFP of Tang, Lan, Desai and Buettner, Cluster 2009. They wait until now."""
    scores: Floats = -(((now - columns.submit) / _seconds(columns)) ** 3) * _gang(columns)
    return scores


TINY = 1e-15
"""Keeps the logarithm of a gang of one off zero, as in the code of RLScheduler (Zhang et al., SC 2020)."""


def waits_over_area(columns: Columns, now: float) -> Floats:
    """-wait / (log2(gang) estimate): UNICEF of Tang, Lan, Desai and Buettner, Cluster 2009.

    Wait and gang are each `TINY` more, which puts single accelerators first.
    """
    scores: Floats = -(now - columns.submit + TINY) / (np.log2(_gang(columns) + TINY) * _seconds(columns))
    return scores


def gang_size(jobs: Any) -> Any:
    """Accelerators."""
    return jobs.gang


fifo = Ranked(submitted)
"""First in, first out."""
sjf = Ranked(Formula(expected), needs=ESTIMATES)
"""Shortest job first, by estimate (Smith 1956)."""
ljf = Ranked(Formula(longest), needs=ESTIMATES)
"""Longest job first, by estimate (Graham 1969)."""
saf = Ranked(Formula(area), needs=ESTIMATES)
"""Smallest area first."""
sqf = Ranked(Formula(gang_size))
"""Smallest gang first; q is what batch logs call the number of processors."""
f1 = Ranked(Formula(fitted), needs=ESTIMATES)
"""F1, a fitted formula of estimate, gang and submission."""
wfp3 = Ranked(Moving(waits_cubed), needs=ESTIMATES)
"""WFP3: how often a job has waited its own length, to the third power."""
unicep = Ranked(Moving(waits_over_area), needs=ESTIMATES)
"""UNICEP: as WFP3, without the power, and for small gangs first."""
