"""Measure the calls of an experiment: scores by metric from their heads, and the evidence that they are counted as.

An answer that the baseline had to give for the candidate is the candidate's failure (intention to treat): it counts in
`fallbacks` and in `errors`, and the JSON that was asked for was not given. A call that failed is as slow as the cap.
What a metric needs and the call does not have (feedback, the time to the first token, a price) leaves that score out.
The cost of a call is that of the answer that was given, of one that a confidence gate held back, and of an attempt that
failed and said what it used; what is charged for one that did not say, nobody knows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import Connection, and_, or_, select

from logos_shift_openai.core.booking import Booking, ScoredCall, milliseconds
from logos_shift_openai.core.evidence import GRID, ScoreError
from logos_shift_openai.core.metrics import metric_of
from logos_shift_openai.core.records import Unit
from logos_shift_openai.core.regenerated import REGENERATED, with_regenerated

from .prices import read_prices
from .store.database import store_of
from .store.rollout_counts import counted, generation_of
from .store.rows import Rest, checks_in
from .store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import RowMapping

    from logos_shift_openai.core.evidence import Evidence
    from logos_shift_openai.core.policy import Policy
    from logos_shift_openai.core.rollout_state import State

    from .prices import Prices
    from .store.rows import Row

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
    """Read the evidence of a rollout's present run, as far as it was counted (see `counting`).

    Args:
        connection: A reader's connection.
        experiment: Its key.
        policy: What is measured, and the caps.
        state: Where the rollout stands.
        now: Unix seconds; looked at where the run was not counted yet, and the calls are read for it.
    """
    there = counted(connection, experiment) if kept_as_counts(policy) else None
    if there is not None and there.generation == generation_of(policy, state):
        return there.tally.evidence(state)
    return recounted(connection, experiment, policy, state, now)


def recounted(connection: Connection, experiment: str, policy: Policy, state: State, now: float) -> Evidence:
    """Count the same from the calls themselves, about 15 us each."""
    booking = Booking(state)
    found = scored_calls(connection, experiment, policy, booking.since / 1000)
    again = next((one for one in policy.guarded if one.metric == REGENERATED), None)
    if again is not None:
        found = with_regenerated(found, again.score(0) / GRID, again.score(1) / GRID, now)
    for call in found:
        booking.add(call)
    return booking.evidence(now)


def scored_calls(connection: Connection, experiment: str, policy: Policy, since: float) -> Iterator[ScoredCall]:
    """Read the calls that were drawn, by (at, id) and in parts, from a time on in Unix seconds."""
    codec, scorer = store_of(connection).codec, Scorer(policy)
    prices = read_prices(connection) if "cost" in scorer.metrics else None
    after = (milliseconds(since), "")
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
                {metric: score / GRID for metric, score in scorer(measured(row, rest, prices)).items()},
                rest.question,
            )
        if len(rows) < _PART:
            return
        after = (rows[-1]["at"], rows[-1]["id"])


def kept_as_counts(policy: Policy) -> bool:
    """Tell whether a policy's metrics can be counted as calls come in; `regenerated` needs a call's later calls."""
    return all(one.metric != REGENERATED for one in policy.guarded)


def measured(row: RowMapping | Row, rest: Rest, prices: Prices | None = None) -> dict[str, float]:
    """Give what was measured of a call, in each metric's own unit.

    An answer that a confidence gate held back is no fallback: what the baseline said then is the system's answer.

    Args:
        row: Its row; at ingest the columns of its head, with no score yet.
        rest: What lies packed beside them.
        prices: What models cost; None where nobody asks for `cost`.
    """
    gated = rest.gate is not None and not rest.gate.passed
    fallback = row["assigned"] == "candidate" and row["served"] == "baseline" and not gated
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
        answered = prices.cost(model, rest.served_provider, row["at"], tokens)
        gate = None if rest.gate is None else msgspec.to_builtins(rest.gate)
        spent = None if rest.spent is None else msgspec.to_builtins(rest.spent)
        values["cost"] = prices.cost_of_all(answered, gate, spent, row["at"])
    # A client's clock may have said what cannot be; such a value is none.
    return {name: float(value) for name, value in values.items() if value is not None and value >= 0}


class Scorer:
    """Orient and cap what was measured for a policy: scores in steps of the grid.

    What cannot be a score, as a time below 0, is left out.
    """

    def __init__(self, policy: Policy) -> None:
        self.metrics = frozenset(one.metric for one in policy.guarded)
        # Rates have few values, and what they score is remembered; quantities have a new one each time.
        self._scores = [
            (one.metric, one.score if metric_of(one.metric).capped else lru_cache(maxsize=64)(one.score))
            for one in policy.guarded
        ]

    def __call__(self, values: Mapping[str, float]) -> dict[str, int]:
        """Score what was measured of a call."""
        scores = {}
        for metric, score in self._scores:
            value = values.get(metric)
            if value is not None:
                try:
                    scores[metric] = score(value)
                except ScoreError:
                    continue
        return scores
