"""A small scenario, and how its text becomes one."""

from __future__ import annotations

from pathlib import Path

from gpuyard.envs.scenario import Scenario, read

SMALL = """
about = "Two nodes and a law."
trace = "synthetic:lab,jobs=40"
[[nodes]]
count = 2
accelerators = 4
kind = "V100"
per_rack = 1
site = "here"
[sites.here]
pue = 1.5
[tenants.ada]
quota = 6
[laws.checkpoints]
interval = 600
"""


def made(text: str) -> Scenario:
    return read(text, "small.toml", Path())
