"""The house's rules, read from the code itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("traces", "envs", "policies", "executor", "experiments")
MAY_IMPORT = {
    "traces": set(),
    "envs": {"traces"},
    "policies": {"traces", "envs"},
    "executor": {"traces", "envs"},
    "experiments": {"traces", "envs", "policies", "executor"},
}
ONLY_IN = {
    "torch": {"policies/network.py", "experiments/trainer.py"},
    "stable_baselines3": {"policies/network.py", "experiments/trainer.py"},
    "sb3_contrib": {"policies/network.py", "experiments/trainer.py"},
    "simpy": {"envs/sim.py", "envs/harsh.py", "envs/course.py", "experiments/benchmark.py"},
    "pynvml": {"executor/nvml.py"},
    "pickle": set(),
    "sklearn": {"envs/boosting.py"},
}
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(level, module) of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((node.level, name) for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_import_only_the_floors_below(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    for level, module in imports(path):
        if level >= 2 and module.split(".")[0] in ROOMS:
            assert module.split(".")[0] in MAY_IMPORT[room] | {room}, f"{path.name} imports {module}"
        assert module.split(".")[0] not in ("tests", "gpuyard"), (
            f"{path.name} imports {module}: rooms import relatively"
        )


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_in_few_files(library: str) -> None:
    uses = {(level, module.split(".")[0], path) for path in FILES for level, module in imports(path)}
    found = {str(path.relative_to(ROOT)) for level, module, path in uses if level == 0 and module == library}
    assert found <= ONLY_IN[library]


def test_no_room_but_the_network_needs_torch() -> None:
    """Importing every module but the network and the trainer leaves torch alone."""
    names = [
        "gpuyard." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in FILES
        if path.name not in ("network.py", "trainer.py", "__init__.py")
    ]
    code = f"import sys, importlib\nfor n in {names!r}: importlib.import_module(n)\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


def test_neither_simulator_nor_executor_needs_scikit_learn() -> None:
    """It takes a second to import, and only what is fitted needs it."""
    code = "import sys, gpuyard.envs.scenario, gpuyard.executor.live\nassert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, "a noun is missing in it"
