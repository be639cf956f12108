# ruff: noqa: TC002, TC003
"""Methods and clients handed around: bound methods, partial, unpacked arguments, unions of clients, wrappers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from typing_extensions import ParamSpec, assert_type

from logos_shift_openai import AsyncOpenAI, AzureOpenAI, OpenAI

P = ParamSpec("P")
R = TypeVar("R")


def retried(function: Callable[P, R]) -> Callable[P, R]:
    return function


def run(function: Callable[..., ChatCompletion]) -> ChatCompletion:
    return function()


def awaited(function: Callable[..., Awaitable[ChatCompletion]]) -> None:
    print(function)


def scheduled(work: Coroutine[Any, Any, ChatCompletion]) -> None:
    work.close()


def takes_plain(answer: ChatCompletion) -> str | None:
    return answer.choices[0].message.content


def methods(client: OpenAI, messages: list[ChatCompletionMessageParam], anything: dict[str, Any]) -> None:
    run(client.chat.completions.create)
    run(partial(client.chat.completions.create, model="m", messages=messages))
    takes_plain(retried(client.chat.completions.create)(model="m", messages=messages))
    retried(client.chat.completions.create)(model="m")  # error
    create = client.chat.completions.create
    answer = create(model="m", messages=messages)
    assert_type(answer.logos_shift_id, str)  # id
    for chunk in create(model="m", messages=messages, stream=True):
        assert_type(chunk.choices[0].delta.content, str | None)
    client.chat.completions.create(**anything)


def unpacked(client: OpenAI, once: CompletionCreateParamsNonStreaming, many: CompletionCreateParamsStreaming) -> None:
    answer = client.chat.completions.create(**once)
    assert_type(answer.logos_shift_id, str)  # id
    takes_plain(answer)
    stream = client.chat.completions.create(**many)
    assert_type(stream.logos_shift_id, str)  # id
    stream.close()


def coroutines(client: AsyncOpenAI, messages: list[ChatCompletionMessageParam]) -> None:
    awaited(client.chat.completions.create)
    scheduled(client.chat.completions.create(model="m", messages=messages))
    run(client.chat.completions.create)  # error


def unions(client: OpenAI | AzureOpenAI, messages: list[ChatCompletionMessageParam]) -> None:
    answer = client.chat.completions.create(model="m", messages=messages)
    assert_type(answer.logos_shift_id, str)  # id
    takes_plain(answer)
    if isinstance(client, openai.AzureOpenAI):
        takes_plain(client.chat.completions.create(model="m", messages=messages))
    plain: openai.OpenAI = client
    takes_plain(plain.chat.completions.create(model="m", messages=messages))


def conditional(client: OpenAI, other: openai.OpenAI, first: bool, messages: list[ChatCompletionMessageParam]) -> None:
    answer = (client if first else other).chat.completions.create(model="m", messages=messages)
    takes_plain(answer)
    cache: dict[str, ChatCompletion] = {}
    cache["a"] = client.chat.completions.create(model="m", messages=messages)
    takes_plain(cache.get("b") or client.chat.completions.create(model="m", messages=messages))


class Service:
    def __init__(self, client: openai.OpenAI | None = None) -> None:
        self.client = client or OpenAI()
        self.answers: list[ChatCompletion] = []

    def ask(self, text: str) -> str:
        self.answers.append(
            self.client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
        )
        return self.answers[-1].choices[0].message.content or ""
