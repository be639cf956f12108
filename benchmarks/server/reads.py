"""The A/B page's read, over more and more calls.

The store is filled with deltas as ingest appends them, of 500 calls a batch and 1 s between calls, which are folded by
the server's own step; the calls' rows themselves, which the read does not look at, are left out.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.measure import Row, each
from benchmarks.server.records import START, Records
from benchmarks.server.served import folder, postgres

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.server.sizes import Size
    from logos_shift_openai.server.store.database import Store

_BATCH = 500
_TOGETHER = 50
_TURNS = 21


def rows(size: Size) -> list[Row]:
    """Measure on both engines."""
    with folder() as home:
        found = _engine("SQLite", home / "store.sqlite3", size)
    with postgres() as cluster:
        if cluster is not None:
            found += _engine("PostgreSQL", cluster.new_database(), size)
    return found


def _engine(name: str, target: Path | str, size: Size) -> list[Row]:
    from logos_shift_openai.server.statistics import variant_statistics
    from logos_shift_openai.server.store.database import open_store

    store, times, there = open_store(target), [], 0

    def read() -> None:
        with store.reading() as connection:
            (one, two) = variant_statistics(connection, None, "sales-tiny")
            assert one.calls
            assert two.calls

    for calls in size.calls:
        _fill(store, there, calls)
        there = calls
        read()
        times.append(statistics.median(each(read, _TURNS)) * 1000)
    store.close()
    note = f"median of {_TURNS}, folded"
    found = [
        Row(f"{name}: A/B read over {calls:,} calls", took, "ms", 10 if calls >= 1_000_000 else None, note=note)
        for calls, took in zip(size.calls, times, strict=True)
    ]
    slower = f"{name}: the read over {size.calls[-1]:,} against {size.calls[0]:,} calls"
    return [*found, Row(slower, times[-1] / times[0], "", 2)]


def _fill(store: Store, there: int, goal: int) -> None:
    from logos_shift_openai.server.fold import settle
    from logos_shift_openai.server.store.evidence import Deltas
    from logos_shift_openai.server.store.lines import read

    read_ones = (read(line, START) for line in Records(seed=8).calls(2_000))
    heads = [kept[0] for kept in read_ones if isinstance(kept, tuple)]
    batches = []
    for start in range(0, len(heads), _BATCH):
        deltas = Deltas()
        deltas.add_calls(heads[start : start + _BATCH])
        batches.append([(key, sums) for (key, _hour), sums in deltas.items()])
    for start in range(there, goal, _BATCH * _TOGETHER):
        with store.writing() as connection:
            for first in range(start, min(goal, start + _BATCH * _TOGETHER), _BATCH):
                deltas = Deltas()
                for key, sums in batches[first // _BATCH % len(batches)]:
                    deltas.of(key, START + first * 1000).add(sums)
                deltas.write(connection)
        settle(store, START)
