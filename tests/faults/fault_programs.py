"""Programs of users, run in processes of their own, and the next process that delivers what they left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import logos_shift_openai
from logos_shift_openai.client.runtime import Runtime
from logos_shift_openai.client.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fault_servers import Collector, Provider

ROOT = Path(logos_shift_openai.__file__).parents[1]
LONG = 90.0

# How many want each core just now: what is promised in seconds takes as many times as long.
BUSY = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)) if hasattr(os, "getloadavg") else 1.0
OLD = 0.25 * BUSY
"""Seconds after which a call must be safe."""

# What every program begins with. In its environment: PROVIDER, LOGOS_SHIFT_HOME, mostly LOGOS_SHIFT_URL.
BEGIN = f"""
import os, sys, time

def say(*what):
    os.write(1, (" ".join(map(str, what)) + "\\n").encode())

def make(kind=None, **more):
    import logos_shift_openai as ours
    return (kind or ours.OpenAI)(api_key="sk-caller", base_url=os.environ["PROVIDER"] + "/v1", max_retries=0, **more)

def ask(client, text, **more):
    answer = client.chat.completions.create(model="m", messages=[{{"role": "user", "content": text}}], **more)
    say("made", answer.logos_shift_id, text, time.monotonic())
    return answer

async def aask(client, text, **more):
    answer = await client.chat.completions.create(model="m", messages=[{{"role": "user", "content": text}}], **more)
    say("made", answer.logos_shift_id, text, time.monotonic())
    return answer

def age():
    time.sleep({OLD})

def deliver():
    import logos_shift_openai as ours
    assert ours.flush({LONG / 2}), ours.stats()
"""


@dataclass(frozen=True)
class Made:
    """A call that a program said it has made."""

    id: str
    text: str
    at: float


class Program:
    """A program that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.made: list[Made] = []
        self.said: list[str] = []
        self.errors = ""

    def read(self) -> str | None:
        """Read the next line the program says; None at its end."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return None
        self._take(line.rstrip("\n"))
        return line

    def _take(self, line: str) -> None:
        if line.startswith("made "):
            _, call_id, text, at = line.split(" ")
            self.made.append(Made(call_id, text, float(at)))
        else:
            self.said.append(line)

    def wait_for(self, said: str) -> None:
        """Read until the program has said this line."""
        while said not in self.said:
            if self.read() is None:
                self.end()
                raise AssertionError(f"the program ended before it said {said!r}: {self.errors}")

    def wait_for_calls(self, number: int, *, of_age: bool = False) -> None:
        """Read until so many calls are made, and some of them are older than `OLD`."""
        while len(self.made) < number or (of_age and self.made[-1].at < self.made[0].at + OLD * 1.5):
            if self.read() is None:
                self.end()
                raise AssertionError(f"the program ended after {len(self.made)} calls: {self.errors}")

    def end(self) -> int:
        """Wait for the end of the program; give its exit code."""
        out, self.errors = self.process.communicate(timeout=LONG)
        for line in out.splitlines():
            self._take(line)
        return self.process.returncode

    def kill(self) -> float:
        """Kill the program outright; give the moment."""
        at = time.monotonic()
        self.process.send_signal(signal.SIGKILL)
        self.end()
        return at

    @property
    def ids(self) -> set[str]:
        return {one.id for one in self.made}


@contextlib.contextmanager
def program(
    code: str,
    home: Path,
    provider: Provider,
    collector: Collector | str | None = None,
    *,
    options: tuple[str, ...] = (),
    **variables: str,
) -> Iterator[Program]:
    """Run a program from a file of its own; whatever happens it is gone after the block, with all it started."""
    with tempfile.TemporaryDirectory(prefix="logos-shift-faults-") as folder:
        path = Path(folder) / "program.py"
        path.write_text(BEGIN + textwrap.dedent(code))
        process = subprocess.Popen(
            [sys.executable, *options, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(home, provider, collector, **variables),
            start_new_session=True,
        )
        watchdog = threading.Timer(LONG, _kill_all, [process])
        watchdog.start()
        try:
            with process:
                try:
                    yield Program(process)
                finally:
                    _kill_all(process)
        finally:
            watchdog.cancel()
            watchdog.join()


def _kill_all(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def environment(
    home: Path, provider: Provider, collector: Collector | str | None = None, **variables: str
) -> dict[str, str]:
    """Give the environment of a program."""
    url = collector if isinstance(collector, str) or collector is None else collector.url
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "*",
        "PROVIDER": provider.url,
        "LOGOS_SHIFT_HOME": str(home),
        **({} if url is None else {"LOGOS_SHIFT_URL": url}),
        **variables,
    }


def run(
    code: str, home: Path, provider: Provider, collector: Collector | str | None = None, **variables: str
) -> Program:
    """Run a program to its good end."""
    with program(code, home, provider, collector, **variables) as running:
        assert running.end() == 0, running.errors
        return running


def deliver(home: Path, collector: Collector | str) -> Mapping[str, Any]:
    """Be the next process: take over what was left and send it; give the counts."""
    url = collector if isinstance(collector, str) else collector.url
    runtime = Runtime(read_settings({"url": url, "home": home}))
    runtime.start()
    try:
        assert runtime.flush(LONG), runtime.stats()
        return runtime.stats()
    finally:
        runtime.close(time.monotonic() + LONG)


def wait_for(true: Callable[[], object]) -> None:
    """Wait for something of another thread or process."""
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def lines_on_disk(home: Path, destination: str = "*") -> list[dict[str, Any]]:
    """Read the whole lines that wait in the spool."""
    found = []
    for path in sorted(home.glob(f"spool/{destination}/*/*.ndjson")):
        if path.parent.name != "refused":
            data = path.read_bytes()
            found += [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
    return found


def spooled(home: Path) -> Counter[str]:
    """Count the records in the spool by what their call asked."""
    return Counter(one["request"]["messages"][0]["content"] for one in lines_on_disk(home))


def texts(prefix: str, number: int) -> Counter[str]:
    """Give what `number` calls ask that are told apart by a number."""
    return Counter(f"{prefix}-{one}" for one in range(number))
