"""The price of a call: by the user's own table first, then by the data of `genai-prices`, if that is installed.

Rule: no network, and no guess. A model at a provider of the user's own naming has a price only if the table or the data
know that provider; what has none has no cost, and whoever asked for it says so. The data's prices of a day are kept
as prices for a million tokens; very long prompts, which some models charge more for, are reckoned one by one.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, delete, insert, select

from logos_shift_openai.core.prices import MILLION, Price, price_of, prices_from

from .store.schema import meta

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROW: Final = "prices"
"""The row of `meta` that the user's own prices are kept in."""

_PROBE: Final = 1_000
_LONG: Final = 100_000
_DAY: Final = 86_400_000


class Prices:
    """Who knows what calls cost.

    Args:
        table: The user's own prices, by names or patterns of models.
    """

    def __init__(self, table: Mapping[str, Price]) -> None:
        self.table = table

    def price(self, model: str, provider: str | None, at: int) -> Price | None:
        """Find the price of a model on a day.

        Args:
            model: As it was asked for.
            provider: The name that the client knows its endpoint by; None for that of the client itself.
            at: Milliseconds since 1970.
        """
        return price_of(self.table, model) or _listed(model, provider, at // _DAY)

    def has_own(self, model: str) -> bool:
        """Tell whether the user's own table has a price of a model."""
        return price_of(self.table, model) is not None

    def cost(
        self,
        model: str | None,
        provider: str | None,
        at: int,
        tokens: tuple[int | None, int | None, int | None],
    ) -> float | None:
        """Give the cost of an answer in dollars, None where its price or its tokens are not known.

        Args:
            model: Which one answered.
            provider: As for `price`.
            at: When, milliseconds since 1970.
            tokens: In, out, and how many of those in came from a cache.
        """
        read, written, cached = tokens
        if model is None or read is None:
            return None
        price = self.price(model, provider, at)
        if price is None:
            return None
        if read > _LONG and not self.has_own(model):
            return _reckoned(model, provider, at // _DAY, (read, written or 0, cached or 0))
        return price.cost(read, written or 0, cached or 0)

    def cost_held_back(self, gate: Mapping[str, Any] | None, at: int) -> float | None:
        """Give what an answer cost that a confidence gate held back; 0 where none was, None where it is not known.

        Args:
            gate: As it stands in a call's record.
            at: Milliseconds since 1970.
        """
        if gate is None or gate["passed"] or not gate.get("model"):
            return 0.0
        usage = gate.get("usage") or {}
        tokens = (usage.get("prompt_tokens"), usage.get("completion_tokens"), None)
        return self.cost(gate["model"], gate.get("provider"), at, tokens)

    def cost_of_all(
        self,
        answered: float | None,
        gate: Mapping[str, Any] | None,
        spent: Iterable[Mapping[str, Any]] | None,
        at: int,
    ) -> float | None:
        """Add to the cost of the answer that was given that of what nobody got; None where one is not known.

        Args:
            answered: In dollars.
            gate: As it stands in a call's record, of an answer that was held back.
            spent: As a head has it, by attempts that failed.
            at: Milliseconds since 1970.
        """
        costs = [answered, self.cost_held_back(gate, at)]
        for one in spent or ():
            tokens = (one.get("tokens_in"), one.get("tokens_out"), one.get("tokens_cached"))
            costs.append(self.cost(one["model"], one["provider"], at, tokens))
        known = [one for one in costs if one is not None]
        return sum(known) if len(known) == len(costs) else None


def read_prices(connection: Connection) -> Prices:
    """Read the user's own prices out of a store.

    Raises:
        ConfigError: what is kept there is no table of prices.
    """
    kept = connection.scalar(select(meta.c.value).where(meta.c.name == ROW))
    return Prices(prices_from(json.loads(kept)) if kept else {})


def keep_prices(connection: Connection, table: Mapping[str, Price]) -> None:
    """Keep the user's own prices in a store, in the place of those there."""
    connection.execute(delete(meta).where(meta.c.name == ROW))
    if table:
        text = json.dumps({model: price.to_json() for model, price in table.items()})
        connection.execute(insert(meta).values(name=ROW, value=text))


@lru_cache(maxsize=4_096)
def _listed(model: str, provider: str | None, day: int) -> Price | None:
    """Find the price that the data have, per million tokens of a usual prompt."""
    plain = _reckoned(model, provider, day, (_PROBE, 0, 0))
    written = _reckoned(model, provider, day, (0, _PROBE, 0))
    if plain is None or written is None or plain + written == 0:  # what is not sold by tokens stands there with 0
        return None
    cached = _reckoned(model, provider, day, (_PROBE, 0, _PROBE))
    scale = MILLION / _PROBE
    return Price(plain * scale, written * scale, None if cached is None else cached * scale)


def _reckoned(model: str, provider: str | None, day: int, tokens: tuple[int, int, int]) -> float | None:
    try:
        import genai_prices  # noqa: PLC0415 - a hundred milliseconds and 30 MB that few commands need
    except ImportError:  # the extra `prices` is not installed
        return None
    usage: Any = genai_prices.Usage(input_tokens=tokens[0], output_tokens=tokens[1], cache_read_tokens=tokens[2])
    noon = datetime.fromtimestamp((day + 0.5) * _DAY / 1000, tz=timezone.utc)
    try:
        found = genai_prices.calc_price(usage, model, provider_id=provider, genai_request_timestamp=noon)
    except (LookupError, ValueError):
        return None
    return float(found.total_price)
