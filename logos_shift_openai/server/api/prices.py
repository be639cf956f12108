"""`/v1/prices`: the user's own prices, and those that the models of the latest calls have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from logos_shift_openai.core.prices import Price
from logos_shift_openai.server.prices import keep_prices, read_prices
from logos_shift_openai.server.spending import latest_models

from .exchange import Answer, Ask, Endpoint, to_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

_Dollars = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern=r"^[^\x00]+$")]


class ModelPrice(msgspec.Struct, forbid_unknown_fields=True):
    """The price of the models that a name or a pattern (`*`, `?`) fits, in US dollars for a million tokens.

    `cached` is of the tokens in that came from a cache; null: as `input`;
    `training` of those that the model is trained on.
    """

    model: _Pattern
    input: _Dollars
    output: _Dollars
    cached: _Dollars | None = None
    training: _Dollars | None = None


class PricesAsked(msgspec.Struct, forbid_unknown_fields=True):
    """All prices of the user's own that there are to be; of two for one pattern the last one counts."""

    prices: Annotated[list[ModelPrice], msgspec.Meta(max_length=1_000)]


class SeenPrice(msgspec.Struct):
    """What a model of the latest calls costs today, and who says so; nulls where nobody does.

    `provider` is the name that the client knows its endpoint by, null for that of the client itself.
    """

    model: str
    provider: str | None
    input: float | None
    output: float | None
    cached: float | None
    own: bool


class PriceList(msgspec.Struct):
    """`prices` are the user's own, which count first; `seen` what counts for the models of the latest calls."""

    prices: list[ModelPrice]
    seen: list[SeenPrice]


async def list_all(ask: Ask) -> Answer:
    """List them."""
    now = ask.service.now()

    def page(connection: Connection) -> bytes:
        known = read_prices(connection)
        own = [ModelPrice(model, *price) for model, price in sorted(known.table.items())]
        models = {(model, provider) for _, model, provider in latest_models(connection)}
        seen = []
        for model, provider in sorted(models, key=lambda one: (one[0], one[1] or "")):
            sent, written, cached, _ = known.price(model, provider, now) or (None, None, None, None)
            seen.append(SeenPrice(model, provider, sent, written, cached, known.has_own(model)))
        return to_json(PriceList(own, seen))

    return Answer(await ask.service.read(page))


async def put_all(ask: Ask) -> Answer:
    """Put others in the place of the user's own."""
    asked = await ask.read_json(PricesAsked)
    table = {one.model: Price(one.input, one.output, one.cached, one.training) for one in asked.prices}
    await ask.service.write(lambda connection: keep_prices(connection, table))
    return await list_all(ask)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/prices",
        "read",
        list_all,
        "List your own prices, and what the models of the latest calls cost.",
        {200: (PriceList, "All.")},
    ),
    Endpoint(
        "PUT",
        "/v1/prices",
        "admin",
        put_all,
        "Put these prices in the place of all your own; costs are reckoned with them from here on.",
        {200: (PriceList, "All.")},
        body=PricesAsked,
    ),
)
