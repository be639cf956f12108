"""What was said of calls: which feedback counts, and for which call.

A feedback is about a call by our id or by the provider's own id of its answer, and may come before its call;
so the two are joined when they are read. Of several that carry a score the latest counts. A call without a
score of its own takes that of its nearest parent that has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    exists,
    func,
    select,
    union_all,
)

from .store.rows import Row, feedback_of
from .store.schema import calls, feedback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SUCCESS_FROM: Final = 0.5
"""A score from here on counts as a success where only two answers are asked for."""


_PART: Final = 500


@dataclass(frozen=True, slots=True)
class Score:
    """The score that counts for a call.

    Args:
        value: In [0, 1].
        call_id: The call it was given to: the call itself, or a parent.
    """

    value: float
    call_id: str


def score_of() -> ColumnElement[float]:
    """Say in SQL what a feedback is worth: its value, else 1 or 0 by its label."""
    given = feedback.c.value
    return case((given.is_not(None), given), (feedback.c.label == "success", 1.0), else_=0.0)


def effective_scores() -> CTE:
    """Give the score of every call that has one, as a table of `id` and `score`."""
    own = _own_scores().cte("own")
    effective = select(own.c.id, own.c.score).cte("effective", recursive=True)
    has_own = exists().where(own.c.id == calls.c.id)
    children = select(calls.c.id, effective.c.score).where(calls.c.parent == effective.c.id, ~has_own)
    return effective.union_all(children)


def scores(connection: Connection, rows: Iterable[Row]) -> dict[str, Score]:
    """Find the scores of a few calls, going up from them; the same as `effective_scores` has for them.

    Args:
        connection: A reader's connection.
        rows: Calls with their `id`, `provider_id` and `parent`.
    """
    found: dict[str, Score] = {}
    climbing = {row["id"]: row for row in rows}  # the call asked for -> the one its score is looked for at
    visited: dict[str, set[str]] = {call_id: {call_id} for call_id in climbing}
    while climbing:
        own = _latest(connection, climbing.values())
        for below, at in climbing.items():
            if at["id"] in own:
                found[below] = Score(own[at["id"]], at["id"])
        wanted = {at["parent"] for below, at in climbing.items() if below not in found and at["parent"]}
        parents = _relations(connection, wanted)
        climbing = {
            below: parents[at["parent"]]
            for below, at in climbing.items()
            if below not in found and at["parent"] in parents and at["parent"] not in visited[below]
        }
        for below, at in climbing.items():
            visited[below].add(at["id"])
    return found


def feedback_about(connection: Connection, row: Row) -> list[Row]:
    """List everything that was said of one call itself, earliest first."""
    about = feedback.c.call_id.in_([row["id"], row["provider_id"]] if row["provider_id"] else [row["id"]])
    query = select(feedback).where(about).order_by(feedback.c.at, feedback.c.id)
    return [feedback_of(said) for said in connection.execute(query).mappings()]


def _own_scores() -> Select[Any]:
    """Rank the scored feedback of each call and keep the latest."""
    scored = feedback.c.value.is_not(None) | feedback.c.label.is_not(None)
    parts = [
        select(calls.c.id, score_of().label("score"), feedback.c.at, feedback.c.id.label("said")).where(
            column == feedback.c.call_id, scored
        )
        for column in (calls.c.id, calls.c.provider_id)
    ]
    said = union_all(*parts).subquery("said")
    rank = func.row_number().over(partition_by=said.c.id, order_by=(said.c.at.desc(), said.c.said.desc()))
    ranked = select(said.c.id, said.c.score, rank.label("rank")).subquery("ranked")
    return select(ranked.c.id, ranked.c.score).where(ranked.c.rank == 1)


def _latest(connection: Connection, rows: Iterable[Row]) -> dict[str, float]:
    names: dict[str, list[str]] = {}
    for row in rows:
        for name in {row["id"], row["provider_id"]} - {None}:
            names.setdefault(name, []).append(row["id"])
    query = (
        select(feedback.c.call_id, score_of().label("score"), feedback.c.at, feedback.c.id)
        .where(feedback.c.value.is_not(None) | feedback.c.label.is_not(None))
        .where(feedback.c.call_id.in_(bindparam("names", expanding=True)))
    )
    latest: dict[str, tuple[int, str, float]] = {}
    for said in _in_parts(connection, query, list(names)):
        for call_id in names[said["call_id"]]:
            one = (said["at"], said["id"], said["score"])
            latest[call_id] = max(latest.get(call_id, one), one)
    return {call_id: score for call_id, (_at, _id, score) in latest.items()}


def _relations(connection: Connection, ids: Iterable[str]) -> dict[str, Row]:
    query = select(calls.c.id, calls.c.provider_id, calls.c.parent).where(
        calls.c.id.in_(bindparam("names", expanding=True))
    )
    return {row["id"]: row for row in _in_parts(connection, query, list(ids))}


def _in_parts(connection: Connection, query: Select[Any], names: list[str]) -> Iterator[Row]:
    """Ask for many names, some at a time: an engine takes only so many parameters."""
    for start in range(0, len(names), _PART):
        for row in connection.execute(query, {"names": names[start : start + _PART]}).mappings():
            yield dict(row)
