"""The real client tells the real server what it lost: exactly, by process, and until it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from provider import MESSAGES, Provider
from served import ROOT

import logos_shift_openai as ours
from logos_shift_openai.client.runtime import sole_runtime
from logos_shift_openai.server.clients import LIVE_MS, read_clients

PROGRAM = """
import os, sys
sys.path.insert(0, "tests/sdk")
from provider import MESSAGES, Provider
import logos_shift_openai as ours
from logos_shift_openai.client.runtime import sole_runtime

def ask(times):
    client = Provider().client()
    for _ in range(times):
        client.chat.completions.create(model="m", messages=MESSAGES)

def tell():
    sole_runtime().reports._due = 0.0
    assert ours.flush(60)

ask(3)
if sys.argv[1] == "killed":
    tell()
    ask(4)
    print(sole_runtime().reports.process, flush=True)
    sys.stdin.read()
tell()
child = os.fork()
ask(2)
if child:
    os.waitpid(child, 0)
    print(sole_runtime().reports.process, flush=True)
"""


@pytest.fixture
def environ(server, monkeypatch):
    monkeypatch.setenv("LOGOS_SHIFT_URL", server.url)
    monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.keys["ingest"])
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def ask(client, times):
    for _ in range(times):
        client.chat.completions.create(model="m", messages=MESSAGES)


def shown(server):
    return server.ask("GET", "/v1/clients", "read").json()


def metric(server, name):
    lines = server.ask("GET", "/metrics", "read").text.splitlines()
    return sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_what_a_tiny_memory_budget_drops_is_what_the_server_shows(server, environ):
    """Kept and lost are all that were offered; the page, the metrics and the client say the same."""
    client = Provider().client()
    runtime = sole_runtime()
    runtime.recorder._max_count = 4
    ask(client, 50)
    runtime.reports._due = 0.0
    assert ours.flush(60)
    mine = ours.stats()
    dropped = mine["queue_full"]
    assert dropped > 0
    found = shown(server)
    [process] = found["processes"]
    assert process["process"] == runtime.reports.process
    assert (process["state"], process["lost"]) == ("live", {"queue_full": dropped})
    assert process["kept"] + dropped == 50 == process["counts"]["recorded"] + dropped
    assert found["week"]["lost"] == found["ever"]["lost"] == {"queue_full": dropped}
    assert process["warnings"] == [f"{dropped} records lost (queue_full {dropped})"]
    assert process["version"] == ours.__version__
    assert metric(server, 'logos_shift_client_records_lost_total{reason="queue_full"}') == dropped
    assert metric(server, "logos_shift_client_records_kept_total ") == 50 - dropped
    assert server.ask("GET", "/v1/overview", "read").json()["processes"]["week"] == found["week"]
    assert len(server.calls()) == 50 - dropped
    runtime.recorder._max_count = 10_000
    ask(client, 1)
    assert ours.flush(60)
    runtime.close(time.monotonic() + 5)
    [process] = shown(server)["processes"]
    assert (process["state"], process["kept"]) == ("ended", 51 - dropped)


def test_a_report_holds_no_secret_and_no_name(server, environ, monkeypatch):
    """Neither key, host, address nor a word of the call."""
    client = Provider().client(api_key="sk-the-providers-own")
    with ours.context(dataset="secret-dataset", user_id="ada"):
        ask(client, 1)
    said = []
    wire = sole_runtime().uploader._wire
    plain = wire.post_client
    monkeypatch.setattr(wire, "post_client", lambda report, timeout: said.append(report) or plain(report, timeout))
    sole_runtime().reports._due = 0.0
    assert ours.flush(60)
    [report] = said
    text = report.decode()
    for secret in ("sk-", server.keys["ingest"], os.uname().nodename, server.url, "secret-dataset", "ada", "Hello"):
        assert secret not in text


def test_of_a_killed_process_the_last_report_stands(server, environ):
    """It is marked stale after three minutes; what it had not said is not guessed."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "killed"],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    name = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [one] = shown(server)["processes"]
    assert (one["process"], one["state"], one["kept"]) == (name, "live", 3)
    with server.store.reading() as connection:
        [later] = read_clients(connection, one["last_seen"] + LIVE_MS + 1).processes
    assert (later.state, later.kept, later.counts) == ("stale", 3, one["counts"])
    assert any("no report" in said for said in later.warnings)


def test_a_forked_child_has_an_id_and_counts_of_its_own(server, environ):
    """Each says what it recorded itself, and its end."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "forked"],
        cwd=ROOT,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
        timeout=90,
    )
    found = {one["process"]: (one["state"], one["kept"]) for one in shown(server)["processes"]}
    assert found.pop(ended.stdout.strip()) == ("ended", 5)
    assert list(found.values()) == [("ended", 2)]
    assert len(server.calls()) == 7


def test_what_cannot_be_meant_is_refused(server):
    """And leaves nothing behind."""
    good = {"process": "0" * 32, "sequence": 1, "counts": {"recorded": 1}}
    for bad in (
        {"process": "x"},
        {"sequence": 0},
        {"counts": {"recorded": -1}},
        {"counts": {"a\0": 1}},
        {"counts": {str(number): 1 for number in range(600)}},
        {"version": "x" * 101},
        {"version": "\u0000"},
        {"config": {"age": -1}},
        {"spool": 7},
    ):
        answer = server.ask("POST", "/v1/clients", "ingest", json={**good, **bad})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_body"), bad
    assert server.ask("POST", "/v1/clients", "read", json=good).status_code == 403
    assert server.ask("GET", "/v1/clients", "ingest").status_code == 403
    assert shown(server)["known"] == 0
    assert server.ask("POST", "/v1/clients", "ingest", json={**good, "new_field": 1}).json() == {"taken": True}
    assert server.ask("POST", "/v1/clients", "ingest", json=good).json() == {"taken": False}
