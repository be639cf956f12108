# ruff: noqa: TC001, TC002, TC003
"""Chat completions, async: the same as chat.py, plus what only coroutines can get wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from openai import AsyncStream
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageParam,
    ParsedChatCompletion,
)
from pydantic import BaseModel
from typing_extensions import assert_type

from logos_shift_openai import AsyncOpenAI


class Answer(BaseModel):
    city: str


def takes_plain(answer: ChatCompletion) -> str | None:
    return answer.choices[0].message.content


async def takes_stream(stream: AsyncStream[ChatCompletionChunk]) -> None:
    await stream.close()


async def create(client: AsyncOpenAI, flag: bool, messages: list[ChatCompletionMessageParam]) -> ChatCompletion:
    answer = await client.chat.completions.create(model="m", messages=messages)
    assert_type(answer.logos_shift_id, str)  # id
    takes_plain(answer)
    client.chat.completions.create(model="m", messages=messages)  # error
    takes_plain(client.chat.completions.create(model="m", messages=messages))  # error
    task = asyncio.create_task(client.chat.completions.create(model="m", messages=messages))
    takes_plain(await task)
    one, two = await asyncio.gather(
        client.chat.completions.create(model="m", messages=messages),
        client.chat.completions.create(model="m", messages=messages, stream=True),
    )
    assert_type(one.logos_shift_id, str)  # id
    takes_plain(one)
    await takes_stream(two)
    either = await client.chat.completions.create(model="m", messages=messages, stream=flag)
    assert_type(either.logos_shift_id, str)  # id
    if isinstance(either, AsyncStream):
        await takes_stream(either)
    else:
        takes_plain(either)
    return answer


async def wrong(client: AsyncOpenAI, messages: list[ChatCompletionMessageParam]) -> None:
    await client.chat.completions.create(messages=messages)  # error
    await client.chat.completions.create(model="m", messages=messages, stream=1)  # error
    await client.chat.completions.create(model=3, messages=messages)  # error
    await client.chat.completions.parse(model="m", messages=messages, n="two")  # error


async def streams(client: AsyncOpenAI, messages: list[ChatCompletionMessageParam]) -> AsyncIterator[str]:
    stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
    assert_type(stream.logos_shift_id, str)  # id
    async for chunk in stream:
        assert_type(chunk.logos_shift_id, str)  # id
        yield chunk.choices[0].delta.content or ""
    async with await client.chat.completions.create(model="m", messages=messages, stream=True) as inner:
        assert_type((await inner.__anext__()).choices[0].index, int)
    for _ in stream:  # error
        pass
    await takes_stream(stream)


async def parse(client: AsyncOpenAI, messages: list[ChatCompletionMessageParam]) -> ParsedChatCompletion[Answer]:
    parsed = await client.chat.completions.parse(model="m", messages=messages, response_format=Answer)
    assert_type(parsed.logos_shift_id, str)  # id
    assert_type(parsed.choices[0].message.parsed, Answer | None)
    beta = await client.beta.chat.completions.parse(model="m", messages=messages, response_format=Answer)
    assert_type(beta.logos_shift_id, str)  # id
    return beta if beta.usage else parsed


async def helper(client: AsyncOpenAI, messages: list[ChatCompletionMessageParam]) -> Answer | None:
    async with client.chat.completions.stream(model="m", messages=messages, response_format=Answer) as stream:
        async for event in stream:
            if event.type == "content.done":
                assert_type(event.parsed, Answer | None)
        final = await stream.get_final_completion()
    return final.choices[0].message.parsed
