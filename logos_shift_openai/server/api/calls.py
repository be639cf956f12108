"""`/v1/calls` and `/v1/stats`: what was recorded, call by call and counted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from logos_shift_openai.server.calls import Filters, find_call
from logos_shift_openai.server.search import Found, Search, search_calls
from logos_shift_openai.server.statistics import VariantStatistics, totals, variant_statistics

from .exchange import Answer, ApiError, Ask, Endpoint, tagged, to_json

_Name = Annotated[str, msgspec.Meta(max_length=512)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Amount = Annotated[float, msgspec.Meta(ge=0, le=2**53)]
_CURSOR = r"^[0-9]{1,15}\..*$"


class CallsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which calls. `cursor` is the `next` of the page before; times are milliseconds since 1970.

    `text` stands in the request or answer; `slower` is in milliseconds, `dearer` in US dollars; with `previews` each
    call comes with what was asked and answered, shortened.
    """

    dataset: _Name | None = None
    model: _Name | None = None
    variant: Literal["baseline", "candidate"] | None = None
    experiment: _Name | None = None
    feedback: Literal["success", "failure", "none"] | None = None
    errors: bool = False
    text: _Name | None = None
    slower: _Amount | None = None
    dearer: _Amount | None = None
    since: _Time | None = None
    until: _Time | None = None
    previews: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=600, pattern=_CURSOR)] | None = None


class Calls(msgspec.Struct):
    """Heads of calls, the latest first; `next` is the cursor of the next page, null after the last.

    A search looks through so many of the latest calls at a time: a page may be short, or empty, and have a `next` that
    goes on from `searched_to`. `unread` counts calls whose texts lie in another store and were not looked through.
    """

    calls: list[dict[str, Any]]
    next: str | None
    searched_to: int | None
    unread: int


class StatsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """What to count."""

    dataset: _Name | None = None
    experiment: _Name | None = None
    since: _Time | None = None


class Everything(msgspec.Struct):
    """All that is in the store; `refused` counts lines that were no records, by the part at fault."""

    calls: int
    feedback: int
    first_at: int | None
    last_at: int | None
    refused: dict[str, int]


class Stats(msgspec.Struct):
    """Everything in the store, and counts per dataset, experiment and variant."""

    totals: Everything
    variants: list[VariantStatistics]


async def list_some(ask: Ask) -> Answer:
    """List a page of calls."""
    asked = ask.query(CallsAsked)
    at, _, call_id = (asked.cursor or "").partition(".")
    filters = Filters(
        dataset=asked.dataset,
        model=asked.model,
        variant=asked.variant,
        experiment=asked.experiment,
        feedback=asked.feedback,
        errors=asked.errors,
        since=asked.since,
        until=asked.until,
        limit=asked.limit,
        before=(int(at), call_id) if asked.cursor else None,
    )
    search = Search(filters, asked.text or None, asked.slower, asked.dearer, asked.previews)

    def page(found: Found) -> bytes:
        last = found.next
        cursor = None if last is None else f"{last[0]}.{last[1]}"
        return to_json(Calls(found.calls, cursor, None if last is None else last[0], found.unread))

    body = await ask.service.read(lambda connection: page(search_calls(connection, search)))
    return tagged(ask, body)


async def show(ask: Ask) -> Answer:
    """Show one call whole."""
    call_id = ask.path["id"]

    def page(connection: Any) -> bytes | None:
        call = find_call(connection, call_id)
        return None if call is None else to_json(call)

    body = await ask.service.read(page)
    if body is None:
        raise ApiError(404, "not_found", "there is no such call", where="id")
    return tagged(ask, body)


async def stats(ask: Ask) -> Answer:
    """Count."""
    asked = ask.query(StatsAsked)

    def count(connection: Any) -> bytes:
        rows = variant_statistics(connection, asked.dataset, asked.experiment, asked.since)
        everything = msgspec.convert(totals(connection), Everything, from_attributes=True)
        return to_json(Stats(everything, rows))

    return Answer(await ask.service.read(count))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/calls",
        "read",
        list_some,
        "List calls, the latest first.",
        {200: (Calls, "A page."), 304: (None, "The one you have.")},
        query=CallsAsked,
        headers=("If-None-Match",),
    ),
    Endpoint(
        "GET",
        "/v1/calls/{id}",
        "read",
        show,
        "Show a call with its bodies, attempts and feedback, by our id or the provider's own.",
        {200: (dict[str, Any], "The call."), 304: (None, "As you have it."), 404: (None, "There is none.")},
        headers=("If-None-Match",),
    ),
    Endpoint(
        "GET",
        "/v1/stats",
        "read",
        stats,
        "Count calls, errors, fallbacks, success, latency and tokens per variant.",
        {200: (Stats, "The counts.")},
        query=StatsAsked,
    ),
)
