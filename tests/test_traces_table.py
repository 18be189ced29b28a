"""Our own table loses nothing: not a bit of a float, not the difference between unknown and empty."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuyard.traces import table
from gpuyard.traces.arrows import pa
from gpuyard.traces.arrows import parquet as pq
from gpuyard.traces.job import Job, Trace

ENDINGS = (".parquet", ".csv", ".csv.gz")

text = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["", " ", "a,b", 'say "hi"', "\n", "\r\n", "#"]
)
maybe_text = st.none() | text
positive = st.floats(0, 1e300, allow_nan=False) | st.sampled_from([0.1, 5e-324, -0.0, 1 / 3])
maybe = st.none() | positive
size = st.none() | st.integers(0, 2**63 - 1)
steps = st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), max_size=2, unique=True)
regimes = st.tuples(steps, *[st.floats(5e-324, 1e300)] * 3).map(
    lambda drawn: tuple(zip([0.0, *sorted(drawn[0])], drawn[1:], strict=False))
)
signed = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    ids = draw(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=4))
    submits = sorted(draw(st.lists(positive, min_size=len(ids), max_size=len(ids))))
    jobs = tuple(draw(job(number, submit)) for number, submit in zip(ids, submits, strict=True))
    durations = {number: draw(positive) for number in ids}
    changing = [number for number in ids if draw(st.booleans())]
    return Trace(
        tuple(replace(j, after=draw(earlier(ids[:n]))) for n, j in enumerate(jobs)),
        durations,
        draw(text),
        draw(maybe_text),
        draw(text),
        regimes={number: draw(regimes) for number in changing},
    )


def earlier(ids: list[int]) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.sampled_from(ids), max_size=2).map(tuple) if ids else st.just(())


def job(number: int, submit: float) -> st.SearchStrategy[Job]:
    def made(gang: int) -> st.SearchStrategy[Job]:
        share = st.floats(0, 1, exclude_min=True) if gang == 1 else st.just(1.0)
        return st.builds(
            Job,
            id=st.just(number),
            submit=st.just(submit),
            gang=st.just(gang),
            share=share,
            kinds=st.lists(text, max_size=3).map(tuple),
            cpus=maybe,
            host_memory=size,
            estimate=maybe,
            tenant=maybe_text,
            user=maybe_text,
            priority=signed,
            deadline=signed,
            preemptible=st.booleans(),
            profile=maybe_text,
            name=maybe_text,
            command=st.lists(text, max_size=3).map(tuple),
            min_gang=st.none() | st.integers(1, gang) if gang else st.none(),
            max_gang=st.none() | st.integers(gang, 2**63 - 1),
            memory=size,
            checkpoint=size,
            group=maybe_text,
            sites=st.lists(text, max_size=3).map(tuple),
            data=size,
        )

    return st.sampled_from([0, 1, 1, 2, 128]).flatmap(made)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trace=traces())
def test_nothing_is_lost_on_the_way_through_a_file(tmp_path: Path, trace: Trace) -> None:
    for ending in ENDINGS:
        path = tmp_path / f"trace{ending}"
        table.save(trace, path)
        again = table.load(path)
        assert again == trace
        assert repr(again) == repr(trace), "-0.0 == 0.0, but they are not the same bits"


def test_the_fields_of_a_job_are_all_there() -> None:
    assert [*(f.name for f in fields(Job)), "duration", "regimes"] == list(table.SCHEMA)


RICH = Trace(
    (
        Job(1, 0.0, 2, min_gang=1, max_gang=8, memory=2**33, checkpoint=7, group="s", sites=("eu",), data=9),
        Job(2, 5.0, after=(1,)),
        Job(3, 6.0, after=(2, 1)),
    ),
    {1: 10.0, 2: 20.0, 3: 30.0},
    regimes={2: ((0.0, 1.0), (0.25, 1.5))},
)


def test_lists_in_a_csv_are_json(tmp_path: Path) -> None:
    table.save(RICH, tmp_path / "rich.csv")
    lines = (tmp_path / "rich.csv").read_text().splitlines()
    assert lines[1].endswith(
        '"min_gang","max_gang","memory","checkpoint","after","group","sites","data","upper","duration","regimes"'
    )
    assert lines[2].endswith(',1,8,8589934592,7,,"s","[""eu""]",9,,10,')
    assert lines[3].endswith(',,,,,"[1]",,,,,20,"[[0.0, 1.0], [0.25, 1.5]]"')
    assert lines[4].endswith(',,,,,"[2, 1]",,,,,30,')


def test_lists_by_hand_may_be_short(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(
        'submit,duration,after,sites,regimes\n0,9,,eu|us,\n1,9,1,,\n2,9,1|2,[],"[[0,1],[0.5,2]]"\n'
    )
    trace = table.load(tmp_path / "mine.csv")
    assert [job.after for job in trace.jobs] == [(), (1,), (1, 2)]
    assert trace.jobs[0].sites == ("eu", "us")
    assert trace.regimes == {3: ((0.0, 1.0), (0.5, 2.0))}


def test_a_file_of_an_older_gpuyard_is_read(tmp_path: Path) -> None:
    """Format 1 had the columns up to `command`, and `duration`."""
    old = list(table.SCHEMA)[:16]
    assert old[-1] == "command"
    meta = '{"version": 1, "name": "old", "origin": null, "estimates": "none"}'
    cells = ",".join("7" if name == "id" else "3" if name == "submit" else "" for name in old)
    (tmp_path / "old.csv").write_text(f"# gpuyard trace {meta}\n{','.join(old)},duration\n{cells},60\n")
    assert table.load(tmp_path / "old.csv") == Trace((Job(7, 3.0),), {7: 60.0}, "old", None, "none")


def test_a_table_written_by_hand_needs_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("submit,duration,kinds,colour,tenant\n5,60,A100|V100,red,\n\n1,30,,blue,ann\n")
    trace = table.load(path)
    assert trace.jobs == (Job(2, 1.0, tenant="ann"), Job(1, 5.0, kinds=("A100", "V100")))
    assert trace.durations == {1: 60.0, 2: 30.0}
    assert (trace.name, trace.estimates) == ("mine", "none")
    assert trace.report is not None
    assert trace.report.noted == {
        "rows with a column 'colour', which is no field of a job (left out)": 2,
        "rows out of order (sorted by submission)": 1,
    }


def test_a_parquet_table_of_another_program_is_cast(tmp_path: Path) -> None:
    pq.write_table(pa.table({"submit": pa.array([1, 2], pa.int32()), "duration": [3, 4]}), tmp_path / "x.parquet")
    assert table.load(tmp_path / "x.parquet").durations == {1: 3.0, 2: 4.0}
    pq.write_table(pa.table({"submit": ["soon"], "duration": [3.0]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="column 'submit': should be double"):
        table.load(tmp_path / "x.parquet")


def test_saving_again_makes_the_same_bytes_and_no_litter(tmp_path: Path) -> None:
    trace = Trace((Job(1, 0.5, kinds=("A",)),), {1: 2.0}, "t", "2017-10-02T00:00:00", "noisy:0.8")
    for ending in ENDINGS:
        path = tmp_path / f"trace{ending}"
        table.save(trace, path)
        before = path.read_bytes()
        table.save(trace, path)
        assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trace.csv", "trace.csv.gz", "trace.parquet"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.csv"
    old, new = (Trace((Job(1, 0.0),), {1: truth}) for truth in (1.0, 2.0))
    table.save(old, path)

    def fails(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fails)
    with pytest.raises(ValueError, match="No space left on device"):
        table.save(new, path)
    assert table.load(path) == old
    assert [p.name for p in tmp_path.iterdir()] == ["trace.csv"]
