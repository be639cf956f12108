"""Measure the calls of an experiment: scores by metric from their heads, and the evidence that they are counted as.

An answer that the baseline had to give for the candidate is the candidate's failure (intention to treat): it counts in
`fallbacks` and in `errors`. A call that failed is as slow as the cap. What a metric needs and the call does not have
(feedback, the time to the first token) leaves that score out.
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

from .store.database import store_of
from .store.rollout_counts import counted, generation_of
from .store.rows import Rest
from .store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import RowMapping

    from logos_shift_openai.core.evidence import Evidence
    from logos_shift_openai.core.policy import Policy
    from logos_shift_openai.core.rollout_state import State

    from .store.rows import Row

MEASURED: Final = ("success", "errors", "fallbacks", "latency", "first_token")
"""The metrics that a store has of calls by itself."""

_PART: Final = 1_000
_COLUMNS: Final = tuple(
    calls.c[name]
    for name in ("id", "at", "assigned", "served", "error_type", "duration_ms", "first_token_ms", "score", "rest")
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
    there = counted(connection, experiment)
    if there is not None and there.generation == generation_of(policy, state):
        return there.tally.evidence(state)
    return recounted(connection, experiment, policy, state, now)


def recounted(connection: Connection, experiment: str, policy: Policy, state: State, now: float) -> Evidence:
    """Count the same from the calls themselves, about 15 us each."""
    booking = Booking(state)
    for call in scored_calls(connection, experiment, policy, booking.since / 1000):
        booking.add(call)
    return booking.evidence(now)


def scored_calls(connection: Connection, experiment: str, policy: Policy, since: float) -> Iterator[ScoredCall]:
    """Read the calls that were drawn, by (at, id) and in parts, from a time on in Unix seconds."""
    codec, scorer = store_of(connection).codec, Scorer(policy)
    after = (milliseconds(since), "")
    query = select(*_COLUMNS).where(calls.c.experiment == experiment, calls.c.assigned.is_not(None))
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
                {metric: score / GRID for metric, score in scorer(measured(row)).items()},
            )
        if len(rows) < _PART:
            return
        after = (rows[-1]["at"], rows[-1]["id"])


def measured(row: RowMapping | Row) -> dict[str, float]:
    """Give what was measured of a call, in each metric's own unit.

    Args:
        row: Its row; at ingest the columns of its head, with `rest` as JSON and no score yet.
    """
    fallback = row["assigned"] == "candidate" and row["served"] == "baseline"
    failed = row["error_type"] is not None
    values = {
        "errors": float(failed or fallback),
        "fallbacks": float(fallback),
        "latency": float("inf") if failed else row["duration_ms"],
        "first_token": float("inf") if failed else row["first_token_ms"],
        "success": row["score"],
    }
    return {name: value for name, value in values.items() if value is not None}


class Scorer:
    """Orient and cap what was measured for a policy: scores in steps of the grid.

    What cannot be a score, as a time below 0, is left out.
    """

    def __init__(self, policy: Policy) -> None:
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
