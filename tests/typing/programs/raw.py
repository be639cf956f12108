# ruff: noqa: B018, TC001, TC002
"""Raw and streaming responses, sync and async, from each place the SDK offers them at."""

from __future__ import annotations

from openai import Stream
from openai._legacy_response import LegacyAPIResponse
from openai._response import APIResponse, AsyncAPIResponse, ResponseContextManager
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import BaseModel
from typing_extensions import assert_type

from logos_shift_openai import AsyncOpenAI, OpenAI


class Answer(BaseModel):
    city: str


def takes_plain(answer: ChatCompletion) -> str | None:
    return answer.choices[0].message.content


def raw(client: OpenAI, flag: bool, messages: list[ChatCompletionMessageParam]) -> LegacyAPIResponse[ChatCompletion]:
    response = client.chat.completions.with_raw_response.create(model="m", messages=messages)
    assert_type(response.logos_shift_id, str)  # id
    assert_type(response.parse().logos_shift_id, str)  # id
    assert_type(response.status_code, int)
    assert_type(response.parse(to=Answer), Answer)
    takes_plain(response.parse())
    streamed = client.chat.completions.with_raw_response.create(model="m", messages=messages, stream=True)
    assert_type(streamed.logos_shift_id, str)  # id
    for chunk in streamed.parse():
        assert_type(chunk.logos_shift_id, str)  # id
        assert_type(chunk.choices[0].index, int)
    either = client.chat.completions.with_raw_response.create(model="m", messages=messages, stream=flag)
    assert_type(either.logos_shift_id, str)  # id
    both: ChatCompletion | Stream[ChatCompletionChunk] = either.parse()
    print(both)
    parsed = client.chat.completions.with_raw_response.parse(model="m", messages=messages, response_format=Answer)
    assert_type(parsed.logos_shift_id, str)  # id
    assert_type(parsed.parse().logos_shift_id, str)  # id
    assert_type(parsed.parse().choices[0].message.parsed, Answer | None)
    takes_plain(client.with_raw_response.chat.completions.create(model="m", messages=messages).parse())
    takes_plain(client.chat.with_raw_response.completions.create(model="m", messages=messages).parse())
    outer = client.with_raw_response.chat.completions.create(model="m", messages=messages)
    assert_type(outer.logos_shift_id, str)  # id
    middle = client.chat.with_raw_response.completions.create(model="m", messages=messages)
    assert_type(middle.logos_shift_id, str)  # id
    takes_plain(client.chat.completions.with_raw_response.retrieve("chatcmpl-1").parse())
    client.chat.completions.with_raw_response.create(model="m")  # error
    client.chat.completions.with_raw_response.create(model="m", messages=messages, n="2")  # error
    client.chat.completions.with_raw_response.parse(model="m")  # error
    response.choices  # error
    return response


def streaming(client: OpenAI, messages: list[ChatCompletionMessageParam]) -> None:
    with client.chat.completions.with_streaming_response.create(model="m", messages=messages) as response:
        assert_type(response.logos_shift_id, str)  # id
        assert_type(response.parse().logos_shift_id, str)  # id
        kept: APIResponse[ChatCompletion] = response
        print(kept.read())
        takes_plain(response.parse())
        for line in response.iter_lines():
            assert_type(line, str)
    with client.chat.completions.with_streaming_response.create(model="m", messages=messages, stream=True) as other:
        assert_type(other.logos_shift_id, str)  # id
        for chunk in other.parse():
            assert_type(chunk.choices[0].index, int)
    with client.chat.completions.with_streaming_response.parse(
        model="m", messages=messages, response_format=Answer
    ) as parsed:
        assert_type(parsed.logos_shift_id, str)  # id
        assert_type(parsed.parse().choices[0].message.parsed, Answer | None)
    manager: ResponseContextManager[APIResponse[ChatCompletion]] = (
        client.with_streaming_response.chat.completions.create(model="m", messages=messages)
    )
    with manager as again:
        takes_plain(again.parse())


async def raw_async(client: AsyncOpenAI, messages: list[ChatCompletionMessageParam]) -> None:
    response = await client.chat.completions.with_raw_response.create(model="m", messages=messages)
    assert_type(response.logos_shift_id, str)  # id
    assert_type(response.parse().logos_shift_id, str)  # id
    takes_plain(response.parse())
    kept: LegacyAPIResponse[ChatCompletion] = response
    print(kept.status_code)
    streamed = await client.chat.completions.with_raw_response.create(model="m", messages=messages, stream=True)
    async for chunk in streamed.parse():
        assert_type(chunk.logos_shift_id, str)  # id
        assert_type(chunk.choices[0].index, int)
    parsed = await client.chat.completions.with_raw_response.parse(model="m", messages=messages, response_format=Answer)
    assert_type(parsed.logos_shift_id, str)  # id
    assert_type(parsed.parse().choices[0].message.parsed, Answer | None)
    client.chat.completions.with_raw_response.create(model="m")  # error


async def streaming_async(client: AsyncOpenAI, messages: list[ChatCompletionMessageParam]) -> None:
    async with client.chat.completions.with_streaming_response.create(model="m", messages=messages) as response:
        assert_type(response.logos_shift_id, str)  # id
        kept: AsyncAPIResponse[ChatCompletion] = response
        print(await kept.read())
        answer = await response.parse()
        assert_type(answer.logos_shift_id, str)  # id
        takes_plain(answer)
    async with client.with_streaming_response.chat.completions.create(
        model="m", messages=messages, stream=True
    ) as other:
        async for chunk in await other.parse():
            assert_type(chunk.choices[0].index, int)
