"""Run all scripts, each in a process of its own, one after the other, and print one table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # as a file, too: `python benchmarks/run.py`

from benchmarks.collector import child_environment  # noqa: E402
from benchmarks.measure import Row, table  # noqa: E402

SCRIPTS = (
    "caller_thread",
    "own_code",
    "concurrent_calls",
    "stream_chunks",
    "whole_process",
    "import_cost",
    "collector_away",
    "exit_time",
    "delivery",
    "other_costs",
    "confidence_gate",
    "loop",
    "autopilot",
    "autopilot_data",
)


def run(scripts: tuple[str, ...], *, quick: bool) -> int:
    """Print the table; give the number of figures that were not reached, or of scripts that failed."""
    began, load = time.monotonic(), _load()
    rows: list[Row] = []
    failed: list[str] = []
    for script in scripts:
        print(f"{script} …", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{script}", "--json", *(["--quick"] if quick else [])],
            cwd=ROOT, env=child_environment(), stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            failed.append(script)
        rows += [Row(**json.loads(line)) for line in done.stdout.splitlines()]
    print(table(rows))
    print()
    print(
        f"openai {metadata.version('openai')}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {load} before and {_load()} after, {time.monotonic() - began:.0f} s, {'quick' if quick else 'full'}."
    )
    for script in failed:
        print(f"FAILED: {script}")
    return len(failed) + sum(row.ok is False for row in rows)


def _load() -> str:
    return " ".join(f"{one:.1f}" for one in os.getloadavg())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", metavar="script", help=f"of {', '.join(SCRIPTS)}; all unless given")
    parser.add_argument("--quick", action="store_true", help="under a minute on a quiet machine")
    asked = parser.parse_args()
    unknown = set(asked.scripts) - set(SCRIPTS)
    if unknown:
        parser.error(f"no script is called {', '.join(sorted(unknown))}")
    sys.exit(1 if run(tuple(asked.scripts) or SCRIPTS, quick=asked.quick) else 0)


if __name__ == "__main__":
    main()
