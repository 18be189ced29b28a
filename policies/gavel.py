"""Gavel: policies for unlike accelerators as linear programs over an allocation, made real in rounds.

Narayanan et al., OSDI 2020, "Heterogeneity-Aware Cluster Scheduling Policies for Deep Learning Workloads": section 4
for the programs, section 5 for the rounds (`rounds`). An allocation X says what part of its time each job spends on
each kind; job i then works at the rate sum_k rates[i, k] X[i, k], by public tables of throughput (`Rounds.law`). The
three policies are one program, `crowd.shares`, with unlike needs. Where all kinds are alike, or jobs are of families
that nobody measured, they do what they would on one kind.

Left out: space sharing (pairs of jobs on an accelerator), hierarchies, water filling (what the program leaves over goes
where most work is done), costs and deadlines, throughputs learned while jobs run, moves without a stop.
"""

from __future__ import annotations

import numpy as np

from .crowd import Crowd, Floats, shares
from .needs import ESTIMATES
from .rounds import Rounds

NARROW = 0.01
"""The bounds on the worst finish-time fairness are as close as this, as a part of it, when the search ends."""
TRIES = 12
"""Programs that one search solves at most."""


def max_min(crowd: Crowd) -> Floats:
    """Maximise the smallest gang x rate / (weight x rate with equal time on every accelerator): section 4.1.

    Least attained service that knows kinds. The weight is the job's priority where that is above 0, else 1.
    """
    return shares(crowd.rates, crowd.weights * crowd.equal / crowd.gangs, crowd.gangs, crowd.capacity)[0]


def makespan(crowd: Crowd) -> Floats:
    """Minimise the time in which all could end, the largest work / rate: section 4.2."""
    return shares(crowd.rates, crowd.remaining, crowd.gangs, crowd.capacity)[0]


def finish_time_fair(crowd: Crowd) -> Floats:
    """Minimise the largest finish-time fairness rho: section 4.2, after Themis (Mahajan et al., NSDI 2020).

    rho = (waited + remaining / rate) / (alone + remaining / rate alone), where alone means with an n-th of the cluster.
    For a given rho each job needs the rate remaining / (rho x time alone - waited). If all get s times that, the best
    rho lies between the smallest and the largest of what each then reaches: a program narrows it from both sides.
    """
    time = crowd.alone + crowd.remaining / crowd.isolated
    past = crowd.waited / time
    low = float(past.max())
    high, rho, least = np.inf, 2.0 * low + 1.0, low * (1 + 1e-6) + 1e-9
    for _ in range(TRIES):
        times, part = shares(crowd.rates, crowd.remaining / (rho - past) / time, crowd.gangs, crowd.capacity)
        reached = past + (rho - past) / part
        low, high = max(low, float(reached.min())), min(high, float(reached.max()))
        if high - low <= NARROW * high:
            break
        rho = max((low + high) / 2, least)
    return times


gavel = Rounds(max_min)
"""Max-min fairness that knows kinds."""
gavel_makespan = Rounds(makespan, needs=ESTIMATES)
"""The shortest makespan, by estimates."""
gavel_ftf = Rounds(finish_time_fair, needs=ESTIMATES)
"""Finish-time fairness that knows kinds, by estimates."""
