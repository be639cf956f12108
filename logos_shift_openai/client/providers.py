"""Providers: OpenAI-compatible endpoints known to the client alone, by a name that a config may use.

The address and the key are the client's own arguments or environment; no config can bring or change them. A provider
is called through a plain client of the SDK with an HTTP client of its own, so nothing of the caller's client (key,
headers, cookies, query) reaches it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import openai


@dataclass(frozen=True)
class Provider:
    """An endpoint that speaks the API of OpenAI.

    Args:
        base_url: Its address, as the SDK's argument of this name.
        api_key: Its key; None for one that wants none.
        client: A ready client of the SDK instead (`openai.OpenAI` or `openai.AsyncOpenAI`).
        async_client: The same for asynchronous callers, where `client` is a synchronous one.
    """

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    client: Any = field(default=None, repr=False, compare=False)
    async_client: Any = field(default=None, repr=False, compare=False)


class ProviderClients:
    """The plain SDK clients of one provider, made when first wanted: one for threads, one for each event loop."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._sync: openai.OpenAI | None = None
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI] = WeakKeyDictionary()

    def sync(self) -> Any:
        """Give the client for a synchronous call."""
        given = self._provider.client
        if isinstance(given, openai.OpenAI):
            return given
        if self._sync is None:
            self._sync = _bare(openai.OpenAI(base_url=self._provider.base_url, api_key=self._key, max_retries=0))
        return self._sync

    def for_loop(self) -> Any:
        """Give the client for a call in the running event loop; pooled connections never cross loops."""
        for given in (self._provider.async_client, self._provider.client):
            if isinstance(given, openai.AsyncOpenAI):
                return given
        loop = asyncio.get_running_loop()
        client = self._by_loop.get(loop)
        if client is None:
            client = _bare(openai.AsyncOpenAI(base_url=self._provider.base_url, api_key=self._key, max_retries=0))
            self._by_loop[loop] = client
        return client

    @property
    def _key(self) -> str:
        return self._provider.api_key or "none"


_Client = TypeVar("_Client", openai.OpenAI, openai.AsyncOpenAI)


def _bare(client: _Client) -> _Client:
    """Take off what the SDK read from the environment: an organisation, headers, an admin key are the caller's own."""
    client.organization = None
    client.project = None
    client._custom_headers = {}  # noqa: SLF001 - the SDK has no argument that keeps OPENAI_CUSTOM_HEADERS away
    if hasattr(client, "admin_api_key"):
        client.admin_api_key = None
    return client
