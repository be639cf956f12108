"""What a rollout is given that cannot be, or that means nothing: each has its answer, and none reaches the evidence."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.core.evidence import ScoreError
from logos_shift_openai.core.metrics import UnknownMetricError, score_of
from logos_shift_openai.core.policy import Policy, policy_from
from logos_shift_openai.core.records import CallRecord, FeedbackRecord, Unit, call_line, feedback_line
from logos_shift_openai.core.rollout_by_hand import RolloutError
from logos_shift_openai.core.strict import ConfigError
from logos_shift_openai.server.config_place import config_of
from logos_shift_openai.server.config_versions import change_config, live_config
from logos_shift_openai.server.experiments import Plan
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.measures import evidence_of
from logos_shift_openai.server.rollout_guard import warnings_of
from logos_shift_openai.server.rollout_reading import get_rollout, history
from logos_shift_openai.server.rollouts import begin_rollout, change_rollout, tick

if TYPE_CHECKING:
    from logos_shift_openai.core.evidence import Evidence
    from logos_shift_openai.server.experiments import Document
    from logos_shift_openai.server.store.database import Store

START = 1_764_000_000_000
HOUR = 3_600_000


def experiment(key: str = "x", **parts: Any) -> Document:
    found = {"key": key, "dataset": "*", "match": {"model": ["big"]}, "candidate": {"model": "small"}, "share": 0}
    return {**found, "unit": "call", "salt": f"of {key}", **parts}


def configured(store: Store, *experiments: Document) -> None:
    change_config(store, lambda fresh: fresh.update(experiments=list(experiments)), why="test", now=START)


def call(call_id: str, key: str | None = "x", at: int = START + 1) -> bytes:
    return call_line(
        CallRecord(
            id=call_id, at=at, endpoint="chat.completions", request=b"{}", unit=Unit("call", call_id), experiment=key,
            assigned="baseline", served="baseline", share=100, bucket=5_000,
        )
    )  # fmt: skip


def said(call_id: str, value: float, name: str) -> bytes:
    return feedback_line(FeedbackRecord(id=name, at=START + 2, call_id=call_id, value=value))


def evidence(store: Store) -> Evidence:
    one = get_rollout(store, "x")
    with store.reading() as connection:
        return evidence_of(connection, "x", one.policy, one.state, START / 1000 + 10)


@pytest.mark.parametrize("value", [b"1.0001", b"-0.1", b"NaN", b"Infinity", b"1e999", b'"good"', b"true"])
def test_a_score_that_is_none_is_refused_with_its_line(store: Store, value: bytes) -> None:
    """The call beside it is taken, and has no score."""
    configured(store, experiment())
    begin_rollout(store, "x", Policy(), START)
    line = b'{"v":1,"kind":"feedback","id":"f","at":%d,"call_id":"c","value":%s}\n' % (START, value)
    receipt = ingest(store, [call("c"), line], START)
    ((refused),) = receipt.refused
    assert (receipt.new, refused.line) == (1, 2)
    assert evidence(store).units("errors", "baseline") == 1
    assert evidence(store).units("success", "baseline") == 0


@pytest.mark.parametrize(("value", "error"), [(1.0001, ScoreError), (-0.1, ScoreError), (math.nan, ScoreError)])
def test_a_score_that_is_none_is_not_clipped(value: float, error: type[Exception]) -> None:
    """The core says what stood there."""
    with pytest.raises(error, match="success"):
        score_of("success", value)


def test_a_metric_that_nobody_knows_is_named(store: Store) -> None:
    """In a policy with its path; one that is known and not measured before anything is begun."""
    with pytest.raises(UnknownMetricError, match="'mood' is no metric; known are success"):
        score_of("mood", 1)
    with pytest.raises(ConfigError, match=r"guardrails\[1\]\.metric: \"mood\" is not one of success"):
        policy_from({"guardrails": [{"metric": "errors"}, {"metric": "mood"}]})
    configured(store, experiment())
    with pytest.raises(RolloutError, match="judge is not measured"):
        begin_rollout(store, "x", policy_from({"primary": {"metric": "judge"}}), START)


def test_feedback_for_an_id_that_nobody_knows_waits_for_its_call(store: Store) -> None:
    """It is kept and counts nothing, until the call is there."""
    configured(store, experiment())
    begin_rollout(store, "x", Policy(), START)
    ingest(store, [said("late", 1.0, "f1"), said("never", 1.0, "f2")], START)
    assert evidence(store).rows() == []
    ingest(store, [call("late")], START)
    assert evidence(store).units("success", "baseline") == 1


def test_feedback_for_a_foreign_call_is_that_calls_alone(store: Store) -> None:
    """Of another experiment or of none, and calls from before the rollout: nothing of it is this rollout's evidence."""
    configured(store, experiment())
    begin_rollout(store, "x", Policy(), START)
    lines = [call("other", "y"), call("none", None), call("before", at=START - HOUR), call("mine")]
    ingest(store, [*lines, *(said(name, 0.0, f"f-{name}") for name in ("other", "none", "before"))], START)
    assert evidence(store).units("errors", "baseline") == 1
    assert evidence(store).units("success", "baseline") == 0


def test_models_that_coincide_are_nothing_to_compare(store: Store) -> None:
    """Refused by the config; at another provider there is something. With a pattern it is said which calls are meant."""
    with pytest.raises(ConfigError, match=r"candidate\.model: 'big' is the baseline too"):
        configured(store, experiment(candidate={"model": "big"}))
    same = Plan("x", ("big",), "big")
    with pytest.raises(ConfigError, match="'big' is the baseline too"):
        begin_rollout(store, "x", Policy(), START, plan=same)
    with store.reading() as connection:
        assert config_of(connection, None).experiments == ()
    begin_rollout(store, "x", Policy(), START, plan=replace(same, provider="lab"))
    change_rollout(store, "x", "roll_back", START)
    configured(store, experiment(match={"model": ["b*"]}, candidate={"model": "bit"}))
    begin_rollout(store, "x", Policy(), START)
    with store.reading() as connection:
        found = warnings_of(config_of(connection, None), "x")
    assert found == ["calls that ask for bit itself are compared with themselves"]


def test_of_two_experiments_about_the_same_calls_one_rolls_out(store: Store) -> None:
    """The first in the document has the calls; the second cannot begin, and says who has them."""
    configured(store, experiment(), experiment("y", match={"model": ["b*"]}), experiment("z", match={"model": ["c"]}))
    with pytest.raises(RolloutError, match="experiment x stands before y and takes the same calls"):
        begin_rollout(store, "y", Policy(), START)
    begin_rollout(store, "x", Policy(), START)
    with store.reading() as connection:
        assert warnings_of(config_of(connection, None), "x") == ["experiment y is about the same calls; x takes them"]
    begin_rollout(store, "z", Policy(), START)  # about other calls
    for key in ("x", "z"):
        change_rollout(store, key, "roll_back", START)
    configured(store, experiment("y", match={"model": ["b*"]}), experiment())
    begin_rollout(store, "y", Policy(), START)
    change_rollout(store, "y", "pause", START)
    with store.reading() as connection:  # as it could only come from a file that was edited by hand
        document = json.loads(live_config(connection).document)
    document["experiments"].insert(0, document["experiments"].pop(1))
    with pytest.raises(Exception, match="the calls, which x would take, of y cannot be changed"):
        change_config(store, lambda fresh: fresh.update(document), why="test", now=START)


def test_a_clock_that_jumps_back_stands_still(store: Store) -> None:
    """No step is shorter by it and no time is counted twice; it goes on when it has caught up."""
    configured(store, experiment())
    begin_rollout(store, "x", Policy(deadline_seconds=7_200), START)
    tick(store, START + HOUR)
    seen = get_rollout(store, "x").state.seen
    tick(store, START - 100 * HOUR)
    change_rollout(store, "x", "pause", START - 50 * HOUR)
    change_rollout(store, "x", "resume", START - 40 * HOUR)
    state = get_rollout(store, "x").state
    assert (state.seen, state.phase, state.started) == (seen, "ramping", START / 1000)
    ((_, decision),) = tick(store, START + 2 * HOUR)
    assert (decision.action, decision.event) == ("roll_back", "late")
    with store.reading() as connection:
        times = [one["document"]["at"] for one in history(connection, "x")][::-1]
    assert times == sorted(times)


def test_the_trail_goes_on_with_the_looks_and_begins_with_the_rollout(store: Store) -> None:
    """A point a look that was kept, in their order; another rollout has a trail of its own."""
    configured(store, experiment())
    begun = begin_rollout(store, "x", Policy(), START)
    for number in range(5):
        ingest(store, [call(f"c{number}", at=START + number)], START + number)
        tick(store, START + 5_000 * (number + 1))
    trail = get_rollout(store, "x").trail
    assert [one["at"] for one in trail] == [START / 1000 + 5 * (number + 1) for number in range(5)]
    assert {one["share"] for one in trail} == {100}
    change_rollout(store, "x", "roll_back", START + HOUR)
    begin_rollout(store, "x", begun.policy, START + HOUR)
    assert get_rollout(store, "x").trail == ()
