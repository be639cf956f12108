"""A WSGI application under `gunicorn --preload`: the client is made and used in the master, the workers are forks of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from fault_programs import BEGIN, LONG, OLD, deliver, environment, texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fault_servers import Collector, Provider

pytest.importorskip("gunicorn")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs forks")

APPLICATION = """
client = make()
ask(client, "master-0")

def application(environ, start_response):
    answer = ask(client, environ["PATH_INFO"].strip("/"))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {answer.logos_shift_id}".encode()]
"""


class Gunicorn:
    """A running gunicorn with two workers, listening on a socket of ours."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url
        self.answers: list[tuple[str, str]] = []

    def ask(self, prefix: str, number: int) -> set[str]:
        """Send requests, four at a time; give the process ids of the workers that answered."""
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(self._ask_one, [f"{prefix}-{one}" for one in range(number)]))
        self.answers += answers
        return {pid for pid, _ in answers}

    def _ask_one(self, text: str) -> tuple[str, str]:
        with urllib.request.urlopen(f"{self.url}/{text}", timeout=LONG) as answer:
            pid, call_id = answer.read().decode().split()
        return pid, call_id


@contextmanager
def gunicorn(folder: Path, home: Path, provider: Provider, collector: Collector, *options: str) -> Iterator[Gunicorn]:
    (folder / "application.py").write_text(textwrap.dedent(BEGIN + APPLICATION))
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "application", "--chdir", str(folder), "--preload"),
                *("--bind", f"fd://{listening.fileno()}", "--workers", "2", "--graceful-timeout", "10", *options),
                *("--log-level", "warning", "--no-control-socket"),
            ],
            env=environment(home, provider, collector, PYTHONWARNINGS="ignore::DeprecationWarning"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )
        with process:
            try:
                yield Gunicorn(process, f"http://127.0.0.1:{listening.getsockname()[1]}")
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


@pytest.mark.parametrize("options", [(), ("--threads", "4")], ids=["sync", "threads"])
def test_every_call_of_every_worker_is_delivered(
    options: tuple[str, ...], tmp_path: Path, home: Path, provider: Provider, collector: Collector
) -> None:
    """HUP gives new workers, TERM ends all in time; the calls of both generations arrive once, under their ids."""
    with gunicorn(tmp_path, home, provider, collector, *options) as server:
        first = server.ask("first", 40)
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + LONG
        second: set[str] = set()
        asked = 0
        while not second or second & first:
            assert time.monotonic() < end
            second = server.ask(f"second{asked}", 20)
            asked += 1
        server.process.send_signal(signal.SIGTERM)
        since = time.monotonic()
        assert server.process.wait(LONG) == 0
        assert time.monotonic() - since < 10.0
    wanted = texts("master", 1) + texts("first", 40)
    for one in range(asked):
        wanted += texts(f"second{one}", 20)
    assert len(collector.arrived) == sum(wanted.values())  # delivered before the end, by the workers themselves
    deliver(home, collector)
    assert collector.texts() == wanted
    assert set(collector.arrived.values()) == {1}
    assert {call_id for _, call_id in server.answers} <= set(collector.arrived)


def test_workers_end_in_time_with_the_collector_hanging(
    tmp_path: Path, home: Path, provider: Provider, collector: Collector
) -> None:
    """TERM is obeyed within gunicorn's own patience, and the next process delivers what the workers could not."""
    collector.fault = "hang"
    with gunicorn(tmp_path, home, provider, collector) as server:
        server.ask("call", 20)
        server.process.send_signal(signal.SIGTERM)
        since = time.monotonic()
        assert server.process.wait(LONG) == 0
        assert time.monotonic() - since < 10.0  # after that gunicorn would kill them
    collector.fault = None
    deliver(home, collector)
    assert collector.texts() == texts("call", 20) + texts("master", 1)


def test_a_worker_that_is_killed_leaves_its_records_to_the_next(
    tmp_path: Path, home: Path, provider: Provider, collector: Collector
) -> None:
    """As the kernel does when memory is short: the worker's last calls are of age, and arrive."""
    with gunicorn(tmp_path, home, provider, collector) as server:
        for worker in server.ask("call", 20):
            time.sleep(OLD)
            os.kill(int(worker), signal.SIGKILL)
        server.ask("after", 5)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(LONG) == 0
    deliver(home, collector)
    assert collector.texts() == texts("call", 20) + texts("after", 5) + texts("master", 1)
