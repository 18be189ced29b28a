"""The notebooks run from top to bottom, from nothing, and hold no outputs in git."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

FOLDER = Path(__file__).parents[1] / "experiments" / "notebooks"
NAMES = ["bring_your_own_trace", "compare_policies", "train_a_policy", "what_if", "write_a_policy"]


def test_these_are_the_lessons() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_was_run_is_kept(name: str) -> None:
    for cell in nbformat.read(FOLDER / f"{name}.ipynb", 4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_runs_from_top_to_bottom(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, in an empty folder, with warnings of gpuyard's own as errors."""
    monkeypatch.setenv(
        "PYTHONPATH", str(FOLDER.parents[1] / ".typings") + os.pathsep + os.environ.get("PYTHONPATH", "")
    )
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    lesson = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    nbclient.NotebookClient(lesson, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [out.get("text", "") for cell in code for out in cell.outputs if out.output_type == "stream"]
    assert not [text for text in said if "Warning" in text]
    assert any(out.output_type == "execute_result" for cell in code for out in cell.outputs)
