"""A process that makes processes, each of which takes an autopilot on until it is killed or the round is rolled out.

Usage: `flight_program.py HOME URL`, where URL is "-" for the store of the home folder. A line of its input begins a
process, whose number is a line of the output; the end of the input is its own. It has imported everything and has no
threads, so a life begins in a moment. Leases are short, so that the next process need not wait for those of the dead.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from logos_shift_openai.core.autopilot_policy import TUNERS
from logos_shift_openai.lab import data  # noqa: F401 - imported before the fork
from logos_shift_openai.server import holding
from logos_shift_openai.server.autopilot.acts import Cockpit
from logos_shift_openai.server.autopilot.keeping import find_autopilot
from logos_shift_openai.server.autopilot.running import turn
from logos_shift_openai.server.evaluation.running import Bench
from logos_shift_openai.server.store.database import open_store
from logos_shift_openai.server.tuners import named, openai_jobs  # noqa: F401 - imported before the fork
from logos_shift_openai.server.tuners.machine import advance
from logos_shift_openai.server.tuners.step import workshop

DATASET = "banking"
assert TUNERS
holding.LEASE_MS = 250
holding._RENEW_SECONDS = 0.05


def now() -> int:
    return time.time_ns() // 1_000_000


def fly(home: Path, url: str) -> None:
    """Take the round on to its rollout."""
    store = open_store(home / "store.sqlite3" if url == "-" else url)
    holder = f"process-{os.getpid()}"
    shop = workshop(store, home, holder, now)
    cockpit = Cockpit(shop, Bench(store, home, os.environ, holder, now), home)
    while True:
        try:
            turn(cockpit, DATASET)
            with store.reading() as connection:
                state = find_autopilot(connection, DATASET).state
            if state.phase == "rolling":
                return
            if state.phase == "tuning" and state.job is not None:
                advance(shop, state.job)
        except holding.BusyError:
            pass
        time.sleep(0.01)


if __name__ == "__main__":
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                fly(Path(sys.argv[1]), sys.argv[2])
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
