"""What an attempt used whose answer nobody got: it is paid for, so it stands in the record, where the provider said it."""

from __future__ import annotations

import json

import pytest
from provider import MESSAGES, chunk, completion, experiment, httpx, records, sse

import logos_shift_openai as ours

USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 20,
    "total_tokens": 50,
    "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 0},
}
COUNTS = {"prompt_tokens": 30, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 10}}
NO_ANSWER = {**completion("cheap"), "choices": None, "usage": USAGE}
STRICT = {
    "type": "function",
    "function": {"name": "f", "strict": True, "parameters": {"type": "object", "properties": {}}},
}


def tried(home):
    """Read the attempts of the one record, whose answer is the baseline's."""
    (record,) = records(home)
    assert record["served"] == "baseline"
    assert record["response"]["model"] == "m"
    return record["attempts"]


def test_an_answer_without_a_choice(provider, home):
    """Parsed: the counts of its usage, and nothing else that stood there; the baseline's attempt has its answer's."""
    experiment(home)
    provider.answer("cheap", body=NO_ANSWER)
    answer = provider.client().chat.completions.create(model="m", messages=MESSAGES)
    assert answer.model == "m"
    first, second = tried(home)
    assert (first["error"]["type"], first["usage"]) == ("NoAnswerError", COUNTS)
    assert "usage" not in second


def test_a_raw_answer_without_a_choice(provider, home):
    """Of the bytes that are there already."""
    experiment(home)
    provider.answer("cheap", body=NO_ANSWER)
    raw = provider.client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.parse().model == "m"
    assert tried(home)[0]["usage"] == COUNTS


async def test_asynchronous_answers_without_a_choice(provider, home):
    """Parsed and raw."""
    experiment(home)
    provider.answer("cheap", body=NO_ANSWER)
    completions = provider.client(ours.AsyncOpenAI).chat.completions
    assert (await completions.create(model="m", messages=MESSAGES)).model == "m"
    assert (await completions.with_raw_response.create(model="m", messages=MESSAGES)).parse().model == "m"
    assert [one["attempts"][0]["usage"] for one in records(home)] == [COUNTS] * 2


def test_an_answer_that_the_sdk_cannot_read(provider, home):
    """Arguments that are no JSON where they must be: the record has the baseline's answer, and what the first one used."""
    experiment(home)
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{broken"}}
    body = {**completion("cheap", None, tool_calls=[call]), "usage": USAGE}
    provider.answer("cheap", body=body)
    completions = provider.client().chat.completions
    parse = (completions if hasattr(completions, "parse") else provider.client().beta.chat.completions).parse
    assert parse(model="m", messages=MESSAGES, tools=[STRICT]).model == "m"
    first, _second = tried(home)
    assert (first["error"]["type"], first["usage"]) == ("JSONDecodeError", COUNTS)


@pytest.mark.parametrize("after", [True, False], ids=["after its usage", "before it"])
def test_a_stream_that_breaks_while_it_is_held(provider, home, after):
    """Nothing of it has reached the caller; what it used is known if that had come."""
    experiment(home, change={"gate": {"least": 0.9}})
    events = [chunk({"content": "x"}, model="cheap"), {**chunk({}, model="cheap"), "choices": [], "usage": USAGE}]
    pieces = [sse([one], done=False) for one in (events if after else events[:1])]
    provider.answer("cheap", pieces=pieces, error=httpx.ReadError("cut"))
    stream = provider.client().chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert {one.model for one in stream} == {"m"}
    assert tried(home)[0].get("usage") == (COUNTS if after else None)


def test_an_answer_that_a_gate_held_back_is_told_by_the_gate_alone(provider, home):
    """So that no reader counts it twice."""
    experiment(home, change={"gate": {"least": 0.9}})
    provider.answer("cheap", body={**completion("cheap"), "usage": USAGE})
    provider.client().chat.completions.create(model="m", messages=MESSAGES)
    (record,) = records(home)
    assert record["gate"]["usage"] == {"prompt_tokens": 30, "completion_tokens": 20}
    assert "usage" not in record["attempts"][0]


@pytest.mark.parametrize("usage", [None, "none", [], {"prompt_tokens": "30"}, {"prompt_tokens": -1, "note": "secret"}])
def test_a_usage_without_counts_is_none(provider, home, usage):
    """Whatever a provider puts there costs no record and gets into none."""
    experiment(home)
    body = json.loads(json.dumps({**NO_ANSWER, "usage": usage}))
    provider.answer("cheap", body=body)
    provider.client().chat.completions.create(model="m", messages=MESSAGES)
    provider.client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert ["usage" in one["attempts"][0] for one in records(home)] == [False] * 2
