"""`logos-shift notify`, the API, and a server whose worker tells what it decided."""

from __future__ import annotations

import json
import time

import pytest
from sqlalchemy import insert, select

pytest.importorskip("uvicorn")
from served import Process, Served, wait_until
from typer.testing import CliRunner

from logos_shift_openai.cli.application import app
from logos_shift_openai.core.policy import Policy
from logos_shift_openai.server.config_versions import change_config
from logos_shift_openai.server.experiments import Plan, start_in
from logos_shift_openai.server.notifications.outbox import notify
from logos_shift_openai.server.notifications.rules import Event
from logos_shift_openai.server.rollouts import begin_rollout, change_rollout
from logos_shift_openai.server.store.database import open_store
from logos_shift_openai.server.store.schema import deliveries, notifications

SECRET = "whsec_" + "h" * 43 + "="
PLAN = Plan(key="sales-tiny", models=("big",), candidate="small", dataset="sales", unit="call")


def environment(hook, name="OPS"):
    stem = f"LOGOS_SHIFT_NOTIFY_{name}_"
    return {f"{stem}URL": f"http://127.0.0.1:{hook.port}/hidden", f"{stem}SECRET": SECRET, f"{stem}PRIVATE": "on"}


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.setenv("LOGOS_SHIFT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments, **environ):
        return CliRunner().invoke(app, list(arguments), prog_name="logos-shift", env=environ)

    return run


def test_a_test_tells_how_it_went(cli, receiver):
    """On each channel; the exit code is 1 where one did not take it."""
    good, bad = receiver("hook"), receiver("hook", [(500, {})] * 2)
    environ = {**environment(good, "GOOD"), **environment(bad, "BAD")}
    ended = cli("notify", "test", **environ)
    assert (ended.exit_code, ended.stdout) == (1, "bad: 127.0.0.1 answers 500\ngood: taken\n")
    assert cli("notify", "test", "good", **environ).exit_code == 0
    told = cli("notify", "test", "bad", "--json", **environ)
    assert json.loads(told.stdout) == [{"channel": "bad", "ok": False, "fault": "127.0.0.1 answers 500"}]
    assert [json.loads(body)["type"] for _, _, body in good.taken] == ["test", "test"]
    none = cli("notify", "test", "other", **environ)
    assert (none.exit_code, "no channel other" in none.stderr) == (1, True)
    broken = cli("notify", "list", LOGOS_SHIFT_NOTIFY_X_URL="https://example.com/hidden")
    assert (broken.exit_code, "SECRET: missing" in broken.stderr, "hidden" in broken.stderr) == (1, True, False)


def test_an_embedded_rollout_is_told_by_the_command_that_decides_it(cli, receiver):
    """And again later, where nobody could take it then; the list and the outbox show no secret."""
    hook = receiver("hook", [(500, {})])
    environ = environment(hook)
    start = ("rollout", "start", "sales-tiny", "--model", "big", "--candidate", "small", "--dataset", "sales")
    assert cli(*start, **environ).exit_code == 0
    assert cli("rollout", "rollback", "sales-tiny").exit_code == 0  # of an environment without channels
    outbox = json.loads(cli("notify", "outbox", "--json").stdout)
    states = [[(way["state"], way["tries"]) for way in one["deliveries"]] for one in outbox]
    assert ([one["kind"] for one in outbox], states) == (
        ["rollout.rolled_back", "rollout.began"],
        [[], [("waiting", 1)]],
    )
    assert cli("rollout", "status", **environ).exit_code == 0
    assert [json.loads(body)["type"] for _, _, body in hook.taken] == ["rollout.began", "rollout.rolled_back"]
    shown = cli("notify", "outbox").stdout + cli("notify", "list", **environ).stdout
    assert "ops waiting (127.0.0.1 answers 500)" in shown
    assert "ops sent" in shown
    assert f"http://127.0.0.1:{hook.port}" in shown
    assert "hidden" not in shown
    assert "whsec" not in shown


def test_the_api_lists_and_tests(tmp_path, receiver, channel):
    """For admins alone, and without a secret."""
    hook = receiver("hook")
    channels = [channel(URL=f"http://127.0.0.1:{hook.port}/hidden", SECRET=SECRET), channel("log", EVENTS="x.*")]
    server = Served(tmp_path / "store.sqlite3", channels=channels)
    try:
        change_config(server.store, lambda document: start_in(document, PLAN, "salt"), why="test", now=1)
        begin_rollout(server.store, "sales-tiny", Policy(), 1_764_000_000_000)
        answer = server.ask("GET", "/v1/notifications?limit=5")
        assert "hidden" not in answer.text
        assert SECRET not in answer.text
        assert answer.json()["channels"] == [
            {"name": "ops", "kind": "webhook", "where": f"http://127.0.0.1:{hook.port}", "events": ["*"]},
            {"name": "log", "kind": "console", "where": "the log", "events": ["x.*"]},
        ]
        assert [(one["kind"], one["experiment"]) for one in answer.json()["events"]] == [
            ("rollout.began", "sales-tiny")
        ]
        taken = {"tested": [{"channel": "ops", "ok": True, "fault": None}]}
        assert server.ask("POST", "/v1/notifications/test", json={"channel": "ops"}).json() == taken
        hook.answers.append((500, {}))
        both = server.ask("POST", "/v1/notifications/test", json={}).json()["tested"]
        assert [(one["channel"], one["ok"]) for one in both] == [("ops", False), ("log", True)]
        unknown = server.ask("POST", "/v1/notifications/test", json={"channel": "other"})
        assert (unknown.status_code, unknown.json()["error"]["where"]) == (404, "channel")
        for key in ("read", "ingest"):
            assert server.ask("GET", "/v1/notifications", key).status_code == 403
            assert server.ask("POST", "/v1/notifications/test", key, json={}).status_code == 403
    finally:
        server.close()


def test_a_server_tells_what_is_decided_in_its_store(tmp_path, receiver):
    """Its worker takes it from the outbox, whoever put it there."""
    hook = receiver("hook")
    process = Process(tmp_path / "home", environ=environment(hook))
    try:
        store, now = open_store(tmp_path / "home" / "store.sqlite3"), time.time_ns() // 1_000_000
        change_config(store, lambda document: start_in(document, PLAN, "salt"), why="test", now=1)
        begin_rollout(store, "sales-tiny", Policy(), now)
        wait_until(lambda: len(hook.taken) == 1, 20)
        change_rollout(store, "sales-tiny", "roll_back", now + 1)
        with store.reading() as connection:
            wanted = set(connection.scalars(select(notifications.c.id)))
        wait_until(lambda: {headers["webhook-id"] for _, headers, _ in hook.taken} == wanted, 30)
        store.close()
        code, errors = process.end()
        assert code == 0
        assert SECRET not in errors
        assert "hidden" not in errors
    finally:
        if process.process.poll() is None:
            process.process.kill()
        process.process.communicate()


def test_retrying_wants_an_event_or_all(cli, tmp_path):
    """Neither and both are refused; what was given up by its id is told again, and where nothing was it is said."""
    open_store(tmp_path / "home" / "store.sqlite3").close()
    for asked in ((), ("evt_1", "--all")):
        refused = cli("notify", "retry", *asked)
        assert (refused.exit_code, "name an event, or say --all" in refused.stderr) == (1, True)
    nothing = cli("notify", "retry", "evt_1")
    assert (nothing.exit_code, "nothing was given up of evt_1" in nothing.stderr) == (1, True)
    store = open_store(tmp_path / "home" / "store.sqlite3")
    with store.writing() as connection:
        notify(connection, Event("evt_1", "rollout.promoted", 1, "proven", None, None, {}))
        row = {"notification": "evt_1", "channel": "ops", "state": "given_up", "tries": 12, "due": 0, "claimed": 0}
        connection.execute(insert(deliveries).values(**row))
    store.close()
    assert "retry evt_1" in " ".join(cli("notify", "outbox").stdout.split())
    assert json.loads(cli("notify", "retry", "--all", "--json").stdout) == {"retried": 1}
