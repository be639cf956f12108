"""Calls of the Responses API and of legacy completions, said as chats."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.as_chat import NoChatError, chat_answer, chat_request
from logos_shift_openai.core.chat_messages import MessageRules, message_faults

CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": '{"city":"Ulm"}'}
AS_TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}


def said(text):
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def test_a_text_with_instructions_is_a_chat_of_two():
    request = {"model": "m", "instructions": "Be brief.", "input": "hello", "max_output_tokens": 9, "store": True}
    assert chat_request("responses", request) == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
        "max_completion_tokens": 9,
    }


def test_items_are_messages_and_reasoning_is_left_out():
    items = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "weather in Ulm?"}]},
        REASONING,
        said("a moment"),
        CALL,
        {**CALL, "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "sun"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "rain"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
    ]
    messages = chat_request("responses", {"input": items})["messages"]
    assert messages == [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "weather in Ulm?"},
        {"role": "assistant", "content": "a moment", "tool_calls": [AS_TOOL_CALL, {**AS_TOOL_CALL, "id": "c2"}]},
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
        {"role": "tool", "tool_call_id": "c2", "content": "rain"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    assert list(message_faults(messages, "messages", MessageRules(), frozenset({"weather"}))) == []


def test_parameters_have_the_names_of_a_chat():
    schema = {"type": "object"}
    function = {"name": "weather", "description": "d", "parameters": schema, "strict": True}
    asked = chat_request(
        "responses",
        {
            "input": "x",
            "temperature": 0.2,
            "parallel_tool_calls": False,
            "tools": [{"type": "function", **function}],
            "tool_choice": {"type": "function", "name": "weather"},
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True},
                "verbosity": "low",
            },
        },
    )
    del asked["messages"]
    assert asked == {
        "temperature": 0.2,
        "parallel_tool_calls": False,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}},
    }


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"input": "x", "previous_response_id": "resp_1"}, "context"),
        ({"input": "x", "conversation": "conv_1"}, "context"),
        ({"prompt": {"id": "pmpt_1"}}, "context"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "context"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "tools"),
        ({"input": [7]}, "unreadable"),
        ({"input": None}, "unreadable"),
        ("x", "unreadable"),
    ],
)
def test_what_no_chat_can_say_has_a_reason(request_, reason):
    with pytest.raises(NoChatError, match=f"^{reason}$"):
        chat_request("responses", request_)


def test_answers():
    """Text, calls of functions, refusal, and how it ended."""
    whole = chat_answer("responses", {"status": "completed", "output": [REASONING, said("a"), said("b"), CALL]}, {})
    message = {"role": "assistant", "content": "ab", "tool_calls": [AS_TOOL_CALL]}
    assert whole == {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    refused = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
    (choice,) = chat_answer("responses", {"output": [refused]}, {})["choices"]
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": "no"}
    cut = {"output": [said("a")], "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert chat_answer("responses", cut, {})["choices"][0]["finish_reason"] == "length"
    assert chat_answer("responses", {"output": [REASONING]}, {}) is None
    assert chat_answer("responses", None, {}) is None
    with pytest.raises(NoChatError, match="tools"):
        chat_answer("responses", {"output": [{"type": "web_search_call"}, said("a")]}, {})


def test_a_completion_is_a_question_and_its_answer():
    request = {"prompt": ["2+2="], "max_tokens": 5, "stop": ["\n"], "echo": True}
    assert chat_request("completions", request) == {
        "messages": [{"role": "user", "content": "2+2="}],
        "max_tokens": 5,
        "stop": ["\n"],
    }
    answer = chat_answer("completions", {"choices": [{"text": "2+2=4", "finish_reason": "stop"}]}, request)
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "4"}
    assert chat_answer("completions", {"choices": []}, request) is None
    for odd in ({"prompt": [1, 2]}, {"prompt": ["a", "b"]}, {"prompt": "a", "suffix": "c"}, {}):
        with pytest.raises(NoChatError, match="unreadable"):
            chat_request("completions", odd)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["message", "function_call", "user", "assistant", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "input", "output", "text", "tools", "prompt", "choices", "call_id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(["responses", "completions"]), JSON)
def test_whatever_it_is_nothing_else_raises(endpoint, value):
    for read in (lambda: chat_request(endpoint, value), lambda: chat_answer(endpoint, value, {"prompt": "x"})):
        with suppress(NoChatError):
            assert isinstance(read(), (dict, type(None)))
