"""The confidence gate as a caller meets it: sure answers are the candidate's, others the baseline's, in every form."""

from __future__ import annotations

import asyncio
import math

import openai
import pytest
from provider import MESSAGES, chunk, completion, experiment, records, sse

import logos_shift_openai as ours

SURE, UNSURE = [0.99, 0.98, 0.97], [0.99, 0.3, 0.97]


def tokens(chances):
    return {
        "content": [{"token": "x", "logprob": math.log(one), "bytes": None, "top_logprobs": []} for one in chances],
        "refusal": None,
    }


def told(chances):
    answer = completion("cheap")
    answer["choices"][0]["logprobs"] = chances and tokens(chances)
    return answer


def pieces(chances):
    yield sse([chunk({"role": "assistant", "content": ""}, model="cheap")], done=False)
    for one in chances:
        event = chunk({"content": "x"}, model="cheap")
        event["choices"][0]["logprobs"] = tokens([one])
        yield sse([event], done=False)
    yield sse([chunk({}, "stop", model="cheap")], done=False)
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    yield sse([{**chunk({}, model="cheap"), "choices": [], "usage": usage}])


def gate(home, **more):
    experiment(home, change={"gate": {"least": 0.9, **more.pop("gate", {})}}, **more)


def ask(client, **more):
    return client.chat.completions.create(model="m", messages=MESSAGES, **more)


def test_sure_answer_is_the_candidates(provider, home):
    """The candidate is asked for log-probabilities; the caller, who did not ask, sees none; the record says how sure."""
    gate(home)
    provider.answer("cheap", body=told(SURE))
    answer = ask(provider.client())
    assert (answer.model, answer.choices[0].logprobs) == ("cheap", None)
    assert provider.body()["logprobs"] is True
    (record,) = records(home)
    assert record["gate"]["passed"] is True
    assert record["gate"]["mean"] == pytest.approx(math.prod(SURE) ** (1 / 3))
    assert record["response"]["choices"][0]["logprobs"] is None
    assert "logprobs" not in record["request"]


@pytest.mark.parametrize("chances", [UNSURE, None, []])
@pytest.mark.parametrize("fallback", [True, False])
def test_unsure_answer_is_the_baselines(provider, home, chances, fallback):
    """Unsure, or with nothing told, the baseline answers, whether failures fall back or not; the breaker stays calm."""
    gate(home, fallback={"enabled": fallback})
    provider.answer("cheap", body=told(chances))
    client = provider.client()
    for _ in range(8):
        assert ask(client).model == "m"
    assert provider.models() == ["cheap", "m"] * 8
    assert "logprobs" not in provider.body()
    record = records(home)[-1]
    assert (record["assigned"], record["served"], record["gate"]["passed"]) == ("candidate", "baseline", False)
    assert record["gate"]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2}
    assert (record["gate"]["model"], record["gate"]["provider"]) == ("cheap", None)
    assert [one["error"] and one["error"]["type"] for one in record["attempts"]] == ["NotSureError", None]
    assert record.get("error") is None


@pytest.mark.parametrize(("by", "model"), [("mean", "cheap"), ("least", "m"), ("sequence", "m")])
def test_kinds_of_confidence(provider, home, by, model):
    gate(home, gate={"least": 0.8, "by": by})
    provider.answer("cheap", body=told([0.99, 0.7, 0.99]))
    assert ask(provider.client()).model == model


def test_asked_log_probabilities_stay(provider, home):
    gate(home)
    provider.answer("cheap", body=told(SURE))
    answer = ask(provider.client(), logprobs=True)
    assert len(answer.choices[0].logprobs.content) == 3
    assert records(home)[0]["response"]["choices"][0]["logprobs"] is not None


def test_least_sure_choice_counts(provider, home):
    gate(home)
    body = told(SURE)
    body["choices"].append({**told(UNSURE)["choices"][0], "index": 1})
    provider.answer("cheap", body=body)
    assert ask(provider.client(), n=2).model == "m"


@pytest.mark.parametrize(("chances", "model"), [(SURE, "cheap"), (UNSURE, "m")])
@pytest.mark.parametrize("fallback", [True, False])
def test_stream(provider, home, chances, model, fallback):
    """A stream is held until its end; one that does not pass is the baseline's from its first chunk on."""
    gate(home, fallback={"enabled": fallback})
    provider.answer("cheap", pieces=list(pieces(chances)))
    stream = ask(provider.client(), stream=True)
    assert isinstance(stream, openai.Stream)
    found = list(stream)
    assert {one.model for one in found} == {model}
    assert all(one.logos_shift_id == stream.logos_shift_id for one in found)
    assert all(choice.logprobs is None for one in found for choice in one.choices)
    assert all(one.closed for one in provider.streams)
    (record,) = records(home)
    assert record["complete"] is True
    assert record["served"] == ("candidate" if model == "cheap" else "baseline")
    assert record["response"]["choices"][0]["logprobs"] is None
    assert record["gate"]["passed"] is (model == "cheap")
    assert ("usage" in record["gate"]) is (model != "cheap")


@pytest.mark.parametrize(("chances", "model"), [(SURE, "cheap"), (UNSURE, "m")])
def test_asynchronous(provider, home, chances, model):
    async def both():
        client = provider.client(ours.AsyncOpenAI)
        provider.answer("cheap", body=told(chances))
        plain = await ask(client)
        provider.answer("cheap", pieces=list(pieces(chances)))
        stream = await ask(client, stream=True)
        assert isinstance(stream, openai.AsyncStream)
        return plain.model, {one.model async for one in stream}

    gate(home)
    assert asyncio.run(both()) == (model, {model})
    assert [record["gate"]["passed"] for record in records(home)] == [model == "cheap"] * 2


def test_stream_that_breaks_while_held(provider, home):
    """A candidate's stream that is cut while it is held has given nothing yet: the baseline answers."""
    gate(home)
    provider.answer("cheap", pieces=list(pieces(SURE))[:3], error=openai_connection_error())
    assert {one.model for one in ask(provider.client(), stream=True)} == {"m"}


def openai_connection_error():
    try:
        import httpx2 as httpx
    except ImportError:
        import httpx
    return httpx.ReadError("cut")


def test_parse_and_raw(provider, home):
    """`.parse()` is judged as `create` is; of a raw response nothing can be judged, so it is the baseline's."""
    gate(home)
    client = provider.client()
    provider.answer("cheap", body=told(UNSURE))
    completions = client.chat.completions
    parse = (completions if hasattr(completions, "parse") else client.beta.chat.completions).parse
    assert parse(model="m", messages=MESSAGES).model == "m"
    provider.answer("cheap", body=told(SURE))
    assert parse(model="m", messages=MESSAGES).model == "cheap"
    raw = client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.parse().model == "m"
    record = records(home)[-1]
    assert (record["assigned"], record["served"], record["gate"]) == ("candidate", "baseline", {"passed": False})
    assert "cannot judge" in record["why"]
