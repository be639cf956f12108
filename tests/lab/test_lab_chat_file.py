"""Checking a training file: every fault names its line."""

from __future__ import annotations

import json

import pytest

from logos_shift_openai.lab.answers import Call
from logos_shift_openai.lab.chat_file import BadFileError, read_chat_file

USER = {"role": "user", "content": "hi"}
GOOD = json.dumps({"messages": [USER, {"role": "assistant", "content": "hello"}]}).encode()


ANSWER = {"role": "assistant", "content": "hello"}


def line(*messages: object, **more: object) -> bytes:
    return json.dumps({"messages": list(messages), **more}).encode()


def call(name: str, arguments: str = "{}") -> dict[str, object]:
    return {"id": "a", "type": "function", "function": {"name": name, "arguments": arguments}}


def said(*calls: object) -> dict[str, object]:
    return {"role": "assistant", "content": "", "tool_calls": list(calls)}


def tool(name: str, parameters: object = None) -> dict[str, object]:
    return {"type": "function", "function": {"name": name, "parameters": parameters or {}}}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b'{"messages": [}', "Line 4: not valid JSON (Expecting value, column 15)"),
        (b"\xff\xfe", "Line 4: not valid UTF-8 (byte 1)"),
        (b"[1]", "Line 4: not a JSON object"),
        (b'{"prompt": "a"}', "Line 4: key 'messages' is missing"),
        (b'{"messages": []}', "Line 4: 'messages' is not a non-empty list"),
        (b'{"messages": "a"}', "Line 4: 'messages' is not a non-empty list"),
        (line("a"), "Line 4, message 1: not a JSON object"),
        (line({"content": "a"}), "Line 4, message 1: key 'role' is missing"),
        (line(USER, {"role": "robot", "content": "a"}), "Line 4, message 2: unknown role 'robot'"),
        (line({"role": ["user"], "content": "a"}), "Line 4, message 1: unknown role ['user']"),
        (line({"role": "user"}), "Line 4, message 1: key 'content' is missing"),
        (line({"role": "user", "content": 3}), "Line 4, message 1: 'content' is neither a text"),
        (line(USER), "Line 4: no message has the role 'assistant'"),
        (line({"role": "assistant", "content": "a"}, USER), "Line 4: the last message is not from the"),
        (
            line(USER, {"role": "assistant", "content": "a", "weight": 2}),
            "Line 4, message 2: 'weight' is 2, must be 0 or 1",
        ),
        (
            line(USER, {"role": "assistant", "content": "a", "weight": True}),
            "Line 4, message 2: 'weight' is True, must be 0 or 1",
        ),
        (line({**USER, "weight": 1}), "Line 4, message 1: 'weight' is only for assistant messages"),
        (line(USER, {"role": "assistant", "content": ""}), "Line 4, message 2: the answer is empty"),
        (
            line(USER, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}),
            "Line 4, message 2: tiny-base learns texts and 'tool_calls', not 'function_call'",
        ),
        (line(USER, said()), "Line 4, message 2: 'tool_calls' is not a non-empty list"),
        (line(USER, said({"type": "function"})), "Line 4, message 2: a tool call has no 'id'"),
        (line(USER, said(call("f"), call("f"))), "Line 4, message 2: the tool call id 'a' stands twice"),
        (line(USER, said({"id": "a"})), "Line 4, message 2: the tool call 'a' is not of the type 'function'"),
        (line(USER, said(call(""))), "Line 4, message 2: the tool call 'a' has no function name"),
        (line(USER, said(call("f", "{"))), "Line 4, message 2: the arguments of 'f' are not the JSON text"),
        (line(USER, said(call("f", "[1]"))), "Line 4, message 2: the arguments of 'f' are not the JSON text"),
        (line({**USER, "tool_calls": [call("f")]}, ANSWER), "Line 4, message 1: 'tool_calls' is only for assistant"),
        (line(USER, said(call("g")), tools=[tool("f")]), "Line 4, message 2: the function 'g' is not among"),
        (line(USER, said(call("f")), USER, said(call("f"))), "Line 4, message 3: the call 'a' has no answer"),
        (
            line(USER, said(call("f")), {"role": "tool", "tool_call_id": "b", "content": "1"}, ANSWER),
            "Line 4, message 3: 'tool_call_id' 'b' is no open call",
        ),
        (line(USER, ANSWER, tools=[]), "Line 4: 'tools' is not a non-empty list"),
        (line(USER, ANSWER, tools=[{"type": "function"}]), "Line 4: tool 1 is not a function"),
        (line(USER, ANSWER, tools=[tool("f"), tool("")]), "Line 4: tool 2 has no name"),
        (line(USER, ANSWER, tools=[tool("f", 3)]), "Line 4: tool 1: 'parameters' is not an object"),
        (line(USER, ANSWER, parallel_tool_calls=1), "Line 4: 'parallel_tool_calls' is neither"),
    ],
)
def test_a_fault_is_named_with_its_line(bad: bytes, message: str) -> None:
    """Blank lines count as lines but not as examples; what is wrong stands in words after the number."""
    content = b"\n".join([GOOD, b"", GOOD, bad, *[GOOD] * 10])
    with pytest.raises(BadFileError) as caught:
        read_chat_file(content)
    assert message in str(caught.value)
    assert caught.value.code is None


def test_many_faults_are_counted_not_listed() -> None:
    """Five are named, the rest is a number."""
    with pytest.raises(BadFileError, match=r"Line 5: .*; and 7 more\.$"):
        read_chat_file(b"\n".join([b"{"] * 12))


def test_too_few_examples_are_told_as_openai_tells_it() -> None:
    """Nine lines are one too few."""
    with pytest.raises(BadFileError, match=r"has 9 example.*must have at least 10 examples") as caught:
        read_chat_file(b"\n".join([GOOD] * 9))
    assert caught.value.code == "invalid_n_examples"


def test_each_weighted_answer_is_an_example() -> None:
    """In a long conversation every assistant message counts, with what stands before it; weight 0 does not."""
    turns = [
        USER,
        {"role": "assistant", "content": "skip me", "weight": 0},
        USER,
        {"role": "assistant", "content": "one", "weight": 1},
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": [{"type": "text", "text": "two"}]},
    ]
    found = read_chat_file(line(*turns), least=1)
    assert [(len(example.prompt), example.answer) for example in found] == [(3, "one"), (5, "two")]


def test_calls_are_answers_with_the_tools_of_their_line() -> None:
    """Calls are learnt with what stood before, results of tools included; without tools, those called may be called."""
    result = {"role": "tool", "tool_call_id": "a", "content": "12"}
    with_tools, without = (
        read_chat_file(line(USER, said(call("f", '{"x": 1}')), result, ANSWER, **more), least=1)
        for more in ({"tools": [tool("f"), tool("g")], "parallel_tool_calls": False}, {})
    )
    assert [(len(example.prompt), example.answer) for example in with_tools] == [
        (1, (Call("f", '{"x": 1}'),)),
        (3, "hello"),
    ]
    assert [sorted(example.wanted.tools) for example in (*with_tools, *without)] == [["f", "g"], ["f", "g"], ["f"], []]


def test_a_file_without_any_weight_teaches_nothing() -> None:
    """All weights 0 is a fault, not a model."""
    silent = line(USER, {"role": "assistant", "content": "a", "weight": 0})
    with pytest.raises(BadFileError, match="nothing to learn"):
        read_chat_file(silent, least=1)


def test_a_byte_order_mark_and_windows_lines_are_fine() -> None:
    """What editors add is not the user's fault."""
    assert len(read_chat_file(b"\xef\xbb\xbf" + b"\r\n".join([GOOD] * 10) + b"\r\n")) == 10
