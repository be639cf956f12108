"""The dashboard's benchmark runs and prints its table; no figure is judged here, since a test machine is never quiet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.collector import child_environment

ROOT = Path(__file__).parents[2]


def test_the_table_has_every_page():
    """With what must be reached beside each figure."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("playwright")
    if shutil.which("chromium") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no Chromium (apt: chromium)")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.dashboard", "--calls", "300"],
        cwd=ROOT, env=child_environment(), check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 54
    assert sum("≤ 300" in row for row in rows) == 36
    assert any(row.startswith("| overview: first paint over 300 calls |") for row in rows)
