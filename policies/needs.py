"""What policies need of a world and of its jobs, in words that commands check before anything runs."""

from __future__ import annotations

from typing import Literal

Need = Literal[
    "estimates",
    "profiles",
    "kinds",
    "elastic",
    "shares",
    "tenants",
    "owners",
    "moves",
    "pools",
    "power",
    "carbon",
]
"""estimates: every job has a run time estimate. profiles: jobs have a model family, and the law of speed is on. kinds:
there are accelerators of several kinds. elastic: some jobs take other gangs than their own. shares: some jobs ask for
part of an accelerator. tenants: the world has tenants. owners: jobs are of several tenants, whatever the world. moves:
the world moves and resizes jobs, and cuts accelerators. pools: there are nodes that come and go. power: the law of
power is on. carbon: the law of the market is on.
"""
Needs = frozenset[Need]

NOTHING: Needs = frozenset()
ESTIMATES: Needs = frozenset({"estimates"})
