"""The export of calls that all have feedback: time for 100,000 of them, and the memory that it adds.

In a process of its own for each engine, since peak memory is a process's; what is written goes to nowhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.collector import child_environment
from benchmarks.measure import ROOT, Row
from benchmarks.server.records import START, Records
from benchmarks.server.served import folder, postgres

if TYPE_CHECKING:
    from benchmarks.server.sizes import Size

_EXPORT = """
import json, resource, sys, time
from pathlib import Path
from logos_shift_openai.server.export import export_calls
from logos_shift_openai.server.store.database import open_store

store = open_store(sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1]))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
began, lines, early = time.perf_counter(), 0, 0.0
for line in export_calls(store):
    lines += 1
    if lines == int(sys.argv[2]):
        early = peak()
print(json.dumps([lines, time.perf_counter() - began, peak() - early]))
"""


def rows(size: Size) -> list[Row]:
    """Measure on both engines."""
    with folder() as home:
        found = _engine("SQLite", str(home / "store.sqlite3"), size)
    with postgres() as cluster:
        if cluster is not None:
            found += _engine("PostgreSQL", cluster.new_database(), size)
    return found


def _engine(name: str, target: str, size: Size) -> list[Row]:
    from logos_shift_openai.server.fold import settle
    from logos_shift_openai.server.ingest import ingest
    from logos_shift_openai.server.store.database import open_store

    store, records = open_store(target if "://" in target else Path(target)), Records(seed=9)
    for start in range(0, size.exported, 500):
        ingest(store, records.rated(min(500, size.exported - start)), START)
        if start in {0, 1_000}:
            settle(store, START)  # dictionaries, as the server trains them
    store.close()
    early = size.exported // 10
    done = subprocess.run(
        [sys.executable, "-c", _EXPORT, target, str(early)],
        cwd=ROOT, env=child_environment(), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    lines, took, grown = json.loads(done.stdout)
    assert lines == size.exported
    note = f"{lines:,} calls, each with feedback"
    return [
        Row(f"{name}: export of 100,000 calls", took / lines * 100_000, "s", 5, note=note),
        Row(f"{name}: peak memory after the first tenth of the export", grown, "MiB", 8, note=note),
    ]
