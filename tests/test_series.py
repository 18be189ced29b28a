"""Hourly series: tables are read as they stand, and complain where they are wrong; generators go on for ever."""

from __future__ import annotations

import gzip
import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from gpuyard.envs.laws.market import region
from gpuyard.envs.series import HOUR, recorded, reverting, sampled, stamp, synthetic, table
from gpuyard.traces.trouble import BadInput

DCRL = """,WND,avg_CI
2022-01-01 00:00:00+00:00,3130.0,222.5
2022-01-01 01:00:00+00:00,,
2022-01-01 02:00:00+00:00,12.0,nan
2022-01-01 03:00:00+00:00,12.0,260
"""
PRICES = """Datetime (UTC),Datetime (Local),Price (USD/MWh)
2023-01-01 00:00:00+00:00,2023-01-01 01:00:00+01:00,-3.5
2023-01-01 01:00:00+00:00,2023-01-01 02:00:00+01:00,40
"""
MAPS = """Datetime (UTC),Country,Carbon Intensity gCO₂eq/kWh (LCA),Carbon Intensity gCO₂eq/kWh (direct)
2023-01-01 00:00:00,Germany,185.8,140.5
2023-01-01 01:00:00,Germany,185.7,141
"""
OURS = "time,value\n0,0.1\n3600,0.3\n"


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "start", "values"),
    [
        (DCRL, "2022-01-01", [222.5, math.nan, math.nan, 260.0]),
        (PRICES, "2023-01-01", [-0.0035, 0.04]),  # USD a MWh there, a kWh here
        (MAPS, "2023-01-01", [140.5, 141.0]),  # what is burnt, not the whole life cycle
        (OURS, "1970-01-01", [0.1, 0.3]),
        ("time,value\n2024-02-29T00:00:00+01:00,5\n2024-02-29T01:00+01:00,6\n", "2024-02-28T23:00:00", [5.0, 6.0]),
    ],
)
@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_tables_of_four_kinds_are_read(tmp_path: Path, text: str, start: str, values: list[float], name: str) -> None:
    found = table(written(tmp_path, text, name))
    assert found.times.tolist() == [stamp(start) + n * HOUR for n in range(len(values))]
    assert found.values.tolist() == pytest.approx(values, nan_ok=True)
    assert found.dated is (text != OURS)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time,value\n0,0.1\n3600,cheap\n", "line 3, column 'value': 'cheap' is not a number"),
        ("time,value\n0,0.1\n3600,inf\n", "line 3, column 'value': 'inf' is not a finite number"),
        ("time,value\n0,0.1\n0,0.2\n", "line 3, column 'time': '0' is not after the row above; sort the rows"),
        ("time,value\n2023-01-01,0.1\nJanuary,0.2\n", "line 3, column 'time': 'January' is no date; write it as"),
        ("time,value\n0,1\n2023-01-01,2\n", "line 3, column 'time': '2023-01-01' is not a number"),
        ("time,price\n0,0.1\n", "line 1: has the columns 'time, price'; wanted are 'time' and 'value', or those of"),
        ("time,value\n0,\n1,NaN\n", "has no value at all"),
        ("time,value\n", "has no value at all"),
        ("", "is empty"),
    ],
)
def test_bad_tables_say_where(tmp_path: Path, text: str, complaint: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput) as error:
        table(path)
    assert str(path) in str(error.value)
    assert complaint in str(error.value)


def test_missing_values_leave_the_last_known_one_and_whole_days_begin_anew(tmp_path: Path) -> None:
    found = table(written(tmp_path, DCRL))
    # Four hours, the middle two unknown; then the first again.
    wanted = [(0, 222.5), (3, 260), (4, 222.5), (7, 260), (8, 222.5)]
    assert list(islice(recorded(found), 5)) == [(hour * HOUR, value) for hour, value in wanted]
    assert list(recorded(found, repeat=False)) == [(0, 222.5), (3 * HOUR, 260)]


def test_second_0_can_be_anywhere_in_a_table_and_in_another_round_of_it(tmp_path: Path) -> None:
    found = table(written(tmp_path, DCRL))
    half_past_two = list(islice(recorded(found, stamp("2022-01-01 02:30")), 3))
    assert half_past_two == [(0, 222.5), (HOUR / 2, 260), (1.5 * HOUR, 222.5)]
    assert list(islice(recorded(found, stamp("2022-01-01 06:30")), 3)) == half_past_two, "four hours later, all over"
    assert list(islice(recorded(found, stamp("2021-12-31 22:30")), 3)) == half_past_two, "four hours earlier, too"
    assert list(recorded(found, stamp("2022-01-01 02:30"), repeat=False)) == [(0, 222.5), (HOUR / 2, 260)]
    with pytest.raises(BadInput, match=r"goes from 2022-01-01 00:00.*let 'start' be there"):
        recorded(found, stamp("2022-01-01 06:30"), repeat=False)


def test_a_table_in_seconds_is_the_worlds_own_and_ends(tmp_path: Path) -> None:
    found = table(written(tmp_path, OURS))
    assert list(recorded(found)) == [(0, 0.1), (HOUR, 0.3)]
    assert list(islice(recorded(found, repeat=True), 3)) == [(0, 0.1), (HOUR, 0.3), (2 * HOUR, 0.1)]
    with pytest.raises(BadInput, match="its times are seconds; 'start' needs dates"):
        recorded(found, 0.0)


def test_before_the_first_known_value_nothing_is_known(tmp_path: Path) -> None:
    text = "time,value\n2023-01-01 00:00,\n2023-01-01 01:00,7\n2023-01-01 02:00,8\n"
    found = table(written(tmp_path, text))
    assert list(recorded(found, repeat=False)) == [(HOUR, 7), (2 * HOUR, 8)]
    assert list(islice(recorded(found), 3)) == [(0, 8), (HOUR, 7), (2 * HOUR, 8)], "in a round, the last of all holds"


def test_generated_hours_depend_on_the_seed_alone_and_however_many_are_read() -> None:
    def made(seed: int, hours: int, start: str | None = None) -> list[tuple[float, float]]:
        zero = None if start is None else stamp(start)
        return list(islice(synthetic(region("carbon", "CISO"), np.random.default_rng(seed), zero), hours))

    assert made(1, 400)[:200] == made(1, 200)
    assert made(1, 50) != made(2, 50)
    assert [s for s, _ in made(1, 4)] == [0, HOUR, 2 * HOUR, 3 * HOUR]
    assert [s for s, _ in made(1, 3, "2024-01-01 08:20")] == [0, 2400, 6000], "hours change on the hour"
    assert made(1, 50) == made(1, 50, "2024-01-01 00:00-08:00"), "a Monday, midnight in California"


def test_a_duck_curve_follows_the_clock_of_the_place() -> None:
    """California's noon is its cleanest time and its late evening is not, wherever second 0 is."""
    one = region("carbon", "CISO")
    for start, noon in ((None, 12), ("2024-07-01 20:00", 0)):
        zero = None if start is None else stamp(start)
        by_hour = sampled(synthetic(one, np.random.default_rng(0), zero), 24 * 365).reshape(-1, 24).mean(0)
        assert by_hour[noon] < 0.8 * by_hour.mean() < by_hour[(noon + 9) % 24]


def test_a_spot_price_goes_back_to_its_mean() -> None:
    prices = sampled(reverting(24.0, 0.2, 10.0, np.random.default_rng(3)), 24 * 2000)
    logs = np.log(prices)
    assert prices.mean() == pytest.approx(24.0, rel=0.02)
    assert logs.std() == pytest.approx(0.2, rel=0.05)
    rest = logs - logs.mean()
    assert (rest[:-10] * rest[10:]).mean() / rest.var() == pytest.approx(math.exp(-1), abs=0.05)
