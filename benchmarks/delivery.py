"""How many of a program's last 20 calls reach the collector, for every way that a program ends.

Calls of a program that is killed are 0.3 s old by then; every other program ends right after its last call. A program
that is killed is followed by another one on the same machine, with one call of its own, as a service that is restarted.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.collector import Collector, child_environment
from benchmarks.measure import ROOT, Row, main

LAST = 20
EARLIER = 10
_AGE = 0.3

WAYS = {
    "exit": "exit",
    "exception": "an uncaught exception",
    "sigterm": "SIGTERM, restart",
    "sigkill": "SIGKILL, restart",
    "short-exit": "fork short, the child exits",
    "short-process": "fork short, a multiprocessing.Process",
    "long-process": "fork long, a multiprocessing.Process",
    "long-kill": "fork long, both killed, restart",
}
_KILLED = {"sigterm": signal.SIGTERM, "sigkill": signal.SIGKILL, "long-kill": signal.SIGKILL}


def rows(quick: bool) -> list[Row]:
    turns = 1 if quick else 3
    return [_row(way, turns) for way in WAYS]


def _row(way: str, turns: int) -> Row:
    arrived, unaided, most = LAST, LAST, 0
    for _ in range(turns):
        home = Path(tempfile.mkdtemp(prefix="logos-shift-benchmark-"))
        try:
            with Collector() as collector:
                environment = child_environment(LOGOS_SHIFT_HOME=str(home), LOGOS_SHIFT_URL=collector.url)
                last = _program(way, environment)
                unaided = min(unaided, len(last & set(collector.ids())))
                if way in _KILLED:
                    _program("exit", environment)
                ids = collector.ids()
                arrived = min(arrived, len(last & set(ids)))
                most = max(most, *(ids.get(one, 0) for one in last))
        finally:
            shutil.rmtree(home, ignore_errors=True)
    note = f"{turns} programs, the worst of them; a record came {most} time{'s' if most != 1 else ''} at most"
    if way in _KILLED:
        note += f"; {unaided} there before the restart"
    return Row(f"delivered of the last {LAST}: {WAYS[way]}", arrived, "calls", LAST, at_least=True, note=note)


def _program(way: str, environment: dict[str, str]) -> set[str]:
    """Run a program to its end and give the ids of its last calls."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.delivery", way],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        last = set(json.loads(process.stdout.readline()))
        if way in _KILLED:
            time.sleep(_AGE)
            os.killpg(process.pid, _KILLED[way])  # a session of its own: the program and its children
        process.wait(60)
    assert len(last) == LAST, way
    return last


def _be(way: str) -> None:
    """Be the program."""
    from benchmarks.provider import MESSAGES, MODEL, client
    from logos_shift_openai import OpenAI

    create = client(OpenAI).chat.completions.create

    def calls(times: int, pause: float = 0.0) -> list[str]:
        ids = []
        for _ in range(times):
            ids.append(create(model=MODEL, messages=MESSAGES).logos_shift_id)
            time.sleep(pause)
        return ids

    def say(ids: list[str]) -> None:
        print(json.dumps(ids), flush=True)

    calls(EARLIER)
    if way == "exit":
        say(calls(LAST))
    elif way == "exception":
        say(calls(LAST))
        raise RuntimeError(way)
    elif way in {"sigterm", "sigkill"}:
        say(calls(LAST))
        time.sleep(60)
    elif way == "short-exit":
        child = os.fork()
        if child == 0:
            say(calls(LAST))
            sys.exit(0)
        os.waitpid(child, 0)
    else:
        _fork(way, calls, say)


def _fork(way: str, calls, say) -> None:
    def child() -> None:
        if way.startswith("long"):
            calls(20, pause=0.1)  # old enough for several turns of its own threads
        say(calls(LAST))
        if way == "long-kill":
            time.sleep(60)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1] in WAYS:
        _be(sys.argv[1])
    else:
        main(rows)
