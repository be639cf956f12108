"""The live config: handed out, waited for, changed by experiments and whole, by one server and by two."""

from __future__ import annotations

import json
import threading
import time

import pytest
from served import BUSY, Served, wait_until

from logos_shift_openai.core.config_reading import parse_config

PLAN = {"key": "e", "models": ["m"], "candidate": "c", "share": 500}


def config(server, etag=None, wait=None, key="ingest"):
    headers = {} if etag is None else {"If-None-Match": etag}
    return server.ask("GET", "/v1/config" + (f"?wait={wait}" if wait is not None else ""), key, headers=headers)


def test_an_empty_server_hands_out_an_empty_config(server):
    """Which clients can parse; asked again it is a 304 without a body."""
    first = config(server)
    assert parse_config(first.content).version == 0
    again = config(server, first.headers["ETag"])
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert config(server, f'"other", W/{first.headers["ETag"]}').status_code == 304
    assert config(server, '"other"').status_code == 200


@pytest.mark.parametrize("wait", ["31", "-1", "x", "nan", "1&wait=2", "1&more=2"])
def test_a_wait_that_cannot_be_meant_is_refused(server, wait):
    """With where."""
    assert config(server, wait=wait).status_code == 400


def test_the_life_of_an_experiment(server):
    """Each change is a new version that says who and why; the salt and with it the units stay."""
    started = server.ask("POST", "/v1/experiments", json=PLAN).json()
    assert (started["config_version"], started["experiment"]["share"]) == (1, 500)
    assert server.ask("POST", "/v1/experiments", json=PLAN).status_code == 409
    assert server.ask("POST", "/v1/experiments/e/share", json={"share": 2500}).json()["experiment"]["share"] == 2500
    for verb, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert server.ask("POST", f"/v1/experiments/e/{verb}").json()["experiment"]["state"] == state
    assert server.ask("POST", "/v1/experiments/e/resume").status_code == 409
    assert server.ask("POST", "/v1/experiments/nix/pause").status_code == 404
    again = server.ask("POST", "/v1/experiments", json=PLAN).json()["experiment"]
    assert again["salt"] == started["experiment"]["salt"]
    live = parse_config(config(server).content)
    assert (live.version, live.experiments[0].share) == (6, 500)
    versions = server.ask("GET", "/v1/config/versions?limit=3", "read").json()["versions"]
    assert [one["version"] for one in versions] == [6, 5, 4]
    assert versions[1]["why"] == "e is stopped"
    assert versions[1]["by_key"] == server.keys["admin"].split("_")[2]
    assert server.ask("GET", "/v1/experiments/e", "read").json()["experiment"] == again
    assert len(server.ask("GET", "/v1/experiments", "read").json()["experiments"]) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"share": 10_001},
        {"key": "a b"},
        {"candidate": "m"},
        {"models": []},
        {"set": {"model": "x"}},
        {"more": 1},
        {"unit": "dog"},
    ],
)
def test_a_plan_that_cannot_be_is_refused_and_changes_nothing(server, bad):
    """With the path of the fault."""
    answer = server.ask("POST", "/v1/experiments", json={**PLAN, **bad})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert parse_config(config(server).content).version == 0


def test_a_whole_config_is_put_and_guarded(server):
    """Sampling, redaction and the kill switch; a stale or a bad one is refused."""
    document = {"enabled": False, "sampling": {"rate": 0.5}, "redaction": {"rules": ["email"]}}
    put = server.ask("PUT", "/v1/config", json={"document": document, "why": "quiet", "expected_version": 0})
    assert put.json()["version"] == 1
    live = parse_config(config(server).content)
    assert (live.enabled, live.sampling.rate) == (False, 0.5)
    assert server.ask("PUT", "/v1/config", json={"document": {}, "expected_version": 0}).status_code == 412
    for bad in ({"enabled": 1}, {"redaction": {"rules": ["nonsense"]}}, {"nix": 1}, {"experiments": [{}]}):
        answer = server.ask("PUT", "/v1/config", json={"document": bad})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_config")
    assert parse_config(config(server).content).version == 1


def test_who_waits_hears_of_a_change_at_once_and_costs_no_thread(server):
    """Two hundred wait; the change reaches them all."""
    etag = config(server).headers["ETag"]
    heard = []

    def wait():
        answer = config(server, etag, 20)
        heard.append((time.monotonic(), json.loads(answer.content)["version"]))

    before = {thread.name for thread in threading.enumerate()}
    waiters = [threading.Thread(target=wait, name=f"waiter-{number}") for number in range(200)]
    for one in waiters:
        one.start()
    wait_until(lambda: server.service.config.waiting == 200)
    ours = {thread.name for thread in threading.enumerate()} - before - {one.name for one in waiters}
    assert len(ours) <= 4
    changed = time.monotonic()
    server.ask("POST", "/v1/experiments", json=PLAN)
    for one in waiters:
        one.join()
    assert {version for _, version in heard} == {1}
    assert max(at for at, _ in heard) - changed < 2 * BUSY
    assert server.service.config.waiting == 0


def test_a_wait_that_runs_out_is_a_304(server):
    """After its time, not before."""
    etag = config(server).headers["ETag"]
    started = time.monotonic()
    assert config(server, etag, 0.3).status_code == 304
    assert time.monotonic() - started >= 0.3


def test_a_change_of_another_process_reaches_who_waits_within_two_seconds(serve):
    """Both work on one store."""
    one, other = serve(), serve()
    etag = config(one).headers["ETag"]
    heard = []
    waiter = threading.Thread(target=lambda: heard.append(config(one, etag, 20)))
    waiter.start()
    wait_until(lambda: one.service.config.waiting == 1)
    changed = time.monotonic()
    assert other.ask("POST", "/v1/experiments", json=PLAN).status_code == 200
    waiter.join()
    assert time.monotonic() - changed < 2 * BUSY
    assert parse_config(heard[0].content).version == 1


def test_two_processes_that_change_it_at_once_lose_no_change(serve):
    """Each makes ten experiments of its own."""
    servers = [serve(), serve()]

    def work(server, name):
        for number in range(10):
            plan = {**PLAN, "key": f"{name}{number}", "models": [f"{name}{number}"]}
            assert server.ask("POST", "/v1/experiments", json=plan).status_code == 200

    threads = [threading.Thread(target=work, args=(server, name)) for server, name in zip(servers, "ab", strict=True)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    found = servers[0].ask("GET", "/v1/experiments", "read").json()
    assert (found["config_version"], len(found["experiments"])) == (20, 20)


def test_the_embedded_config_is_taken_over_once(tmp_path):
    """With its version, so that no number stands for two documents."""
    home = tmp_path / "home-of-both"
    home.mkdir()
    (home / "config.json").write_text(json.dumps({"version": 7, "enabled": False}))
    for _ in range(2):
        server = Served(home / "store.sqlite3")
        try:
            live = parse_config(config(server).content)
            assert (live.version, live.enabled) == (7, False)
        finally:
            server.close()
