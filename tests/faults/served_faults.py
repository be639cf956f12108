"""Servers that are killed, batches that are sent until they are answered, and what must hold of the store after it.

The sender is as plain as a client can be: it sends a batch again, with the same ids, until it hears a 2xx.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import requests
from sqlalchemy import select

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.records import CallError, CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.server.feedback import effective_scores
from logos_shift_openai.server.store.evidence import Key, recount, sums_by_key
from logos_shift_openai.server.store.schema import call_bodies, calls, feedback
from logos_shift_openai.server.store.sums import Sums

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "serve_program.py"
LEASE_SECONDS = 1.0
HOUR_MS = 3_600_000


class ServerProcess:
    """`logos-shift serve` with a short lease, in a process of its own.

    Args:
        home: Its home folder.
        database_url: A PostgreSQL, instead of the file in the home folder.
        key: The admin key, where an earlier process has shown it.
        log: Where its stderr goes, if not to a file in the home folder.
        port: Where it listens; 0 takes a free one.
    """

    def __init__(
        self,
        home: Path,
        database_url: str | None = None,
        key: str | None = None,
        log: Path | None = None,
        port: int = 0,
    ) -> None:
        home.mkdir(exist_ok=True)
        self.log = log or home / "stderr.txt"
        options = ["--database-url", database_url] if database_url else []
        command = [sys.executable, str(PROGRAM), str(LEASE_SECONDS), "--home", str(home)]
        with self.log.open("a") as errors:
            self.process = subprocess.Popen(
                [*command, "serve", "--port", str(port), "--rate", "0", *options],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        said = ""
        for line in self.process.stdout:
            said += line
            if line.startswith("Serving"):
                break
        found = re.search(r"on (http://[^,\s]+)", said)
        assert found, self.log.read_text()
        self.url = found[1]
        shown = re.search(r"ls_admin_\w+", said)
        self.key = shown[0] if shown else key

    def send(self, batch: list[bytes], seconds: float = 90.0) -> requests.Response:
        """Send a batch."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/x-ndjson"}
        return requests.post(f"{self.url}/v1/records", data=b"".join(batch), headers=headers, timeout=seconds)

    def get(self, path: str) -> requests.Response:
        """Ask for something with the key."""
        return requests.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.key}"}, timeout=90)

    def health(self) -> dict:
        """Ask how it is."""
        return requests.get(f"{self.url}/health", timeout=90).json()

    def kill(self) -> None:
        """End it as if the power had gone; nothing happens where it has ended."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def end(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        code = self.process.wait(90)
        self.process.stdout.close()
        return code


def make_batches(count: int, seed: int, size: int = 12) -> list[list[bytes]]:
    """Make batches of calls and feedback; parents and feedback also name calls of other batches.

    Args:
        count: How many batches.
        seed: The same one gives the same batches.
        size: Lines of each.
    """
    dice = Random(seed)
    now = 1_764_000_000_000
    names = [[uuid7(now + part, dice.randbytes(10)) for _ in range(size)] for part in range(count)]
    return [[_line(dice, names, part, name) for name in names[part]] for part in range(count)]


def _line(dice: Random, names: list[list[str]], part: int, name: str) -> bytes:
    near = names[min(len(names) - 1, max(0, part + dice.randrange(-4, 5)))]
    at = 1_764_000_000_000 - dice.randrange(30) * HOUR_MS // 7
    if dice.random() < 0.25:
        scored = {"value": dice.random()} if dice.random() < 0.5 else {"label": dice.choice(["success", "failure"])}
        return feedback_line(FeedbackRecord(id=name, at=at, call_id=dice.choice(near), **scored))
    return call_line(
        CallRecord(
            id=name,
            at=at,
            endpoint=dice.choice(["chat.completions", "function"]),
            request=json.dumps({"model": "m", "text": dice.randbytes(400).hex()}).encode(),
            response=b'{"usage":{"prompt_tokens":7,"completion_tokens":2}}',
            dataset=dice.choice(["a", "b"]),
            experiment=dice.choice([None, "x"]),
            assigned=dice.choice(["baseline", "candidate"]),
            served="baseline",
            parent=dice.choice([None, None, dice.choice(near)]),
            duration_ms=dice.lognormvariate(5, 2),
            error=dice.choice([None, None, CallError("E", 500)]),
        )
    )


def ids(batches: list[list[bytes]]) -> Counter[str]:
    """Count the ids of the records in batches."""
    return Counter(json.loads(line)["id"] for batch in batches for line in batch)


def kept(store: Store) -> Counter[str]:
    """Count the ids of the records in a store."""
    with store.reading() as connection:
        found = Counter(connection.scalars(select(calls.c.id)))
        found.update(connection.scalars(select(feedback.c.id)))
    return found


def check_whole(store: Store) -> None:
    """Every call has its bodies, every score is what the feedback says, and the evidence is what a recount gives."""
    expected: dict[Key, Sums] = {}
    with store.reading() as connection:
        assert set(connection.scalars(select(calls.c.id))) == set(connection.scalars(select(call_bodies.c.call_id)))
        table = effective_scores()
        raw = {row.id: row.score for row in connection.execute(select(table.c.id, table.c.score))}
        scored = connection.execute(select(calls.c.id, calls.c.score).where(calls.c.score.is_not(None)))
        assert {row.id: row.score for row in scored} == raw
        for (key, _start), sums in recount(connection).items():
            expected.setdefault(key, Sums()).add(sums)
        assert sums_by_key(connection) == expected


class Senders:
    """Threads that send batches to whichever server there is, each batch again until it is answered 2xx.

    Args:
        batches: What to send; each thread takes every so-manieth.
        server: Gives the server of the moment.
        threads: How many send at a time.
    """

    def __init__(self, batches, server, threads: int = 4) -> None:
        self._batches = batches
        self._server = server
        self.answered: list[int] = []
        """Which batches were answered 2xx, in that order."""
        self.statuses: Counter[int] = Counter()
        self.whys: set[str] = set()
        self.faults: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(one, threads)) for one in range(threads)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        assert self.faults == []

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _run(self, first: int, step: int) -> None:
        try:
            for number in range(first, len(self._batches), step):
                self._until_answered(number)
        except BaseException as fault:
            self.faults.append(fault)

    def _until_answered(self, number: int) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                answer = self._server().send(self._batches[number])
            except requests.RequestException:
                time.sleep(0.01)  # the server is away
                continue
            self.statuses[answer.status_code] += 1
            if answer.status_code == 200:
                assert answer.json()["refused"] == []
                self.answered.append(number)
                return
            self.whys.add(answer.json()["error"]["code"])
            time.sleep(0.05)
        raise TimeoutError(f"batch {number} was never answered")


def wait_until(true, seconds: float = 90.0) -> None:
    """Wait for what must come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
