"""An edition cut from calls of 4 KB: records a second by the CPU of one core, and the peak memory of the process.

In a process of its own; no near-duplicate search. Redaction with all rules, the split, duplicates and hashes are in it.
Every second question has a number in it, as real ones do: prose without any skips most rules of redaction.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.collector import child_environment
from benchmarks.measure import ROOT, Row
from benchmarks.server.records import START, Records
from benchmarks.server.served import folder

if TYPE_CHECKING:
    from benchmarks.server.sizes import Size

_BUILD = """
import json, resource, sys, tempfile, time
from pathlib import Path
from logos_shift_openai.server.datasets.building import build
from logos_shift_openai.server.datasets.choosing import Choice
from logos_shift_openai.server.store.database import open_store

store = open_store(Path(sys.argv[1]))
took, read, ids = [], 0, set()
for _ in range(2):
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        ids.add(build(store, Choice("sales", answers="any"), Path(folder)))
        took.append(time.process_time() - began)
        read = json.loads((Path(folder) / "manifest.json").read_bytes())["counts"]["read"]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([read, min(took), peak, len(ids)]))
"""


def rows(size: Size) -> list[Row]:
    """Measure on SQLite."""
    from logos_shift_openai.server.fold import settle
    from logos_shift_openai.server.ingest import ingest
    from logos_shift_openai.server.store.database import open_store

    with folder() as home:
        target, records = home / "store.sqlite3", Records(seed=9)
        store = open_store(target)
        for start in range(0, size.exported, 500):
            lines = _numbered(records.calls(min(500, size.exported - start)))
            ingest(store, [line.replace(b'"dataset":"support"', b'"dataset":"sales"') for line in lines], START)
            if start in {0, 1_000}:
                settle(store, START)
        store.close()
        done = subprocess.run(
            [sys.executable, "-c", _BUILD, str(target)],
            cwd=ROOT, env=child_environment(), stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
    read, took, peak, ids = json.loads(done.stdout)
    assert (read, ids) == (size.exported, 1)
    note = f"{read:,} calls, the better of two runs, which give the same bytes"
    return [
        Row("edition: records a second on one core", read / took, "/s", 20_000, at_least=True, note=note),
        Row("edition: peak memory of the process", peak, "MiB", 300, note=note),
    ]


def _numbered(lines: list[bytes]) -> list[bytes]:
    """Put a number into every second question."""
    mark = b'{"role": "user", "content": "'
    return [line.replace(mark, mark + b"order 48213 ") if number % 2 else line for number, line in enumerate(lines)]
