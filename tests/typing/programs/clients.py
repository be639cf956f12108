# ruff: noqa: B018
"""The four clients: their constructors and what is wrong for them, copies, subclasses, and where a client may go."""

from __future__ import annotations

import openai
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient, Timeout
from typing_extensions import assert_type

from logos_shift_openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI


class Mine(OpenAI):
    def __init__(self, *, name: str) -> None:
        super().__init__(api_key="k", max_retries=0)
        self.name = name


def takes_plain(client: openai.OpenAI) -> str:
    return client.api_key


def takes_async(client: openai.AsyncOpenAI) -> str:
    return client.api_key


async def async_key() -> str:
    return "k"


def construct() -> None:
    OpenAI()
    OpenAI(api_key="k", organization=None, base_url="http://localhost", timeout=Timeout(3.0), max_retries=4)
    OpenAI(
        api_key=lambda: "k",
        default_headers={"a": "b"},
        default_query={"a": 1},
        http_client=DefaultHttpxClient(),
    )
    AsyncOpenAI(api_key=async_key, timeout=None, http_client=DefaultAsyncHttpxClient(), project="p")
    AzureOpenAI(azure_endpoint="https://a", azure_deployment="d", api_version="v", api_key="k")
    AzureOpenAI(base_url="https://a", api_version="v", azure_ad_token_provider=lambda: "t")
    AzureOpenAI(azure_ad_token="t")
    AsyncAzureOpenAI(azure_endpoint="https://a", azure_ad_token_provider=async_key)
    takes_plain(OpenAI())
    takes_plain(AzureOpenAI(azure_endpoint="https://a"))
    takes_plain(Mine(name="n"))
    takes_async(AsyncOpenAI())
    takes_async(AsyncAzureOpenAI(base_url="https://a"))
    ours: OpenAI = AzureOpenAI(azure_endpoint="https://a")
    print(ours)


def wrong() -> None:
    OpenAI(api_kee="k")  # error
    OpenAI("k")  # error
    OpenAI(api_key=3)  # error
    OpenAI(http_client=DefaultAsyncHttpxClient())  # error
    OpenAI(max_retries="2")  # error
    OpenAI(azure_endpoint="https://a")  # error
    AsyncOpenAI(api_key=lambda: "k")  # error
    AsyncOpenAI(http_client=DefaultHttpxClient())  # error
    AzureOpenAI(azure_endpoint="https://a", base_url="https://b")  # error
    AzureOpenAI(azure_endpoint=3)  # error
    AsyncAzureOpenAI(base_url=None)  # error
    takes_async(OpenAI())  # error
    takes_plain(AsyncOpenAI())  # error
    OpenAI().chats  # error


def copies(client: OpenAI, azure: AzureOpenAI) -> None:
    assert_type(client.with_options(timeout=3, max_retries=0), OpenAI)
    assert_type(client.copy(api_key="k"), OpenAI)
    assert_type(azure.with_options(max_retries=1), AzureOpenAI)
    assert_type(Mine(name="n").with_options(timeout=1), Mine)
    answer = client.with_options(timeout=3).chat.completions.create(model="m", messages=[])
    assert_type(answer.logos_shift_id, str)  # id
    other = azure.with_options(max_retries=1).chat.completions.create(model="m", messages=[])
    assert_type(other.logos_shift_id, str)  # id
    client.with_options(time_out=3)  # error
    client.with_options(timeout="3")  # error


async def async_copies(client: AsyncOpenAI, azure: AsyncAzureOpenAI) -> None:
    assert_type(client.with_options(timeout=3), AsyncOpenAI)
    assert_type(azure.copy(), AsyncAzureOpenAI)
    answer = await azure.with_options(timeout=3).chat.completions.create(model="m", messages=[])
    assert_type(answer.logos_shift_id, str)  # id
    async with AsyncOpenAI() as inside, client:
        assert_type(inside, AsyncOpenAI)


def lifetime() -> None:
    with OpenAI() as client, AzureOpenAI(azure_endpoint="https://a") as azure:
        assert_type(client, OpenAI)
        assert_type(azure, AzureOpenAI)
        assert_type(client.is_closed(), bool)
        client.close()
