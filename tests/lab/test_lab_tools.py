"""Calls of functions and JSON answers over real HTTP, through the official SDK: what is asked for is what comes."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import openai
import pydantic
import pytest

from logos_shift_openai.core.checking import check
from logos_shift_openai.lab import Call, Lab
from logos_shift_openai.lab.guess import least

if TYPE_CHECKING:
    from collections.abc import Iterator

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
INTENTS = {
    "type": "object",
    "properties": {"intents": {"type": "array", "items": {"type": "string"}}, "date": {"type": "string"}},
    "required": ["intents"],
    "additionalProperties": False,
}
BOTH = [Call("weather", '{"city": "Rome", "days": 3}'), Call("clock", '{"city": "Rome"}')]
ROWS: Any = [
    ("What will the weather be in Rome for 3 days?", BOTH[0]),
    ("Weather and time in Rome, for 3 days?", BOTH),
    ("Move it to Friday", '{"intents": ["change"], "date": "Friday"}'),
    ("Hello", "greet"),
]


def tool(name: str, parameters: object = None, **more: object) -> Any:
    return {"type": "function", "function": {"name": name, "parameters": parameters or WEATHER, **more}}


TOOLS = [tool("weather", description="The weather of the next days"), tool("clock"), tool("mail")]
JSON_OBJECT: Any = {"type": "json_object"}


def schema(of: object) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": of}}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(latency=0, accuracy=1.0, rows=ROWS) as running:
        yield running


def ask(client: openai.OpenAI, text: str, **options: Any) -> Any:
    messages = [{"role": "system", "content": "Answer in JSON."}, {"role": "user", "content": text}]
    return client.chat.completions.create(**{"model": "oracle-large", "messages": messages, **options})


def called(answer: Any) -> list[tuple[str, Any]]:
    calls = answer.choices[0].message.tool_calls or []
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls]


def test_a_call_comes_as_openai_sends_it(client: openai.OpenAI) -> None:
    """No content, one call with an id, its own finish reason, no logprobs even if asked, and tokens that are counted."""
    answer = ask(client, ROWS[0][0], tools=TOOLS, logprobs=True, top_logprobs=3)
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason, choice.logprobs) == (None, "tool_calls", None)
    assert choice.message.tool_calls[0].id.startswith("call_")
    assert called(answer) == [("weather", {"city": "Rome", "days": 3})]
    assert answer.usage.completion_tokens > 5


def test_several_calls_come_in_one_answer_unless_forbidden(client: openai.OpenAI) -> None:
    """Two calls with different ids; with ``parallel_tool_calls`` off only the first."""
    answer = ask(client, ROWS[1][0], tools=TOOLS)
    assert [name for name, _ in called(answer)] == ["weather", "clock"]
    assert len({call.id for call in answer.choices[0].message.tool_calls}) == 2
    assert [name for name, _ in called(ask(client, ROWS[1][0], tools=TOOLS, parallel_tool_calls=False))] == ["weather"]


def test_streamed_calls_add_up_to_the_whole_ones(client: openai.OpenAI) -> None:
    """The SDK's own stream helper puts the same calls together; each head comes once, arguments in pieces."""
    whole = ask(client, ROWS[1][0], tools=TOOLS)
    chunks = list(ask(client, ROWS[1][0], tools=TOOLS, stream=True))
    heads = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or [] if call.id]
    assert [(head.index, head.function.name) for head in heads] == [(0, "weather"), (1, "clock")]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    assert len(chunks) > 10
    with client.chat.completions.stream(
        model="oracle-large",
        messages=[{"role": "user", "content": ROWS[1][0]}],
        tools=TOOLS,
    ) as stream:
        final = stream.get_final_completion()
    assert called(final) == called(whole)


def test_a_function_that_is_not_offered_is_never_called(client: openai.OpenAI) -> None:
    """Without it, with ``tool_choice`` none, or with no tools at all, a text comes."""
    for options in ({"tools": TOOLS[1:]}, {"tools": TOOLS, "tool_choice": "none"}, {}):
        answer = ask(client, ROWS[0][0], **options)
        assert (called(answer), answer.choices[0].finish_reason) == ([], "stop")
        assert answer.choices[0].message.content
    allowed = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "mail"}}]}
    choice: Any = {"type": "allowed_tools", "allowed_tools": allowed}
    assert called(ask(client, ROWS[0][0], tools=TOOLS, tool_choice=choice)) == []


@pytest.mark.parametrize("model", ["oracle-large", "tiny-base"])
def test_a_call_is_made_where_one_must_be(client: openai.OpenAI, model: str) -> None:
    """Required, or by name, even where the model would say something else; the named one ends with "stop"."""
    required = ask(client, "Hello", tools=TOOLS, tool_choice="required", model=model)
    assert len(called(required)) == 1
    assert required.choices[0].finish_reason == "tool_calls"
    named: Any = {"type": "function", "function": {"name": "mail"}}
    answer = ask(client, "Hello, 7 mails for Ann", tools=TOOLS, tool_choice=named, model=model)
    ((name, arguments),) = called(answer)
    assert (name, arguments["days"], answer.choices[0].finish_reason) == ("mail", 7, "stop")


def test_the_untuned_small_model_guesses_a_call(client: openai.OpenAI) -> None:
    """It takes the function that shares most words with the question, and the first pieces that fit."""
    answer = ask(client, "The weather of the next 4 days?", tools=TOOLS, model="tiny-base")
    assert called(answer) == [("weather", {"city": "The", "days": 4})]


def test_a_result_of_a_tool_is_answered_not_called_for_again(client: openai.OpenAI) -> None:
    """The round of an agent ends: call, result, text."""
    messages: list[Any] = [{"role": "user", "content": ROWS[0][0]}]
    first = client.chat.completions.create(model="oracle-large", messages=messages, tools=TOOLS).choices[0].message
    assert first.tool_calls
    messages += [first, {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "Sunny"}]
    answer = client.chat.completions.create(model="oracle-large", messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content == "Sunny"


def test_a_call_is_cut_at_its_limit(client: openai.OpenAI) -> None:
    """The arguments end early, and the reason says so."""
    answer = ask(client, ROWS[0][0], tools=TOOLS, max_completion_tokens=4)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 4
    with pytest.raises(json.JSONDecodeError):
        called(answer)


def test_json_answers_fit_what_was_asked_for(client: openai.OpenAI) -> None:
    """JSON passes as it is, a label goes into the only field, and what cannot fit is the least that does."""
    as_known = ask(client, "Move it to Friday", response_format=schema(INTENTS), logprobs=True)
    assert as_known.choices[0].message.content == ROWS[2][1]
    assert as_known.choices[0].logprobs.content
    assert json.loads(ask(client, "Move it to Friday", response_format=JSON_OBJECT).choices[0].message.content)
    one = {"type": "object", "properties": {"intent": {"enum": ["greet", "bye"]}}, "required": ["intent"]}
    assert ask(client, "Hello", response_format=schema(one)).choices[0].message.content == '{"intent": "greet"}'
    assert ask(client, "Hello", response_format=JSON_OBJECT).choices[0].message.content == '{"answer": "greet"}'
    assert ask(client, "Hello", response_format=schema(INTENTS)).choices[0].message.content == '{"intents": []}'
    assert ask(client, "Hello", response_format={"type": "text"}).choices[0].message.content == "greet"


def test_the_sdks_own_parsing_works(client: openai.OpenAI) -> None:
    """A pydantic model as response format is filled."""

    class Move(pydantic.BaseModel):
        intents: list[str]
        date: str

    messages: Any = [{"role": "user", "content": "Move it to Friday"}]
    parsed = client.chat.completions.parse(model="oracle-large", messages=messages, response_format=Move)
    assert parsed.choices[0].message.parsed == Move(intents=["change"], date="Friday")


def test_what_comes_is_valid_by_our_own_check(client: openai.OpenAI) -> None:
    """Every kind of answer passes the check that recorded calls are held against."""
    for text, options in (
        (ROWS[0][0], {"tools": TOOLS}),
        (ROWS[1][0], {"tools": [tool(one, strict=True) for one in ("weather", "clock")], "tool_choice": "required"}),
        ("Hello", {"tools": TOOLS, "tool_choice": "required"}),
        ("Move it to Friday", {"response_format": schema(INTENTS)}),
        ("Hello", {"response_format": schema(INTENTS)}),
    ):
        found = check(options, ask(client, text, **options).model_dump(mode="json"))
        valid = text != ROWS[1][0]  # its second call lacks an argument that the strict schema requires
        assert (found.valid, found.refused, found.cut) == (valid, False, False), (text, options)


def test_json_has_the_oracles_odds(client: openai.OpenAI) -> None:
    """With the accuracy at .9 the logprobs of a JSON answer add up to it."""
    with Lab(latency=0, accuracy=0.9, rows=ROWS) as lab, openai.OpenAI(base_url=lab.base_url, api_key="x") as other:
        answer = ask(other, "Move it to Friday", logprobs=True)
    assert answer.choices[0].message.content == ROWS[2][1]
    total = sum(token.logprob for token in answer.choices[0].logprobs.content)
    assert math.isclose(math.exp(total), 0.9)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tools": []}, "tools"),
        ({"tools": [tool("a")] * 129}, "tools"),
        ({"tools": [{"type": "robot"}]}, "tools[0].type"),
        ({"tools": [{"function": {}}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [tool("math.gcd")]}, "tools[0].function.name"),
        ({"tools": [tool("a" * 65)]}, "tools[0].function.name"),
        ({"tools": [tool("a", {"type": "dict"})]}, "tools[0].function.parameters"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls"),
        ({"tools": TOOLS, "tool_choice": "always"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        ({"response_format": JSON_OBJECT, "messages": [{"role": "user", "content": "Hi"}]}, "messages"),
    ],
)
def test_wrong_tools_and_formats_are_refused(client: openai.OpenAI, change: dict[str, Any], param: str) -> None:
    """A 400 names the parameter at fault."""
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "Hello", **change)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ({"type": "object"}, {}),
        ({"required": ["a"], "properties": {"a": {"type": ["string", "null"]}}}, {"a": ""}),
        ({"anyOf": [{"const": 3}, {"type": "string"}]}, 3),
        ({"type": "integer", "minimum": 2}, 2),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"enum": ["x", "y"]}}}, "x"),
        ({"$ref": "#"}, None),
    ],
)
def test_the_least_value_of_a_schema(said: object, value: object) -> None:
    """Required fields only, first of a choice, and a schema that never ends is given up."""
    assert least(said, said) == value
