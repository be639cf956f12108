"""Shadows in the store: apart from the calls, compared with them, evidence of the rollout's shadow, gone with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from logos_shift_openai.core.agreement import COMPARERS, IncomparableError
from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.policy import policy_from
from logos_shift_openai.core.records import Attempt, CallError
from logos_shift_openai.core.rollout_by_hand import RolloutError
from logos_shift_openai.server import experiments
from logos_shift_openai.server.calls import Filters, list_calls
from logos_shift_openai.server.config_versions import change_config, live_config
from logos_shift_openai.server.experiments import Plan, read_config, start_in
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.retention import DAY_MS, Rule, enforce, set_rule
from logos_shift_openai.server.rollout_reading import get_rollout, history
from logos_shift_openai.server.rollouts import begin_rollout, change_rollout, tick
from logos_shift_openai.server.shadows import compare_waiting, pairs, shadow_totals
from logos_shift_openai.server.statistics import totals, variant_statistics
from logos_shift_openai.server.store.database import Store, open_store
from logos_shift_openai.server.store.evidence import fold_deltas
from logos_shift_openai.server.store.lines import read
from logos_shift_openai.server.store.moving import move
from logos_shift_openai.server.store.rows import bodies_of
from logos_shift_openai.server.store.schema import shadows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logos_shift_openai.core.config import Experiment

NOW = 1_764_000_000_000  # as of the `lines` of this folder

SMALL = (Attempt("candidate", "small", "lab", True, 5.0),)


def said(text: str) -> dict[str, Any]:
    return {
        "choices": [{"index": 0, "message": {"content": text}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }


def mirrored(lines: Any, ours: Any = "yes", theirs: Any = "yes", **more: Any) -> tuple[bytes, bytes]:
    """Give the lines of a call and of its shadow."""
    call_id = lines.new_id()
    call = lines.call(id=call_id, experiment="x", response=said(ours) if isinstance(ours, str) else ours)
    more = {"response": said(theirs) if isinstance(theirs, str) else theirs, "attempts": SMALL, **more}
    return call, lines.call(shadow_of=call_id, experiment="x", served="candidate", request=b"null", **more)


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(shadows).order_by(shadows.c.id)).mappings())


def test_a_shadow_is_no_call(store: Store, lines: Any, take: Callable[..., Any]) -> None:
    """It is new once, and in no list, no count and no evidence of calls; feedback on its call is the call's."""
    call, shadow = mirrored(lines)
    assert take(call, shadow).new == 2
    assert take(shadow, call).seen == 2
    call_id = json.loads(call)["id"]
    with store.reading() as connection:
        assert shadow_totals(connection, "x") == {
            "asked": 1, "failed": 0, "compared": 0, "agreement": None, "tokens_in": 3, "tokens_out": 2,
        }  # fmt: skip
        assert shadow_totals(connection, "y") is None
    assert take(lines.feedback(call_id, value=1.0)).new == 1
    with store.reading() as connection:
        assert [one["id"] for one in list_calls(connection, Filters())] == [call_id]
    with store.writing() as connection:
        while fold_deltas(connection):
            pass
    with store.reading() as connection:
        assert totals(connection).calls == 1
        assert [one.calls for one in variant_statistics(connection)] == [1]
    (row,) = rows(store)
    told = {name: row[name] for name in ("shadow_of", "experiment", "model", "provider", "tokens_in", "tokens_out")}
    assert told == {
        "shadow_of": call_id, "experiment": "x", "model": "small", "provider": "lab", "tokens_in": 3, "tokens_out": 2,
    }  # fmt: skip


def test_both_ways_of_a_line_give_the_same_shadow(lines: Any) -> None:
    """The fast way and the careful one keep the same."""
    _call, shadow = mirrored(lines, error=CallError("APITimeoutError", None, None, "took long"), response=None)
    careful = json.loads(shadow)
    careful["attempts"][0]["unknown"] = "\0"
    one, other = read(shadow, NOW), read(json.dumps(careful).encode(), NOW)
    assert type(one) is type(other)
    assert kept_of(one) == kept_of(other)
    assert kept_of(one)["error_message"] == "took long"


def kept_of(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__} | {"data": bodies_of(row.data)}


@pytest.mark.parametrize("name", [7, "", "x" * 600])
def test_a_shadow_of_nothing_is_refused(store: Store, lines: Any, take: Callable[..., Any], name: Any) -> None:
    """Its neighbours are taken."""
    bad = json.dumps({**json.loads(lines.call()), "shadow_of": name}).encode()
    receipt = take(bad, lines.call())
    assert receipt.new == 1
    assert "shadow_of" in receipt.refused[0].why


def test_pairs_are_compared_when_both_are_there(store: Store, lines: Any, take: Callable[..., Any]) -> None:
    """In either order of arrival; what failed agrees with nothing, what cannot be compared is left out."""
    early_call, early = mirrored(lines)
    take(early)
    assert compare_waiting(store, "x", "json", 0) == 0
    take(early_call)
    failed = {"response": None, "error": CallError("X", 500), "complete": False}
    kept = [
        mirrored(lines, '{"a": 1}', '{"a":1.0}'),
        mirrored(lines, "yes", "no"),
        mirrored(lines, **failed),
        mirrored(lines, {"error": "no answer"}),
        mirrored(lines, truncated=("response.choices[0]",)),
    ]
    for pair in kept:
        take(*pair)
    assert compare_waiting(store, "x", "json", 0) == 6
    assert compare_waiting(store, "x", "json", 0) == 0
    assert [(row["compared"], row["score"]) for row in rows(store)] == [
        ("json", 1.0), ("json", 1.0), ("json", 0.0), ("json", 0.0), ("not", None), ("not", None),
    ]  # fmt: skip


def test_a_pair_gives_what_was_asked_and_answered(store: Store, lines: Any, take: Callable[..., Any]) -> None:
    """For those who look at the disagreements."""
    take(*mirrored(lines, "yes", "no"))
    (row,) = rows(store)
    with store.reading() as connection:
        (pair,) = pairs(connection, [row["id"]])
    assert pair.request == {"model": "m", "messages": []}
    assert (pair.baseline, pair.candidate) == (said("yes"), said("no"))
    with pytest.raises(IncomparableError):
        pair._replace(candidate=None).score(COMPARERS["exact"])


def test_shadows_go_with_their_calls(store: Store, lines: Any, take: Callable[..., Any]) -> None:
    """Bodies by the rule of bodies, all of it by the rule of calls; and one whose call never came by its own time."""
    take(*mirrored(lines), mirrored(lines)[1])
    with store.writing() as connection:
        set_rule(connection, Rule("*", days=10, body_days=2))
    enforce(store, NOW + 3 * DAY_MS)
    assert [row["data"] for row in rows(store)] == [None, None]
    assert compare_waiting(store, "x", "json", 0) == 1
    assert {row["score"] for row in rows(store)} == {None}
    enforce(store, NOW + 12 * DAY_MS)
    assert rows(store) == []
    _call, late = mirrored(lines)
    assert "past retention" in take(late, now=NOW + 12 * DAY_MS).refused[0].why


def test_shadows_move_with_a_store(store: Store, lines: Any, take: Callable[..., Any], tmp_path: Path) -> None:
    """With what was compared of them; a second move adds nothing."""
    take(*mirrored(lines), *mirrored(lines, "a", "b"))
    compare_waiting(store, "x", "json", 0)
    target = open_store(tmp_path / "other.sqlite3")
    for _ in range(2):
        assert all(one.missing == 0 for one in move(store, target))
        assert [dict(row) for row in rows(target)] == [dict(row) for row in rows(store)]
    with target.reading() as connection:
        assert [pair.baseline for pair in pairs(connection, [row["id"] for row in rows(target)])] == [
            said("yes"), said("a"),
        ]  # fmt: skip
    target.close()


PLAN = Plan(key="x", models=("m",), candidate="small", provider="lab", unit="call")
POLICY = policy_from({"shadow_pairs": 20, "shadow_per_minute": 7, "least_agreement": 0.7})


@pytest.fixture(params=["sqlite", "postgresql", "embedded"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A store with a rollout in the shadow, and the home of its embedded config, if that is where it lies."""
    address: Path | str = tmp_path / "home" / "store.sqlite3"
    if request.param == "postgresql":
        address = request.getfixturevalue("postgres_url")
    store = open_store(address)
    home = tmp_path / "home" if request.param == "embedded" else None
    if home is None:
        change_config(store, lambda document: start_in(document, PLAN, "salt"), why="test", now=NOW)
    else:
        experiments.start(home, PLAN)
    begin_rollout(store, "x", POLICY, NOW, home)
    yield store, home
    store.close()


def experiment_of(store: Store, home: Path | None) -> Experiment:
    if home is not None:
        return read_config(home).experiments[0]
    with store.reading() as connection:
        return config_from(json.loads(live_config(connection).document)).experiments[0]


def mirror_of(store: Store, home: Path | None) -> tuple[int, int | None]:
    one = experiment_of(store, home)
    return one.share, None if one.shadow is None else one.shadow.calls_per_minute


def test_a_rollout_runs_its_shadow_by_itself(place: Any, lines: Any) -> None:
    """The config mirrors at share 0 until so many are compared, then it ramps and mirrors no more."""
    store, home = place
    assert mirror_of(store, home) == (0, 7)
    for number in range(20):
        ingest(store, mirrored(lines, "a", "a" if number else "b"), NOW)
        if number == 10:
            tick(store, NOW + 1_000, home)
            assert mirror_of(store, home) == (0, 7)
            assert get_rollout(store, "x").state.phase == "shadow"
    ((_key, decision),) = tick(store, NOW + 2_000, home)
    assert decision.why == "from the shadow to 1 %: 20 calls are compared, the outputs agree in 95.0% of them"
    assert mirror_of(store, home) == (100, None)
    with store.reading() as connection:
        assert ["agreement", 0, 0, 0, "candidate", 600, 19] in history(connection, "x")[0]["document"]["evidence"]


def test_a_shadow_that_disagrees_ends_the_rollout(place: Any, lines: Any) -> None:
    """Nobody ever gets an answer of it."""
    store, home = place
    for _ in range(15):
        ingest(store, mirrored(lines, "a", "b"), NOW)
    ((_key, decision),) = tick(store, NOW + 1_000, home)
    assert decision.event == "apart"
    assert mirror_of(store, home) == (0, None)


def test_a_pause_mirrors_nothing(place: Any) -> None:
    """And resuming goes on in the shadow."""
    store, home = place
    change_rollout(store, "x", "pause", NOW + 1_000, home)
    assert mirror_of(store, home) == (0, None)
    change_rollout(store, "x", "resume", NOW + 2_000, home)
    assert mirror_of(store, home) == (0, 7)
    change_rollout(store, "x", "promote", NOW + 3_000, home)
    assert mirror_of(store, home) == (9_900, None)


def test_what_was_mirrored_before_is_not_counted(place: Any, lines: Any) -> None:
    """The pairs are those of this rollout."""
    store, home = place
    for _ in range(20):
        ingest(store, mirrored(lines, at=NOW - 1), NOW)
    tick(store, NOW + 1_000, home)
    assert get_rollout(store, "x").state.phase == "shadow"
    assert {row["compared"] for row in rows(store)} == {None}


def test_a_shadow_needs_a_provider(sqlite_store: Store) -> None:
    """The caller's own client is for the caller's own calls."""
    plan = Plan(key="x", models=("m",), candidate="small")
    change_config(sqlite_store, lambda document: start_in(document, plan, "salt"), why="test", now=NOW)
    with pytest.raises(RolloutError, match="only for a candidate with a provider"):
        begin_rollout(sqlite_store, "x", POLICY, NOW)
