"""Other tools' logs become calls of ours: each format by entries of the shapes that its documentation shows."""

from __future__ import annotations

import gzip
import json

import pytest

from logos_shift_openai.core.records import read_line
from logos_shift_openai.core.redaction import Redaction
from logos_shift_openai.server.importing.formats import FORMATS
from logos_shift_openai.server.importing.imported import NotImportableError, lines_of, moment
from logos_shift_openai.server.importing.items import read_items

NOW = 1_790_000_000_000
TOOL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}

CHAT = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Capital of Norway?"},
        {"role": "assistant", "content": "Oslo", "weight": 1},
    ],
    "model": "gpt-6.1-sol",
    "feedback": "success",
}
STORED = {
    "id": "chatcmpl-abc", "object": "chat.completion", "created": 1_790_000_000, "model": "gpt-6.1-sol",
    "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": None, "tool_calls": [TOOL]}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    "temperature": 0.2, "input_user": "u1", "metadata": {"team": "a"}, "tools": [{"type": "function", "function": {"name": "weather"}}],
    "messages": {"object": "list", "data": [{"id": "m-0", "role": "user", "content": "Weather?"}]},
}  # fmt: skip
LANGFUSE = {
    "id": "obs-1", "traceId": "trace-1", "type": "GENERATION", "name": "answer", "model": "gpt-6.1-sol",
    "startTime": "2026-09-21T08:53:20.000Z", "endTime": "2026-09-21T08:53:21.250Z", "completionStartTime": "2026-09-21T08:53:20.5Z",
    "modelParameters": {"temperature": 0.5}, "level": "DEFAULT", "metadata": {"region": "eu"}, "userId": "u9", "sessionId": "s1",
    "input": [{"role": "user", "content": "Hi"}], "output": {"role": "assistant", "content": "Hello"},
    "usageDetails": {"input": 3, "output": 1, "total": 4},
    "scores": [{"name": "helpful", "value": 0.75, "comment": "fine"}, {"name": "stars", "value": 5}],
}  # fmt: skip
LANGSMITH = {
    "id": "0f7b9c1e-0000-4000-8000-000000000001", "trace_id": "0f7b9c1e-0000-4000-8000-0000000000aa", "name": "ChatOpenAI",
    "run_type": "llm", "start_time": "2026-09-21T08:53:20", "end_time": "2026-09-21T08:53:22.123456789",
    "extra": {"invocation_params": {"model": "gpt-6.1-sol", "temperature": 0}, "metadata": {"ls_provider": "openai", "thread_id": "t1", "team": "b"}},
    "inputs": {"messages": [[
        {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "SystemMessage"], "kwargs": {"content": "Be brief."}},
        {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "Weather?"}},
    ]]},
    "outputs": {"generations": [[{"text": "", "message": {
        "lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"],
        "kwargs": {"content": "", "tool_calls": [{"name": "weather", "args": {"city": "Oslo"}, "id": "call_1"}]},
    }}]], "llm_output": {"token_usage": {"prompt_tokens": 5, "completion_tokens": 2}}},
    "feedback_stats": {"correctness": {"n": 2, "avg": 0.5}, "length": {"n": 1, "avg": 120}},
}  # fmt: skip


def call_of(source, entry, redaction=None):
    lines = [read_line(line) for line in lines_of(FORMATS[source](entry, NOW), source, "d", redaction or Redaction())]
    return lines[0], json.loads(lines[0].request), lines[0].response and json.loads(lines[0].response), lines[1:]


def test_chat_lines():
    call, request, response, said = call_of("chat", CHAT)
    assert request == {"model": "gpt-6.1-sol", "messages": CHAT["messages"][:2]}
    assert response["choices"][0]["message"] == {"role": "assistant", "content": "Oslo"}
    assert (call.at, call.complete, call.requested_model, call.dataset) == (NOW, True, "gpt-6.1-sol", "d")
    assert [(one.value, one.call_id) for one in said] == [(1.0, call.id)]


def test_stored_completions():
    call, request, response, _ = call_of("openai", STORED)
    assert request["messages"] == [{"role": "user", "content": "Weather?"}]
    assert (request["temperature"], request["tools"]) == (0.2, STORED["tools"])
    assert response["choices"][0]["message"]["tool_calls"] == [TOOL]
    assert response["usage"] == STORED["usage"]
    assert (call.at, call.provider_id, call.user_id, call.metadata) == (
        1_790_000_000_000,
        "chatcmpl-abc",
        "u1",
        {"team": "a"},
    )


def test_langfuse():
    call, request, response, said = call_of("langfuse", LANGFUSE)
    assert request == {"model": "gpt-6.1-sol", "messages": LANGFUSE["input"], "temperature": 0.5}
    assert response["choices"][0]["message"]["content"] == "Hello"
    assert response["usage"] == {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    assert (call.duration_ms, call.first_token_ms, call.user_id, call.conversation_id) == (1_250, 500, "u9", "s1")
    assert [(one.value, one.comment, one.by) for one in said] == [(0.75, "fine", "helpful")]


def test_langfuse_export_with_texts():
    """Exports write snake case and put JSON into texts; an answer that is JSON itself stays the answer's text."""
    entry = {
        "id": "o", "type": "GENERATION", "start_time": "2026-09-21 08:53:20.12", "provided_model_name": "m",
        "input": json.dumps({"messages": LANGFUSE["input"], "tools": [{"type": "function"}]}), "output": '{"intent": "greet"}',
        "usage_details": json.dumps({"input": 1, "output": 2}), "level": "ERROR", "status_message": "rate limit",
    }  # fmt: skip
    call, request, response, _ = call_of("langfuse", entry)
    assert request["tools"] == [{"type": "function"}]
    assert json.loads(response["choices"][0]["message"]["content"]) == {"intent": "greet"}
    assert (call.complete, call.error.message, response["usage"]["prompt_tokens"]) == (False, "rate limit", 1)


def test_langsmith():
    call, request, response, said = call_of("langsmith", LANGSMITH)
    assert request == {
        "model": "gpt-6.1-sol", "temperature": 0,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}],
    }  # fmt: skip
    choice = response["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"] == [TOOL]
    assert response["usage"]["prompt_tokens"] == 5
    assert (call.duration_ms, call.conversation_id, call.metadata) == (2_123, "t1", {"thread_id": "t1", "team": "b"})
    assert [(one.value, one.by) for one in said] == [(0.5, "correctness")]


@pytest.mark.parametrize(
    "outputs",
    [{"choices": [{"message": {"role": "assistant", "content": "x"}}]}, {"role": "assistant", "content": "x"}, {"output": "x"},
     {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "x"}]},
     {"generations": [{"text": "x"}]}, {"message": {"type": "ai", "data": {"content": "x"}}}],
)  # fmt: skip
def test_langsmith_answers_in_every_shape(outputs):
    entry = {**LANGSMITH, "inputs": {"messages": [{"type": "human", "content": "q"}]}, "outputs": outputs}
    assert call_of("langsmith", entry)[2]["choices"][0]["message"] == {"role": "assistant", "content": "x"}


@pytest.mark.parametrize(
    ("source", "entry", "why"),
    [
        ("chat", {"messages": CHAT["messages"][:2]}, "no answer"),
        ("chat", {"messages": []}, "messages: no messages"),
        ("chat", {"messages": [{"role": "user", "content": 3}, {"role": "assistant", "content": "x"}]}, r"messages\[0\].content"),
        ("chat", {"messages": [{"role": "king", "content": "x"}, {"role": "assistant", "content": "x"}]}, "'king' is no role"),
        ("chat", {**CHAT, "feedback": 7}, "feedback: 7"),
        ("chat", [], "list is no object"),
        ("openai", {**STORED, "messages": None}, "messages: no messages"),
        ("openai", {**STORED, "choices": []}, "choices"),
        ("openai", {**STORED, "created": "soon"}, "created: 'soon' is no time"),
        ("langfuse", {**LANGFUSE, "type": "SPAN"}, "SPAN is no GENERATION"),
        ("langfuse", {**LANGFUSE, "input": None}, "input: no messages"),
        ("langfuse", {**LANGFUSE, "id": None}, "id: missing"),
        ("langsmith", {**LANGSMITH, "run_type": "chain"}, "'chain' is not 'llm'"),
        ("langsmith", {**LANGSMITH, "outputs": {"generations": [{"message": {"type": "human", "content": "x"}}]}}, "the user's, not"),
    ],
)  # fmt: skip
def test_what_is_no_call_says_why(source, entry, why):
    with pytest.raises(NotImportableError, match=why):
        FORMATS[source](entry, NOW)


def test_an_answer_that_never_came():
    call, _, response, _ = call_of("langsmith", {**LANGSMITH, "outputs": None, "error": "Timeout"})
    assert (response, call.complete, call.error.message) == (None, False, "Timeout")


def test_the_same_entry_has_the_same_id():
    """Imported twice it is there once; two sources never share an id, and ids sort by the call's time."""
    first, again = (call_of("langfuse", LANGFUSE)[0].id for _ in range(2))
    assert first == again
    assert call_of("langsmith", {**LANGSMITH, "id": "obs-1"})[0].id != first
    assert call_of("langfuse", {**LANGFUSE, "startTime": "2026-09-22T00:00:00Z"})[0].id > first


def test_secrets_are_taken_out():
    entry = {**CHAT, "messages": [{"role": "user", "content": "my key is sk-proj-" + "a1B2" * 12}, CHAT["messages"][2]]}
    assert b"a1B2a1B2" in next(lines_of(FORMATS["chat"](entry, NOW), "chat", "d", Redaction()))
    assert b"a1B2a1B2" not in b"".join(lines_of(FORMATS["chat"](entry, NOW), "chat", "d", Redaction.build()))


@pytest.mark.parametrize(
    ("value", "at"),
    [(1_790_000_000, NOW), (NOW, NOW), (1_790_000_000.5, NOW + 500), ("2026-09-21T14:13:20Z", NOW), ("2026-09-21T16:13:20+02:00", NOW),
     ("2026-09-21 14:13:20.123", NOW + 123)],
)  # fmt: skip
def test_times(value, at):
    assert moment(value, "t") == at


@pytest.mark.parametrize("value", [None, True, "", "yesterday", -5, float("nan"), float("inf"), [], 10**20])
def test_bad_times(value):
    with pytest.raises(NotImportableError, match="t: "):
        moment(value, "t")


@pytest.mark.parametrize(
    "text",
    ['{"id":1}\n\n{"id":2}\n', '[{"id":1},{"id":2}]', '[\n {"id": 1},\n {"id": 2}\n]', '{"data": [{"id":1},{"id":2}]}',
     '{\n "observations": [\n  {"id": 1}, {"id": 2}]}', '\ufeff{"id":1}\n{"id":2}'],
)  # fmt: skip
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_files_of_every_kind(tmp_path, text, pack):
    path = tmp_path / "file"
    path.write_bytes(pack(text.encode()))
    assert [item.value for item in read_items(path)] == [{"id": 1}, {"id": 2}]


def test_broken_lines_stop_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b'{"id":1}\n{"id":\n\xff\xfe\n{"id":4}\n')
    assert [(item.where, item.fault is None) for item in read_items(path)] == [
        ("line 1", True), ("line 2", False), ("line 3", False), ("line 4", True),
    ]  # fmt: skip
    path.write_bytes(b"hello")
    assert "neither lines of JSON" in next(read_items(path)).fault
    path.write_bytes(b"")
    assert list(read_items(path)) == []
