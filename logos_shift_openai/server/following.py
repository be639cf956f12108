"""Follow a store: the heads of calls that came in since one looked last, each once.

Calls are found by the time they were received. On SQLite that never goes back. On PostgreSQL several processes write,
each by its own clock, and a transaction that is committed late brings calls from before what was read already; so there
a follower looks once more from a place that nothing can come in before. That place is moved on only when all
transactions that were open when it was noted have ended (their numbers lie below the `xmin` of a snapshot: PostgreSQL,
"System Information Functions", table 9.76), and stays behind it by what clocks may differ. What was given before is
known by its id. Nothing is kept in the database's session, so a pooler may stand in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, select, text

from .store.database import store_of
from .store.rows import head_of
from .store.schema import calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, RowMapping

    from .store.rows import Row

BEHIND_MS: Final = 10_000
"""How far the clocks of servers may differ, and how long a batch may be read before its transaction has a number."""

_AT_FIRST_MS: Final = 60_000
_PART: Final = 500
_NEVER: Final = -1
_SNAPSHOT: Final = text(
    "SELECT CAST(CAST(pg_snapshot_xmin(here) AS TEXT) AS BIGINT), CAST(CAST(pg_snapshot_xmax(here) AS TEXT) AS BIGINT) "
    "FROM pg_current_snapshot() AS here"
)
_named: Final = select(calls).where(calls.c.id.in_(bindparam("names", expanding=True)))


@dataclass(frozen=True, slots=True)
class Mark:
    """What a follower had seen at one look.

    Args:
        number: Transactions from this number on had not begun.
        received: The latest arrival that was there.
    """

    number: int
    received: int


@dataclass(slots=True)
class Cursor:
    """How far a reader has come: all received before `received`, and of those since then the ones in `ids`.

    Args:
        latest: The latest arrival seen.
        marks: Looks, earliest first, from before which transactions may still be open; PostgreSQL only.
    """

    received: int = _NEVER
    ids: set[str] = field(default_factory=set)
    latest: int = _NEVER
    marks: list[Mark] = field(default_factory=list)


def calls_since(connection: Connection, cursor: Cursor) -> list[Row]:
    """List the heads of calls that came in after the cursor, in that order, and move it on.

    Args:
        connection: A reader's connection.
        cursor: Where it stands; belongs to one follower.
    """
    there = _look(connection, cursor)
    fresh = [call_id for call_id in there if call_id not in cursor.ids]
    _move(connection, cursor, there)
    rows = sorted(_rows(connection, fresh), key=lambda row: (row["received"], row["at"], row["id"]))
    codec = store_of(connection).codec
    return [{**head_of(row, codec.unpack_rest(connection, row["rest"])), "feedback": None} for row in rows]


def latest(connection: Connection) -> Cursor:
    """Give a cursor behind everything that is there; what is under way now is still before it."""
    last = connection.scalar(select(func.max(calls.c.received)))
    if last is None:
        return Cursor()
    cursor = Cursor(received=last if connection.dialect.name == "sqlite" else last - _AT_FIRST_MS)
    _move(connection, cursor, _look(connection, cursor))
    return cursor


def _look(connection: Connection, cursor: Cursor) -> dict[str, int]:
    """Give what has been received since the cursor's place, by id."""
    query = select(calls.c.id, calls.c.received).where(calls.c.received >= cursor.received)
    return {row.id: row.received for row in connection.execute(query)}


def _move(connection: Connection, cursor: Cursor, there: dict[str, int]) -> None:
    cursor.latest = max(cursor.latest, *there.values()) if there else cursor.latest
    if connection.dialect.name == "sqlite":
        cursor.received = max(cursor.received, cursor.latest)
    else:
        oldest_open, next_number = connection.execute(_SNAPSHOT).one()
        if not cursor.marks or cursor.marks[-1].number != next_number:
            cursor.marks.append(Mark(next_number, cursor.latest))
        past = [mark for mark in cursor.marks if mark.number <= oldest_open]
        if past:
            cursor.received = max(cursor.received, past[-1].received - BEHIND_MS)
            cursor.marks = cursor.marks[len(past) :]
    cursor.ids = {call_id for call_id, received in there.items() if received >= cursor.received}


def _rows(connection: Connection, ids: list[str]) -> Iterator[RowMapping]:
    names: Any = iter(ids)
    while part := list(islice(names, _PART)):
        yield from connection.execute(_named, {"names": part}).mappings()
