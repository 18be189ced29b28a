"""The real traces, where they lie beside a checkout. A stranger's checkout has none, and skips what reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

REAL = Path(__file__).parents[2] / "shared" / "traces"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real traces are not beside this checkout")
