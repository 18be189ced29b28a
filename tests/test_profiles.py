"""Profiles: figures with sources, measured tables read as they are, what was not measured carried over; by hand."""

from __future__ import annotations

import gzip
import json
import tomllib
from importlib.resources import files
from math import isfinite
from pathlib import Path
from statistics import median

import pytest
from real import REAL

from gpuyard.envs.profiles import Curve, Profiles, builtin, facts_of, read
from gpuyard.envs.throughputs import gavel, opened, pollux
from gpuyard.experiments.measure_profiles import of_lucid
from gpuyard.traces.trouble import BadInput

TEXT = files("gpuyard.envs").joinpath("profiles.toml").read_text(encoding="utf-8")
TABLE = tomllib.loads(TEXT)
GAVEL = REAL / "gavel" / "simulation_throughputs.json.gz"
POLLUX = REAL / "pollux-profiles" / "simulator" / "traces"
FAMILIES = ["resnet", "transformer", "lm", "recommendation", "cyclegan", "a3c", "speech"]


def here(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not here; it lies beside the checkout in shared/traces")
    return path


def speed(of: Profiles, name: str, kind: str, gang: int = 1, spread: bool = False, own: int = 1) -> float | None:
    return of.speed(name, kind, gang, spread, reference_kind="V100", reference_gang=own)


def test_the_families_that_a_world_wants_are_there() -> None:
    assert set(FAMILIES) <= set(builtin().names)


@pytest.mark.parametrize("name", builtin().names)
def test_each_figure_is_finite_and_has_a_source_that_exists(name: str) -> None:
    one = TABLE["profiles"][name]
    figures = [said for part in ("near", "spread", "facts") for said in one.get(part, {}).values()]
    assert figures
    for said in figures:
        (source, value), *more = said.items()
        assert not more
        assert source in TABLE["sources"]
        numbers = [rate for _, rate in value] if isinstance(value, list) else [value]
        assert all(isfinite(number) and number > 0 for number in numbers)
    profile = builtin().of[name]
    assert profile.near["V100"].rates[0] == 1, "rates are relative to one V100"
    assert profile.busy is None or 0 < profile.busy <= 1
    assert profile.memory is None or 10**9 < profile.memory < 16 * 2**30, "of one job, on a V100"


def test_sources_say_what_they_are_and_when_they_were_read() -> None:
    for key, source in TABLE["sources"].items():
        assert source["title"]
        assert len(source["read"]) == 10
        assert TEXT.count(key) > 1


def test_parts_kept_are_parts_of_known_pairs() -> None:
    for kind, rows in TABLE["kept"].items():
        for own, row in rows.items():
            assert kind in builtin().of[own].near
            assert all(other in builtin().of and 0 <= kept <= 1 for other, kept in row.items())


def test_no_kind_is_always_fastest() -> None:
    """A recommender is slower on a V100 than on a K80; ResNet-50 is not."""
    assert speed(builtin(), "recommendation", "K80") == 1.4
    assert speed(builtin(), "resnet", "K80") == 0.159
    best = {
        name: max(("V100", "P100", "K80"), key=lambda k: speed(builtin(), n, k) or 0)
        for name in FAMILIES
        for n in [name]
    }
    assert best["recommendation"] == "P100"
    assert best["resnet"] == "V100"


def test_families_have_other_names() -> None:
    for name, family in (("ResNet-50 (batch size 64)", "resnet"), ("bert", "transformer"), ("deepspeech2", "speech")):
        found = facts_of(name)
        assert found is not None
        assert found.name == family
    assert facts_of("unheard-of") is None
    assert facts_of(None) is None
    assert builtin().kind("V100-32GB") == "V100"


def test_between_measured_gangs_rates_lie_on_a_straight_line_in_logarithms() -> None:
    """From (1, 2) to (4, 8): 4 with 2. Beyond them with the exponent: 8 x 2^0.5 with 8, and 2 / 2^0.5 below."""
    curve = Curve((2, 8), (2.0, 8.0))
    assert curve.at(4) == pytest.approx(4)
    assert curve.at(1) is curve.at(9) is None
    assert curve.beyond(16, 0.5) == pytest.approx(8 * 2**0.5)
    assert curve.beyond(1, 0.5) == pytest.approx(2 / 2**0.5)


def test_what_was_not_measured_is_carried_over() -> None:
    """ResNet-50 on an A40, measured alone at 0.94: with four it scales as V100s do, 1.77 times; spread, 1.65 times.

    With 16 V100 it is 3.09 x 2^0.9. A recommender was measured on single accelerators alone: spread on two V100 it
    keeps the part that it is told.
    """
    resnet, movies = builtin().of["resnet"], builtin().of["recommendation"]
    assert resnet.home == "V100"
    assert resnet.carried("A40", 4, False, 0.9, 0.425) == pytest.approx(0.94 * 1.77)
    assert resnet.carried("A40", 4, True, 0.9, 0.425) == pytest.approx(0.94 * 1.65)
    assert resnet.carried("V100", 16, False, 0.9, 0.425) == pytest.approx(3.09 * 2**0.9)
    assert movies.carried("V100", 2, True, 0.9, 0.425) == pytest.approx(2**0.9 * 0.425)
    assert movies.carried("H100", 1, False, 0.9, 0.425) is None


def test_gavels_table_is_read_as_it_is() -> None:
    """Figures that stand in it, steps a second of all workers together."""
    found = gavel(here(GAVEL))
    resnet, movies = "ResNet-50 (batch size 32)", "Recommendation (batch size 2048)"
    assert found.rate(resnet, "V100", 1) == 7.787264918596293
    assert found.rate(resnet, "K80", 2) == 2.3533431662281292
    assert found.rate(resnet, "V100", 8, spread=True) == 22.82976391752828
    assert found.rate(resnet, "V100", 1, spread=True) == 7.787264918596293, "one cannot be spread"
    assert speed(found, movies, "K80") == 10.441219687328084 / 7.469632060833725, "faster than on a V100"
    assert found.kept(resnet, "Transformer (batch size 64)", "V100") == 3.7572849330016997 / 7.787264918596293
    assert found.kept("Transformer (batch size 64)", resnet, "V100") == 1.7429199843855467 / 8.61775899193302
    assert found.kept("ResNet-50 (batch size 64)", "ResNet-50 (batch size 128)", "P100") == 0, "infeasible"


def test_gavels_table_is_read_whole() -> None:
    """Every rate above zero of a single accelerator and of gangs, against the file itself."""
    table = json.loads(gzip.decompress(here(GAVEL).read_bytes()))
    found, seen = gavel(GAVEL), 0
    for kind, entries in table.items():
        for key, entry in entries.items():
            name, _, gang = key[2:-1].rpartition("', ")
            apart = kind.endswith("_unconsolidated")
            if not apart or int(gang) > 1:
                rate = found.rate(name, kind.removesuffix("_unconsolidated").upper(), int(gang), spread=apart)
                assert rate == (entry["null"] or None)
                seen += 1
    assert seen > 400


def test_the_built_in_rates_are_those_of_gavels_table() -> None:
    """To three figures."""
    found = gavel(here(GAVEL))
    for kind, rates in (("K80", (0.159, 0.302, 0.562, 1.13)), ("P100", (0.628, 1.25, 2.38, 4.31))):
        for gang, rate in zip((1, 2, 4, 8), rates, strict=True):
            assert speed(builtin(), "resnet", kind, gang) == rate
            assert speed(found, "ResNet-50 (batch size 32)", kind, gang) == pytest.approx(rate, rel=0.005)
    assert builtin().kept("resnet", "transformer", "V100") == pytest.approx(
        3.7572849330016997 / 7.787264918596293, abs=5e-4
    )


def test_memory_is_read_off_lucids_table(tmp_path: Path) -> None:
    """MiB to bytes, three digits, single precision; between 64 and 128 on a line: (300 - 200) x 16 / 64 + 200 = 225."""
    rows = [
        "ResNet50,ImageNet,32,0,100",
        "ResNet50,ImageNet,32,1,50",
        "Transformer,Multi30k,64,0,11801.104",
        "LSTM,Wikitext2,64,0,200",
        "LSTM,Wikitext2,128,0,300",
        "NeuMF,MovieLens,128,0,2050",
        "PPO,LunarLander,128,0,2051",
    ]
    (tmp_path / "single.csv").write_text("\n".join(["model,dataset,batchsize,amp,gmem", *rows]), encoding="utf-8")
    found = {key.split(".")[1]: facts["memory"]["lucid"] for key, facts in of_lucid(tmp_path / "single.csv").items()}
    assert found["resnet"] == 105_000_000
    assert found["lm"] == 236_000_000
    for name in ("transformer", "recommendation", "a3c"):
        assert found[name] == builtin().of[name].memory


def test_polluxs_folders_are_read_as_they_are() -> None:
    """DeepSpeech2, 14 samples on each T4: 14 / 0.5584957748651505 s alone; on several nodes the median."""
    found = pollux(here(POLLUX))
    assert set(found.names) == {"bert", "cifar10", "deepspeech2", "imagenet", "ncf", "yolov3"} & set(found.names)
    alone = found.rate("deepspeech2", "T4", 1)
    assert alone == pytest.approx(14 / 0.5584957748651505)
    rows = [line.split(",") for line in (POLLUX / "deepspeech2" / "placements.csv").read_text().splitlines()[1:]]
    two = [2 * 14 / float(row[2]) for row in rows if row[0] == "11" and row[1] == "14"]
    assert found.rate("deepspeech2", "T4", 2, spread=True) == pytest.approx(median(two))
    near = [2 * 14 / float(row[2]) for row in rows if row[0] == "2" and row[1] == "14"]
    assert found.rate("deepspeech2", "T4", 2) == pytest.approx(median(near))


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[profiles.net]\naka = ['Net']\n[profiles.net.near]\nV100 = { mine = [[1, 2], [2, 3]] }\n")
    found = opened(str(path))
    assert found.names == ("net",)
    assert speed(found, "Net", "V100", 2) == 1.5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[profiles.net.near]\nV100 = { m = [[1, 0]] }", "profiles.net.near.V100 cannot be"),
        ("[profiles.net.near]\nV100 = { m = [[2, 1], [1, 1]] }", "gangs ascending and rates above 0"),
        ("[profiles.net.near]\nV100 = { m = [[1, nan]] }", "rates above 0"),
        ("[profiles.net.near]\nV100 = [[1, 1]]", "write { source = what it says }"),
        ("[profiles.net]\nnear = {}", "profiles.net.near is empty"),
        ("[profiles.net]\n", "cannot be read"),
        ("profiles", "not valid TOML"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=f"profiles mine: .*{complaint}"):
        read(text, "mine")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("{", "is not JSON"),
        ("[]", "is no throughput table"),
        ('{"v100": {"(1)": {"null": 1}}}', "is no"),
        ('{"v100": {"(\'a\', 1)": {"null": "fast"}}}', "has the rate 'fast'"),
        ('{"v100": {"(\'a\', 1)": {"null": -1}}}', "has the rate -1"),
    ],
)
def test_a_table_that_is_none_of_gavels_is_refused(table: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "throughputs.json"
    path.write_text(table)
    with pytest.raises(BadInput, match=complaint):
        gavel(path)


def test_a_file_that_is_not_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file; give 'builtin'"):
        opened(str(tmp_path / "none.toml"))
    with pytest.raises(BadInput, match=r"has no MODEL/placements\.csv"):
        pollux(tmp_path)
