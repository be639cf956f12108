"""Platforms without `fcntl`, `fork` and its hooks, as Windows is: the real client, its spool, its way to the server.

Each runs in a process of its own in which these were hidden before the first import. For Windows, `msvcrt.locking` is
there in their place: it fails as Windows does, and the kernel's lock is behind it. What only Windows itself can show, as its
rules for open files, is not shown here.
"""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PROGRAM = """
import errno, os, sys, types
import openai, requests
import fcntl as real
if sys.argv[1] == "windows":
    msvcrt = types.ModuleType("msvcrt")
    msvcrt.LK_NBLCK, msvcrt.LK_UNLCK = 2, 0

    def locking(fd, mode, size):
        try:
            real.flock(fd, real.LOCK_EX | real.LOCK_NB if mode == msvcrt.LK_NBLCK else real.LOCK_UN)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None

    msvcrt.locking = locking
    sys.modules["msvcrt"] = msvcrt
sys.modules["fcntl"] = None
for name in ("register_at_fork", "fork", "kill"):
    delattr(os, name)
for name in [name for name in sys.modules if name.startswith("logos_shift_openai")]:
    raise SystemExit(f"{name} was imported before")

sys.path.insert(0, "tests/sdk")
from provider import MESSAGES, Provider
import logos_shift_openai as ours
from logos_shift_openai.client import file_lock

assert not file_lock._REMOVES_OPEN
client = Provider().client()
for _ in range(5):
    client.chat.completions.create(model="m", messages=MESSAGES)
for _ in client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
    pass
sys.exit(0 if ours.flush(20) else 3)
"""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ids: list[str] = []
        self.reports: list[dict[str, Any]] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._say({"version": 1})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/clients":
            self.server.reports.append(json.loads(body))
            self._say({"taken": True})
            return
        found = [json.loads(line)["id"] for line in zlib.decompress(body, 31).splitlines()]
        self.server.ids += found
        self._say({"new": len(found), "seen": 0, "refused": []})

    def _say(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def run(platform: str, **environ: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", PROGRAM, platform],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("platform", ["windows", "neither"])
def test_a_client_delivers_what_it_records(platform: str, server: Server, home: Path) -> None:
    """By the spool where there are locks of some kind, else out of memory; nothing is left behind."""
    run(platform, LOGOS_SHIFT_URL=f"http://127.0.0.1:{server.server_port}")
    assert len(set(server.ids)) == 6
    assert server.reports[-1]["ended"]
    assert server.reports[-1]["counts"]["recorded"] == 6
    assert [path for path in home.rglob("*") if path.is_file() and path.suffix == ".ndjson"] == []
    assert list(home.rglob("lock")) == []


def test_what_is_spooled_on_windows_is_taken_over_by_the_next_process(server: Server, home: Path) -> None:
    """Without a server the records stay; the next process goes on in the same folder."""
    run("windows")
    run("windows")
    [folder] = [path for path in (home / "spool" / "local").iterdir() if path.is_dir()]
    lines = b"".join(path.read_bytes() for path in sorted(folder.glob("*.ndjson"))).splitlines()
    assert len(lines) == 12
    assert server.ids == []


def test_segments_are_opened_as_bytes() -> None:
    """Else Windows would write another byte for each end of a line, and cut records where they are whole."""
    program = (
        "import os; os.O_BINARY = 0x8000\n"
        "from logos_shift_openai.client.file_lock import BINARY\n"
        "raise SystemExit(BINARY != 0x8000)"
    )
    subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=90
    )
