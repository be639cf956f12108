"""What calls cost and what a candidate saves, reckoned from the evidence and the prices that are known.

Theory of operation. The evidence has the tokens of all calls, but not by model. Which models answered is taken from
the latest calls, `SAMPLE` of them: of each key (dataset, experiment, variant) the mean price of a token in and of one
out. So a figure is an estimate for the past and costs the same at any size. Calls of a key that no recent call stands
for, or whose models have no price, are left out, and `priced` says how large a part of the tokens is in the figure.
A candidate's saving is what its tokens would have cost at the baseline's mean price, less what they cost; calls that
the baseline had to answer for it are in its own mix, and so save nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import Connection, select

from .store.database import store_of
from .store.evidence import Key
from .store.rows import Rest
from .store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import RowMapping

    from .prices import Prices
    from .store.sums import Sums

SAMPLE: Final = 1_000
"""The latest calls whose models are looked at."""

MONTH_DAYS: Final = 30
_COLUMNS: Final = tuple(
    calls.c[name]
    for name in (
        *("at", "dataset", "experiment", "assigned", "endpoint", "requested_model", "served_model", "tokens_in"),
        "rest",
    )
)
_rest: Final = msgspec.json.Decoder(Rest).decode


@dataclass(frozen=True, slots=True)
class Rate:
    """The mean price of a token, in US dollars: of one sent, and of one answered."""

    input: float
    output: float

    def cost(self, sums: Sums) -> float:
        """Reckon what the tokens of some calls cost at this rate."""
        return sums.tokens_in * self.input + sums.tokens_out * self.output


@dataclass(frozen=True, slots=True)
class Spending:
    """What calls cost, in US dollars.

    Args:
        cost: None where nothing has a price.
        priced: Part of the tokens that is in it, 0 to 1.
        saved: By candidates; None where no candidate and its baseline both have a price.
        saved_month: In 30 days at today's shares and at the traffic of the last days; None likewise.
    """

    cost: float | None
    priced: float
    saved: float | None
    saved_month: float | None


def latest_models(connection: Connection) -> Iterator[tuple[RowMapping, str, str | None]]:
    """Read which models the latest calls with tokens were answered by: each row, the model and its provider."""
    codec = store_of(connection).codec
    query = select(*_COLUMNS).order_by(calls.c.at.desc()).limit(SAMPLE)
    for row in connection.execute(query).mappings():
        model = row["served_model"] or row["requested_model"]
        if row["tokens_in"] is not None and model is not None:
            yield row, model, _rest(codec.unpack_rest(connection, row["rest"])).served_provider


def rates(connection: Connection, prices: Prices) -> dict[Key, Rate]:
    """Find the mean prices by key, from the latest calls."""
    seen: dict[Key, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    unknown: set[Key] = set()
    for row, model, provider in latest_models(connection):
        price = prices.price(model, provider, row["at"])
        if price is None:
            unknown.add(Key.of(row))
            continue
        mean = seen[Key.of(row)]
        mean[0] += 1
        mean[1] += price.cost(1, 0)
        mean[2] += price.cost(0, 1)
    return {key: Rate(sent / n, made / n) for key, (n, sent, made) in seen.items() if key not in unknown}


def spending(
    all_time: Mapping[Key, Sums],
    lately: Mapping[Key, Sums],
    days: float,
    shares: Mapping[str, float],
    by: Mapping[Key, Rate],
) -> Spending:
    """Reckon.

    Args:
        all_time: The evidence by key.
        lately: That of the last days.
        days: How many, more than 0.
        shares: The candidate's share of each experiment today, 0 to 1.
        by: See `rates`.
    """
    tokens = sum(one.tokens_in + one.tokens_out for one in all_time.values())
    priced = {key: one for key, one in all_time.items() if key in by}
    cost = sum(by[key].cost(one) for key, one in priced.items()) if priced else None
    part = sum(one.tokens_in + one.tokens_out for one in priced.values()) / tokens if tokens else 0.0
    saved = saved_month = None
    for key in all_time:
        if key.variant != "candidate":
            continue
        baseline = key._replace(variant="baseline")
        if key not in by or baseline not in by:
            continue
        saved = (saved or 0.0) + by[baseline].cost(all_time[key]) - by[key].cost(all_time[key])
        traffic = [lately[one] for one in (key, baseline) if one in lately]
        difference = sum(by[baseline].cost(one) - by[key].cost(one) for one in traffic)
        saved_month = (saved_month or 0.0) + difference * shares.get(key.experiment, 0.0) * MONTH_DAYS / days
    return Spending(cost, part, saved, saved_month)
