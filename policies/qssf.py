"""Quasi-shortest service first: least predicted GPU-time first, of Helios' QSSF (Hu et al., SC 2021, section 4.2).

    priority = predicted run time (its median) x gang

Smallest first, without preemption. The order is strict, as in the simulator that its authors published: the first that
does not fit blocks those behind it, and nobody is backfilled. `Ranked(qssf.score, strict=False)` lets those behind it
pass. Helios predicts with a rolling estimate and boosted trees together; here `--estimates predicted` does, and with
other estimates this is smallest area first.

Helios keeps a line for each virtual cluster. Tenants with quotas are that here: who waits for its tenant's quota blocks
those of its tenant alone. Left out: a virtual cluster's own nodes (tenants share theirs, so a gang that is within its
quota and finds no place blocks everybody), and that jobs which find nobody waiting come by gang.
"""

from __future__ import annotations

from .needs import ESTIMATES
from .orders import area
from .ranked import Formula, Ranked

qssf = Ranked(Formula(area), needs=ESTIMATES)
"""Least predicted accelerator-seconds first."""
