"""Checking a training file: every fault names its line."""

from __future__ import annotations

import json

import pytest

from logos_shift_openai.lab.chat_file import BadFileError, read_chat_file

USER = {"role": "user", "content": "hi"}
GOOD = json.dumps({"messages": [USER, {"role": "assistant", "content": "hello"}]}).encode()


def line(*messages: object) -> bytes:
    return json.dumps({"messages": list(messages)}).encode()


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
            line(USER, {"role": "assistant", "tool_calls": [{"id": "a"}]}),
            "Line 4, message 2: tiny-base learns texts, not tool calls",
        ),
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


def test_a_file_without_any_weight_teaches_nothing() -> None:
    """All weights 0 is a fault, not a model."""
    silent = line(USER, {"role": "assistant", "content": "a", "weight": 0})
    with pytest.raises(BadFileError, match="nothing to learn"):
        read_chat_file(silent, least=1)


def test_a_byte_order_mark_and_windows_lines_are_fine() -> None:
    """What editors add is not the user's fault."""
    assert len(read_chat_file(b"\xef\xbb\xbf" + b"\r\n".join([GOOD] * 10) + b"\r\n")) == 10
