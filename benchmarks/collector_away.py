"""Many calls of 4 KB while the collector is down, or hangs: memory, slowest call, and where every record went."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.collector import Collector, child_environment, closed_address
from benchmarks.measure import ROOT, Row, main, percentile

_MIB = 2**20


def rows(quick: bool) -> list[Row]:
    calls = 2_000 if quick else 50_000
    plain = _sibling("plain", calls)
    down = _sibling("ours", calls, LOGOS_SHIFT_URL=closed_address())
    with Collector(hang=True) as hanging:
        hangs = _sibling("ours", calls, LOGOS_SHIFT_URL=hanging.url)
    found = []
    for name, got in (("down", down), ("hanging", hangs)):
        stats = got["stats"]
        lost = {reason: n for reason, n in stats.items() if reason in _LOSSES and n}
        dropped = sum(lost.values())
        found += [
            Row(
                f"{calls:,} calls of 4 KB, collector {name}: memory added",
                (got["peak"] - plain["peak"]) / _MIB,
                "MiB",
                32,
                plain=plain["peak"] / _MIB,
                note=f"peak of the resident memory, imports included; {got['grown'] / _MIB:.1f} MiB of it grown during "
                f"the calls, plain {plain['grown'] / _MIB:.1f}",
            ),
            Row(f"… calls that raised, {name}", got["raised"], "calls", 0),
            Row(
                f"… slowest call, {name}",
                got["slowest"] * 1e3,
                "ms",
                note=f"plain {plain['slowest'] * 1e3:.1f} ms; p99.9 {got['p999'] * 1e3:.1f} ms, "
                f"plain {plain['p999'] * 1e3:.1f} ms",
            ),
            Row(
                f"… records neither recorded nor counted as lost, {name}",
                abs(calls - stats["recorded"] - dropped),
                "records",
                0,
                note=f"recorded {stats['recorded']:,}, dropped {dropped:,} {lost or ''}; "
                f"{got['on_disk'] / _MIB:.0f} MiB in the spool, {got['lines']:,} lines",
            ),
        ]
    return found


# What `recorded` does not count: dropped before the spool.
_LOSSES = ("queue_full", "closed", "encode_failed", "encode_skipped", "spool_failed")


def _sibling(kind: str, calls: int, **environment: str) -> dict:
    home = Path(tempfile.mkdtemp(prefix="logos-shift-benchmark-"))
    try:
        out = subprocess.run(
            [sys.executable, "-m", "benchmarks.collector_away", kind, str(calls)],
            cwd=ROOT, env=child_environment(LOGOS_SHIFT_HOME=str(home), **environment),
            check=True, capture_output=True,
        )  # fmt: skip
        got = json.loads(out.stdout.splitlines()[-1])
        segments = list(home.glob("spool/*/*/*.ndjson"))
        got["on_disk"] = sum(path.stat().st_size for path in segments)
        got["lines"] = sum(path.read_bytes().count(b"\n") for path in segments)
        return got
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _calls(kind: str, calls: int) -> None:
    """Be the sibling: make the calls and print what came of it."""
    import openai

    from benchmarks.provider import MESSAGES_4KB, MODEL, client

    if kind == "plain":
        create = client(openai.OpenAI).chat.completions.create
    else:
        import logos_shift_openai as ours

        create = client(ours.OpenAI).chat.completions.create
    create(model=MODEL, messages=MESSAGES_4KB)
    before, raised, times = _resident(), 0, []
    for _ in range(calls - 1):
        since = time.perf_counter()
        try:
            create(model=MODEL, messages=MESSAGES_4KB)
        except Exception:  # noqa: BLE001 - that is what is counted
            raised += 1
        times.append(time.perf_counter() - since)
    stats = {}
    if kind != "plain":
        ours.flush(2.0)
        stats = {name: n for name, n in ours.stats().items() if isinstance(n, int)}
    peak = _peak()
    print(
        json.dumps(
            {
                "peak": peak,
                "grown": peak - before,
                "raised": raised,
                "slowest": max(times),
                "p999": percentile(times, 0.999),
                "stats": stats,
            }
        )
    )


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in {"plain", "ours"}:
        _calls(sys.argv[1], int(sys.argv[2]))
    else:
        main(rows)
