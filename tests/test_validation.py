"""The page of validation: recorded tables are read as they are, loads come out as put in, marks keep their words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real import REAL

from gpuyard.experiments.helios import DAY, Month, offer, recorded, simulated
from gpuyard.experiments.validation import Validation, marked, run
from gpuyard.policies.orders import fifo
from gpuyard.traces.trouble import BadInput

TABLE = """time,total_gpu_num,running_gpu_num,pending_gpu_num,running_gpujob_num
2020-05-01 00:00:00,8,8,4,2
2020-05-01 00:01:00,8,4,0,1
2020-05-01 00:02:00,8,0,0,0
2020-05-01 00:03:00,8,0,0,0
"""


def busy(capacity: int, part: float, days: int) -> Month:
    minutes = 1440 * days
    return Month(capacity, np.full(minutes, part), np.zeros(minutes), np.ones(minutes))


def test_a_recorded_cluster_is_read(tmp_path: Path) -> None:
    (tmp_path / "vc1.cluster_sequence_vc.csv.gz").write_text(TABLE)
    month = recorded(tmp_path)["vc1"]
    assert month.capacity == 8
    assert month.used.tolist() == [1.0, 0.5, 0.0, 0.0]
    assert month.queue == 0.25, "somebody waits in one of four minutes"
    assert month.gang == 4.0, "12 GPU-minutes of 3 job-minutes"
    with pytest.raises(BadInput, match="give the folder helios-earth-vc"):
        recorded(tmp_path / "nowhere")


@pytest.mark.parametrize("even", [False, True])
def test_a_cluster_is_offered_the_load_that_it_was_recorded_with(even: bool) -> None:
    month = busy(32, 0.6, 4)
    made = offer("vc1", month, 4 * DAY, seed=1, even=even)
    work = sum(job.gang * run for job, run in zip(made.jobs, made.durations, strict=True))
    assert work == pytest.approx(0.6 * 32 * 4 * DAY)
    assert {job.tenant for job in made.jobs} == {"vc1"}
    assert max(job.gang for job in made.jobs) <= 32
    assert all(job.submit < 4 * DAY for job in made.jobs)


def test_quotas_are_static_and_a_quiet_cluster_does_not_help_a_busy_one() -> None:
    """At 1.5 times its capacity one fills itself and has a queue; the other, idle, lends nothing."""
    made = simulated({"busy": busy(16, 1.5, 6), "quiet": busy(16, 0.01, 6)}, fifo, warm=DAY, seed=2)
    assert max(made["busy"].used) == 1.0
    assert made["busy"].queue > 0.5
    assert max(made["quiet"].used) < 1.0
    assert made["quiet"].queue == 0


def test_words_around_a_table_stay() -> None:
    first = marked("# Page\n", {"a": "one", "b": "two"})
    assert first == "# Page\n<!-- a -->\none\n<!-- end of a -->\n<!-- b -->\ntwo\n<!-- end of b -->\n"
    assert marked(first.replace("<!-- b", "Words.\n<!-- b"), {"a": r"1 \1"}) == first.replace("one", r"1 \1").replace(
        "<!-- b", "Words.\n<!-- b"
    )


@pytest.mark.slow
def test_the_whole_page_is_drawn_small(tmp_path: Path) -> None:
    if not REAL.exists():
        pytest.skip("the recorded tables are not here; they lie beside the checkout in shared/traces")
    run(Validation(shared=REAL, out=tmp_path, worlds=1, seeds=2, years=1, days=3, warm=1))
    page = (tmp_path / "validation.md").read_text()
    for begin in (
        "| vcpDC | 56 |",
        "| hours to repair, mean | 132.8 |",
        "| nodes taken away | 172 |",
        "| carbon DE-LU, g/kWh |",
    ):
        assert begin in page
    for name in ("helios", "queues", "series"):
        picture = tmp_path / f"validation-{name}.png"
        assert 10_000 < picture.stat().st_size < 150_000, name
