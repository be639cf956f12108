"""How a figure is taken and shown: interleaved rounds of plain and ours, medians of differences, rows of a table.

Rule: plain `openai` is measured twice around ours in every round; what the two differ by is the noise that a figure is
to be read against. Nothing here imports the SDK or the client, so that a script decides itself when it does.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        what: The figure in words.
        figure: Its value, in `unit`.
        unit: "us", "ms", "s", "MiB", a count's name or nothing.
        target: The most it may be; with `at_least`, the least. None: for information.
        plain: What plain `openai` takes for the same in the same run, same unit.
        noise: Plain against plain, same unit.
        note: Method and circumstances, short.
    """

    what: str
    figure: float
    unit: str
    target: float | None = None
    at_least: bool = False
    plain: float | None = None
    noise: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool | None:
        if self.target is None:
            return None
        return self.figure >= self.target if self.at_least else self.figure <= self.target

    @property
    def ratio(self) -> float | None:
        """Ours against plain, 1.1 for a tenth more."""
        return (self.plain + self.figure) / self.plain if self.plain else None


@dataclass(frozen=True)
class Compared:
    """What came of interleaved rounds; all in the unit that the rounds were given in.

    Args:
        added: Median over the rounds of ours minus the mean of the two plain ones around it.
        plain: Median over the rounds of plain.
        noise: Median over the rounds of the second plain one minus the first.
        lowest: The least that a round added, for a look at what a quiet machine would show.
    """

    added: float
    plain: float
    noise: float
    lowest: float


def interleaved(
    plain: Callable[[], float],
    ours: Callable[[], float],
    rounds: int,
    *,
    again: Callable[[], float] | None = None,
    settle: Callable[[], Any] = lambda: None,
) -> Compared:
    """Run plain, ours and plain again in turn, each place equally often first.

    Args:
        plain: Takes one round and gives its figure.
        ours: Likewise.
        rounds: How often.
        again: The second plain one, of another client; the first once more unless given.
        settle: Called untimed after each of ours, to let the background end its work.
    """
    again = again or plain
    ours()  # warm: imports, first pages of the spool, caches of the interpreter
    settle()
    plain(), again()
    firsts, added, noise = [], [], []
    for turn in range(rounds):
        figures: dict[str, float] = {}
        order = ("plain", "ours", "again")
        for name in order[turn % 3 :] + order[: turn % 3]:
            gc.collect()
            figures[name] = {"plain": plain, "ours": ours, "again": again}[name]()
            if name == "ours":
                settle()
        firsts.append(figures["plain"])
        added.append(figures["ours"] - (figures["plain"] + figures["again"]) / 2)
        noise.append(figures["again"] - figures["plain"])
    return Compared(statistics.median(added), statistics.median(firsts), statistics.median(noise), min(added))


def each(do: Callable[[], object], times: int) -> list[float]:
    """Time every single one, in seconds."""
    clock, out = time.perf_counter, []
    for _ in range(times):
        since = clock()
        do()
        out.append(clock() - since)
    return out


def percentile(values: Sequence[float], part: float) -> float:
    """Give the value that `part` of the values are below, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def own_home() -> Path:
    """Give this process an empty home and none of our variables; the folder goes when the process ends."""
    for name in [name for name in os.environ if name.startswith("LOGOS_SHIFT_")]:
        del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="logos-shift-benchmark-"))
    # Registered before the client is imported, so it runs after the client's own exit.
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["LOGOS_SHIFT_HOME"] = str(home)
    return home


def main(rows: Callable[[bool], list[Row]]) -> None:
    """Be a script: measure, and print the table, or lines of JSON for whoever runs all of them."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: seconds instead of minutes")
    parser.add_argument("--json", action="store_true", help="rows as lines of JSON")
    asked = parser.parse_args()
    measured = rows(asked.quick)
    if asked.json:
        for row in measured:
            print(json.dumps(asdict(row)))
    else:
        print(table(measured))


def table(rows: Sequence[Row]) -> str:
    """Lay rows out as a Markdown table."""
    lines = [
        "| what | figure | target | | plain openai | ratio | plain against plain | method |",
        "|---|--:|--:|---|--:|--:|--:|---|",
    ]
    for row in rows:
        bound = "" if row.target is None else f"{'≥' if row.at_least else '≤'} {shown(row.target, row.unit)}"
        verdict = {None: "", True: "ok", False: "**not**"}[row.ok]
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        cells = (
            row.what,
            shown(row.figure, row.unit),
            bound,
            verdict,
            shown(row.plain, row.unit),
            ratio,
            shown(row.noise, row.unit),
            row.note,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown(value: float | None, unit: str) -> str:
    """Give a figure with its unit, as it stands in a table."""
    if value is None:
        return ""
    digits = 0 if float(value).is_integer() and unit not in {"us", "ms", "s", "MiB"} else 2 if abs(value) < 10 else 1
    return f"{value:,.{digits}f} {unit.replace('us', 'µs')}".strip()
