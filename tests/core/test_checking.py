"""What a call says of itself: validity, refusal, cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.checking import Checks, asks_for_json, check, is_plain

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
CHAT_SCHEMA = {"response_format": {"type": "json_schema", "json_schema": {"name": "trip", "schema": SCHEMA}}}
CHAT_JSON = {"response_format": {"type": "json_object"}}
ITEMS_SCHEMA = {"text": {"format": {"type": "json_schema", "name": "trip", "schema": SCHEMA}}}
GOOD = '{"city": "Bonn", "days": 3}'
TOOL = {"name": "book", "parameters": SCHEMA, "strict": True}


def chat(content=None, finish="stop", **message):
    return {"choices": [{"finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}]}


def items(*output, status="completed", reason=None):
    return {"status": status, "incomplete_details": {"reason": reason} if reason else None, "output": list(output)}


def text_item(text):
    return {"type": "message", "content": [{"type": "output_text", "text": text}]}


def calling(arguments, name="book"):
    return [{"type": "function", "function": {"name": name, "arguments": arguments}}]


def tools(**function):
    return {"tools": [{"type": "function", "function": {**TOOL, **function}}]}


@pytest.mark.parametrize(
    ("request_", "answer", "valid"),
    [
        ({}, chat("hello"), None),
        (CHAT_JSON, chat(GOOD), True),
        (CHAT_JSON, chat("hello"), False),
        (CHAT_JSON, chat('{"a": NaN}'), False),
        (CHAT_JSON, chat(""), False),
        (CHAT_JSON, chat(None, refusal="no"), False),
        (CHAT_JSON, chat('{"city": "Bo', "length"), False),
        (CHAT_JSON, None, False),
        ({}, None, None),
        (CHAT_SCHEMA, chat(GOOD), True),
        (CHAT_SCHEMA, chat('{"city": "Bonn"}'), False),
        (CHAT_SCHEMA, chat('{"city": "Bonn", "days": 3, "more": 1}'), False),
        (CHAT_SCHEMA, {"choices": chat(GOOD)["choices"] + chat("no")["choices"]}, False),
        (CHAT_SCHEMA | tools(), chat(None, tool_calls=calling(GOOD)), True),
        (tools(), chat("I need none"), None),
        (tools(), chat(None, tool_calls=calling(GOOD)), True),
        (tools(), chat(None, tool_calls=calling('{"city": 1}')), False),
        (tools(strict=False), chat(None, tool_calls=calling('{"city": 1}')), True),
        (tools(strict=False), chat(None, tool_calls=calling('{"city": ')), False),
        (tools(), chat(None, tool_calls=calling(GOOD, "cook")), False),
        ({}, items(text_item("hello")), None),
        (ITEMS_SCHEMA, items(text_item(GOOD[:9]), text_item(GOOD[9:])), True),
        (ITEMS_SCHEMA, items(text_item('{"city": "Bonn", "days": "three"}')), False),
        ({"tools": [{"type": "function", **TOOL}]}, items({"type": "function_call", "name": "book", "arguments": "{}"}), False),
        ({"text": {"format": {"type": "text"}}}, items(text_item("hello")), None),
        (CHAT_JSON, {"error": "no answer at all"}, None),
    ],
)  # fmt: skip
def test_valid(request_, answer, valid):
    assert check(request_, answer).valid is valid


@pytest.mark.parametrize(
    ("answer", "refused", "cut"),
    [
        (chat("hello"), False, False),
        (chat(None, refusal="I cannot"), True, False),
        (chat("hel", "content_filter"), True, False),
        (chat("hel", "length"), False, True),
        ({"choices": [{"text": "hel", "finish_reason": "length"}]}, False, True),
        (items(text_item("hello")), False, False),
        (items({"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}), True, False),
        (items(text_item("hel"), status="incomplete", reason="max_output_tokens"), False, True),
        (items(text_item("hel"), status="incomplete", reason="content_filter"), True, False),
        ({"object": "list", "data": []}, None, None),
        ([], None, None),
    ],
)
def test_refused_and_cut(answer, refused, cut):
    assert check({}, answer) == Checks(None, refused, cut)
    plain = is_plain(json.dumps(answer, separators=(",", ":")).encode())
    assert not plain or (refused, cut) == (False, False)


def test_usual_answers_are_plain():
    for answer in (chat('the "length" of a "refusal": \'incomplete\'', refusal=None), items(text_item("hello"))):
        assert is_plain(json.dumps(answer, separators=(",", ":")).encode())


def test_only_what_is_known_is_given():
    assert check({}, chat("hello")).known() == {"refused": False, "cut": False}
    assert Checks().known() == {}


def test_who_asks_for_json():
    assert [asks_for_json(one) for one in (CHAT_JSON, ITEMS_SCHEMA, tools(), {}, None)] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_depth_is_borne():
    deep = "[" * 100_000 + "]" * 100_000
    assert check(CHAT_JSON, chat(deep)) in {Checks(None, False, False), Checks(True, False, False)}


KEYS = st.sampled_from(
    [
        "choices",
        "message",
        "content",
        "finish_reason",
        "refusal",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "output",
        "type",
        "text",
        "status",
        "incomplete_details",
        "reason",
        "response_format",
        "json_schema",
        "schema",
        "tools",
        "strict",
        "parameters",
        "format",
        "input",
        "messages",
    ]
)
WORDS = st.sampled_from(
    ["json_object", "json_schema", "function", "message", "length", "content_filter", "refusal", "{}", "x"]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(KEYS, ODD, max_size=4), st.dictionaries(KEYS, ODD, max_size=4))
def test_odd_requests_and_answers_raise_nothing(request_, answer):
    found = check(request_, answer)
    assert set(found) <= {True, False, None}
    if is_plain(json.dumps(answer, separators=(",", ":")).encode()):
        assert not found.refused
        assert not found.cut
