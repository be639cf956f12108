# ruff: noqa: B018, TC001, TC002, TC003
"""Chat completions, sync: every overload of create, parse, the stream helper, and where their answers may go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from openai import NOT_GIVEN, Stream, omit
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
    ParsedChatCompletion,
)
from pydantic import BaseModel
from typing_extensions import assert_type

from logos_shift_openai import OpenAI


class Answer(BaseModel):
    city: str


TOOLS: list[ChatCompletionToolParam] = [
    {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
]


def takes_plain(answer: ChatCompletion) -> str | None:
    return answer.choices[0].message.content


def takes_chunks(chunks: Iterable[ChatCompletionChunk]) -> int:
    return sum(1 for _ in chunks)


def takes_stream(stream: Stream[ChatCompletionChunk]) -> None:
    stream.close()


def create(client: OpenAI, flag: bool, messages: list[ChatCompletionMessageParam]) -> ChatCompletion:
    answer = client.chat.completions.create(model="gpt-6.1-sol", messages=messages)
    assert_type(answer.logos_shift_id, str)  # id
    assert_type(answer.choices[0].message.content, str | None)
    assert_type(answer.usage.total_tokens if answer.usage else 0, int)
    takes_plain(answer)
    answer.nothing  # error
    client.chat.completions.create(
        model="gpt-6.1-sol",
        messages=[{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}],
        tools=TOOLS,
        tool_choice="auto",
        temperature=0.1,
        max_completion_tokens=omit,
        stop=["a", "b"],
        response_format={"type": "json_object"},
        metadata={"a": "b"},
        reasoning_effort="low",
        extra_headers={"x": "y"},
        timeout=10.0,
    )
    client.chat.completions.create(model="m", messages=iter(messages), stream=None, n=2, logprobs=True)
    either = client.chat.completions.create(model="m", messages=messages, stream=flag)
    assert_type(either.logos_shift_id, str)  # id
    if isinstance(either, Stream):
        takes_stream(either)
    else:
        takes_plain(either)
    return client.chat.completions.create(model="m", messages=messages)


def wrong(client: OpenAI, messages: list[ChatCompletionMessageParam]) -> None:
    client.chat.completions.create(messages=messages)  # error
    client.chat.completions.create(model="m")  # error
    client.chat.completions.create(model="m", messages=messages, stream="yes")  # error
    client.chat.completions.create(model="m", messages=messages, temperature="hot")  # error
    client.chat.completions.create(model="m", messages=messages, unknown=1)  # error
    client.chat.completions.create(model="m", messages=messages, seed=NOT_GIVEN)  # error
    client.chat.completions.create(model="m", messages=[{"role": "nobody"}])  # error
    client.chat.completions.create("m", messages)  # error
    client.chat.completions.parse(model="m", messages=messages, response_format=3)  # error
    client.chat.completions.parse(model="m")  # error
    client.chat.complete  # error


def streams(client: OpenAI, messages: list[ChatCompletionMessageParam]) -> Iterator[ChatCompletionChunk]:
    stream = client.chat.completions.create(model="m", messages=messages, stream=True)
    assert_type(stream.logos_shift_id, str)  # id
    first = next(stream)
    assert_type(first.logos_shift_id, str)  # id
    for chunk in stream:
        assert_type(chunk.logos_shift_id, str)  # id
        assert_type(chunk.choices[0].delta.content, str | None)
        yield chunk
    with client.chat.completions.create(
        model="m", messages=messages, stream=True, stream_options={"include_usage": True}
    ) as inner:
        assert_type(inner.logos_shift_id, str)  # id
        takes_chunks(inner)
    takes_stream(stream)
    assert_type(stream.response.status_code, int)
    stream.choices  # error


def parse(client: OpenAI, messages: list[ChatCompletionMessageParam]) -> ParsedChatCompletion[Answer]:
    parsed = client.chat.completions.parse(model="m", messages=messages, response_format=Answer)
    assert_type(parsed.logos_shift_id, str)  # id
    assert_type(parsed.choices[0].message.parsed, Answer | None)
    takes_plain(parsed)
    beta = client.beta.chat.completions.parse(model="m", messages=messages, response_format=Answer)
    assert_type(beta.logos_shift_id, str)  # id
    assert_type(beta.choices[0].message.parsed, Answer | None)
    plain = client.beta.chat.completions.create(model="m", messages=messages)
    assert_type(plain.logos_shift_id, str)  # id
    untyped = client.chat.completions.parse(model="m", messages=messages)
    assert_type(untyped.choices[0].message.parsed, None)
    other: ParsedChatCompletion[int] = parsed  # error
    print(other)
    return parsed


def helper(client: OpenAI, messages: list[ChatCompletionMessageParam]) -> Answer | None:
    with client.chat.completions.stream(model="m", messages=messages, response_format=Answer) as stream:
        for event in stream:
            if event.type == "content.delta":
                assert_type(event.delta, str)
        final = stream.get_final_completion()
    with client.beta.chat.completions.stream(model="m", messages=messages) as other:
        other.until_done()
    return final.choices[0].message.parsed


def stored(client: OpenAI) -> None:
    takes_plain(client.chat.completions.retrieve("chatcmpl-1"))
    for answer in client.chat.completions.list(limit=2):
        takes_plain(answer)
    assert_type(client.chat.completions.delete("chatcmpl-1").deleted, bool)
