"""What the exit takes with a collector that hangs, beyond the plain program's; its exit code, and the records."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.collector import Collector, child_environment
from benchmarks.measure import ROOT, Row, main

CALLS, EXIT_CODE = 50, 7


def rows(quick: bool) -> list[Row]:
    turns = 1 if quick else 5
    found: list[Row] = []
    with Collector(hang=True) as collector:
        for name, pause in (("at once after the calls", 0.0), ("while an upload hangs", 1.8)):
            plain, ours = [], []
            for _ in range(turns):
                plain.append(_program("plain", 0.0, ""))
                ours.append(_program("ours", pause, collector.url))
            beyond = statistics.median(one["seconds"] for one in ours) - statistics.median(
                one["seconds"] for one in plain
            )
            worst = max(one["seconds"] for one in ours)
            codes = {one["code"] for one in ours}
            kept = min(one["kept"] for one in ours)
            note = f"{turns} programs; slowest {worst:.2f} s; exit code {codes} of {EXIT_CODE}"
            plainly = statistics.median(one["seconds"] for one in plain)
            found += [
                Row(f"exit with the collector hanging, {name}", beyond, "s", 2, plain=plainly, note=note),
                Row(f"… exit codes changed, {name}", len(codes - {EXIT_CODE}), "codes", 0),
                Row(f"… records in the spool, {name}", kept, "records", CALLS, at_least=True, note=f"of {CALLS} calls"),
            ]
    return found


def _program(kind: str, pause: float, url: str) -> dict:
    home = Path(tempfile.mkdtemp(prefix="logos-shift-benchmark-"))
    more = {"LOGOS_SHIFT_URL": url} if url else {}
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "benchmarks.exit_time", kind, str(pause)],
            cwd=ROOT, env=child_environment(LOGOS_SHIFT_HOME=str(home), **more),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            began = float(process.stdout.readline())
            ids = set(json.loads(process.stdout.readline()))
            code = process.wait(60)
            ended = time.monotonic()
        lines = [line for path in home.glob("spool/*/*/*.ndjson") for line in path.read_bytes().splitlines()]
        kept = {json.loads(line)["id"] for line in lines} & ids
        return {"seconds": ended - began, "code": code, "kept": len(kept)}
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _calls(kind: str, pause: float) -> None:
    import openai

    from benchmarks.provider import MESSAGES, MODEL, client

    if kind == "plain":
        create = client(openai.OpenAI).chat.completions.create
    else:
        import logos_shift_openai as ours

        create = client(ours.OpenAI).chat.completions.create
    answers = [create(model=MODEL, messages=MESSAGES) for _ in range(CALLS)]
    ids = [getattr(one, "logos_shift_id", None) for one in answers]
    time.sleep(pause)
    print(time.monotonic(), flush=True)
    print(json.dumps(ids), flush=True)
    sys.exit(EXIT_CODE)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in {"plain", "ours"}:
        _calls(sys.argv[1], float(sys.argv[2]))
    else:
        main(rows)
