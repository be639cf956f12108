"""Answers of the swapped clients: the SDK's own, with an id that nothing but a reader of it can see."""

from __future__ import annotations

import copy
import pickle
import uuid

import openai
import pytest
from provider import MESSAGES, completion, experiment, records

import logos_shift_openai as ours

SYNC = [ours.OpenAI, ours.AzureOpenAI]
ASYNC = [ours.AsyncOpenAI, ours.AsyncAzureOpenAI]


def plain_of(kind):
    return getattr(openai, kind.__name__)


@pytest.mark.parametrize("kind", SYNC)
def test_answer_is_the_same(provider, home, kind):
    """An answer has the type, dump, equality and repr of the plain client's, and an id of ours."""
    plain = provider.client(plain_of(kind)).chat.completions.create(model="m", messages=MESSAGES)
    answer = provider.client(kind).chat.completions.create(model="m", messages=MESSAGES)
    assert type(answer) is type(plain)
    assert answer == plain
    assert answer.model_dump() == plain.model_dump()
    assert answer.model_dump_json() == plain.model_dump_json()
    assert repr(answer) == repr(plain)
    assert answer._request_id == plain._request_id
    assert uuid.UUID(answer.logos_shift_id).version == 7
    assert provider.seen[0].content == provider.seen[1].content
    assert provider.seen[0].url == provider.seen[1].url
    differing = {"x-stainless-read-timeout", "x-stainless-retry-count"}
    assert {n: v for n, v in provider.headers(0).items() if n not in differing} == {
        n: v for n, v in provider.headers(1).items() if n not in differing
    }
    for twin in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer), copy.copy(answer), answer.model_copy()):
        assert twin == plain
        assert twin.logos_shift_id == answer.logos_shift_id


@pytest.mark.parametrize("kind", ASYNC)
async def test_async_answer_is_the_same(provider, home, kind):
    """The same of the asynchronous clients."""
    async with provider.client(plain_of(kind)) as client:
        plain = await client.chat.completions.create(model="m", messages=MESSAGES)
    async with provider.client(kind) as client:
        answer = await client.chat.completions.create(model="m", messages=MESSAGES)
    assert type(answer) is type(plain)
    assert answer == plain
    assert answer.model_dump() == plain.model_dump()
    assert answer.logos_shift_id
    (record,) = records(home)
    assert record["id"] == answer.logos_shift_id
    assert record["provider_id"] == "chatcmpl-1"


def test_record_of_a_call(provider, home):
    """A record holds the body as asked, the answer as given, times and the why, and nothing secret."""
    answer = provider.client().chat.completions.create(
        model="m", messages=MESSAGES, temperature=0.5, extra_body={"x": 1}, extra_headers={"X-Secret": "hidden-header"}
    )
    (record,) = records(home)
    assert record["request"] == {"model": "m", "messages": MESSAGES, "temperature": 0.5, "x": 1}
    assert record["response"] == completion()
    assert record["id"] == answer.logos_shift_id
    assert record["complete"] is True
    assert record["why"] == "no experiment is configured"
    assert record["duration_ms"] > 0
    text = str(record)
    assert "sk-secret" not in text
    assert "hidden-header" not in text


def test_request_is_a_snapshot(provider, home):
    """What the caller changes after the call does not reach the record."""
    messages = [dict(message) for message in MESSAGES]
    answer = provider.client().chat.completions.create(model="m", messages=messages)
    messages.append({"role": "user", "content": "later"})
    messages[0]["content"] = "changed"
    answer.choices[0].message.content = "changed"
    (record,) = records(home)
    assert record["request"]["messages"] == MESSAGES
    assert record["response"]["choices"][0]["message"]["content"] == "Hi there"


def test_one_shot_messages(provider, home):
    """Messages that can be read only once arrive at the candidate and, after its failure, at the baseline."""
    experiment(home)
    provider.answer("cheap", 500)
    answer = provider.client().chat.completions.create(model="m", messages=(dict(m) for m in MESSAGES))
    assert answer.model == "m"
    assert provider.models() == ["cheap", "m"]
    assert provider.body(0)["messages"] == provider.body(1)["messages"] == MESSAGES


def test_parse(provider, home):
    """What `parse` gives back carries the id; the record has the answer as the API gave it."""
    from pydantic import BaseModel

    class Greeting(BaseModel):
        text: str

    provider.answer("m", body=completion(content='{"text":"hi"}'))
    client = provider.client()
    completions = client.chat.completions if hasattr(client.chat.completions, "parse") else client.beta.chat.completions
    answer = completions.parse(model="m", messages=MESSAGES, response_format=Greeting)
    assert answer.choices[0].message.parsed == Greeting(text="hi")
    (record,) = records(home)
    assert record["id"] == answer.logos_shift_id
    assert record["response"] == completion(content='{"text":"hi"}')


def test_parse_that_fails(provider, home):
    """An answer cut for length raises the SDK's own error from `parse`, and is recorded with its id."""
    from pydantic import BaseModel

    class Greeting(BaseModel):
        text: str

    body = completion(content='{"te')
    body["choices"][0]["finish_reason"] = "length"
    provider.answer("m", body=body)
    with pytest.raises(openai.LengthFinishReasonError) as caught:
        provider.client().beta.chat.completions.parse(model="m", messages=MESSAGES, response_format=Greeting)
    (record,) = records(home)
    assert caught.value.logos_shift_id == record["id"]
    assert record["response"] == body
    assert record["error"]["type"] == "LengthFinishReasonError"


def test_raw_response(provider, home):
    """A raw response has the id, and so has what it parses to."""
    raw = provider.client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.headers["x-request-id"] == "req_1"
    assert raw.parse().logos_shift_id == raw.logos_shift_id
    (record,) = records(home)
    assert record["id"] == raw.logos_shift_id
    assert record["response"] == completion()


def test_streaming_response(provider, home):
    """A response that is read later is recorded whole, however it is read."""
    client = provider.client()
    ids = []
    with client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        ids.append(response.logos_shift_id)
        assert response.parse().logos_shift_id == response.logos_shift_id
    with client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        ids.append(response.logos_shift_id)
        assert b"".join(response.iter_bytes())
    provider.answer("m", pieces=[b"{"])
    with client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        ids.append(response.logos_shift_id)
    first, second, unread = records(home)
    assert [first["id"], second["id"], unread["id"]] == ids
    assert first["response"] == second["response"] == completion()
    assert first["complete"] is second["complete"] is True
    assert unread["complete"] is False


async def test_async_raw_and_streaming_response(provider, home):
    """The same, asynchronously."""
    client = provider.client(ours.AsyncOpenAI)
    raw = await client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.parse().logos_shift_id == raw.logos_shift_id
    async with client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        assert (await response.parse()).logos_shift_id == response.logos_shift_id
    first, second = records(home)
    assert first["response"] == second["response"] == completion()
    assert first["complete"] is second["complete"] is True


def test_errors_carry_the_id(provider, home):
    """An error of the API is the SDK's own, with the id of its record."""
    provider.answer("m", 429, message="slow down")
    with pytest.raises(openai.RateLimitError, match="slow down") as caught:
        provider.client().chat.completions.create(model="m", messages=MESSAGES)
    (record,) = records(home)
    assert record["id"] == caught.value.logos_shift_id
    assert record["error"]["type"] == "RateLimitError"
    assert record["error"]["status"] == 429
    assert record["complete"] is False


def test_other_endpoints(provider, home):
    """Embeddings are recorded without their vectors; legacy completions and responses are recorded whole."""
    client = provider.client()
    provider.answer(
        "emb",
        body={
            "object": "list",
            "model": "emb",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5] * 8}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        },
    )
    vectors = client.embeddings.create(model="emb", input="text", encoding_format="float")
    assert vectors.data[0].embedding == [0.5] * 8
    old = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "old",
        "choices": [{"index": 0, "text": "x", "finish_reason": "stop", "logprobs": None}],
    }
    provider.answer("old", body=old)
    assert client.completions.create(model="old", prompt="p").logos_shift_id
    new = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "new",
        "status": "completed",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "hey", "annotations": []}],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    provider.answer("new", body=new)
    answer = client.responses.create(model="new", input="hello")
    assert answer.output_text == "hey"
    embedded, legacy, response = records(home)
    assert (embedded["endpoint"], legacy["endpoint"], response["endpoint"]) == (
        "embeddings",
        "completions",
        "responses",
    )
    assert embedded["response"]["data"][0]["embedding"] == "[embedding of 8 numbers]"
    assert legacy["response"] == old
    assert response["response"] == new
    assert response["provider_id"] == "resp_1"
    assert response["id"] == answer.logos_shift_id


def test_what_is_no_call_passes(provider, home):
    """Requests that are no calls to a model leave no record."""
    provider.answer(None, body={"object": "list", "data": []})
    assert provider.client().models.list().data == []
    assert records(home) == []


def test_own_types(provider, home):
    """A caller who asks for a dict or bytes gets just that."""
    client = provider.client()
    body = {"model": "m", "messages": MESSAGES}
    assert client.post("/chat/completions", body=body, cast_to=dict[str, object])["id"] == "chatcmpl-1"
    assert client.post("/chat/completions", body=body, cast_to=object) == completion()
    first, second = records(home)
    assert first["response"] == second["response"] == completion()
