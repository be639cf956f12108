"""Records in over HTTP: CPU of the server process and records a second, its memory, and what lies in the store.

One connection sends batches that are packed beforehand, so the figures are the server's. CPU is that of all threads of
the process, the background work (folding, training dictionaries) included, without the database's.
"""

from __future__ import annotations

import gzip
import http.client
import json
import time
from typing import TYPE_CHECKING

from benchmarks.measure import Row
from benchmarks.server.records import START, Records
from benchmarks.server.served import Process, folder, postgres, served

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.server.sizes import Size

_BATCHES = (100, 500)
_TARGETS = {"SQLite": (75.0, 13_000.0), "PostgreSQL": (100.0, 8_000.0)}


def rows(size: Size) -> list[Row]:
    """Measure on both engines."""
    found = []
    with folder() as home:
        found += _engine("SQLite", home, None, size)
        found += _memory(home, size)
    with postgres() as cluster:
        if cluster is not None:
            address = cluster.new_database()
            with folder() as home:
                found += _engine("PostgreSQL", home, address, size)
    return found


def _engine(name: str, home: Path, address: str | None, size: Size) -> list[Row]:
    records, found = Records(), []
    most_cpu, least_rate = _TARGETS[name]
    with served(home, address) as server:
        send(server, records.calls(1_000), 250)  # each dataset's dictionary is trained on these
    with served(home, address) as server:
        time.sleep(1)  # the worker's first turn
        sent = 1_000
        for batch in _BATCHES:
            took, cpu, mean = send(server, records.calls(size.records), batch)
            sent += size.records
            note = f"{size.records:,} lines of {mean:,.0f} B, one connection"
            rate, each, what = size.records / took, cpu / size.records * 1e6, f"{name}, batches of {batch}"
            found.append(Row(f"{what}: CPU a record", each, "us", most_cpu, note=note))
            found.append(Row(f"{what}: records a second", rate, "", least_rate, at_least=True, note=note))
    whole, bodies = weigh_server(address) if address else weigh_file(home / "store.sqlite3")
    note = f"{sent:,} records, all tables and indexes{'' if address else ', after `store vacuum`'}"
    found.append(Row(f"{name}: bytes a record at rest", whole / sent, "", 1_300, note=note))
    found.append(Row(f"{name}: of which packed bodies", bodies / sent, ""))
    return found


def _memory(home: Path, size: Size) -> list[Row]:
    """On a store that is filled already."""
    records = Records(seed=6)
    with served(home) as server:
        time.sleep(1)
        rest = server.memory()
    with served(home) as server:
        peak = 0.0
        for _ in range(4):
            send(server, records.calls(max(1, size.records // 4)), 500)
            peak = max(peak, server.memory())
    return [
        Row("resident memory at rest", rest, "MiB", 120, note="SQLite, a second after the start"),
        Row("resident memory under load", peak, "MiB", 300, note="after batches of 500"),
    ]


def send(server: Process, lines: list[bytes], size: int) -> tuple[float, float, float]:
    """Send lines in batches of a size; give seconds, seconds of CPU of the server, and the mean bytes of a line."""
    batches = [gzip.compress(b"".join(lines[start : start + size]), 1) for start in range(0, len(lines), size)]
    headers = {
        "Authorization": f"Bearer {server.key}",
        "Content-Type": "application/x-ndjson",
        "Content-Encoding": "gzip",
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    new, cpu, began = 0, server.cpu(), time.perf_counter()
    for batch in batches:
        connection.request("POST", "/v1/records", batch, headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        assert answer.status == 200, said
        new += said["new"]
    took, cpu = time.perf_counter() - began, server.cpu() - cpu
    connection.close()
    assert new == len(lines)
    return took, cpu, sum(map(len, lines)) / len(lines)


def weigh_file(path: Path) -> tuple[int, int]:
    """Give the bytes of a store's file after `store vacuum`, and of the bodies in it."""
    from logos_shift_openai.server.store.database import open_store
    from logos_shift_openai.server.store.sizes import sizes
    from logos_shift_openai.server.vacuum import vacuum

    store = open_store(path)
    vacuum(store, START)
    bodies = sizes(store).bodies
    store.close()
    return path.stat().st_size, bodies


def weigh_server(address: str) -> tuple[int, int]:
    """Give the bytes of a store's tables with their indexes, and of the bodies in them."""
    from logos_shift_openai.server.store.database import open_store
    from logos_shift_openai.server.store.sizes import sizes

    store = open_store(address)
    found = sizes(store)
    store.close()
    return found.size, found.bodies
