"""Folding beyond the vectors: it never raises, tells whole answers from others, and agrees with the SDK."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logos_shift_openai.core.folding import fold

VECTORS = [
    json.loads(path.read_text(encoding="utf-8")) | {"name": path.stem}
    for path in sorted((Path(__file__).parents[1] / "contract" / "folding").glob("chat_*.json"))
]
ENDPOINTS = ["chat.completions", "completions", "responses"]
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def stream(*events: Any) -> bytes:
    return "".join(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events).encode()


def chunk(delta: dict[str, Any], reason: str | None = None, index: int = 0, **rest: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": index, "delta": delta, "finish_reason": reason}], **rest}


# --- it never raises ---------------------------------------------------------------------------------------------

KEYS = st.sampled_from(
    [
        "id",
        "object",
        "created",
        "model",
        "choices",
        "index",
        "delta",
        "message",
        "content",
        "role",
        "refusal",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "type",
        "finish_reason",
        "logprobs",
        "usage",
        "error",
        "audio",
        "data",
        "response",
        "output",
        "item",
        "part",
        "text",
        "summary",
        "output_index",
        "content_index",
        "summary_index",
        "code",
        "input",
        "annotations",
        "annotation",
        "status",
        "function_call",
        "reasoning_details",
    ]
)
TYPES = st.sampled_from(
    [
        "response.created",
        "response.completed",
        "response.failed",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.reasoning_summary_text.delta",
        "function",
        "text",
        "error",
        "response.output_text.annotation.added",
        "response.reasoning_summary_part.done",
        "response.cancelled",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text('{}a"\\[', max_size=4) | TYPES
TREES = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=5),
    max_leaves=20,
)
EVENTS = st.dictionaries(KEYS, TREES, max_size=6)


@settings(deadline=None)
@given(st.sampled_from([*ENDPOINTS, "embeddings"]), st.binary(max_size=300), st.none() | st.integers(0, 5))
def test_any_bytes_fold(endpoint: str, raw: bytes, delivered: int | None):
    """Bytes of no sense are an incomplete answer, not an exception."""
    folded = fold(endpoint, raw, delivered)
    assert not folded.complete


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ENDPOINTS), st.lists(EVENTS, max_size=6), st.none() | st.integers(0, 6), st.data())
def test_any_events_fold(endpoint: str, events: list[dict[str, Any]], delivered: int | None, data: st.DataObject):
    """Events with anything anywhere fold to JSON that can be written, cut anywhere."""
    raw = stream(*events)
    cut = data.draw(st.integers(0, len(raw)))
    for part in (raw, raw[:cut]):
        folded = fold(endpoint, part, delivered)
        json.dumps(folded.body, allow_nan=False)
        json.dumps(folded.error, allow_nan=False)
        assert folded.provider_id is None or folded.provider_id
        assert folded.error is None or not folded.complete


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_nesting_without_end_is_not_whole(endpoint: str):
    """A chunk nested deeper than anything reads makes the answer incomplete."""
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    folded = fold(endpoint, stream(chunk({"content": "a"}, "stop"), deep))
    assert not folded.complete


def test_numbers_json_has_not_become_null():
    """NaN, the infinities and numbers too large to be told from them can be written again."""
    raw = stream(
        '{"id":"a","choices":[{"index":0,"delta":{"content":"x","n":[NaN,-Infinity,1e999,0.5]},"finish_reason":"stop"}]}'
    )
    folded = fold("chat.completions", raw)
    assert folded.complete
    assert folded.body is not None
    assert folded.body["choices"][0]["message"]["n"] == [None, None, None, 0.5]


# --- whole or not ------------------------------------------------------------------------------------------------


def test_fewer_choices_than_asked_for_are_not_whole():
    """With n=2 one ended choice is not the answer; that n is known only to the caller."""
    raw = stream(chunk({"content": "a"}, "stop"))
    assert fold("chat.completions", raw).complete
    assert not fold("chat.completions", raw, choices=2).complete
    assert fold("chat.completions", raw + stream(chunk({"content": "b"}, "stop", 1)), choices=2).complete


def test_a_gap_between_choices_is_not_whole():
    """Choices 0 and 2 without a 1 mean that a choice is missing."""
    raw = stream(chunk({"content": "a"}, "stop"), chunk({"content": "c"}, "stop", 2))
    assert not fold("chat.completions", raw).complete


def test_done_alone_is_no_end():
    """[DONE] without a finish_reason does not finish an answer, and nothing behind it counts."""
    raw = stream(chunk({"content": "a"}), "[DONE]", chunk({"content": "b"}, "stop"))
    folded = fold("chat.completions", raw)
    assert not folded.complete
    assert folded.events == 1
    assert folded.body is not None
    assert folded.body["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "a"},
        "finish_reason": None,
    }


def test_the_finish_must_have_been_taken():
    """A caller that left before the last chunk has no finished answer, though the chunk had arrived."""
    raw = stream(chunk({"content": "a"}), chunk({}, "stop"), {**HEAD, "choices": [], "usage": {"total_tokens": 3}})
    assert not fold("chat.completions", raw, 1).complete
    folded = fold("chat.completions", raw, 2)
    assert folded.complete
    assert folded.events == 2
    assert folded.body is not None
    assert folded.body["usage"] == {"total_tokens": 3}


def test_usage_of_a_response_that_was_left():
    """The usage in the terminal event counts even when the caller left before it."""
    raw = stream(
        {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.completed", "response": {"id": "r", "status": "completed", "usage": {"total_tokens": 3}}},
    )
    folded = fold("responses", raw, 1)
    assert not folded.complete
    assert folded.body == {"id": "r", "status": "in_progress", "output": [], "usage": {"total_tokens": 3}}


def test_nothing_taken_is_nothing():
    """No event, no answer; endpoints without streams have none either."""
    raw = stream(chunk({"content": "a"}, "stop"))
    assert fold("chat.completions", raw, 0).body is None
    assert fold("chat.completions", b"").body is None
    assert fold("embeddings", raw).body is None
    assert fold("responses", b'{"id": "resp_1", "object": "response"}').body is None


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (stream({"error": "no"}), {"message": "no"}),
        (stream({"error": {"message": "no", "code": 429}}), {"message": "no", "code": 429}),
        (stream({"object": "error", "message": "no", "type": "BadRequest"}), {"message": "no", "type": "BadRequest"}),
        (b"event: error\ndata: overloaded\n\n", {"message": "overloaded"}),
        (b'event: error\ndata: {"message": "no"}\n\n', {"message": "no"}),
    ],
)
def test_errors_in_a_stream(raw: bytes, error: dict[str, Any]):
    """Whatever way a server says so, an error ends the answer, and what came before it stays."""
    folded = fold("chat.completions", stream(chunk({"content": "a"}, "stop")) + raw)
    assert folded.error == error
    assert not folded.complete
    assert folded.body is not None
    assert folded.body["choices"][0]["message"]["content"] == "a"


def test_a_cancelled_response_is_a_failure():
    """A response that was cancelled brings an error even where it names none."""
    folded = fold("responses", stream({"type": "response.cancelled", "response": {"id": "r", "error": None}}))
    assert (folded.complete, folded.error) == (False, {"message": "response.cancelled"})


def test_names_of_events_stand_in_for_types():
    """A server that names its events but leaves `type` out of the data is understood."""
    raw = b'event: response.completed\ndata: {"response": {"id": "r", "output": []}}\n\n'
    assert fold("responses", raw).complete


# --- as the SDK does it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vector", [vector for vector in VECTORS if vector["same_as_sdk"]], ids=lambda vector: vector["name"]
)
def test_plain_streams_agree_with_the_sdk(vector: dict[str, Any]):
    """Where openai-python's own accumulation is right, the folded answer is the same one, field by field."""
    from openai.lib.streaming.chat import ChatCompletionStreamState
    from openai.types.chat import ChatCompletionChunk

    state = ChatCompletionStreamState()
    for event in vector["events"]:
        state.handle_chunk(ChatCompletionChunk.model_validate(event))
    theirs = state.get_final_completion().model_dump(exclude={"choices": {"__all__": {"message": {"parsed"}}}})
    folded = fold(vector["endpoint"], stream(*vector["events"]))
    assert _said(folded.body) == _said(theirs)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(max_size=5), max_size=6),
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=4), st.lists(st.text(max_size=4), max_size=4)), max_size=3),
)
def test_texts_and_tool_calls_agree_with_the_sdk(texts: list[str], calls: list[tuple[str, list[str]]]):
    """Any text and any tool calls sent as OpenAI sends them come out as openai-python puts them together."""
    from openai.lib.streaming.chat import ChatCompletionStreamState
    from openai.types.chat import ChatCompletionChunk

    events = [chunk({"role": "assistant", "content": None if calls else "", "refusal": None})]
    events += [chunk({"content": text}) for text in texts]
    for number, (name, pieces) in enumerate(calls):
        begin = {
            "index": number,
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        events.append(chunk({"tool_calls": [begin]}))
        events += [chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]}) for piece in pieces]
    events.append(chunk({}, "tool_calls" if calls else "stop"))
    state = ChatCompletionStreamState()
    for event in events:
        state.handle_chunk(ChatCompletionChunk.model_validate(event))
    folded = fold("chat.completions", stream(*events))
    assert folded.complete
    assert _said(folded.body) == _said(state.current_completion_snapshot.model_dump())


def _said(value: Any) -> Any:
    """Leave out what the SDK adds: nulls, the numbers of tool calls, and what it parsed."""
    if isinstance(value, dict):
        added = {"parsed", "parsed_arguments"} | ({"index"} if "function" in value else set())
        return {key: _said(member) for key, member in value.items() if member is not None and key not in added}
    if isinstance(value, list):
        return [_said(item) for item in value]
    return value
