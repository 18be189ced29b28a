"""Quasi-shortest service first: least predicted GPU-time first, of Helios' QSSF (Hu et al., SC 2021, section 4.2).

    priority = predicted run time (its median) x gang

Smallest first, without preemption; the first that does not fit blocks those behind it. Helios predicts with a rolling
estimate and boosted trees together; here `--estimates predicted` does, and with other estimates this is smallest area
first. Helios keeps a line for each virtual cluster: give the scenario tenants with quotas for that.
"""

from __future__ import annotations

from .needs import ESTIMATES
from .orders import area
from .ranked import Formula, Ranked

qssf = Ranked(Formula(area), needs=ESTIMATES)
"""Least predicted accelerator-seconds first."""
