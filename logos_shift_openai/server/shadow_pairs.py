"""Show the pairs of a shadow: what a candidate answered beside what the caller got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from .excerpts import answered, asked
from .shadows import pairs
from .store.schema import shadows

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SHOWN: Final = ("id", "shadow_of", "at", "experiment", "model", "provider", "duration_ms", "error_type")


def shadow_pairs(
    connection: Connection,
    *,
    experiment: str | None = None,
    call: str | None = None,
    differ: bool = False,
    before: tuple[int, str] | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """List pairs, the latest first; both answers whole where they are those of one call, else shortened.

    Args:
        connection: A reader's connection.
        experiment: Only this one's.
        call: Only those of this call.
        differ: Only those whose answers do not agree, or whose candidate failed.
        before: Only those that come after this one in the list: its `at` and its id.
        limit: So many at most.
    """
    column = shadows.c
    query = select(column.id).order_by(column.at.desc(), column.id.desc()).limit(limit)
    if experiment is not None:
        query = query.where(column.experiment == experiment)
    if call is not None:
        query = query.where(column.shadow_of == call)
    if differ:
        query = query.where((column.score < 1) | column.error_type.is_not(None))
    if before is not None:
        at, last = before
        query = query.where((column.at < at) | ((column.at == at) & (column.id < last)))
    ids = list(connection.scalars(query))
    order = {one: place for place, one in enumerate(ids)}
    found = sorted(pairs(connection, ids), key=lambda pair: order[pair.shadow["id"]])
    more = ("error_message", "tokens_in", "tokens_out", "compared", "score", "judged", "judge")
    return [
        {
            **{name: pair.shadow[name] for name in (*_SHOWN, *more)},
            "asked": asked(pair.request),
            "baseline": pair.baseline if call is not None else answered(pair.baseline),
            "candidate": pair.candidate if call is not None else answered(pair.candidate),
        }
        for pair in found
    ]
