"""Folding: the background step that keeps reading the evidence cheap, and mends what writers could not see.

Theory of the mending. Two transactions on PostgreSQL that run at the same time, one with a call and one with what
was said of it, do not see each other, so neither counts the score. Whatever arrived in the last minutes is
therefore looked up once more: new feedback, and new calls that have a score, whose children may have come beside
them. On SQLite, with one writer, there is nothing to mend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from .dictionaries import train_due
from .drawn import Drawn
from .store.database import StoreConflictError
from .store.evidence import Deltas, calls_locked, fold_deltas, rescore
from .store.schema import calls, evidence_deltas, feedback

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .store.database import Store

_AT_ONCE: Final = 2_000
_BUSY_SECONDS: Final = 0.0
_IDLE_SECONDS: Final = 1.0
_MEND_MS: Final = 120_000
_MEND_EVERY_MS: Final = 10_000
_mended: dict[str, int] = {}


def fold(store: Store, now: int) -> float:
    """Fold deltas into sums.

    Args:
        store: Which one.
        now: Milliseconds since 1970.

    Returns:
        Seconds to the next turn.
    """
    mend(store, now)
    with store.reading() as connection:
        if connection.scalar(select(evidence_deltas.c.id).limit(1)) is None:
            return _IDLE_SECONDS
    with store.writing() as connection:
        folded = fold_deltas(connection, _AT_ONCE)
    return _BUSY_SECONDS if folded == _AT_ONCE else _IDLE_SECONDS


def settle(store: Store, now: int) -> None:
    """Do at once what a server does in the background, for a machine that has none."""
    while fold(store, now) == _BUSY_SECONDS:
        pass
    train_due(store, now)


def mend(store: Store, now: int) -> int:
    """Look up the scores of what arrived lately once more, where writers may have passed each other.

    Lately is since shortly before the last time that this went well, so that neither an outage nor a clock that
    jumps leaves anything out; in a new process, since shortly before the newest record.

    Returns:
        How many scores were missing.
    """
    last = _mended.get(store.where)
    if store.is_sqlite or (last is not None and 0 <= now - last < _MEND_EVERY_MS):
        return 0
    if last is None:
        with store.reading() as connection:
            last = connection.scalar(select(func.max(calls.c.received)))
    try:
        mended = mend_since(store, min(now, now if last is None else last) - _MEND_MS)
    except StoreConflictError:  # with a writer of the same calls; the next turn looks from the same time on
        return 0
    _mended[store.where] = now
    return mended


def mend_since(store: Store, since: int) -> int:
    """Look up the scores of what arrived at or after a time, milliseconds since 1970."""
    deltas = Deltas()
    with store.writing() as connection:
        seeds = {row["id"]: row for row in _doubtful(connection, since)}
        if not seeds:
            return 0
        mended = rescore(connection, deltas, seeds.values())
        deltas.write(connection)
        Drawn.read(connection).write(connection, (), deltas.changed)
    return mended


def _doubtful(connection: Connection, since: int) -> list[dict[str, Any]]:
    scored = feedback.c.value.is_not(None) | feedback.c.label.is_not(None)
    names = list(connection.scalars(select(feedback.c.call_id).where(feedback.c.received >= since, scored).distinct()))
    recent = list(connection.scalars(select(calls.c.id).where(calls.c.received >= since, calls.c.score.is_not(None))))
    return [
        *calls_locked(connection, calls.c.id, names),
        *calls_locked(connection, calls.c.provider_id, names),
        *calls_locked(connection, calls.c.parent, recent),
    ]
