"""Move a store into another one, from SQLite to PostgreSQL as a rule: resumable, into a store that may be in use.

Records go the way of new ones: inserted where their id is not there yet, and counted as far as the insert took
them; so a move that was broken off, or is run again, adds nothing twice. How far it has come stands in the target.
What the source has counted of calls that it has long removed is added once, at the end.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Table, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from .database import store_of
from .evidence import HOUR, Deltas, Key, recount
from .hot_insert import insert_new
from .rows import FeedbackRow, Head
from .schema import (
    api_keys,
    call_bodies,
    calls,
    client_counts,
    configs,
    dictionaries,
    evidence,
    evidence_deltas,
    feedback,
    meta,
    refused,
    retention,
    shadows,
)
from .sums import Sums

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import RowMapping

    from .database import Store

_PART: Final = 500
_WHOLE: Final = (dictionaries, configs, api_keys, retention, refused, client_counts)
_SETTINGS: Final = select(meta).where(meta.c.name == "prices")  # the user's own; the rest of `meta` is each store's
_COUNTED: Final = (calls, call_bodies, feedback, shadows, dictionaries, configs, api_keys)
_RECORDS: Final = (calls, feedback, shadows)
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True, slots=True)
class Compared:
    """How many rows of a table both stores have; the target may have more, of its own."""

    table: str
    source: int
    target: int
    missing: int


def move(
    source: Store,
    target: Store,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Compared]:
    """Copy everything of a store into another one.

    Args:
        source: Where from; it is only read.
        target: Where to.
        progress: Called with the records copied so far, and those there are.

    Returns:
        The tables compared, row by row by their keys; where nothing is missing the move is complete.

    Raises:
        StoreError: one of the two failed; run it again, and it goes on where it was.
    """
    with source.reading() as connection:
        total = sum(connection.scalar(select(func.count()).select_from(table)) or 0 for table in _RECORDS)
    done = 0
    _copy_whole(source, target)
    for table in _RECORDS:
        column = table.c.id
        last = _position(target, source, table)
        while True:
            with source.reading() as connection:
                rows = connection.execute(select(table).where(column > last).order_by(column).limit(_PART)).mappings()
                part = list(rows)
                bodies = _bodies(connection, source, [row["id"] for row in part]) if table is calls else []
            if not part:
                break
            last = part[-1]["id"]
            with target.writing() as connection:
                if table is calls:
                    _keep_calls(connection, part, bodies)
                elif table is shadows:
                    insert_new(connection, shadows, [tuple(row[column.name] for column in shadows.c) for row in part])
                else:
                    _keep_feedback(connection, part)
                _remember(connection, source, table, last)
            done += len(part)
            progress(done, total)
    _add_what_is_gone(source, target)
    _forget(target, source)
    return compare(source, target)


def compare(source: Store, target: Store) -> list[Compared]:
    """Compare two stores table by table: rows, and keys of the source that the target lacks."""
    return [_compared(source, target, table) for table in _COUNTED]


def _compared(source: Store, target: Store, table: Table) -> Compared:
    (key,) = table.primary_key.columns
    counts = []
    for store in (source, target):
        with store.reading() as connection:
            counts.append(connection.scalar(select(func.count()).select_from(table)) or 0)
    missing = 0
    last: Any = None
    while True:
        query = select(key).order_by(key).limit(_PART)
        with source.reading() as connection:
            keys = list(connection.scalars(query if last is None else query.where(key > last)))
        if not keys:
            return Compared(table.name, counts[0], counts[1], missing)
        last = keys[-1]
        with target.reading() as connection:
            there = connection.scalar(select(func.count()).where(key.in_(keys))) or 0
        missing += len(keys) - there


def _copy_whole(source: Store, target: Store) -> None:
    for table, query in (*((table, select(table)) for table in _WHOLE), (meta, _SETTINGS)):
        with source.reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        if rows:
            with target.writing() as connection:
                fresh = _INSERTS[connection.dialect.name](table).on_conflict_do_nothing()
                connection.execute(fresh, rows)
    target.codec.forget()


def _bodies(connection: Connection, source: Store, ids: list[str]) -> list[tuple[str, str, bytes]]:
    rows = connection.execute(select(call_bodies).where(call_bodies.c.call_id.in_(ids))).mappings()
    return [(row["call_id"], row["codec"], source.bodies.fetch(row["data"], row["place"])) for row in rows]


def _keep_calls(connection: Connection, part: list[RowMapping], bodies: list[tuple[str, str, bytes]]) -> None:
    from logos_shift_openai.server.ingest import count_new  # noqa: PLC0415 - which knows this package

    names = [column.name for column in calls.c if column.name != "score"]
    rows = {row["id"]: tuple(row[name] for name in names) for row in part}
    new = insert_new(connection, calls, list(rows.values()))
    _keep_bodies(connection, [row for row in part if row["id"] in new], {body[0]: body for body in bodies})
    count_new(connection, [Head(*rows[call_id]) for call_id in sorted(new)], [])


def _keep_bodies(connection: Connection, new: list[RowMapping], bodies: dict[str, tuple[str, str, bytes]]) -> None:
    """Keep bodies where the target keeps them, packed as they are: the dictionaries have come along."""
    found = [(row["id"], row["dataset"], bodies[row["id"]][2]) for row in new if row["id"] in bodies]
    if not found:
        return
    received = [row["received"] for row in new]
    rows = store_of(connection).bodies.keep(found, min(received), max(received))
    insert_new(connection, call_bodies, [(call_id, bodies[call_id][1], *rest) for call_id, _zstd, *rest in rows])


def _keep_feedback(connection: Connection, part: list[RowMapping]) -> None:
    from logos_shift_openai.server.ingest import count_new  # noqa: PLC0415 - which knows this package

    names = FeedbackRow.__struct_fields__
    rows = {row["id"]: FeedbackRow(*(row[name] for name in names)) for row in part}
    values = [tuple(getattr(row, name) for name in names) for row in rows.values()]
    new = insert_new(connection, feedback, values)
    count_new(connection, [], [rows[one] for one in new])


def _add_what_is_gone(source: Store, target: Store) -> None:
    """Add what the source has counted beyond the calls that it still has."""
    name = _name(source, "evidence")
    with source.reading() as connection:
        gone = Deltas()
        for row in connection.execute(select(evidence).where(evidence.c.level == HOUR)).mappings():
            gone.of(_key(row), row["start"]).add(Sums.unpack(row["sums"]))
        for row in connection.execute(select(evidence_deltas)).mappings():
            gone.of(_key(row), row["start"]).add(Sums.unpack(row["sums"]))
        for (key, start), sums in recount(connection).items():
            gone.of(key, start).add(sums, -1)
    with target.writing() as connection:
        if connection.scalar(select(meta.c.value).where(meta.c.name == name)) is None:
            gone.write(connection)
            connection.execute(insert(meta).values(name=name, value="added"))


def _key(row: RowMapping) -> Key:
    return Key(row["dataset"], row["experiment"], row["variant"], bool(row["functions"]))


def _name(source: Store, what: str) -> str:
    """Name a line of ours in the target's `meta`, by the source it is about."""
    return f"move:{sha256(source.where.encode()).hexdigest()[:16]}:{what}"


def _position(target: Store, source: Store, table: Table) -> str:
    with target.reading() as connection:
        found = connection.scalar(select(meta.c.value).where(meta.c.name == _name(source, table.name)))
    return "" if found is None else str(json.loads(found))


def _remember(connection: Connection, source: Store, table: Table, last: str) -> None:
    statement = _INSERTS[connection.dialect.name](meta).values(name=_name(source, table.name), value=json.dumps(last))
    connection.execute(
        statement.on_conflict_do_update(index_elements=[meta.c.name], set_={"value": statement.excluded.value})
    )


def _forget(target: Store, source: Store) -> None:
    """Begin at the start next time: a source that goes on growing may get ids among those it had."""
    names = [_name(source, table.name) for table in _RECORDS]
    with target.writing() as connection:
        connection.execute(meta.delete().where(meta.c.name.in_(names)))
