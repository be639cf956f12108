"""The server's benchmarks run and print their table; no figure is judged here, since a test machine is never quiet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.collector import child_environment
from benchmarks.server.records import Records

ROOT = Path(__file__).parents[2]


def test_the_table_has_every_figure():
    """Of all scripts and both engines, in the smallest size, with what must be reached beside it."""
    pytest.importorskip("uvicorn")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.server", "--tiny"],
        cwd=ROOT, env=child_environment(), check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:1] == "|"]
    found = {row[0]: row[1:] for row in cells[2:]}
    engines = ["SQLite"] if "no PostgreSQL here" in done.stderr else ["SQLite", "PostgreSQL"]
    for engine in engines:
        for batch in (100, 500):
            assert found[f"{engine}, batches of {batch}: CPU a record"][1].startswith("≤")
            assert found[f"{engine}, batches of {batch}: records a second"][1].startswith("≥")
        assert found[f"{engine}: bytes a record at rest"][1] == "≤ 1,300"
        assert found[f"{engine}: A/B read over 2,000 calls"]
        assert found[f"{engine}: a look over 2,000 calls"]
        assert found[f"{engine}: an open rollout adds to a record, calls drawn"][1] == "≤ 5.00 µs"
        assert found[f"{engine}: a decision is out"][1] == "≤ 2.00 s"
        assert found[f"{engine}: export of 100,000 calls"][1] == "≤ 5.00 s"
    assert found["config 304, share of a bare one's rate"][1] == "≥ 60 %"
    assert found["decide, when the present share has new counts"][1].startswith("≤")
    assert found["edition: records a second on one core"][1].startswith("≥ 20,000")
    assert found["edition: peak memory of the process"][1].startswith("≤ 300")
    assert found["resident memory at rest"]
    assert found["resident memory under load"]


def test_records_are_the_same_in_every_run():
    """And of the size that the figures are for."""
    lines = Records().calls(50)
    assert lines == Records().calls(50)
    assert 4_200 < sum(map(len, lines)) / len(lines) < 4_400
    assert len(set(lines)) == 50
