"""The fast way of a line into a row, held against the careful one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from test_store_ingest import _mangled

from logos_shift_openai.core.records import CallRecord, RecordError, read_line
from logos_shift_openai.server.store.lines import DEPTH_MAX, _CarefulError, _fast, read
from logos_shift_openai.server.store.rows import FeedbackRow, bodies_of, call_rows, feedback_row, values_of
from logos_shift_openai.server.store.schema import calls, feedback


def careful(line: bytes) -> Any:
    record = read_line(line)
    return call_rows(record, 5) if isinstance(record, CallRecord) else feedback_row(record, 5)


def values(kept: Any) -> Any:
    if isinstance(kept, FeedbackRow):
        row = {name: getattr(kept, name) for name in kept.__struct_fields__}
        row["correction"] = row["correction"] and json.loads(row["correction"])
        return row
    head, pack = kept
    row = {name: getattr(head, name) for name in head.__struct_fields__}
    row["rest"] = values_of(head.rest)
    return row, bodies_of(pack)


@settings(max_examples=400, deadline=None)
@given(_mangled())
def test_what_the_fast_way_accepts_the_careful_one_gives_too(line: bytes) -> None:
    """With the same values in every column and body."""
    try:
        found = _fast(line, 5)
    except Exception:
        return
    assert values(found) == values(careful(line))


def test_a_usual_line_goes_the_fast_way(lines: Any) -> None:
    """Every field of a full record is understood there."""
    full = lines.call(
        dataset="d", parent="p", name="n", metadata={"a": [1]}, requested_model="m", experiment="x", assigned="baseline",
        served="baseline", share=1, bucket=2, why="w", config_version=3, stream=True, complete=False, duration_ms=1.5,
        first_token_ms=1.0, provider_id="q", truncated=("a",), media=({"path": "x", "bytes": 2},), sdk="s",
        checks={"valid": False, "refused": True}, fingerprint="0123456789ab", question="abcdef",
        response={"usage": {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 0}}},
    )  # fmt: skip
    for line in (full, lines.call(), lines.feedback("c", value=1, correction={"a": [None]}), lines.feedback("c")):
        assert values(_fast(line, 5)) == values(careful(line))


def test_rows_have_the_columns_of_their_tables() -> None:
    """In the same order, as the bare insert takes them."""
    head, _pack = careful(b'{"v":1,"kind":"call","id":"a","at":1,"endpoint":"responses"}')
    assert [*head.__struct_fields__, "score"] == [column.name for column in calls.c]
    assert list(FeedbackRow.__struct_fields__) == [column.name for column in feedback.c]


@pytest.mark.parametrize("depth", [DEPTH_MAX - 1, DEPTH_MAX])
def test_depth_has_an_end(depth: int) -> None:
    """Brackets in texts do not count."""
    body = b"[" * depth + b'"[[[[{{{{"' + b"]" * depth
    line = b'{"v":1,"kind":"call","id":"a","at":1,"endpoint":"responses","request":' + body + b"}"
    if depth < DEPTH_MAX:
        assert bodies_of(read(line, 5)[1])["request"]
    else:
        with pytest.raises(RecordError, match="deep"):
            read(line, 5)


def test_what_no_engine_keeps_goes_the_careful_way() -> None:
    """A NUL or half a surrogate pair in a head."""
    for text in (rb"\u0000", rb"\ud800"):
        line = b'{"v":1,"kind":"call","id":"a","at":1,"endpoint":"responses","why":"' + text + b'"}'
        with pytest.raises((_CarefulError, ValueError, msgspec.DecodeError)):
            _fast(line, 5)
        head, _pack = read(line, 5)
        assert len(values_of(head.rest)["why"]) == 1
