"""What a training has cost, as providers tell it.

Rule: what is told wins; else the tokens that were trained on, at the user's own price for training the model. An amount
that is not understood is not known, and never 0. Sources: `trained_tokens` of OpenAI's `FineTuningJob`; `total_price`
(nanodollars: `together` divides it by 10^9 to show it) and `token_count` of Together's `FinetuneResponse`;
`estimatedCost` (google.type.Money) of Fireworks' `SupervisedFineTuningJob`, which tells no trained tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.prices import MILLION, price_of
from logos_shift_openai.server.prices import read_prices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from .protocol import Progress

_NANO: Final = 1_000_000_000


def whole_in(document: Mapping[str, Any], name: str) -> int | None:
    """Read a count that is more than 0; providers write 0 for what they do not know yet."""
    value = document.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def nanodollars_in(document: Mapping[str, Any], name: str) -> float | None:
    """Read an amount in 10^-9 dollars."""
    amount = whole_in(document, name)
    return None if amount is None else amount / _NANO


def money_in(document: Mapping[str, Any], name: str) -> float | None:
    """Read an amount of US dollars as `units` (a text or a number) and `nanos`; None in another currency."""
    money = document.get(name)
    if not isinstance(money, dict) or money.get("currencyCode", "USD") not in {"", "USD"}:
        return None
    try:
        amount = int(money.get("units") or 0) + int(money.get("nanos") or 0) / _NANO
    except (TypeError, ValueError):
        return None
    return amount if amount > 0 else None


def bill_of(connection: Connection, model: str, found: Progress) -> dict[str, Any]:
    """Give what a job is to be saved with: what is told, and the cost by it; nothing where nothing is told.

    Args:
        connection: A reader's, for the user's own prices.
        model: The one that is trained.
        found: How the job does.
    """
    told: dict[str, Any] = {}
    if found.trained_tokens is not None:
        told["trained_tokens"] = found.trained_tokens
        price = price_of(read_prices(connection).table, model)
        if price is not None and price.training is not None:
            told["cost"] = found.trained_tokens * price.training / MILLION
    if found.cost is not None:
        told["cost"] = found.cost
    return told
