"""Our own table loses nothing: not a bit of a float, not the difference between unknown and empty."""

from __future__ import annotations

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
signed = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    ids = draw(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=4))
    submits = sorted(draw(st.lists(positive, min_size=len(ids), max_size=len(ids))))
    jobs = tuple(draw(job(number, submit)) for number, submit in zip(ids, submits, strict=True))
    durations = {number: draw(positive) for number in ids}
    return Trace(jobs, durations, draw(text), draw(maybe_text), draw(text))


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
            host_memory=st.none() | st.integers(0, 2**63 - 1),
            estimate=maybe,
            tenant=maybe_text,
            user=maybe_text,
            priority=signed,
            deadline=signed,
            preemptible=st.booleans(),
            profile=maybe_text,
            name=maybe_text,
            command=st.lists(text, max_size=3).map(tuple),
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
    from dataclasses import fields

    assert [*(f.name for f in fields(Job)), "duration"] == list(table.SCHEMA)


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
