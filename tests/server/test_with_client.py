"""The real client against real servers: what it records arrives, what is decided reaches it, and nothing is lost."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from provider import MESSAGES, Provider
from served import BUSY, ROOT, wait_until

import logos_shift_openai as ours
from logos_shift_openai.server.limits import Buckets

PLAN = {"key": "e", "models": ["m"], "candidate": "cheap", "share": 10_000}


@pytest.fixture
def client_of(monkeypatch):
    """Make a client that speaks to this server."""

    def make(server, key="ingest", provider=None):
        monkeypatch.setenv("LOGOS_SHIFT_URL", server.url)
        monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.keys.get(key, key))
        return (provider or Provider()).client()

    return make


def ask(client, **more):
    return client.chat.completions.create(model="m", messages=MESSAGES, **more)


def test_calls_and_feedback_arrive(serve, client_of):
    """By our id and by the provider's; streams too."""
    server = serve()
    client = client_of(server)
    first = ask(client)
    second = ask(client)
    for _ in ask(client, stream=True):
        pass
    ours.provide_feedback(first.logos_shift_id, "success")
    ours.provide_feedback(second.logos_shift_id, 0.25, comment="meh")
    assert ours.flush(60)
    calls = {call["id"]: call for call in server.calls()}
    assert len(calls) == 3
    assert calls[first.logos_shift_id]["feedback"]["score"] == 1.0
    assert calls[second.logos_shift_id]["feedback"]["score"] == 0.25
    assert server.ask("GET", f"/v1/calls/{first.logos_shift_id}", "read").json()["request"]["messages"] == MESSAGES


def test_a_change_of_the_config_moves_the_route_within_two_seconds(serve, client_of):
    """Started, paused and resumed on the server; the client waits for it with a long poll."""
    server = serve()
    provider = Provider()
    client = client_of(server, provider=provider)
    ask(client)
    wait_until(lambda: server.service.config.waiting == 1)

    def follows(model):
        changed = time.monotonic()
        while True:
            ask(client)
            if provider.models()[-1] == model:
                return time.monotonic() - changed
            assert time.monotonic() - changed < 2 * BUSY
            time.sleep(0.02)

    server.ask("POST", "/v1/experiments", json=PLAN)
    took = [follows("cheap")]
    server.ask("POST", "/v1/experiments/e/pause")
    took.append(follows("m"))
    server.ask("POST", "/v1/experiments/e/resume")
    took.append(follows("cheap"))
    assert max(took) < 2 * BUSY
    assert ours.flush(60)
    assert {call["served"] for call in server.calls()} == {None, "candidate"}


def spooled(home):
    """Count the lines that still wait."""
    segments = (path for path in home.glob("spool/*/*/*.ndjson") if path.parent.name != "refused")
    return sum(path.read_bytes().count(b"\n") for path in segments)


def test_a_key_that_is_not_accepted_keeps_the_spool(serve, client_of, home, caplog):
    """Said once, by name; with the key set right the next process sends it."""
    server = serve()
    client = client_of(server, key="ls_ingest_000000000000_" + "0" * 64)
    ask(client)
    ask(client)
    assert not ours.flush(5)
    assert spooled(home) >= 2
    said = [record.getMessage() for record in caplog.records if "LOGOS_SHIFT_API_KEY" in record.getMessage()]
    assert len(said) == 1
    assert "000000" not in said[0]
    assert server.calls() == []
    program = "import logos_shift_openai as o, sys; sys.path.insert(0, 'tests/sdk'); from provider import Provider, MESSAGES; "
    program += "Provider().client().chat.completions.create(model='m', messages=MESSAGES); sys.exit(not o.flush(10))"
    _end_this_process_s_runtimes()
    environ = {**os.environ, "LOGOS_SHIFT_API_KEY": server.keys["ingest"], "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environ, timeout=90)
    assert len(server.calls()) == 3
    assert spooled(home) == 0


def _end_this_process_s_runtimes():
    from logos_shift_openai.client import runtime

    for key, one in list(runtime._shared.items()):
        one.close(time.monotonic())
        del runtime._shared[key]


def test_a_batch_that_is_too_large_is_sent_in_halves(serve, client_of, home):
    """The server takes four lines at a time."""
    server = serve(limits={"lines": 4})
    client = client_of(server)
    for _ in range(11):
        ask(client)
    assert ours.flush(60)
    assert len(server.calls()) == 11
    assert spooled(home) == 0


@pytest.mark.parametrize("why", ["rate", "queue"])
def test_a_server_that_asks_to_wait_is_waited_for(serve, client_of, home, why):
    """429 and 503: the records stay in the spool until it takes them."""
    server = serve(limits={"queue_batches": 0} if why == "queue" else {"requests_per_second": 0.5, "burst_seconds": 2})
    client = client_of(server)
    if why == "rate":
        while server.ask("GET", "/v1/config", "ingest").status_code != 429:
            pass
    ask(client)
    assert not ours.flush(2)
    assert spooled(home) == 1
    object.__setattr__(server.service.limits, "queue_batches", 64)
    server.service.rates = Buckets(0.0, 1.0)
    wait_until(lambda: len(server.calls()) == 1, 90)
    wait_until(lambda: spooled(home) == 0, 90)


class RoundRobin(BaseHTTPRequestHandler):
    """A balancer: each request to the next server that takes it."""

    protocol_version = "HTTP/1.1"
    ports: list[int]
    turn = 0

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for _ in range(len(self.ports)):
            type(self).turn += 1
            port = self.ports[type(self).turn % len(self.ports)]
            try:
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
                upstream.request(self.command, self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                data = answer.read()
            except ConnectionRefusedError:
                continue  # nothing was sent: the next one
            except (OSError, http.client.HTTPException):
                break  # it may have been taken: that is the client's to ask again
            finally:
                upstream.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"connection", "content-length", "transfer-encoding", "date"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_response(502)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = forward  # noqa: N815 - named by the library

    def log_message(self, *args):
        pass


@pytest.fixture
def balancer():
    server = ThreadingHTTPServer(("127.0.0.1", 0), RoundRobin)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """The options with which two servers work on one store."""
    if request.param == "sqlite":
        return []
    return ["--database-url", request.getfixturevalue("postgres_url")]


def test_a_restart_behind_a_balancer_loses_nothing(process, balancer, database, tmp_path, monkeypatch, home):
    """Two servers on one store, each restarted in turn while the client records; every call is there, once."""
    folder = tmp_path / "servers"
    one = process(*database, home=folder)
    other = process(*database, home=folder)
    key = one.key or other.key
    RoundRobin.ports = [one.port, other.port]
    monkeypatch.setenv("LOGOS_SHIFT_URL", balancer.url)
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", key)
    client = Provider().client()
    made, stop = [], threading.Event()

    def work():
        while not stop.wait(0.005):
            made.append(ask(client).logos_shift_id)
            if len(made) % 20 == 0:
                ours.provide_feedback(made[-1], "success")

    caller = threading.Thread(target=work)
    caller.start()
    try:
        for index, old in enumerate((one, other)):
            before = len(made)
            wait_until(lambda before=before: len(made) > before + 100, 90)
            code, errors = old.end()
            assert code == 0, errors
            assert "Traceback" not in errors
            wait_until(lambda before=before: len(made) > before + 200, 90)
            RoundRobin.ports[index] = process(*database, home=folder).port
    finally:
        stop.set()
        caller.join()
    wait_until(lambda: ours.flush(30), 120)
    found, cursor = [], ""
    connection = http.client.HTTPConnection("127.0.0.1", RoundRobin.ports[0], timeout=90)
    while cursor is not None:
        connection.request("GET", f"/v1/calls?limit=500{cursor}", headers={"Authorization": f"Bearer {key}"})
        page = json.loads(connection.getresponse().read())
        found += [call["id"] for call in page["calls"]]
        cursor = page["next"] and f"&cursor={page['next']}"
    connection.request("GET", "/v1/stats", headers={"Authorization": f"Bearer {key}"})
    stats = json.loads(connection.getresponse().read())
    connection.close()
    assert sorted(found) == sorted(made)
    assert sum(one["calls"] for one in stats["variants"]) == len(made)
    assert stats["totals"]["feedback"] == len(made) // 20
    refused = list(home.glob("spool/*/refused/*"))
    assert refused == []
