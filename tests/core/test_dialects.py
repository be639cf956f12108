"""The dialects: every fault has its path, every line we write is valid in each, and no bytes make the checks raise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.dialect_writing import CannotWriteError, written
from logos_shift_openai.core.dialects import DIALECTS, example_faults, line_faults

USER: dict[str, Any] = {"role": "user", "content": "hi"}
SAID: dict[str, Any] = {"role": "assistant", "content": "hello"}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL: dict[str, Any] = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
ANSWERED: dict[str, Any] = {"role": "tool", "tool_call_id": "1", "content": "x"}
CHAT = {"messages": [{"role": "system", "content": "s"}, USER, SAID]}
TOOLS = {"messages": [USER, {"role": "assistant", "tool_calls": [CALL], "weight": 0}, ANSWERED, SAID], "tools": [TOOL]}
PAIR = {"input": {"messages": [USER]}, "preferred_output": [SAID], "non_preferred_output": [{**SAID, "content": "no"}]}


def faults(value: Any, dialect: str = "openai-chat") -> list[str]:
    return [f"{path}: {what}" for path, what in example_faults(value, DIALECTS[dialect])]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([], ""),
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({**CHAT, "temperature": 1}, "temperature"),
        ({**CHAT, "parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({**CHAT, "tools": []}, "tools"),
        ({**CHAT, "tools": [{"type": "custom"}]}, "tools[0]"),
        ({**CHAT, "tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"messages": [USER]}, "messages[0].role"),
        ({"messages": [3, SAID]}, "messages[0]"),
        ({"messages": [{"role": "king", "content": "x"}, SAID]}, "messages[0].role"),
        ({"messages": [{"role": "user"}, SAID]}, "messages[0].content"),
        ({"messages": [{**USER, "content": 7}, SAID]}, "messages[0].content"),
        ({"messages": [{**USER, "content": [{"type": "file"}]}, SAID]}, "messages[0].content[0]"),
        ({"messages": [{**USER, "weight": 1}, SAID]}, "messages[0].weight"),
        ({"messages": [USER, {**SAID, "weight": 2}]}, "messages[1].weight"),
        ({"messages": [USER, {**SAID, "weight": 0}]}, "messages"),
        ({"messages": [USER, {**SAID, "extra": 0}]}, "messages[1].extra"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}], "tools": [{"type": "function", "function": {"name": "g"}}]}, "messages[1].tool_calls[0].function.name"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "{"}}]}]}, "messages[1].tool_calls[0].function.arguments"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, USER, SAID]}, "messages[1].tool_calls[0]"),
        ({"messages": [USER, ANSWERED, SAID]}, "messages[1].tool_call_id"),
    ],
)  # fmt: skip
def test_each_fault_has_its_path(value: Any, path: str) -> None:
    """One fault, one line, at the place it is at."""
    (fault,) = example_faults(value, DIALECTS["openai-chat"])
    assert fault.path == path


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"input": None}, "input"),
        ({"input": {"messages": [USER, SAID]}}, "input.messages[1].role"),
        ({"input": {"messages": [USER], "model": "m"}}, "input.model"),
        ({"preferred_output": []}, "preferred_output"),
        ({"preferred_output": [USER]}, "preferred_output[0].role"),
        ({"non_preferred_output": [SAID]}, "non_preferred_output"),
    ],
)
def test_faults_of_pairs(change: dict[str, Any], path: str) -> None:
    """Both answers are there, one message each, and not the same."""
    assert faults(PAIR, "openai-preference") == []
    assert path in {fault.path for fault in example_faults({**PAIR, **change}, DIALECTS["openai-preference"])}


def test_what_is_wrong_with_a_line_itself() -> None:
    """Bytes that are no text, texts that are no JSON, halves of surrogate pairs."""
    for line, said in (
        (b"\xff", "not UTF-8"),
        (b"{", "not JSON"),
        (b'{"messages": NaN}', "not JSON"),
        (b"[" * 100_000, "nested too deep"),
        (json.dumps({"messages": [{**USER, "content": "\ud800"}, SAID]}).encode(), "surrogate"),
    ):
        (fault,) = line_faults(line, DIALECTS["openai-chat"])
        assert said in fault.what


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("line", [CHAT, TOOLS, PAIR])
def test_what_we_write_is_valid(dialect: str, line: dict[str, Any]) -> None:
    """Every line of ours in every dialect that can hold it."""
    if (dialect == "openai-chat" and line is PAIR) or (dialect == "openai-preference" and line is not PAIR):
        with pytest.raises(CannotWriteError):
            written(line, DIALECTS[dialect])
        return
    assert faults(written(line, DIALECTS[dialect]), dialect) == []


def test_the_ways_of_the_dialects() -> None:
    """Objects for arguments and prompt with completion in TRL; developer, parts and turns made plain elsewhere."""
    trl = written(TOOLS, DIALECTS["trl"])
    assert trl["completion"] == [SAID]
    assert trl["prompt"][1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert "weight" not in trl["prompt"][1]
    parts = {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    program = [{"role": "developer", "content": "one"}, {"role": "system", "content": "two"}]
    odd = {"messages": [*program, parts, USER, SAID]}
    assert written(odd, DIALECTS["together"])["messages"] == [
        {"role": "system", "content": "one\n\ntwo"}, {"role": "user", "content": "a\nb\nhi"}, SAID,
    ]  # fmt: skip
    with pytest.raises(CannotWriteError, match="in the middle"):
        written({"messages": [USER, program[0], SAID]}, DIALECTS["fireworks"])


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["user", "assistant", "tool", "f"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["messages", "role", "content", "tool_calls", "function", "name", "arguments", "input", "prompt", "chosen",
             "preferred_output", "tools", "weight", "id", "tool_call_id", "type", "completion"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSONS, st.sampled_from(sorted(DIALECTS)))
def test_nothing_makes_the_checks_raise(value: Any, dialect: str) -> None:
    """Whatever JSON it is, there are faults or there are none."""
    for fault in example_faults(value, DIALECTS[dialect]):
        assert fault.what


@given(st.binary(max_size=40))
def test_no_bytes_make_them_raise(line: bytes) -> None:
    """They are faults of the line."""
    assert line_faults(line, DIALECTS["trl"])
