"""Chat completions over real HTTP, through the official SDK."""

from __future__ import annotations

import http.client
import json
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest

from logos_shift_openai.lab import Lab, data

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk

ASK = [{"role": "user", "content": "How do I activate my card?"}]


def text_of(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    deltas = [c for chunk in chunks for c in chunk.choices if c.index == index]
    return "".join(choice.delta.content or "" for choice in deltas)


def test_the_oracle_answers_with_a_label_and_usage(client: openai.OpenAI) -> None:
    """A whole answer has OpenAI's shape, and its usage adds up."""
    answer = client.chat.completions.create(model="oracle-large", messages=ASK)
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == "oracle-large"
    assert answer.choices[0].message.content in data.labels()
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].logprobs is None
    assert answer.usage is not None
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == answer.usage.total_tokens
    assert answer.usage.completion_tokens == 3


def test_the_oracle_is_right_nineteen_times_of_twenty(client: openai.OpenAI) -> None:
    """Over the held-out rows its share of right answers lies near .95."""
    rows = data.rows("test")
    right = 0
    for text, intent in rows:
        messages = [{"role": "user", "content": text}]
        answer = client.chat.completions.create(model="oracle-large", messages=messages)
        right += answer.choices[0].message.content == intent
    assert 0.90 <= right / len(rows) < 1.0


def test_a_stream_gives_the_same_answer_in_pieces(client: openai.OpenAI) -> None:
    """Role first, tokens next, then the reason for the end; no usage unless it was asked for."""
    whole = client.chat.completions.create(model="oracle-large", messages=ASK)
    chunks = list(client.chat.completions.create(model="oracle-large", messages=ASK, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert text_of(chunks) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_ends_with_the_usage_if_asked(client: openai.OpenAI) -> None:
    """The last chunk has no choice and the same usage as the whole answer; the others have none."""
    options: dict[str, Any] = {"model": "oracle-large", "messages": ASK}
    whole = client.chat.completions.create(**options)
    stream = client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True})
    *others, last = list(stream)
    assert last.choices == []
    assert last.usage == whole.usage
    assert all(chunk.usage is None for chunk in others)


def test_logprobs_are_those_of_the_model(client: openai.OpenAI) -> None:
    """The oracle's tokens multiply to its .95, and the likeliest tokens are as many as asked, in order."""
    answer = client.chat.completions.create(model="oracle-large", messages=ASK, logprobs=True, top_logprobs=5)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert "".join(token.token for token in logprobs.content) == answer.choices[0].message.content
    assert math.isclose(math.exp(sum(token.logprob for token in logprobs.content)), 0.95)
    likeliest = logprobs.content[0].top_logprobs
    assert len(likeliest) == 5
    assert likeliest == sorted(likeliest, key=lambda token: -token.logprob)
    assert bytes(likeliest[0].bytes or []) == likeliest[0].token.encode()


def test_streamed_logprobs_are_the_same(client: openai.OpenAI) -> None:
    """Chunk by chunk they are those of the whole answer."""
    options: dict[str, Any] = {
        "model": "oracle-large",
        "messages": ASK,
        "logprobs": True,
        "top_logprobs": 2,
    }
    whole = client.chat.completions.create(**options).choices[0].logprobs
    parts = [c.choices[0].logprobs for c in client.chat.completions.create(**options, stream=True)]
    assert whole is not None
    assert [token for part in parts if part for token in part.content or []] == whole.content


def test_several_choices(client: openai.OpenAI, system: dict[str, str]) -> None:
    """As many choices come back as asked, the first the likeliest, the others drawn the same way for the same seed."""
    ask = [system, {"role": "user", "content": "hm"}]
    options: dict[str, Any] = {"model": "tiny-base", "messages": ask, "n": 12, "seed": 4}
    first = client.chat.completions.create(**options)
    contents = [choice.message.content for choice in first.choices]
    assert [choice.index for choice in first.choices] == list(range(12))
    assert len(set(contents)) > 1
    chunks = list(client.chat.completions.create(**options, stream=True))
    assert [text_of(chunks, index) for index in range(12)] == contents
    cold = client.chat.completions.create(**options, temperature=0)
    assert {choice.message.content for choice in cold.choices} == {contents[0]}


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_an_answer_is_cut_at_its_limit(client: openai.OpenAI, limit: str) -> None:
    """The finish reason says so, and the usage counts what was given."""
    options: dict[str, Any] = {"model": "oracle-large", "messages": ASK, limit: 2}
    answer = client.chat.completions.create(**options)
    assert answer.choices[0].message.content == "activate_my"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2
    exact = client.chat.completions.create(**{**options, limit: 3})
    assert exact.choices[0].finish_reason == "stop"


def test_an_answer_stops_at_a_stop_word(client: openai.OpenAI) -> None:
    """What stands before the earliest stop sequence is the answer."""
    answer = client.chat.completions.create(model="oracle-large", messages=ASK, stop=["_card", "_my"])
    assert answer.choices[0].message.content == "activate"
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"content": "a"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": "a"}, "messages", "invalid_type"),
        ({"top_logprobs": 2}, "top_logprobs", None),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
        ({"temperature": 3}, "temperature", "decimal_out_of_range"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": "two"}, "n", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"extra_body": {"dataset": "sales"}}, "dataset", "unknown_parameter"),
    ],
)
def test_wrong_requests_are_refused_as_openai_would(
    client: openai.OpenAI, change: dict[str, Any], param: str, code: str | None
) -> None:
    """A 400 names the parameter at fault."""
    options: dict[str, Any] = {"model": "oracle-large", "messages": ASK, **change}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**options)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.type == "invalid_request_error"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    """404 with OpenAI's code and words."""
    with pytest.raises(openai.NotFoundError, match="`gpt-9` does not exist") as caught:
        client.chat.completions.create(model="gpt-9", messages=ASK)
    assert caught.value.code == "model_not_found"


def test_an_unknown_path_and_method_are_refused(client: openai.OpenAI) -> None:
    """Errors have OpenAI's shape there too, and the connection stays usable."""
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        client.embeddings.create(model="tiny-base", input="a")
    with pytest.raises(openai.APIStatusError) as caught:
        client.delete("/chat/completions", cast_to=object)
    assert caught.value.status_code == 405
    assert client.models.retrieve("tiny-base").id == "tiny-base"


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 5000, b"[1]"])
def test_a_body_that_is_no_json_object_is_refused(lab: Lab, body: bytes) -> None:
    """400 in OpenAI's shape, not a crash, and the connection stays usable."""
    connection = http.client.HTTPConnection("127.0.0.1", int(lab.url.rpartition(":")[2]))
    for _ in range(2):
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 400
        assert json.load(answer)["error"]["type"] == "invalid_request_error"
    connection.close()


async def test_the_asynchronous_client_works_alike(lab: Lab) -> None:
    """Whole and streamed, through AsyncOpenAI."""
    async with openai.AsyncOpenAI(base_url=lab.base_url, api_key="any", max_retries=0) as client:
        whole = await client.chat.completions.create(model="oracle-large", messages=ASK)
        stream = await client.chat.completions.create(model="oracle-large", messages=ASK, stream=True)
        assert text_of([chunk async for chunk in stream]) == whole.choices[0].message.content


def test_azure_paths_work(lab: Lab) -> None:
    """A deployment's path leads to the model of that name."""
    with openai.AzureOpenAI(azure_endpoint=lab.url, api_key="any", api_version="2024-10-21", max_retries=0) as client:
        answer = client.chat.completions.create(model="oracle-large", messages=ASK)
    assert answer.choices[0].message.content == "activate_my_card"


def test_raw_answers_carry_a_request_id(client: openai.OpenAI) -> None:
    """Headers that tools look for are there."""
    raw = client.chat.completions.with_raw_response.create(model="oracle-large", messages=ASK)
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["openai-processing-ms"].isdecimal()


def test_what_arrives_is_kept_without_the_key(lab: Lab, client: openai.OpenAI) -> None:
    """The log has path, headers and body of each request; no credentials anywhere in it."""
    client.chat.completions.create(model="oracle-large", messages=ASK, extra_headers={"x-own": "yes"})
    seen = lab.requests[-1]
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.headers["x-own"] == "yes"
    assert seen.body == {"model": "oracle-large", "messages": ASK}
    assert "sk-never-kept" not in repr(list(lab.requests))
    lab.requests.clear()
    assert len(lab.requests) == 0


def test_many_calls_at_once_each_get_their_own_answer(client: openai.OpenAI) -> None:
    """Sixteen threads, two hundred calls: every answer belongs to its question."""
    rows = data.rows("test")

    def ask(text: str) -> str | None:
        messages = [{"role": "user", "content": text}]
        return client.chat.completions.create(model="oracle-large", messages=messages).choices[0].message.content

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, [text for text, _ in rows]))
    assert answers == [ask(text) for text, _ in rows]


def test_thinking_takes_as_long_as_the_model_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated latency is per text within a third of the mean, and a tenth of it for the small model."""
    waited: list[float] = []
    with Lab(latency=0.03) as lab, openai.OpenAI(base_url=lab.base_url, api_key="any") as client:
        monkeypatch.setattr(lab._service.stopping, "wait", lambda s: waited.append(s) and False)
        for _ in range(2):
            client.chat.completions.create(model="oracle-large", messages=ASK)
        client.chat.completions.create(model="tiny-base", messages=ASK)
        list(client.chat.completions.create(model="oracle-large", messages=ASK, stream=True))
        monkeypatch.undo()
    large, again, small, *streamed = waited
    assert large == again
    assert 0.02 <= large <= 0.04
    assert math.isclose(small, large / 10)
    assert math.isclose(sum(streamed), large)
    assert streamed[0] > sum(streamed) / 2
