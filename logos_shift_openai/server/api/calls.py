"""`/v1/calls` and `/v1/stats`: what was recorded, call by call and counted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from logos_shift_openai.server.calls import Filters, find_call, list_calls
from logos_shift_openai.server.statistics import VariantStatistics, totals, variant_statistics

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

_Name = Annotated[str, msgspec.Meta(max_length=512)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_CURSOR = r"^[0-9]{1,15}\..+$"


class CallsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which calls. `cursor` is the `next` of the page before; times are milliseconds since 1970."""

    dataset: _Name | None = None
    model: _Name | None = None
    variant: Literal["baseline", "candidate"] | None = None
    experiment: _Name | None = None
    feedback: Literal["success", "failure", "none"] | None = None
    errors: bool = False
    since: _Time | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=600, pattern=_CURSOR)] | None = None


class Calls(msgspec.Struct):
    """Heads of calls, the latest first; `next` is the cursor of the next page, null after the last."""

    calls: list[dict[str, Any]]
    next: str | None


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
        limit=asked.limit + 1,
        before=(int(at), call_id) if asked.cursor else None,
    )

    def page(heads: list[dict[str, Any]]) -> bytes:
        more = len(heads) > asked.limit
        last = heads[asked.limit - 1] if more else None
        return to_json(Calls(heads[: asked.limit], None if last is None else f"{last['at']}.{last['id']}"))

    return Answer(await ask.service.read(lambda connection: page(list_calls(connection, filters))))


async def show(ask: Ask) -> Answer:
    """Show one call whole."""
    call_id = ask.path["id"]

    def page(call: dict[str, Any] | None) -> bytes | None:
        return None if call is None else to_json(call)

    body = await ask.service.read(lambda connection: page(find_call(connection, call_id)))
    if body is None:
        raise ApiError(404, "not_found", "there is no such call", where="id")
    return Answer(body)


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
        {200: (Calls, "A page.")},
        query=CallsAsked,
    ),
    Endpoint(
        "GET",
        "/v1/calls/{id}",
        "read",
        show,
        "Show a call with its bodies, attempts and feedback, by our id or the provider's own.",
        {200: (dict[str, Any], "The call."), 404: (None, "There is none.")},
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
