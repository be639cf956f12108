"""Measure in a real browser when each page is painted and has its data, over few calls and many; print one table."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.dashboard.filling import fill
from benchmarks.measure import Row
from benchmarks.server.__main__ import table
from benchmarks.server.served import Process, folder

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

FEW = 100
_TURNS = 9
_TARGET_MS = 300
_RATIO = 2
_DRAWN = """
new MutationObserver((_, watch) => {
  const main = document.querySelector('main');
  if (!main || main.hasAttribute('aria-busy')) return;
  watch.disconnect();
  requestAnimationFrame(() => { window.drawn = performance.now(); });
}).observe(document, {attributes: true, subtree: true, childList: true});
"""
# Waits within the page: what Playwright polls with is a text that the pages' policy does not let run.
# A page's data may be drawn before the browser has told of its first paint, so both are waited for.
_WAIT = """new Promise((done, failed) => {
  const look = () => {
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    if (performance.now() > 30000) return failed(new Error(`${location.pathname} is not drawn`));
    return window.drawn && paint ? done([paint.startTime, window.drawn]) : setTimeout(look, 5);
  };
  look();
})"""


def pages(call_id: str, job_id: str) -> dict[str, str]:
    """Name the pages that are looked at, and their addresses; every page of the dashboard is among them."""
    return {
        "overview": "/",
        "calls": "/calls",
        "calls with a common word": "/calls?text=card",
        "calls with a word that is in none": "/calls?text=zzzzqq",
        "calls of a dataset with a word": "/calls?text=pin&dataset=dataset-3",
        "calls in an error, of which there is none": "/calls?errors=true",
        "calls with feedback": "/calls?feedback=failure",
        "calls by their cost, of which none fits": "/calls?dearer=5",
        "a call": f"/calls/{call_id}",
        "experiments": "/experiments",
        "an experiment": "/experiments/sales",
        "datasets": "/datasets",
        "a dataset": "/datasets/dataset-3",
        "tuning": "/tuning",
        "a tuning job": f"/tuning/{job_id}",
        "an autopilot": "/autopilot/dataset-3",
        "refused lines": "/refused",
        "settings": "/settings",
    }


class Side:
    """A filled home, its server, and a page of a browser that is logged in there.

    Args:
        browser: Playwright's.
        home: A home folder; where one was filled before it is taken as it is.
        calls: How many.
    """

    def __init__(self, browser: Any, home: Path, calls: int) -> None:
        self._paths, key = _filled(home, calls)
        command = [sys.executable, "-m", "logos_shift_openai.cli", "--home", str(home), "serve", "--port", "0"]
        self._server = Process(command, home / "log")
        self._context = browser.new_context(viewport={"width": 1440, "height": 900})
        self._page, self._url = self._context.new_page(), f"http://127.0.0.1:{self._server.port}"
        self._page.add_init_script(_DRAWN)
        self._page.goto(f"{self._url}/login")
        self._page.fill("input[name=key]", key)
        self._page.click("button.main")
        self._page.wait_for_url(f"{self._url}/")

    def look(self, name: str) -> tuple[float, float]:
        """Open a page; give the ms to its first paint and to the paint of its data."""
        self._page.goto(self._url + self._paths[name])
        paint, data = self._page.evaluate(_WAIT)
        return float(paint), float(data)

    @property
    def names(self) -> list[str]:
        """The pages."""
        return [*self._paths]

    def end(self) -> None:
        """Let all of it go."""
        self._context.close()
        self._server.end()


def _filled(home: Path, calls: int) -> tuple[dict[str, str], str]:
    """Fill a home, if it is not yet; give the pages that are looked at, and a key."""
    from logos_shift_openai.server.calls import Filters, list_calls
    from logos_shift_openai.server.keys import create_key
    from logos_shift_openai.server.store.database import open_store
    from logos_shift_openai.server.tuners.jobs import list_jobs

    now, whole = time.time_ns() // 1_000_000, home / "filled"
    if home.exists() and not whole.exists():
        shutil.rmtree(home)  # of a run that was stopped while it filled
    store = open_store(home / "store.sqlite3")
    if not whole.exists():
        fill(store, home, calls, now)
        whole.touch()
    with store.writing() as connection:
        key, _ = create_key(connection, "admin", "benchmark", now)
    with store.reading() as connection:
        call_id, job_id = list_calls(connection, Filters(limit=1))[0]["id"], list_jobs(connection, 1)[0].id
    store.close()
    return pages(call_id, job_id), key


def measure(few: Side, many: Side, name: str) -> tuple[float, float, float]:
    """Open a page over few calls and over many by turns, so that what else the machine does is in both alike.

    Returns:
        The medians over many calls of the first paint and of the data's in ms, and the latter against that over few.
    """
    looks = [(few.look(name), many.look(name)) for _ in range(_TURNS)]
    paint, data = (statistics.median(one[1][part] for one in looks) for part in (0, 1))
    return paint, data, data / statistics.median(one[0][1] for one in looks)


def _place(cache: Path | None) -> AbstractContextManager[Path]:
    return folder() if cache is None else nullcontext(cache)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000, help="a million unless given")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep the filled stores there, for the next runs")
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    began, rows = time.monotonic(), []
    with _place(asked.cache) as home, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        few = Side(browser, home / f"calls-{FEW}", FEW)
        many = Side(browser, home / f"calls-{asked.calls}", asked.calls)
        try:
            found = {name: measure(few, many, name) for name in many.names}
        finally:
            few.end()
            many.end()
        browser.close()
    note = f"median of {_TURNS}; first paint, then with its data"
    for name, (paint, data, ratio) in found.items():
        rows.append(Row(f"{name}: first paint over {asked.calls:,} calls", paint, "ms", _TARGET_MS, note=note))
        rows.append(Row(f"{name}: with its data", data, "ms", _TARGET_MS))
        rows.append(Row(f"{name}: against {FEW} calls", ratio, "", _RATIO))
    print(table(rows))
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    took = time.monotonic() - began
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, load {load}, {took:.0f} s.")
    sys.exit(1 if any(row.ok is False for row in rows) else 0)


if __name__ == "__main__":
    main()
