"""Measure the server and print one table; the exit code is 1 when a figure is not reached."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time

from benchmarks.measure import Row, shown
from benchmarks.server import config_304, editions, export, ingest, reads, rollouts
from benchmarks.server.sizes import SIZES

SCRIPTS = {
    "ingest": ingest.rows,
    "config_304": config_304.rows,
    "reads": reads.rows,
    "export": export.rows,
    "rollouts": rollouts.rows,
    "editions": editions.rows,
}


def table(rows: list[Row]) -> str:
    """Lay rows out as a Markdown table."""
    lines = ["| what | figure | target | | method |", "|---|--:|--:|---|---|"]
    for row in rows:
        bound = "" if row.target is None else f"{'≥' if row.at_least else '≤'} {shown(row.target, row.unit)}"
        verdict = {None: "", True: "ok", False: "**not**"}[row.ok]
        lines.append(f"| {row.what} | {shown(row.figure, row.unit)} | {bound} | {verdict} | {row.note} |")
    return "\n".join(lines)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("scripts", nargs="*", metavar="script", help=f"of {', '.join(SCRIPTS)}; all unless given")
    parser.add_argument("--quick", action="store_const", dest="size", const="quick", help="two minutes instead of many")
    parser.add_argument("--tiny", action="store_const", dest="size", const="tiny", help="only to see that it works")
    asked = parser.parse_args()
    if unknown := set(asked.scripts) - set(SCRIPTS):
        parser.error(f"no script is called {', '.join(sorted(unknown))}")
    size, began, rows = SIZES[asked.size or "full"], time.monotonic(), []
    for name in asked.scripts or SCRIPTS:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += SCRIPTS[name](size)
    print(table(rows))
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    took, kind = time.monotonic() - began, asked.size or "full"
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, load {load}, {took:.0f} s, {kind}.")
    sys.exit(1 if any(row.ok is False for row in rows) else 0)


if __name__ == "__main__":
    main()
