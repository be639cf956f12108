"""A collector in a process of its own on loopback: it takes records and counts them by id, or hangs.

Run as `python -m benchmarks.collector [hang]` it prints its address and serves until its standard input ends.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import Self

from benchmarks.measure import ROOT


class Collector:
    """A collector that runs as long as the `with` block.

    Args:
        hang: It takes connections and never answers.
    """

    def __init__(self, *, hang: bool = False) -> None:
        self._hang = hang
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.collector", *(["hang"] if self._hang else [])]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is not None and process.stdin is not None and process.stdout is not None:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()

    def ids(self) -> dict[str, int]:
        """Give how often each record's id has come."""
        with urllib.request.urlopen(f"{self.url}/ids", timeout=10) as answer:
            return json.loads(answer.read())


def child_environment(**more: str) -> dict[str, str]:
    """Give a child an environment with the checkout on its path and none of our variables but those named."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGOS_SHIFT_")}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def closed_address() -> str:
    """Give an address on loopback where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def _serve() -> None:
    seen: dict[str, int] = {}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/ids":
                with lock:
                    self._say(200, seen)
            else:
                self._say(200, {"version": 1, "poll_seconds": 3600})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/clients":
                self._say(200, {"taken": True})
                return
            ids = [json.loads(line)["id"] for line in gzip.decompress(body).splitlines()]
            with lock:
                new = sum(one not in seen for one in ids)
                for one in ids:
                    seen[one] = seen.get(one, 0) + 1
            self._say(200, {"new": new, "seen": len(ids) - new, "refused": []})

        def _say(self, status: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


def _hang() -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    kept = []

    def take() -> None:
        with contextlib.suppress(OSError):
            while True:
                kept.append(listening.accept())

    threading.Thread(target=take, daemon=True).start()
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _hang() if "hang" in sys.argv else _serve()
