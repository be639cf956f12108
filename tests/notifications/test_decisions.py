"""Which decisions of a rollout are told: each turn once, with its why, in the decision's own transaction."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from logos_shift_openai.core.evidence import Cell, Evidence
from logos_shift_openai.core.findings import UNITS
from logos_shift_openai.core.policy import Policy
from logos_shift_openai.core.rollout import Decision, begin, decide
from logos_shift_openai.core.rollout_by_hand import by_hand
from logos_shift_openai.server import experiments, rollout_keeping
from logos_shift_openai.server.config_versions import change_config
from logos_shift_openai.server.experiments import Plan, start_in
from logos_shift_openai.server.notifications.outbox import list_outbox
from logos_shift_openai.server.notifications.rules import kind_of
from logos_shift_openai.server.rollout_reading import find_rollout, history
from logos_shift_openai.server.rollouts import begin_rollout, change_rollout, tick
from logos_shift_openai.server.store.schema import notifications

NOW = 1_764_000_000_000
PLAN = Plan(key="sales-tiny", models=("big",), candidate="small", dataset="sales", unit="call")
POLICY = Policy()


def kinds(store):
    with store.reading() as connection:
        return [one["kind"] for one in list_outbox(connection)][::-1]


def test_a_rollout_s_turns_are_told(store):
    """By hand and by the clock; a look that decides nothing new tells nothing."""
    change_config(store, lambda document: start_in(document, PLAN, "salt"), why="test", now=NOW)
    begin_rollout(store, "sales-tiny", POLICY, NOW)
    tick(store, NOW + 1)
    tick(store, NOW + 2)
    for number, what in enumerate(("pause", "resume", "promote", "roll_back"), 3):
        change_rollout(store, "sales-tiny", what, NOW + number)
    begin_rollout(store, "sales-tiny", POLICY, NOW + 10)
    tick(store, NOW + 29 * 86_400_000)
    assert kinds(store) == [
        "rollout.began", "rollout.paused", "rollout.resumed", "rollout.promoted", "rollout.rolled_back",
        "rollout.began", "rollout.late",
    ]  # fmt: skip
    with store.reading() as connection:
        last = connection.execute(select(notifications).order_by(notifications.c.id.desc())).mappings().first()
        said = history(connection, "sales-tiny")[0]
    assert (last["experiment"], last["dataset"], last["why"]) == ("sales-tiny", "sales", said["why"])
    data = json.loads(last["data"])
    assert (data["share"], data["phase"], data["look"]["metrics"][0]["metric"]) == (0, "rolled_back", "success")


def test_an_embedded_rollout_is_told_too(tmp_path):
    """Its config is a file, its outbox the store beside it."""
    from logos_shift_openai.server.store.database import open_store

    store = open_store(tmp_path / "store.sqlite3")
    experiments.start(tmp_path, PLAN)
    begin_rollout(store, "sales-tiny", POLICY, NOW, tmp_path)
    change_rollout(store, "sales-tiny", "roll_back", NOW + 1, tmp_path)
    assert kinds(store) == ["rollout.began", "rollout.rolled_back"]
    store.close()


def test_a_decision_that_is_undone_is_not_told(store, monkeypatch):
    """They are one transaction: where the event cannot be kept, nothing was decided."""
    change_config(store, lambda document: start_in(document, PLAN, "salt"), why="test", now=NOW)
    with monkeypatch.context() as patched:
        patched.setattr(rollout_keeping, "notify", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            begin_rollout(store, "sales-tiny", POLICY, NOW)
    with store.reading() as connection:
        assert find_rollout(connection, "sales-tiny") is None
        assert history(connection, "sales-tiny") == []
    begin_rollout(store, "sales-tiny", POLICY, NOW)
    assert kinds(store) == ["rollout.began"]


def test_an_alarm_is_told_once_and_again_after_it_was_resumed():
    """It holds look after look."""
    state = begin(POLICY, 1.0)
    evidence = Evidence()
    evidence.add(Cell(UNITS, 100, 0, 0, "baseline", 0), 1_000)
    evidence.add(Cell(UNITS, 100, 0, 0, "candidate", 0), 500)
    alarm = decide(POLICY, state, evidence, 2.0)
    assert kind_of(state, alarm) == "rollout.alarm"
    again = decide(POLICY, alarm.state, evidence, 3.0)
    assert (again.event, kind_of(alarm.state, again)) == ("alarm", None)
    resumed = by_hand("resume", POLICY, again.state, evidence, 4.0)
    assert kind_of(again.state, resumed) == "rollout.resumed"
    assert kind_of(resumed.state, decide(POLICY, resumed.state, evidence, 5.0)) == "rollout.alarm"


@pytest.mark.parametrize(
    ("action", "event", "kind"),
    [
        ("ramp", "begin", "began"), ("ramp", "safe", "ramped"), ("ramp", "compared", "ramped"), ("ramp", "over", "done"),
        ("promote", "proven", "promoted"), ("promote", "by hand", "promoted"), ("roll_back", "harm", "rolled_back"),
        ("roll_back", "late", "late"), ("roll_back", "by hand", "rolled_back"),
    ],
)  # fmt: skip
def test_kinds(action, event, kind):
    """Every move of the table of phases has its kind; a hold has none."""
    state = begin(POLICY, 1.0)
    assert kind_of(state, Decision(action, event, "why", state, 1.0)) == f"rollout.{kind}"
    assert kind_of(state, Decision("hold", None, "why", replace(state, seen=2.0), 2.0)) is None
