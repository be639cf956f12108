"""What tokens cost: a table of prices by model, read strictly, and the cost of a call by it.

Rule: amounts are US dollars, prices are for a million tokens; tokens read from a cache are part of the tokens in, and
cost as much as the others where the table says nothing else. What is not known is None and never 0.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .strict import ConfigError, Fields, maybe, number_in

if TYPE_CHECKING:
    from collections.abc import Mapping

MILLION: Final = 1_000_000
_PRICE: Final = number_in(0, 1e6)


class Price(NamedTuple):
    """Prices of a model.

    Args:
        input: Dollars for a million tokens in.
        output: Dollars for a million tokens out.
        cached: Dollars for a million tokens in that came from a cache; None: as `input`.
        training: Dollars for a million tokens that it is trained on; None: not known.
    """

    input: float
    output: float
    cached: float | None = None
    training: float | None = None

    def cost(self, tokens_in: int, tokens_out: int, tokens_cached: int = 0) -> float:
        """Give the cost of a call in dollars; `tokens_cached` are among `tokens_in`."""
        cached = min(tokens_cached, tokens_in)
        price = self.input if self.cached is None else self.cached
        return ((tokens_in - cached) * self.input + cached * price + tokens_out * self.output) / MILLION

    def to_json(self) -> dict[str, float]:
        """Give the price as `prices_from` reads it."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def price_of(table: Mapping[str, Price], model: str) -> Price | None:
    """Find the price of a model: by its name, else by the longest pattern (`*` and `?`) that it fits."""
    if model in table:
        return table[model]
    fitting = [pattern for pattern in table if fnmatchcase(model, pattern)]
    return table[max(fitting, key=lambda pattern: (len(pattern), pattern))] if fitting else None


def prices_from(data: object, path: str = "") -> dict[str, Price]:
    """Read a table of prices: names or patterns of models, each with `input`, `output` and maybe `cached`, `training`.

    Raises:
        ConfigError: with the path of the first fault and what stands there.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{path or 'the document'}: not an object")
    before = f"{path}." if path else ""
    return {model: _price(f"{before}{model}", said) for model, said in data.items()}


def _price(path: str, value: Any) -> Price:
    at = Fields(path, value)
    price = Price(
        at.take("input", _PRICE, required=True),
        at.take("output", _PRICE, required=True),
        at.take("cached", maybe(_PRICE)),
        at.take("training", maybe(_PRICE)),
    )
    at.done()
    return price
