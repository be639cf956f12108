"""Which feedback counts for a call."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from logos_shift_openai.core.records import CallRecord, FeedbackRecord, call_line, feedback_line
from logos_shift_openai.server.calls import Filters, find_call, list_calls
from logos_shift_openai.server.feedback import effective_scores, scores
from logos_shift_openai.server.ingest import ingest
from logos_shift_openai.server.store.database import Store, empty_store


def score_of(store: Store, call_id: str) -> tuple[float, str] | None:
    with store.reading() as connection:
        call = find_call(connection, call_id)
        assert call is not None
        listed = {one["id"]: one["feedback"] for one in list_calls(connection, Filters())}
    assert listed[call["id"]] == call["feedback"]
    return call["feedback"] and (call["feedback"]["score"], call["feedback"]["call_id"])


def test_the_latest_score_counts(store: Store, lines: Any, take: Any) -> None:
    """A later verdict takes an earlier one's place, whichever arrived first."""
    take(
        lines.call(id="a"),
        lines.feedback("a", at=20, label="success"),
        lines.feedback("a", at=10, value=0.25),
    )
    assert score_of(store, "a") == (1.0, "a")
    take(lines.feedback("a", at=30, value=0.25, label="success"))
    assert score_of(store, "a") == (0.25, "a")


def test_a_comment_alone_is_no_score(store: Store, lines: Any, take: Any) -> None:
    """It is shown with the call and leaves the score as it was."""
    take(
        lines.call(id="a"),
        lines.feedback("a", at=1, label="failure"),
        lines.feedback("a", at=2, comment="hm", correction={"right": [1]}, by="ada"),
    )
    assert score_of(store, "a") == (0.0, "a")
    with store.reading() as connection:
        call = find_call(connection, "a")
    assert call is not None
    assert [(one["label"], one["comment"], one["correction"], one["by"]) for one in call["said"]] == [
        ("failure", None, None, None),
        (None, "hm", {"right": [1]}, "ada"),
    ]


def test_feedback_by_the_providers_id_may_come_before_its_call(store: Store, lines: Any, take: Any) -> None:
    """It is kept, and counts once the call is there."""
    take(lines.feedback("chatcmpl-9", label="success"))
    take(lines.call(id="a", provider_id="chatcmpl-9"))
    assert score_of(store, "chatcmpl-9") == (1.0, "a")


def test_feedback_on_a_function_counts_for_the_calls_inside_it(store: Store, lines: Any, take: Any) -> None:
    """Down through several levels, until a call has a score of its own."""
    take(
        lines.call(id="outer", endpoint="function"),
        lines.call(id="inner", endpoint="function", parent="outer"),
        lines.call(id="one", parent="inner"),
        lines.call(id="two", parent="inner"),
        lines.call(id="three", parent="two"),
        lines.call(id="alone", parent="gone"),
        lines.feedback("outer", label="success"),
        lines.feedback("two", value=0.2),
    )
    assert {name: score_of(store, name) for name in ("outer", "inner", "one", "two", "three", "alone")} == {
        "outer": (1.0, "outer"),
        "inner": (1.0, "outer"),
        "one": (1.0, "outer"),
        "two": (0.2, "two"),
        "three": (0.2, "two"),
        "alone": None,
    }


@pytest.mark.parametrize(
    ("kind", "expected"), [("success", {"good", "half"}), ("failure", {"bad"}), ("none", {"open"})]
)
def test_the_list_is_filtered_by_the_score_that_counts(
    store: Store, lines: Any, take: Any, kind: Any, expected: set[str]
) -> None:
    """A half counts as a success; calls without a score are neither."""
    take(
        *(lines.call(id=name) for name in ("good", "half", "bad", "open")),
        lines.feedback("good", label="success"),
        lines.feedback("half", value=0.5),
        lines.feedback("bad", value=0.49),
        lines.feedback("open", comment="?"),
    )
    with store.reading() as connection:
        assert {one["id"] for one in list_calls(connection, Filters(feedback=kind))} == expected


_IDS = st.sampled_from(list("abcdef"))


@settings(max_examples=120, deadline=None)
@given(
    parents=st.dictionaries(_IDS, st.none() | _IDS, min_size=1),
    said=st.lists(st.tuples(_IDS | st.just("p-a"), st.integers(1, 5), st.none() | st.floats(0, 1)), max_size=8),
)
def test_both_ways_to_find_a_score_agree(
    parents: dict[str, str | None], said: list[tuple[str, int, float | None]]
) -> None:
    """For any parents, rings among them too, going up from a call finds what the whole table has for it."""
    store = empty_store("memory")
    batch = [
        call_line(
            CallRecord(id=name, at=1, endpoint="responses", request=b"{}", parent=parent, provider_id=f"p-{name}")
        )
        for name, parent in parents.items()
    ]
    batch += [
        feedback_line(FeedbackRecord(id=f"f{number}", at=at, call_id=call_id, value=value))
        for number, (call_id, at, value) in enumerate(said)
    ]
    try:
        ingest(store, batch, 1)
        with store.reading() as connection:
            table = effective_scores()
            whole = {row.id: row.score for row in connection.execute(select(table.c.id, table.c.score))}
            climbed = scores(connection, list_calls(connection, Filters()))
        assert {call_id: score.value for call_id, score in climbed.items()} == whole
    finally:
        store.close()
