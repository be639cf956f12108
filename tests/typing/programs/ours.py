# ruff: noqa: B018, TC002
"""Ours only: the constructors' argument, the id of anything, and where a subclass is not quite the SDK's class."""

from __future__ import annotations

import openai
from openai.types.chat import ChatCompletion
from typing_extensions import assert_type

from logos_shift_openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, LogosShift, OpenAI, id_of


def construct(shift: LogosShift) -> None:
    OpenAI(logos_shift=shift)
    OpenAI(api_key="k", logos_shift=None)
    AsyncOpenAI(logos_shift=shift)
    AzureOpenAI(azure_endpoint="https://a", logos_shift=shift)
    AzureOpenAI(base_url="https://a", logos_shift=shift)
    AsyncAzureOpenAI(azure_deployment="d", logos_shift=shift)
    OpenAI(logos_shift="sales")  # error
    AzureOpenAI(azure_endpoint="https://a", logos_shift=3)  # error
    OpenAI(logos_shit=shift)  # error


def ids(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="m", messages=[])
    assert_type(id_of(answer), str | None)
    assert_type(id_of(ValueError()), str | None)
    answer.logos_shift_id = "other"  # error
    client.models.retrieve("m").logos_shift_id  # error
    client.chat.completions.create(model="m", messages=[], logos_shift_id="x")  # error


def told_apart(client: openai.OpenAI) -> str | None:
    if isinstance(client, OpenAI):
        return client.chat.completions.create(model="m", messages=[]).logos_shift_id
    client.chat.completions.create(model="m", messages=[]).logos_shift_id  # error
    return id_of(client.chat.completions.create(model="m", messages=[]))


def takes_list(answers: list[ChatCompletion]) -> int:
    return len(answers)


def limits(client: OpenAI, plain: ChatCompletion) -> None:
    """A list is of one exact type, so one that is to hold the SDK's says so; so does a variable used for both."""
    answers = [client.chat.completions.create(model="m", messages=[])]
    takes_list(answers)  # error
    said: list[ChatCompletion] = [client.chat.completions.create(model="m", messages=[])]
    takes_list(said)
    takes_list([client.chat.completions.create(model="m", messages=[])])
    answer: ChatCompletion = client.chat.completions.create(model="m", messages=[])
    answer = plain
    print(answer)
