"""Prices of models: what tokens cost, by shell-style patterns of models' names.

Prices are told by whoever runs the server; none is known by itself, and what has no price costs nothing that is shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select

from .store.schema import prices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """The price of the models that a pattern fits, in US dollars for a million tokens.

    Args:
        model: A name, or a pattern such as `gpt-6.1-*`.
        input: Tokens that were sent.
        output: Tokens of the answer.
        cached: Those of the sent ones that the provider had in its cache; None: as the others.
    """

    model: str
    input: float
    output: float
    cached: float | None = None

    def cost(self, tokens_in: float, tokens_out: float, tokens_cached: float = 0) -> float:
        """Reckon what tokens cost, in US dollars; the cached ones are among those sent."""
        cached = self.input if self.cached is None else self.cached
        return ((tokens_in - tokens_cached) * self.input + tokens_cached * cached + tokens_out * self.output) / _MILLION


def list_prices(connection: Connection) -> list[Price]:
    """List all prices, by their patterns."""
    rows = connection.execute(select(prices).order_by(prices.c.model)).mappings()
    return [Price(row["model"], row["input"], row["output"], row["cached"]) for row in rows]


def put_prices(connection: Connection, wanted: Iterable[Price]) -> None:
    """Put these prices in the place of all there are; of two for one pattern the last one stays."""
    connection.execute(delete(prices))
    rows = [asdict(one) for one in {price.model: price for price in wanted}.values()]
    if rows:
        connection.execute(insert(prices), rows)


def price_of(known: Sequence[Price], model: str | None) -> Price | None:
    """Find the price of a model: by its very name, else by the longest pattern that fits."""
    if model is None:
        return None
    fitting = [one for one in known if one.model == model or fnmatchcase(model, one.model)]
    return max(fitting, key=lambda one: (one.model == model, len(one.model), one.model), default=None)
