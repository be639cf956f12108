"""The benchmarks run and print their rows; no figure is judged here, since a test machine is never quiet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.collector import Collector, child_environment
from benchmarks.measure import Row, interleaved, table
from benchmarks.run import SCRIPTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("script", "figures"), [("own_code", 3), ("other_costs", 4)])
def test_a_script_prints_its_rows(script, figures):
    """A script run alone in its quick mode prints one line of JSON for each of its figures."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{script}", "--quick", "--json"],
        cwd=ROOT, env=child_environment(), check=True, capture_output=True, text=True,
    )  # fmt: skip
    rows = [Row(**json.loads(line)) for line in done.stdout.splitlines()]
    assert len(rows) == figures
    assert all(row.unit == "us" for row in rows)


def test_every_script_is_named():
    """Every script in the folder is one of those that run together, and the README tells of it."""
    parts = {"__init__", "__main__", "run", "measure", "provider", "collector", "loop_rows"}
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - parts == set(SCRIPTS)
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(f"`{script}`" in readme for script in SCRIPTS)


def test_what_was_added_is_told_from_drift():
    """A machine that gets slower from one measurement to the next does not count as ours."""
    drift = iter(range(1_000))
    got = interleaved(lambda: 100.0 + next(drift), lambda: 130.0 + next(drift), 6)
    assert got.added == pytest.approx(30, abs=0.5)


def test_a_figure_is_judged_by_its_target():
    """The table says which figures are reached, at most or at least, and leaves information unjudged."""
    rows = [
        Row("slow", 3.0, "us", 2),
        Row("quick", 1.0, "us", 2, plain=10.0),
        Row("all there", 20, "calls", 20, at_least=True),
        Row("one lost", 19, "calls", 20, at_least=True),
        Row("by the way", 5.0, "us"),
    ]
    assert [row.ok for row in rows] == [False, True, True, False, None]
    assert rows[1].ratio == pytest.approx(1.1)
    assert table(rows).count("**not**") == 2


def test_the_collector_tells_what_came():
    """The collector counts the records of a batch by their ids, and a second time where they come twice."""
    requests = pytest.importorskip("requests")
    import gzip

    with Collector() as collector:
        body = gzip.compress(b'{"id":"a"}\n{"id":"b"}\n')
        headers = {"Content-Encoding": "gzip"}
        first, second = (
            requests.post(f"{collector.url}/v1/records", data=body, headers=headers, timeout=10).json() for _ in "12"
        )
        assert (first["new"], first["seen"], second["new"], second["seen"]) == (2, 0, 0, 2)
        assert collector.ids() == {"a": 2, "b": 2}
