"""The server killed in the middle of batches: what was answered 2xx is there once, and the evidence is a recount's.

Fifty kills on each engine take half a minute; LOGOS_SHIFT_TEST_KILLS sets another number.
"""

from __future__ import annotations

import os
import threading
import time
from random import Random

import requests
from served_faults import ServerProcess, check_whole, ids, kept, make_batches

from logos_shift_openai.server.fold import settle
from logos_shift_openai.server.store.database import open_store

KILLS = int(os.environ.get("LOGOS_SHIFT_TEST_KILLS", "50"))
BATCHES_A_KILL = 4


class Round:
    """Some batches sent at once, and the server killed at a random point while they are on their way."""

    def __init__(self, server: ServerProcess, numbers: list[int], batches: list[list[bytes]]) -> None:
        self._server = server
        self._batches = batches
        self.answered: dict[int, float] = {}
        """Which were answered, and after how many seconds."""
        self.seen = 0
        """Records that were committed before and not answered."""
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in numbers]
        self._started = time.monotonic()

    def _send(self, number: int) -> None:
        try:
            answer = self._server.send(self._batches[number])
        except requests.RequestException:
            return
        if answer.status_code == 503:  # nothing was kept: it is sent again
            return
        assert (answer.status_code, answer.json()["refused"]) == (200, [])
        self.answered[number] = time.monotonic() - self._started
        self.seen += answer.json()["seen"]

    def run(self, kill_after: float | None) -> None:
        """Send them all; kill after so many seconds, if at all."""
        for thread in self._threads:
            thread.start()
        if kill_after is not None:
            time.sleep(kill_after)
            self._server.kill()
        for thread in self._threads:
            thread.join()


def check_killed(home, url=None):
    """Kill the server at random points; batches without an answer are sent again to the next process, others never.

    Args:
        home: A folder for the server.
        url: Of a PostgreSQL; None for the SQLite store of the home folder.
    """
    dice = Random(20)
    batches = make_batches(KILLS * BATCHES_A_KILL, seed=21)
    waiting = list(range(len(batches)))
    kills = cut = seen = 0
    server = ServerProcess(home, url)
    key, usual = server.key, 0.1
    try:
        while waiting:
            numbers = waiting[:BATCHES_A_KILL]
            one = Round(server, numbers, batches)
            if kills == KILLS:
                one.run(None)
            else:
                one.run(dice.uniform(0, 1.3 * usual))
                server = ServerProcess(home, url, key)
                kills += 1
            cut += len(numbers) - len(one.answered)
            seen += one.seen
            if one.answered:
                usual = 0.5 * usual + 0.5 * max(one.answered.values())
            waiting = [number for number in waiting if number not in one.answered]
        assert kills == KILLS  # no round has more batches than there is a kill for
        assert server.end() == 0
    finally:
        server.kill()
    print(f"{KILLS} kills, {cut} batches without an answer, {seen} records of them committed all the same")
    assert cut
    assert "Traceback" not in server.log.read_text()
    store = open_store(url or home / "store.sqlite3")
    try:
        assert kept(store) == ids(batches)
        if url is None:
            check_whole(store)
        settle(store, time.time_ns() // 1_000_000)
        check_whole(store)
    finally:
        store.close()
