"""Batches over real HTTP: taken whole, in part, or not at all, each time with the reason."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading

import pytest
from served import NDJSON, Lines, ids, wait_until

from logos_shift_openai.server import zstd


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_a_batch_is_taken_in_each_encoding_and_once(server, lines, encoding):
    """The second time it is seen, not new."""
    batch = [lines.call(), lines.call()]
    body = b"".join([*batch, lines.feedback(ids(batch[0]), label="success")])
    packed = {"identity": body, "gzip": gzip.compress(body), "zstd": zstd.compress(body)}[encoding]
    first = server.send(packed, **{"Content-Encoding": encoding})
    assert (first.status_code, first.json()) == (200, {"new": 3, "seen": 0, "refused": []})
    assert server.send(packed, **{"Content-Encoding": encoding}).json() == {"new": 0, "seen": 3, "refused": []}
    assert {call["id"]: call["feedback"] and call["feedback"]["score"] for call in server.calls()} == {
        ids(batch[0]): 1.0,
        ids(batch[1]): None,
    }


def test_a_zstd_body_that_does_not_say_its_size_is_taken(server, lines):
    """As a streaming compressor writes it."""
    packer = zstd.ZstdCompressor()
    packed = packer.compress(lines.call()) + packer.flush()
    assert zstd.get_frame_info(packed).decompressed_size is None
    assert server.send(packed, **{"Content-Encoding": "zstd"}).json()["new"] == 1


def test_bad_lines_are_named_and_the_others_taken(server, lines):
    """`line` counts from 1; the id is said where it can be read."""
    good = lines.call()
    answer = server.send(b"nope\n", good, b'{"v":1,"kind":"call","id":"x1","endpoint":"nix"}\n', lines.call())
    said = answer.json()
    assert (answer.status_code, said["new"], said["seen"]) == (200, 2, 0)
    assert [(one["line"], one["id"]) for one in said["refused"]] == [(1, None), (3, "x1")]
    assert "endpoint" in said["refused"][1]["why"]


def test_the_last_line_may_lack_its_newline(server, lines):
    """It is whole JSON all the same."""
    assert server.send(lines.call(), lines.call().rstrip()).json()["new"] == 2


def test_a_long_line_is_refused_by_itself(serve, lines):
    """The others of its batch are taken."""
    server = serve(limits={"line_bytes": 1000})
    answer = server.send(lines.call(), lines.call(request=b'"' + b"a" * 1000 + b'"'), lines.call()).json()
    assert (answer["new"], [one["line"] for one in answer["refused"]]) == (2, [2])


def test_too_much_is_a_413_that_keeps_nothing(serve, lines):
    """As sent, unpacked, and in lines; the connection goes on."""
    server = serve(limits={"body_bytes": 4000, "inflated_bytes": 8000, "lines": 5})
    small = [lines.call() for _ in range(6)]
    for body, encoding in (
        (b"x" * 4001, "identity"),
        (gzip.compress(b"a" * 8001), "gzip"),
        (zstd.compress(b"a" * 10**7), "zstd"),
        (gzip.compress(b"".join(small)), "gzip"),
    ):
        answer = server.send(body, **{"Content-Encoding": encoding})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert server.calls() == []


def test_a_body_longer_than_it_may_be_is_answered_not_cut(server):
    """A client that sends it all hears the 413, with and without a length."""
    body = b"x" * (server.service.limits.body_bytes + 2**20)
    assert server.send(body).status_code == 413
    assert server.ask("POST", "/v1/records", data=iter([body]), headers=NDJSON).status_code == 413


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Encoding": "br"}, 415),
        ({"Content-Encoding": "gzip"}, 400),
        ({"Content-Encoding": "zstd"}, 400),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_and_where(server, lines, headers, status):
    """Plain lines under another name."""
    answer = server.send(lines.call(), **headers)
    assert answer.status_code == status
    assert answer.json()["error"]["where"] in {"body", "Content-Type", "Content-Encoding"}


def test_a_full_queue_turns_batches_away_and_takes_them_later(serve, lines):
    """503 with Retry-After; nothing of it is kept."""
    server = serve(limits={"queue_batches": 1})
    held, go = threading.Event(), threading.Event()
    real = server.service.intake._take

    def slow(body, encoding):
        held.set()
        assert go.wait(90)
        return real(body, encoding)

    server.service.intake._take = slow
    answers = []
    first, second = lines.call(), lines.call()
    sender = threading.Thread(target=lambda: answers.append(server.send(first)))
    sender.start()
    assert held.wait(90)
    away = server.send(second)
    assert (away.status_code, away.headers["Retry-After"]) == (503, "2")
    go.set()
    sender.join()
    assert answers[0].json()["new"] == 1
    assert [call["id"] for call in server.calls()] == [ids(first)]
    assert server.send(second).json()["new"] == 1


def test_a_store_that_fails_is_a_503_without_its_words(server, lines):
    """And the records are not said to be there."""
    server.store.engine.dispose()
    real = server.service.intake._take

    def broken(body, encoding):
        from logos_shift_openai.server.store.database import StoreError

        raise StoreError("/secret/place: disk full")

    server.service.intake._take = broken
    answer = server.send(lines.call())
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
    assert "secret" not in answer.text
    assert "Retry-After" in answer.headers
    server.service.intake._take = real


def raw(server, text):
    host, port = server.url.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)), timeout=90)
    sock.sendall(text)
    return sock


def test_a_client_that_is_slow_with_its_headers_is_cut_off(serve):
    """At once with nothing said, and in the middle of the second request."""
    server = serve(limits={"header_seconds": 0.2})
    with raw(server, b"") as sock:
        assert sock.recv(10) == b""
    with raw(server, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n") as sock:
        received = b""
        while not received.endswith(b"}"):
            received += sock.recv(4096)
        sock.sendall(b"GET /hea")
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(4096) == b""


def test_a_client_that_is_slow_with_its_body_hears_408(serve):
    """And the place in the queue is free again."""
    server = serve(limits={"body_seconds": 0.2})
    key = server.keys["ingest"]
    sock = raw(
        server,
        f"POST /v1/records HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/x-ndjson\r\nContent-Length: 100\r\n\r\nabc".encode(),
    )
    with sock:
        assert sock.recv(4096).startswith(b"HTTP/1.1 408")
    wait_until(lambda: server.service.intake.batches == 0)


def test_a_client_that_goes_away_leaves_nothing(server):
    """Half a body is no batch."""
    key = server.keys["ingest"]
    sock = raw(
        server,
        f"POST /v1/records HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/x-ndjson\r\nContent-Length: 10000\r\n\r\n".encode()
        + Lines().call(),
    )
    wait_until(lambda: server.service.intake.batches == 1)
    sock.close()
    wait_until(lambda: server.service.metrics.value("logos_clients_gone_total") == 1)
    assert server.service.intake.batches == 0
    assert server.calls() == []


def test_many_clients_at_once_lose_and_double_nothing(server):
    """Each sends its batch twice."""

    def work(seed):
        mine = Lines(seed)
        batch = [mine.call() for _ in range(20)]
        for _ in range(2):
            assert server.send(*batch).status_code == 200

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({call["id"] for call in server.calls()}) == 160
    text = server.ask("GET", "/metrics", "read").text
    assert 'logos_records_total{outcome="new"} 160' in text
    assert json.loads(server.ask("GET", "/v1/stats", "read").text)["totals"]["calls"] == 160
