"""Each law by itself, made inert: beside the plain world it tells more, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from gpuyard.envs.scenario import all_laws
from gpuyard.envs.vocabulary import Measured, Priced, Stopped
from gpuyard.experiments.names import policy
from gpuyard.traces.enrich import enriched
from gpuyard.traces.synthetic import generate
from tales import tell, without

TRACE = enriched(generate("philly", 200, 8, largest=8), 8, fractions=0.3)
"""Jobs without profiles, groups, data and regimes; some want shares."""

INERT: dict[str, dict[str, Any]] = {
    "checkpoints": {"stall": 0.0, "restore_s": 0.0, "gigabytes": 0.0},
    "clouds": {"pools": {}},  # no pool, and no job has data
    "eyes": {},  # looks alone
    "failures": {"chaos": 1e-12},
    "market": {"places": {}},
    "mishaps": {"chaos": 0.0},
    "partitions": {},  # nobody cuts
    "power": {},  # nobody limits
    "regimes": {},  # nobody changes a batch size
    "sharing": {"kept": 1.0},
    "speed": {},  # jobs without a profile, with their own gangs
    "spot": {},  # no node is of spot
    "stragglers": {"chaos": 1e-12},
    "sweeps": {},  # no groups
    "tuned": {},  # nobody is told
}
"""Law -> parameters with which it does nothing to these jobs. A new law has its entry here.

At a rate of 1e-12 nothing happens in a million years: these two laws want rates above 0.
"""


def test_every_law_has_an_entry() -> None:
    assert set(INERT) == set(all_laws())


@pytest.mark.parametrize("name", ["fifo", "las"])
@pytest.mark.parametrize("law", list(all_laws()))
def test_an_inert_law_changes_nothing(law: str, name: str) -> None:
    plain = tell(TRACE, "2x8:V100", {}, policy(name))
    harsh = tell(TRACE, "2x8:V100", {law: all_laws()[law](**INERT[law])}, policy(name))
    assert without(harsh.log, Measured, Priced) == plain.log.entries


def test_the_tale_has_what_laws_could_change() -> None:
    """Some share an accelerator, and some are stopped before their end."""
    log = tell(TRACE, "2x8:V100", {}, policy("las")).log
    assert any(job.share < 1 for job in TRACE.jobs)
    assert any(isinstance(one, Stopped) and one.reason == "preempted" for one in log.entries)
