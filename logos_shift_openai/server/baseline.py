"""What a rollout can know before it begins: caps, first centres and a price, from the baseline's earlier calls.

Rule: all of it comes from calls that began before the rollout, so it is fixed before any of its units is seen, and it
is kept in the policy and the first step. A cap that cannot be found is a fault with its reason, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import Connection, or_, select

from logos_shift_openai.core.evidence import GRID
from logos_shift_openai.core.metrics import metric_of
from logos_shift_openai.core.policy import DEFAULT, Guarded, Policy
from logos_shift_openai.core.regenerated import REGENERATED
from logos_shift_openai.core.rollout_by_hand import RolloutError

from .measures import COLUMNS, measured
from .prices import Prices, read_prices
from .store.database import store_of
from .store.rows import Rest
from .store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from logos_shift_openai.core.config import Candidate, Experiment

CALLS_MIN: Final = 100
"""So many earlier calls are needed for a cap."""

CALLS_MAX: Final = 5_000
"""So many are looked at, the latest ones."""

SCORES_MIN: Final = 20
"""So many scores make a first centre."""

DAYS: Final = 30
_READ_MAX: Final = 4 * CALLS_MAX
_DAY: Final = 86_400_000
_MOST: Final = 0.9
_UNITS: Final = {"cost": "dollars"}
_rest: Final = msgspec.json.Decoder(Rest).decode


@dataclass(frozen=True, slots=True)
class Fitted:
    """A policy that can begin.

    Args:
        policy: With the caps that it lacked.
        means: The baseline's mean score of each metric that enough earlier calls have.
        notes: What was settled, in words.
    """

    policy: Policy
    means: Mapping[str, float]
    notes: tuple[str, ...] = ()


def fitted(connection: Connection, policy: Policy, experiment: Experiment, now: int) -> Fitted:
    """Complete a policy by the baseline's earlier calls.

    A policy that names no guardrails of its own gets `valid` besides where the calls ask for JSON: an answer that its
    reader cannot parse is a failure that nobody need report.

    Args:
        connection: A reader's connection.
        policy: Of the rollout that is to begin.
        experiment: Which calls it is about.
        now: Milliseconds since 1970; later calls are not looked at.

    Raises:
        RolloutError: a cap or a price is not known and cannot be found, or a metric does not go with the unit.
    """
    names = {one.metric for one in policy.guarded}
    if REGENERATED in names and policy.unit == "call":
        raise RolloutError(f"{REGENERATED}: where calls are drawn, nobody can ask again; draw users or conversations")
    prices = read_prices(connection) if "cost" in names else None
    earlier = list(earlier_calls(connection, experiment, now, prices))
    if prices is not None:
        _check_price(prices, experiment.candidate, earlier, now)
    notes: list[str] = []
    if policy.guardrails is DEFAULT.guardrails and _asks_for_json(policy, earlier):
        policy = replace(policy, guardrails=(*policy.guardrails, Guarded("valid")))
        notes.append("the calls ask for JSON, so valid is guarded too")
    primary = _capped(policy.primary, earlier, notes)
    guardrails = tuple(_capped(one, earlier, notes) for one in policy.guardrails)
    policy = replace(policy, primary=primary, guardrails=guardrails)
    return Fitted(policy, _means(policy, earlier), tuple(notes))


def earlier_calls(
    connection: Connection, experiment: Experiment, now: int, prices: Prices | None
) -> Iterator[dict[str, float]]:
    """Measure the latest calls that the baseline answered for itself, of the last days before `now`."""
    codec = store_of(connection).codec
    query = select(*COLUMNS, calls.c.dataset).where(
        calls.c.at < now,
        calls.c.at >= now - DAYS * _DAY,
        calls.c.requested_model.is_not(None),
        or_(calls.c.assigned.is_(None), calls.c.assigned == "baseline"),
    )
    if experiment.dataset != "*":
        query = query.where(calls.c.dataset == experiment.dataset)
    found = 0
    for row in connection.execute(query.order_by(calls.c.at.desc()).limit(_READ_MAX)).mappings():
        if experiment.concerns(row["dataset"], row["requested_model"]):
            yield measured(row, _rest(codec.unpack_rest(connection, row["rest"])), prices)
            found += 1
            if found == CALLS_MAX:
                return


def _asks_for_json(policy: Policy, earlier: Sequence[Mapping[str, float]]) -> bool:
    asking = sum("valid" in one for one in earlier)
    return policy.primary.metric != "valid" and asking >= max(CALLS_MIN, _MOST * len(earlier))


def _check_price(prices: Prices, candidate: Candidate, earlier: Sequence[Mapping[str, float]], now: int) -> None:
    if prices.price(candidate.model, candidate.provider, now) is None:
        raise RolloutError(
            f"cost: the price of {candidate.model} is not known; "
            f"`logos-shift prices set {candidate.model} --input USD --output USD` tells it"
        )
    if earlier and not any("cost" in one for one in earlier):
        raise RolloutError(
            f"cost: none of the {len(earlier)} earlier calls of the baseline has one; either its price is not known "
            "(`logos-shift prices set`), or its tokens are not (streams need `include_usage`)"
        )


def _capped(one: Guarded, earlier: Sequence[Mapping[str, float]], notes: list[str]) -> Guarded:
    metric = metric_of(one.metric)
    if not metric.has_cap or one.cap is not None:
        return one
    unit = _UNITS.get(one.metric, "milliseconds")
    known = sorted(values[one.metric] for values in earlier if values.get(one.metric, float("inf")) < float("inf"))
    if len(known) < CALLS_MIN:
        raise RolloutError(
            f"{one.metric} needs a cap: of the {len(earlier)} earlier calls of the baseline {len(known)} tell it, "
            f"{CALLS_MIN} are needed; name a cap in the policy, in {unit}"
        )
    cap = known[min(len(known) - 1, int(metric.quantile * len(known)))]
    if not cap > 0:
        raise RolloutError(f"{one.metric} needs a cap above 0, and the baseline's earlier calls give 0")
    notes.append(f"the cap of {one.metric} is {cap:g} {unit}, from {len(known)} earlier calls")
    return replace(one, cap=cap)


def _means(policy: Policy, earlier: Sequence[Mapping[str, float]]) -> dict[str, float]:
    means = {}
    for one in policy.guarded:
        scores = [one.score(values[one.metric]) / GRID for values in earlier if one.metric in values]
        if len(scores) >= SCORES_MIN:
            means[one.metric] = fmean(scores)
    return means
