"""Slow clients: what they may hold is bounded, they are cut off in time, and the others are served meanwhile."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
sys.path.insert(0, str(Path(__file__).parents[1] / "server"))
from served import Lines, Served, wait_until

from logos_shift_openai.server.limits import Limits


@pytest.fixture
def serve(tmp_path):
    """Start servers; they end with the test."""
    running = []

    def start(**limits):
        running.append(Served(tmp_path / "server" / "store.sqlite3", limits=Limits(**limits)))
        return running[-1]

    yield start
    for server in running:
        server.close()


class Dribbler(threading.Thread):
    """A client that sends the head of a request, and then a byte now and then for as long as it is let.

    Every byte comes well within any limit that counts from the last one.
    """

    def __init__(self, server, head):
        super().__init__()
        host, port = server.url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=0.05)
        self.head = head.encode()
        self.sent = 0
        self.answer = b""
        self.start()

    def run(self):
        with self.socket, contextlib.suppress(ConnectionError):
            self.socket.sendall(self.head)
            while not self.answer:
                self.socket.sendall(b"x")
                self.sent += 1
                with contextlib.suppress(TimeoutError, socket.timeout):
                    self.answer = self.socket.recv(4096) or b"closed"


def head_of_a_batch(server):
    return (
        f"POST /v1/records HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.keys['ingest']}\r\n"
        "Content-Type: application/x-ndjson\r\nContent-Length: 1000000\r\n\r\n"
    )


def test_a_body_that_dribbles_is_cut_off_and_others_are_served(serve):
    """A few hold their places in the queue until their time is over; batches of others pass."""
    server = serve(body_seconds=1.0)
    dribblers = [Dribbler(server, head_of_a_batch(server)) for _ in range(8)]
    wait_until(lambda: server.service.intake.batches == 8)
    lines = Lines()
    assert [server.send(lines.call()).status_code for _ in range(5)] == [200] * 5
    for one in dribblers:
        one.join(90)
    assert {one.answer[:12] for one in dribblers} <= {
        b"HTTP/1.1 408",
        b"",
    }  # a byte after the end may cost it the answer
    assert b"HTTP/1.1 408" in {one.answer[:12] for one in dribblers}
    assert min(one.sent for one in dribblers) > 1
    wait_until(lambda: server.service.intake.batches == 0)
    assert len(server.calls()) == 5


def test_a_queue_full_of_dribblers_is_free_again_in_time(serve):
    """Batches are turned away with a 503 meanwhile, and taken after it."""
    server = serve(body_seconds=1.0, queue_batches=4)
    dribblers = [Dribbler(server, head_of_a_batch(server)) for _ in range(4)]
    wait_until(lambda: server.service.intake.batches == 4)
    line = Lines().call()
    answer = server.send(line)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    for one in dribblers:
        one.join(90)
    wait_until(lambda: server.service.intake.batches == 0)
    assert server.send(line).json()["new"] == 1


def test_headers_that_dribble_are_cut_off(serve):
    """However often a byte comes."""
    server = serve(header_seconds=0.5)
    one = Dribbler(server, "GET /health HTTP/1.1\r\nX-Slow: ")
    one.join(90)
    assert not one.is_alive()
    assert one.answer in {b"", b"closed"}
    assert one.sent > 0
    assert server.ask("GET", "/health", None).status_code == 200


def test_no_more_wait_for_a_config_than_may(serve):
    """Who is one too many is answered at once; the next gets the place of one that has gone."""
    server = serve(waiting=3)
    etag = server.ask("GET", "/v1/config", "ingest").headers["ETag"]
    heard = []

    def wait():
        answer = server.ask("GET", "/v1/config?wait=30", "ingest", headers={"If-None-Match": etag})
        heard.append(answer.status_code)

    waiters = [threading.Thread(target=wait) for _ in range(3)]
    for one in waiters:
        one.start()
    wait_until(lambda: server.service.config.waiting == 3)
    for _ in range(5):
        wait()
    assert heard == [304] * 5
    assert server.service.config.waiting == 3
    plan = {"key": "e", "models": ["m"], "candidate": "cheap", "share": 10_000}
    assert server.ask("POST", "/v1/experiments", json=plan).status_code == 200
    for one in waiters:
        one.join(90)
    assert sorted(heard) == [200] * 3 + [304] * 5
    assert server.service.config.waiting == 0


def test_who_leaves_while_waiting_gives_its_place_up(serve):
    """A client that went away does not hold it for the rest of its time."""
    server = serve(waiting=2)
    etag = server.ask("GET", "/v1/config", "ingest").headers["ETag"]
    host, port = server.url.removeprefix("http://").split(":")
    head = (
        f"GET /v1/config?wait=30 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.keys['ingest']}\r\n"
        f"If-None-Match: {etag}\r\n\r\n"
    )
    for _ in range(2):
        with socket.create_connection((host, int(port)), timeout=90) as one:
            one.sendall(head.encode())
            wait_until(lambda: server.service.config.waiting == 1)
        wait_until(lambda: server.service.config.waiting == 0)
