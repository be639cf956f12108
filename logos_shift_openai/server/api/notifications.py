"""`/v1/notifications`: the channels that events are told on, what was told, and a test of a channel."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec

from logos_shift_openai.server.notifications.channels import Channel  # noqa: TC001 - msgspec reads it
from logos_shift_openai.server.notifications.delivery import send_test
from logos_shift_openai.server.notifications.outbox import list_outbox

from .exchange import Answer, ApiError, Ask, Endpoint, to_json


class ChannelShown(msgspec.Struct):
    """A channel as it may be shown: `where` is its host, never the path."""

    name: str
    kind: Literal["webhook", "slack", "mail", "console"]
    where: str
    events: list[str]

    @classmethod
    def of(cls, channel: Channel) -> ChannelShown:
        """Show a channel."""
        return cls(channel.name, channel.kind, channel.where, list(channel.events))


class Way(msgspec.Struct):
    """How far an event has come on a channel. Times are milliseconds since 1970; `due` counts while it is waiting."""

    channel: str
    state: Literal["waiting", "sent", "given_up"]
    tries: int
    due: int
    tried: int | None
    fault: str | None


class Told(msgspec.Struct):
    """An event and its way on each channel that wants it."""

    id: str
    kind: str
    at: int
    experiment: str | None
    dataset: str | None
    why: str
    deliveries: list[Way]


class Notifications(msgspec.Struct):
    """The channels of this process, and the latest events."""

    channels: list[ChannelShown]
    events: list[Told]


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """How many events."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class TestAsked(msgspec.Struct, forbid_unknown_fields=True):
    """The channel to be tested; none for all."""

    channel: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None


class Tested(msgspec.Struct):
    """How a test went: `fault` says why it was not taken."""

    channel: str
    ok: bool
    fault: str | None


class TestResult(msgspec.Struct):
    """How each channel took the test."""

    tested: list[Tested]


async def list_all(ask: Ask) -> Answer:
    """List them."""
    limit = ask.query(Wanted).limit
    rows: list[dict[str, Any]] = await ask.service.read(lambda connection: list_outbox(connection, limit))
    shown = [ChannelShown.of(one) for one in ask.service.channels]
    return Answer(to_json(Notifications(shown, msgspec.convert(rows, list[Told]))))


async def try_channels(ask: Ask) -> Answer:
    """Send a test, now."""
    wanted, now = (await ask.read_json(TestAsked)).channel, ask.service.now()
    chosen = [one for one in ask.service.channels if wanted in {None, one.name}]
    if wanted is not None and not chosen:
        raise ApiError(404, "not_found", "the server has no channel of this name", where="channel")
    faults = await asyncio.gather(*(asyncio.to_thread(send_test, one, now) for one in chosen))
    tested = [Tested(one.name, fault is None, fault) for one, fault in zip(chosen, faults, strict=True)]
    return Answer(to_json(TestResult(tested)))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/notifications",
        "admin",
        list_all,
        "List the channels, and the latest events with their way on each.",
        {200: (Notifications, "The latest first.")},
        query=Wanted,
    ),
    Endpoint(
        "POST",
        "/v1/notifications/test",
        "admin",
        try_channels,
        "Send a test on one channel or on all, now.",
        {200: (TestResult, "How it went."), 404: (None, "There is none.")},
        body=TestAsked,
    ),
)
