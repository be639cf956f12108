"""Lines become rows: each once, whole or not at all, and none stops the others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from logos_shift_openai.core.records import Attempt, CallError, Unit
from logos_shift_openai.server.calls import Filters, find_call, list_calls
from logos_shift_openai.server.ingest import ingest, ingest_within
from logos_shift_openai.server.store.database import Store, StoreError, empty_store
from logos_shift_openai.server.store.schema import call_bodies, calls, feedback, refused

NOW = 1_764_000_000_000


def count(store: Store, table: Any) -> int:
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_a_call_comes_back_as_it_was_written(store: Store, lines: Any, take: Any) -> None:
    """Every field of a full record is found again, bodies and attempts included."""
    request = {"model": "gpt", "messages": [{"role": "user", "content": "h\u00e9 \U0001f600 \u0000"}]}
    response = {"id": "chatcmpl-1", "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    line = lines.call(
        dataset="sales",
        request=request,
        response=response,
        parent="parent-id",
        name="shop.answer",
        unit=Unit("user", "u1"),
        user_id="u1",
        conversation_id="c1",
        metadata={"plan": ["pro", 1, None]},
        requested_model="gpt",
        experiment="x",
        assigned="candidate",
        served="baseline",
        share=500,
        bucket=77,
        why="user bucket 77 is below the share 500",
        config_version=3,
        attempts=(
            Attempt("candidate", "tiny", "lab", ok=False, duration_ms=9.5, error=CallError("E", 404, "gone", "m")),
            Attempt("baseline", "gpt", None, ok=True, duration_ms=500.0),
        ),
        stream=True,
        complete=False,
        duration_ms=512.25,
        first_token_ms=30.5,
        error=CallError("RateLimitError", 429, None, "slow"),
        provider_id="chatcmpl-1",
        truncated=("$.request",),
        media=({"path": "$.a", "sha256": "ab", "bytes": 3},),
        sdk="openai/3",
    )
    assert take(line).new == 1
    with store.reading() as connection:
        found = find_call(connection, "chatcmpl-1")
    assert found is not None
    written = json.loads(line)
    for name in set(written) - {"v", "kind"}:
        assert found[name] == written[name], name
    assert (found["served_model"], found["served_provider"]) == ("gpt", None)
    assert (found["tokens_in"], found["tokens_out"], found["tokens_cached"]) == (5, 2, None)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}},
            (5, 2, 3),
        ),
        ({"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 0}}, (5, 2, 0)),
        ({"prompt_tokens": -1, "completion_tokens": True}, (None, None, None)),
        ({"prompt_tokens": 10**30}, (None, None, None)),
        ("none", (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_tokens_are_read_from_the_usage_of_either_api(
    store: Store, lines: Any, take: Any, usage: Any, expected: tuple[int | None, ...]
) -> None:
    """What is no count is left out, and does not cost the record."""
    assert take(lines.call(response={"usage": usage})).new == 1
    with store.reading() as connection:
        (found,) = list_calls(connection, Filters())
    assert (found["tokens_in"], found["tokens_out"], found["tokens_cached"]) == expected


def test_a_batch_sent_twice_changes_nothing(store: Store, lines: Any, take: Any) -> None:
    """The second time everything is seen; counts stay."""
    batch = [lines.call(id="a"), lines.call(id="b"), lines.feedback("a", label="success")]
    assert (take(*batch).new, take(*batch).seen) == (3, 3)
    assert [count(store, table) for table in (calls, call_bodies, feedback)] == [2, 2, 1]


def test_the_first_of_two_records_with_one_id_stays_whole(store: Store, lines: Any, take: Any) -> None:
    """Neither a later batch nor a later line of the same batch mixes its parts into the first one."""
    answer = take(
        lines.call(id="a", dataset="first", request={"n": 1}),
        lines.call(id="a", dataset="second", request={"n": 2}),
    )
    assert (answer.new, answer.seen) == (1, 1)
    take(lines.call(id="a", dataset="third", request={"n": 3}))
    with store.reading() as connection:
        found = find_call(connection, "a")
    assert found is not None
    assert (found["dataset"], found["request"]) == ("first", {"n": 1})


def test_bad_lines_are_refused_with_the_part_at_fault_and_the_good_ones_kept(
    store: Store, lines: Any, take: Any
) -> None:
    """Refusals carry the line's number, the line, and a reason; they are counted by part."""
    bad = [
        b"not json\n",
        b'{"v":2,"kind":"call"}\n',
        b'{"v":1,"kind":"call","id":"x","at":1,"endpoint":"fax"}\n',
        b'{"v":1,"kind":"call","id":"x","at":1,"endpoint":"responses","assigned":[]}\n',
        b'{"v":1,"kind":"call","id":"x","at":1,"endpoint":"responses","config_version":"new"}\n',
        b'{"v":1,"kind":"feedback","id":"x","at":1,"call_id":"c","value":2}\n',
        json.dumps({"v": 1, "kind": "call", "id": "i" * 600, "at": 1, "endpoint": "responses"}).encode(),
        b"[" * 100_000,
    ]
    answer = take(lines.call(), *bad, b"\n", lines.call())
    assert answer.new == 2
    assert [refusal.line for refusal in answer.refused] == list(range(2, 10))
    assert [refusal.id for refusal in answer.refused] == [None, None, *["x"] * 4, "i" * 600, None]
    assert "fax" in answer.refused[2].why
    assert "config_version" in answer.refused[4].why
    with store.reading() as connection:
        assert connection.scalar(select(func.sum(refused.c.lines))) == 8
    take(b"not json\n")
    with store.reading() as connection:
        assert connection.scalar(select(refused.c.lines).where(refused.c.reason == "not JSON")) == 3


def test_characters_that_no_engine_keeps_are_replaced(store: Store, take: Any) -> None:
    """A lone surrogate or a NUL in a head does not cost the record."""
    line = (
        rb'{"v":1,"kind":"call","id":"a","at":1,"endpoint":"responses","name":"x\ud800\u0000","request":{"t":"\ud800"}}'
    )
    assert take(line).new == 1
    with store.reading() as connection:
        found = find_call(connection, "a")
    assert found is not None
    assert found["name"] == "x?\N{REPLACEMENT CHARACTER}"


def test_received_never_goes_back(sqlite_store: Store, lines: Any) -> None:
    """A clock that jumps back does not put new calls behind a reader's cursor."""
    ingest(sqlite_store, [lines.call(id="a")], NOW)
    ingest(sqlite_store, [lines.call(id="b")], NOW - 60_000)
    with sqlite_store.reading() as connection:
        rows = connection.execute(select(calls.c.id, calls.c.received)).all()
    assert {row.id: row.received for row in rows} == {"a": NOW, "b": NOW}


def test_a_transaction_that_fails_leaves_nothing(store: Store, lines: Any) -> None:
    """A fault after the insert takes all of the batch back."""

    def ingest_and_fail() -> None:
        with store.writing() as connection:
            ingest_within(connection, [lines.call(), b"bad\n"], NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        ingest_and_fail()
    assert [count(store, table) for table in (calls, call_bodies, refused)] == [0, 0, 0]


def test_a_database_fault_names_the_store(store: Store) -> None:
    """What the engine says comes in one line with the place."""
    with pytest.raises(StoreError, match=r"store.*: .*nowhere"), store.writing() as connection:
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(
    [
        "v",
        "kind",
        "id",
        "at",
        "endpoint",
        "dataset",
        "parent",
        "name",
        "unit",
        "user_id",
        "metadata",
        "requested_model",
        "experiment",
        "assigned",
        "served",
        "share",
        "bucket",
        "why",
        "config_version",
        "attempts",
        "stream",
        "complete",
        "duration_ms",
        "first_token_ms",
        "request",
        "response",
        "error",
        "provider_id",
        "truncated",
        "media",
        "sdk",
        "gate",
        "call_id",
        "value",
        "label",
        "comment",
        "correction",
        "by",
        "checks",
        "fingerprint",
        "question",
        "unknown",
    ]
)
_BASES = st.sampled_from(
    [
        {"v": 1, "kind": "call", "id": "d", "at": 1, "endpoint": "responses", "checks": {"valid": True, "cut": False}},
        {"v": 1, "kind": "call", "id": "a", "at": 1, "endpoint": "responses"},
        {
            "v": 1,
            "kind": "call",
            "id": "b",
            "at": 1,
            "endpoint": "chat.completions",
            "attempts": [{"variant": "baseline", "model": "m", "provider": None, "ok": True, "duration_ms": 1}],
        },
        {"v": 1, "kind": "feedback", "id": "c", "at": 1, "call_id": "a"},
    ]
)


@st.composite
def _mangled(draw: st.DrawFn) -> bytes:
    record = {**draw(_BASES), **draw(st.dictionaries(_NAMES, _VALUES, max_size=4))}
    line = json.dumps(record).encode("utf-8", "surrogatepass")
    cut = draw(st.integers(0, len(line)))
    return line if draw(st.booleans()) else line[:cut] + draw(st.binary(max_size=3)) + line[cut:]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_mangled() | st.binary(max_size=60).map(lambda data: data.replace(b"\n", b" ")), max_size=12))
def test_no_line_raises_and_none_is_kept_by_half(garbage: list[bytes]) -> None:
    """Whatever the lines hold, each is answered once, calls have their bodies, and all can be read back."""
    store = empty_store("memory")
    try:
        answer = ingest(store, garbage, NOW)
        assert answer.new + answer.seen + len(answer.refused) == sum(1 for line in garbage if line.strip())
        with store.reading() as connection:
            heads = list_calls(connection, Filters())
            kept = len(heads) + (connection.scalar(select(func.count()).select_from(feedback)) or 0)
            assert kept == answer.new
            assert connection.scalar(select(func.count()).select_from(call_bodies)) == len(heads)
            for head in heads:
                json.dumps(find_call(connection, head["id"]), allow_nan=False)
    finally:
        store.close()
