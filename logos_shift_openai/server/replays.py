"""Which logged calls are asked of a candidate again, and what it has said to them so far.

The sample is the latest whole calls that somebody else than the candidate answered. What the candidate was asked once,
by a replay or by the mirror, it is not asked again: its shadow is in the store.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import Connection, or_, select, update

from .calls import find_call
from .shadows import Pair, pairs
from .store.schema import calls, shadows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logos_shift_openai.core.config import Candidate

    from .store.rows import Row

_PART: Final = 500


class Wanted(NamedTuple):
    """Which calls are meant.

    Args:
        dataset: Only those of this one; "*" for all.
        match: Requested models, as shell-style patterns.
        since: Started at or after, milliseconds since 1970.
        limit: So many, the latest first.
    """

    dataset: str = "*"
    match: tuple[str, ...] = ("*",)
    since: int = 0
    limit: int = 100


def sample(connection: Connection, wanted: Wanted, candidate: Candidate) -> list[str]:
    """Name the calls to compare a candidate on, the latest first."""
    found: list[str] = []
    for call_id, model in _whole_calls(connection, wanted, candidate):
        if any(fnmatchcase(model, pattern) for pattern in wanted.match):
            found.append(call_id)
        if len(found) >= wanted.limit:
            break
    return found


def _whole_calls(connection: Connection, wanted: Wanted, candidate: Candidate) -> Iterator[tuple[str, str]]:
    column = calls.c
    conditions = [
        column.endpoint.in_(candidate.endpoints),
        column.error_type.is_(None),
        column.complete.is_(True),
        or_(column.served.is_(None), column.served == "baseline"),
        or_(column.served_model.is_(None), column.served_model != candidate.model),
        column.requested_model.is_not(None),
        column.at >= wanted.since,
    ]
    if wanted.dataset != "*":
        conditions.append(column.dataset == wanted.dataset)
    query = select(column.id, column.at, column.requested_model).order_by(column.at.desc(), column.id.desc())
    before = None
    while wanted.limit > 0:
        part = query.where(*conditions) if before is None else query.where(*conditions, before)
        rows = connection.execute(part.limit(_PART)).all()
        for row in rows:
            yield row.id, row.requested_model
        if len(rows) < _PART:
            return
        last = rows[-1]
        before = or_(column.at < last.at, (column.at == last.at) & (column.id < last.id))


def shadows_of(connection: Connection, call_ids: Sequence[str], candidate: Candidate) -> dict[str, str]:
    """Give the shadows of calls by this candidate, by the call's id; the first of each."""
    found: dict[str, str] = {}
    provider = shadows.c.provider
    same = (shadows.c.model == candidate.model) & (
        provider.is_(None) if candidate.provider is None else provider == candidate.provider
    )
    for start in range(0, len(call_ids), _PART):
        part = call_ids[start : start + _PART]
        query = select(shadows.c.shadow_of, shadows.c.id).where(shadows.c.shadow_of.in_(part), same)
        for call_id, shadow_id in connection.execute(query.order_by(shadows.c.id)).all():
            found.setdefault(call_id, shadow_id)
    return found


def to_ask(connection: Connection, call_id: str) -> Row | str:
    """Give a call with its request; where that is not kept as it was, the word of `core.left_out` that says why."""
    found = find_call(connection, call_id)
    if found is None:
        return "no_body"
    if not found.get("bodies", True):
        return "sampled"
    if found["request"] is None or found["response"] is None:
        return "no_body"
    return "truncated" if found["truncated"] else "media" if found["media"] else found


def read_pairs(connection: Connection, shadow_ids: Sequence[str]) -> Iterator[Pair]:
    """Read pairs, a bounded number at a time."""
    for start in range(0, len(shadow_ids), _PART):
        yield from pairs(connection, shadow_ids[start : start + _PART])


def keep_verdict(connection: Connection, shadow_id: str, judge: str, score: float) -> None:
    """Keep what a judge said of a pair.

    Args:
        connection: A writer's connection.
        shadow_id: The pair's shadow.
        judge: Who it was.
        score: The candidate's, in [0, 1].
    """
    connection.execute(update(shadows).where(shadows.c.id == shadow_id).values(judged=score, judge=judge))
