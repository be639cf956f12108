"""Measure the calls of an experiment: scores by metric from the heads in the store, read in parts of bounded size.

An answer that the baseline had to give for the candidate is the candidate's failure (intention to treat): it counts in
`fallbacks` and in `errors`, and the JSON that was asked for was not given. A call that failed is as slow as the cap.
What a metric needs and the call does not have (feedback, the time to the first token, a price) leaves that score out.
The cost of a call is that of the answer that was given; what is charged for an attempt that failed, nobody says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import Connection, and_, or_, select

from logos_shift_openai.core.booking import Booking, ScoredCall
from logos_shift_openai.core.evidence import GRID
from logos_shift_openai.core.records import Unit
from logos_shift_openai.core.regenerated import REGENERATED, with_regenerated

from .prices import read_prices
from .store.database import store_of
from .store.rows import Rest, checks_in
from .store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import RowMapping

    from logos_shift_openai.core.evidence import Evidence
    from logos_shift_openai.core.policy import Policy
    from logos_shift_openai.core.rollout_state import State

    from .prices import Prices

MEASURED: Final = (
    *("success", "errors", "fallbacks", "valid", "refusals", "cut", "regenerated"),
    *("latency", "slow", "first_token", "cost"),
)
"""The metrics that a store has of calls by itself."""

_PART: Final = 1_000
COLUMNS: Final = tuple(
    calls.c[name]
    for name in (
        *("id", "at", "requested_model", "served_model", "assigned", "served", "error_type", "duration_ms"),
        *("first_token_ms", "tokens_in", "tokens_out", "tokens_cached", "score", "rest"),
    )
)
_rest: Final = msgspec.json.Decoder(Rest).decode


def evidence_of(connection: Connection, experiment: str, policy: Policy, state: State, now: float) -> Evidence:
    """Count the evidence of a rollout's present run from its calls.

    Args:
        connection: A reader's connection.
        experiment: Its key.
        policy: What is measured, and the caps.
        state: Where the rollout stands.
        now: Unix seconds.
    """
    booking = Booking(state)
    found = scored_calls(connection, experiment, policy, booking.since)
    again = next((one for one in policy.guarded if one.metric == REGENERATED), None)
    if again is not None:
        found = with_regenerated(found, again.score(0) / GRID, again.score(1) / GRID, now)
    for call in found:
        booking.add(call)
    return booking.evidence(now)


def scored_calls(connection: Connection, experiment: str, policy: Policy, since: float) -> Iterator[ScoredCall]:
    """Read the calls that were drawn, by (at, id), from a time on in Unix seconds."""
    codec = store_of(connection).codec
    prices = read_prices(connection) if any(one.metric == "cost" for one in policy.guarded) else None
    after = (int(since * 1000), "")
    query = select(*COLUMNS).where(calls.c.experiment == experiment, calls.c.assigned.is_not(None))
    while True:
        later = or_(calls.c.at > after[0], and_(calls.c.at == after[0], calls.c.id > after[1]))
        part = query.where(calls.c.at >= after[0], later).order_by(calls.c.at, calls.c.id).limit(_PART)
        rows = connection.execute(part).mappings().all()
        for row in rows:
            rest = _rest(codec.unpack_rest(connection, row["rest"]))
            if rest.unit_kind is None or rest.unit_id is None or rest.share is None or rest.bucket is None:
                continue
            yield ScoredCall(
                row["at"] / 1000,
                row["id"],
                Unit(rest.unit_kind, rest.unit_id),  # type: ignore[arg-type]  # was checked when it came in
                row["assigned"],
                rest.share,
                rest.bucket,
                scores_of(policy, measured(row, rest, prices)),
                rest.question,
            )
        if len(rows) < _PART:
            return
        after = (rows[-1]["at"], rows[-1]["id"])


def measured(row: RowMapping, rest: Rest, prices: Prices | None = None) -> dict[str, float]:
    """Give what was measured of a call, in each metric's own unit.

    Args:
        row: The columns of its head.
        rest: What lies packed beside them.
        prices: What models cost; None where nobody asks for `cost`.
    """
    fallback = row["assigned"] == "candidate" and row["served"] == "baseline"
    failed = row["error_type"] is not None
    checks = checks_in(rest.checks)
    values = {
        "errors": float(failed or fallback),
        "fallbacks": float(fallback),
        "latency": float("inf") if failed else row["duration_ms"],
        "first_token": float("inf") if failed else row["first_token_ms"],
        "slow": float("inf") if failed else row["duration_ms"],
        "success": row["score"],
        "valid": checks.valid and not fallback,
        # What the baseline said in its place says nothing of how the candidate would have ended.
        "refusals": None if fallback else checks.refused,
        "cut": None if fallback else checks.cut,
    }
    if prices is not None:
        model = row["served_model"] or row["requested_model"]
        tokens = (row["tokens_in"], row["tokens_out"], row["tokens_cached"])
        values["cost"] = prices.cost(model, rest.served_provider, row["at"], tokens)
    # A client's clock may have said what cannot be; such a value is none.
    return {name: float(value) for name, value in values.items() if value is not None and value >= 0}


def scores_of(policy: Policy, values: Mapping[str, float]) -> dict[str, float]:
    """Orient and cap what was measured: scores in [0, 1] for the metrics of a policy."""
    return {one.metric: one.score(values[one.metric]) / GRID for one in policy.guarded if one.metric in values}
