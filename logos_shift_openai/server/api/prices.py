"""`/v1/prices`: what models cost."""

from __future__ import annotations

from typing import Annotated

import msgspec

from logos_shift_openai.server.prices import Price, list_prices, put_prices

from .exchange import Answer, Ask, Endpoint, to_json

_Dollars = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern=r"^[^\x00]+$")]


class PriceAsked(msgspec.Struct, forbid_unknown_fields=True):
    """The price of the models that a shell-style pattern fits, in US dollars for a million tokens."""

    model: _Pattern
    input: _Dollars
    output: _Dollars
    cached: _Dollars | None = None


class PricesAsked(msgspec.Struct, forbid_unknown_fields=True):
    """All prices there are to be."""

    prices: Annotated[list[PriceAsked], msgspec.Meta(max_length=1_000)]


class PriceList(msgspec.Struct):
    """All prices, by their patterns."""

    prices: list[Price]


async def list_all(ask: Ask) -> Answer:
    """List them."""
    return Answer(to_json(PriceList(await ask.service.read(list_prices))))


async def put_all(ask: Ask) -> Answer:
    """Put others in their place."""
    asked = await ask.read_json(PricesAsked)
    wanted = [Price(one.model, one.input, one.output, one.cached) for one in asked.prices]
    await ask.service.write(lambda connection: put_prices(connection, wanted))
    return await list_all(ask)


ENDPOINTS = (
    Endpoint("GET", "/v1/prices", "read", list_all, "List the prices of models.", {200: (PriceList, "All.")}),
    Endpoint(
        "PUT",
        "/v1/prices",
        "admin",
        put_all,
        "Put these prices in the place of all there are; costs are reckoned with them from here on.",
        {200: (PriceList, "All.")},
        body=PricesAsked,
    ),
)
