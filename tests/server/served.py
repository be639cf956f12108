"""Real servers: uvicorn in a thread of the test, or a process of its own, on a free port of the loopback."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random

import requests

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.records import CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.server.datasets.keeping import FolderEditions
from logos_shift_openai.server.keys import create_key
from logos_shift_openai.server.serve import Address, prepare, server_for
from logos_shift_openai.server.service import Service
from logos_shift_openai.server.store.database import open_store

ROOT = Path(__file__).parents[2]
NDJSON = {"Content-Type": "application/x-ndjson"}
BUSY = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)) if hasattr(os, "getloadavg") else 1.0
"""How many want each core just now: what is promised in seconds takes as many times as long."""


class Served:
    """A server that runs in a thread of this process."""

    def __init__(self, target, **options):
        self.store = open_store(target)
        with self.store.writing() as connection:
            self.keys = {
                scope: create_key(connection, scope, f"{scope} of the test", 1)[0]
                for scope in ("ingest", "read", "admin")
            }
        self.no_auth = options.get("no_auth", False)
        proxies = options.pop("trusted_proxies", ())
        if isinstance(target, Path):
            options.setdefault("editions", FolderEditions(target.parent / "editions"))
        self.home = target.parent if isinstance(target, Path) else None
        self.service = Service(self.store, **options)
        prepare(self.store, self.home, 1, no_auth=self.no_auth)
        listening = threading.Event()
        self.url = ""

        def started(url):
            self.url = url
            listening.set()

        self.server = server_for(self.service, Address(port=0), trusted_proxies=proxies, started=started)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert listening.wait(90)

    def _run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self.loop = asyncio.get_running_loop()
        await self.server.serve()

    def close(self):
        self.server.should_exit = True
        self.thread.join(90)
        assert not self.thread.is_alive()
        self.store.close()

    def ask(self, method, path, key="admin", **options):
        headers = dict(options.pop("headers", {}))
        if key is not None and not self.no_auth:
            headers.setdefault("Authorization", f"Bearer {self.keys.get(key, key)}")
        return requests.request(method, self.url + path, headers=headers, timeout=90, **options)

    def send(self, *lines, key="ingest", **headers):
        return self.ask("POST", "/v1/records", key, data=b"".join(lines), headers={**NDJSON, **headers})

    def calls(self):
        return self.ask("GET", "/v1/calls?limit=500", "read").json()["calls"]


class Lines:
    """Makes records."""

    def __init__(self, seed=1):
        self.dice = Random(seed)
        self.at = 1_764_000_000_000

    def call(self, **parts):
        self.at += 1
        parts.setdefault("at", self.at)
        parts.setdefault("id", uuid7(parts["at"], self.dice.randbytes(10)))
        parts.setdefault("endpoint", "chat.completions")
        parts.setdefault("requested_model", "m")
        parts.setdefault("request", b'{"model":"m","messages":[]}')
        parts.setdefault("response", b'{"usage":{"prompt_tokens":3,"completion_tokens":2}}')
        return call_line(CallRecord(**parts))

    def feedback(self, call_id, **parts):
        self.at += 1
        return feedback_line(
            FeedbackRecord(id=uuid7(self.at, self.dice.randbytes(10)), at=self.at, call_id=call_id, **parts)
        )


class Process:
    """`logos-shift serve` as a process of its own."""

    def __init__(self, home, *options, port=0, environ=None):
        self.home = home
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "logos_shift_openai.cli",
                "--home",
                str(home),
                "serve",
                "--port",
                str(port),
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})},
        )
        said = []
        for line in self.process.stdout:
            said.append(line)
            if line.startswith("Serving"):
                break
        self.said = "".join(said)
        found = re.search(r"http://\S+?(?=[,\s])", self.said)
        assert found, self.said + self.process.communicate()[1]
        self.url = found[0]
        key = re.search(r"ls_admin_\w+", self.said)
        self.key = key and key[0]

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def end(self, seconds=90.0):
        """SIGTERM; returns the exit code and what it said on stderr."""
        if self.process.poll() is None:
            self.process.terminate()
        errors = self.process.communicate(timeout=seconds)[1]
        return self.process.returncode, errors


def wait_until(true, seconds=90.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def ids(raw):
    return json.loads(raw)["id"]
