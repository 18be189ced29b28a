"""Generated prices and carbon against the recorded ones, region by region."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from click.testing import CliRunner
from real import REAL

from gpuyard.envs.laws.market import region, regions
from gpuyard.envs.series import YEAR, sampled, synthetic
from gpuyard.experiments.measure_market import command, told

ALL = [(key, name) for key in ("carbon", "price") for name in regions(key)]
YEARS = {"carbon": 24, "price": 96}
"""Generated for each region: slow noise lasts for weeks and few spikes weigh much, so years differ from each other."""


def test_all_recorded_regions_are_there() -> None:
    assert list(regions("carbon")) == ["CISO", "BPAT", "AZPS", "ERCO", "MISO", "SOCO", "PJM", "NYIS", "DE-LU"]
    assert list(regions("price")) == ["CAISO", "ERCOT", "DE-LU"]


@pytest.mark.parametrize(("key", "name"), ALL)
def test_generated_hours_are_like_the_recorded_ones(key: str, name: str) -> None:
    wanted = regions(key)[name]["recorded"]
    hours = sampled(synthetic(region(key, name), np.random.default_rng(7)), YEAR * YEARS[key])
    found = told(hours)
    for figure in ("p5", "p50", "p95"):
        assert abs(found[figure] - wanted[figure]) < 0.06 * (wanted["p95"] - wanted["p5"]), figure
    assert found["mean"] == pytest.approx(wanted["mean"], rel=0.04 if key == "carbon" else 0.06)
    assert found["sd"] == pytest.approx(wanted["sd"], rel=0.06 if key == "carbon" else 0.12)
    assert found["next_hour"] == pytest.approx(wanted["next_hour"], abs=0.025)
    assert found["next_day"] == pytest.approx(wanted["next_day"], abs=0.065)
    assert found["swing"] == pytest.approx(wanted["swing"], abs=0.06)
    assert found["negative"] == pytest.approx(wanted["negative"], abs=0.006)


def test_spikes_and_negative_prices_are_there() -> None:
    """ERCOT's dearest hours cost more than fifty times its median; of DE-LU's hours 4 % paid back."""
    ercot = sampled(synthetic(region("price", "ERCOT"), np.random.default_rng(1)), YEAR * 10)
    assert ercot.max() > 1.0 > 10 * np.median(ercot)
    assert ercot.max() <= region("price", "ERCOT").knots[-1, 2], "and none beyond what was recorded"
    assert (sampled(synthetic(region("price", "DE-LU"), np.random.default_rng(1)), YEAR * 4) < 0).mean() > 0.02


@pytest.mark.slow
def test_the_figures_are_those_of_the_tables() -> None:
    """`measure_market` prints `market.toml`, to the last digit that both have."""
    if not REAL.exists():
        pytest.skip("the recorded tables are not here; they lie beside the checkout in shared/traces")
    printed = CliRunner().invoke(command, ["--shared", str(REAL)])
    assert printed.exit_code == 0, printed.output
    found = tomllib.loads(printed.output)
    for key, name in ALL:
        for figure, value in found[key][name].items():
            if figure == "recorded":
                assert value == pytest.approx(regions(key)[name][figure])
            else:
                assert np.allclose(value, regions(key)[name][figure], atol=0.011), (key, name, figure)
