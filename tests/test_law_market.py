"""The law of markets: bills and grams by hand, replays, and who is told what when."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard.envs.harsh import HarshWorld
from gpuyard.envs.laws.law import Law
from gpuyard.envs.laws.market import Market, Place, usual
from gpuyard.envs.laws.power import Power
from gpuyard.envs.log import Log
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.scenario import read
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Priced
from gpuyard.policies.orders import fifo
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput

HALL = (Node("n0", tuple(Accelerator(f"n0/{i}", "Box") for i in range(2)), site="hall", pue=1.25),)
POOL = (Node("p0", (Accelerator("p0/0", "Box"),), pool="spot", spot=True, usd_per_hour=3.0),)
TWO = Trace((Job(1, 0.0), Job(2, 1800.0)), {1: 7200.0, 2: 3600.0})
DRAW = Power(tdp=300.0, idle=1 / 3)
"""Idle at 100 W; at work, busy 0.67 as jobs without a profile are, at 100 + 200 x 0.67 = 234 W."""


def played(law: Market, nodes: tuple[Node, ...] = HALL, trace: Trace = TWO, seed: int = 0) -> Session:
    laws: dict[str, Law] = {"market": law, "power": DRAW}
    session = Session(HarshWorld(trace, nodes, laws, seed=seed))
    session.play(fifo)
    return session


def priced(session: Session) -> list[Priced]:
    return [entry for entry in session.log.entries if isinstance(entry, Priced)]


def stepping(folder: Path, name: str, before: float, after: float) -> str:
    path = folder / name
    path.write_text(f"time,value\n0,{before}\n3600,{after}\n")
    return str(path)


def test_two_jobs_pay_the_price_of_each_hour(tmp_path: Path) -> None:
    """0 to 1800 s: 334 W; to 5400 s: 468 W; to 7200 s: 334 W; each x 1.25 from the grid.

    3,609,000 J in all, half of it (0.50125 kWh) before the hour at which 0.10 USD become 0.30 and 100 g become 500.
    """
    session = played(
        Market({"hall": Place(stepping(tmp_path, "g.csv", 100, 500), stepping(tmp_path, "usd.csv", 0.1, 0.3))})
    )
    meter = session.cluster.meter
    assert session.cluster.now == 7200
    assert meter.joules == pytest.approx(3_609_000)
    assert meter.usd == pytest.approx(0.50125 * 0.1 + 0.50125 * 0.3)  # 0.2005
    assert meter.grams == pytest.approx(0.50125 * 100 + 0.50125 * 500)  # 300.75
    assert priced(session) == [Priced(0.0, "hall", 0.1, 100.0), Priced(3600.0, "hall", 0.3, 500.0)]


def test_negative_prices_pay_back_and_numbers_need_no_file(tmp_path: Path) -> None:
    session = played(Market({"hall": Place(carbon=400, price=stepping(tmp_path, "usd.csv", 0.1, -0.3))}))
    assert session.cluster.meter.usd == pytest.approx(0.50125 * (0.1 - 0.3))  # -0.10025
    assert session.cluster.meter.grams == pytest.approx(1.0025 * 400)
    assert priced(session) == [Priced(0.0, "hall", 0.1, 400.0), Priced(3600.0, "hall", -0.3)]


def test_a_pool_has_its_spot_price_instead_of_its_rent(tmp_path: Path) -> None:
    """One job of two hours: an hour at 2 USD, one at 4. Without the law, two at 3."""
    alone = Trace((Job(1, 0.0),), {1: 7200.0})
    session = played(Market({"spot": Place(spot=stepping(tmp_path, "spot.csv", 2, 4))}), POOL, alone)
    assert session.cluster.meter.usd == pytest.approx(6.0)
    assert priced(session) == [Priced(0.0, "spot", usd_per_hour=2.0), Priced(3600.0, "spot", usd_per_hour=4.0)]
    session = played(Market({"spot": Place(spot="synthetic")}, sigma=0.0), POOL, alone)
    assert session.cluster.meter.usd == pytest.approx(6.0), "without spread a generated price is the node's own"


def test_a_replayed_log_has_equal_sums() -> None:
    law = Market({"hall": Place("synthetic:CISO", "synthetic:CAISO")})
    session = played(law)
    again = Log(session.log.nodes, session.log.entries).replay()
    assert again.meter.state() == session.cluster.meter.state()
    assert again.meter.prices == session.cluster.meter.prices


def test_generated_hours_are_told_as_long_as_the_world_goes_on() -> None:
    law = Market({"hall": Place("synthetic:ERCO", "synthetic:ERCOT")})
    session = played(law)
    assert [event.time for event in priced(session)] == [0, 3600, 7200], "the jobs end at 7200"
    assert list(played(law).log.lines()) == list(session.log.lines())
    assert list(played(law, seed=1).log.lines()) != list(session.log.lines())


def test_the_price_changes_nothing_for_the_carbon() -> None:
    both = played(Market({"hall": Place("synthetic:ERCO", "synthetic:ERCOT")}))
    one = played(Market({"hall": Place("synthetic:ERCO")}))
    assert [event.grams_per_kwh for event in priced(both)] == [event.grams_per_kwh for event in priced(one)]


def test_alone_it_adds_prices_and_nothing_else() -> None:
    session = Session(HarshWorld(TWO, HALL, {"market": Market({"hall": Place(price="synthetic:DE-LU")})}))
    session.play(fifo)
    rest = Log(HALL, [entry for entry in session.log.entries if not isinstance(entry, Priced)])
    assert list(rest.lines()) == list(Session(SimWorld(TWO, HALL)).play(fifo).lines())
    assert len(priced(session)) == 3


def test_prices_that_stay_are_not_told_again(tmp_path: Path) -> None:
    path = tmp_path / "flat.csv"
    path.write_text("time,value\n" + "".join(f"{hour * 3600},{0.1 if hour else 0.2}\n" for hour in range(24)))
    session = played(Market({"hall": Place(price=str(path))}), trace=Trace((Job(1, 0.0),), {1: 50_000.0}))
    assert priced(session) == [Priced(0.0, "hall", 0.2), Priced(3600.0, "hall", 0.1)]


def test_the_usual_spot_price_is_the_nodes_or_the_kinds() -> None:
    two = Node("n", (Accelerator("n/0", "V100"), Accelerator("n/1", "V100")), pool="spot")
    assert usual(two) == pytest.approx(2 * 0.992)
    assert usual(POOL[0]) == 3.0
    with pytest.raises(BadInput, match=r"the spot price of n is not known; give its .* 'usd_per_hour'"):
        usual(Node("n", (Accelerator("n/0", "Box"),), pool="spot"))


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('places.hall.carbon = "synthetic:CAISO"', "there is no carbon of a region 'CAISO'. Did you mean 'CISO'?"),
        ('places.hall.price = "synthetic"', "there is no price of a region ''"),
        ("places.hall.carbon = -1", "carbon = -1.0 cannot be; give a number of 0 or more"),
        ("places.hall.price = inf", "price = inf cannot be; give a number"),
        ('places.hall.spot = "synthetic:V100"', "spot = 'synthetic:V100' cannot be"),
        ("places.hall.cabron = 1", "unknown key 'places.hall.cabron'. Did you mean 'carbon'?"),
        ('start = "yesterday"', "start = 'yesterday' is no date; write it as 2023-01-31"),
        ("sigma = -1", "sigma = -1.0, tau = 72.0"),
        ("places.hull.price = 1", "no node is at site 'hull'; name it in 'site'"),
        ("places.hall.spot = 1", "no node is of pool 'hall'; name it in 'pool'"),
        ("places.hull = {}", "laws.market.places: 'hull' is neither site nor pool of any node"),
        ('places.hall.price = "prices.csv"', "prices.csv: no such file"),
    ],
)
def test_what_is_wrong_is_named(table: str, complaint: str) -> None:
    text = f'[[nodes]]\naccelerators = 1\nkind = "V100"\nsite = "hall"\n[laws.market]\n{table}\n'
    with pytest.raises(BadInput) as error:
        read(text, "mine.toml", Path()).world(TWO)
    assert complaint in str(error.value)


def test_a_scenarios_tables_lie_beside_it_and_begin_where_it_says(tmp_path: Path) -> None:
    rows = "".join(f"2023-01-01 {hour:02}:00,{hour / 100}\n" for hour in range(24))
    (tmp_path / "prices.csv").write_text(f"time,value\n{rows}")
    text = """
        [[nodes]]
        accelerators = 2
        kind = "V100"
        site = "hall"
        [laws.market]
        start = "2024-05-05 23:30"
        places.hall.price = "prices.csv"
    """
    session = Session(read(text, "mine.toml", tmp_path).world(TWO))
    session.play(fifo)
    assert priced(session) == [Priced(0.0, "hall", 0.23), Priced(1800.0, "hall", 0.0), Priced(5400.0, "hall", 0.01)]
