"""Models that end and prompts that change, over a real lab: told ahead, and moved back before the day."""

from __future__ import annotations

import json
import os
import time
from datetime import date, datetime, timedelta, timezone
from random import Random

import pytest

from logos_shift_openai.core.ids import uuid7
from logos_shift_openai.core.policy import policy_from
from logos_shift_openai.core.records import CallRecord, call_line
from logos_shift_openai.core.routing import PROMPT_CHANGED
from logos_shift_openai.lab import Lab
from logos_shift_openai.server.config_place import config_of
from logos_shift_openai.server.experiments import Plan, start
from logos_shift_openai.server.guards import GuardStep, guard
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.notifications.outbox import list_outbox
from logos_shift_openai.server.prompt_drift import drifts
from logos_shift_openai.server.retirement import retiring
from logos_shift_openai.server.rollout_reading import get_rollout, history
from logos_shift_openai.server.rollout_view import rollout_json
from logos_shift_openai.server.rollouts import begin_rollout
from logos_shift_openai.server.store.database import open_store

NOW = 1_764_000_000_000
TODAY = datetime.fromtimestamp(NOW / 1000, tz=timezone.utc).date()
DAY = 86_400_000
PLAN = Plan("e", ("oracle-large",), "tiny-base", "lab", "d")


@pytest.fixture
def lab(monkeypatch):
    with Lab(latency=0) as running:
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", running.base_url)
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "any")
        yield running


@pytest.fixture
def store(home):
    opened = open_store(home / "store.sqlite3")
    yield opened
    opened.close()


def told(store, kind="model.retires"):
    with store.reading() as connection:
        return [one["why"] for one in list_outbox(connection) if one["kind"] == kind]


def asked(lab):
    return sum(one.path == "/v1/models" for one in lab.requests)


def test_both_models_are_looked_at_once_a_day_and_told_of_once(lab, store, home):
    """Thirty days ahead and no earlier; a date that is put off is told of again."""
    start(home, PLAN)
    lab.set_shutdown_date("tiny-base", TODAY + timedelta(days=31))
    guard(store, os.environ, NOW, home)
    assert (told(store), asked(lab)) == ([], 2)  # the baseline's is a provider of its own
    guard(store, os.environ, NOW + DAY - 1, home)
    assert asked(lab) == 2
    lab.set_shutdown_date("oracle-large", TODAY + timedelta(days=10))
    for late in (1, 2):
        guard(store, os.environ, NOW + late * DAY, home)
    day = (TODAY + timedelta(days=31)).isoformat()
    assert sorted(told(store)) == [
        f"oracle-large, the baseline of e, is gone on {(TODAY + timedelta(days=10)).isoformat()}, in 9 days",
        f"tiny-base, the candidate of e, is gone on {day}, in 30 days",
    ]
    lab.set_shutdown_date("tiny-base", TODAY + timedelta(days=20))
    guard(store, os.environ, NOW + 3 * DAY, home)
    assert len(told(store)) == 3


def test_a_candidate_s_rollout_goes_back_before_the_day(lab, store, home):
    """With the reason in the decision; the baseline's end moves nothing."""
    begin_rollout(store, "e", policy_from({}), NOW, home, plan=PLAN)
    lab.set_shutdown_date("oracle-large", TODAY + timedelta(days=1))
    lab.set_shutdown_date("tiny-base", TODAY + timedelta(days=2))
    guard(store, os.environ, NOW, home)
    assert get_rollout(store, "e").state.phase == "ramping"
    guard(store, os.environ, NOW + DAY, home)
    assert get_rollout(store, "e").state.phase == "rolled_back"
    with store.reading() as connection:
        assert "its calls go back to the baseline before that" in history(connection, "e", 1)[0]["why"]
    assert json.loads((home / "config.json").read_bytes())["experiments"][0]["share"] == 0
    guard(store, os.environ, NOW + 2 * DAY, home)  # once


def test_without_a_rollout_the_experiment_is_stopped(lab, store, home):
    """Whatever its share."""
    start(home, PLAN)
    lab.set_shutdown_date("tiny-base", TODAY)
    guard(store, os.environ, NOW, home)
    assert json.loads((home / "config.json").read_bytes())["experiments"][0]["state"] == "stopped"


def test_the_rollout_says_so(lab, store, home):
    """Among its warnings, by the clock of the wall."""
    begin_rollout(store, "e", policy_from({}), NOW, home, plan=PLAN)
    now = time.time_ns() // 1_000_000
    lab.set_shutdown_date("tiny-base", datetime.fromtimestamp(now / 1000, tz=timezone.utc).date() + timedelta(days=9))
    guard(store, os.environ, now, home)
    with store.reading() as connection:
        shown = rollout_json(connection, get_rollout(store, "e"), config_of(connection, home))
    assert any("tiny-base, the candidate of e, is gone on" in said for said in shown["warnings"])


def test_a_provider_that_is_away_changes_nothing(lab, store, home):
    """What was read of it stays; one that nobody knows is not asked."""
    start(home, PLAN)
    lab.set_shutdown_date("tiny-base", TODAY + timedelta(days=5))
    guard(store, os.environ, NOW, home)
    lab.faults.add("drop", on="models", count=100)
    guard(store, os.environ, NOW + DAY, home)
    guard(store, {}, NOW + 2 * DAY, home)
    with store.reading() as connection:
        (found,) = retiring(connection, config_of(connection, home), NOW + DAY)
    assert (found.model, found.day, found.days) == ("tiny-base", TODAY + timedelta(days=5), 4)
    assert isinstance(found.day, date)


def put_calls(store, count, changed):
    dice, lines = Random(3), []
    for number in range(count):
        at = NOW - 1_000 + number
        drifted = number < changed
        lines.append(
            call_line(
                CallRecord(
                    id=uuid7(at, dice.randbytes(10)), at=at, endpoint="chat.completions", dataset="d",
                    request=b"{}", experiment="e", assigned=None if drifted else "baseline",
                    why=PROMPT_CHANGED if drifted else "bucket",
                )
            )
        )  # fmt: skip
    assert not ingest(store, lines, NOW).refused


def test_a_drift_of_prompts_is_told_once(store, home):
    """From a tenth of the latest calls on, and of fifty at least."""
    from dataclasses import replace

    start(home, replace(PLAN, prompts=("0" * 12,)))
    put_calls(store, 49, 49)
    guard(store, {}, NOW, home)
    assert told(store, "prompt.changed") == []
    put_calls(store, 51, 0)
    for _ in range(2):
        guard(store, {}, NOW, home)
    (said,) = told(store, "prompt.changed")
    assert "49 of the latest" in said
    assert said.endswith("went to the baseline: retrain")
    with store.reading() as connection:
        (found,) = drifts(connection, config_of(connection, home), NOW)
        assert (found.changed, found.much) == (49, True)
        assert drifts(connection, config_of(connection, home), NOW + 2 * DAY)[0].calls == 0


def test_the_step_looks_in_a_thread_of_its_own(lab, store):
    """A server's, over the config in its store."""
    step = GuardStep(store, os.environ)
    assert step(store, NOW) > 0
    step.join(90)
    assert told(store) == []
