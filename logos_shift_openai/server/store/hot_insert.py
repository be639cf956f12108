"""The hot insert, written bare for each driver: rows whose key is not there yet, and which those were.

SQLite takes many rows of VALUES in a statement. For PostgreSQL the rows go as one JSON text and one list of bytes,
which the server takes apart: with a parameter a value, the driver alone would take longer than all the rest. Both
end in `ON CONFLICT DO NOTHING RETURNING`. Rows go in by the order of their keys, so that two transactions with the
same ones wait for each other instead of for each other's second row.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import LargeBinary
from sqlalchemy.dialects import postgresql

from .columns import Choice, IdType, unpack_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Table

_AT_ONCE: Final = (128, 32, 8, 1)
"""Rows in a statement for SQLite: a few sizes, so that the statements themselves can be kept ready."""

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
_encode: Final = msgspec.json.Encoder().encode


def insert_new(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> set[str]:
    """Insert the rows whose key is not there yet.

    Args:
        connection: A writer's connection.
        table: Its first column is the key; one at most of the others holds bytes.
        rows: Values for the first columns of the table, the same number in each; no key twice.

    Returns:
        The keys that are new.
    """
    if not rows:
        return set()
    ordered = sorted(rows, key=_key)
    cursor: Any = connection.connection.cursor()
    try:
        insert = _insert_postgresql if connection.dialect.name == "postgresql" else _insert_sqlite
        return insert(cursor, table, ordered)
    finally:
        cursor.close()


def _key(row: tuple[Any, ...]) -> str:
    return str(row[0])


def _insert_sqlite(cursor: Any, table: Table, rows: list[tuple[Any, ...]]) -> set[str]:
    new: set[str] = set()
    done = 0
    while done < len(rows):
        size = next(size for size in _AT_ONCE if size <= len(rows) - done)
        values = [value for row in rows[done : done + size] for value in row]
        cursor.execute(_values_statement(table, len(rows[0]), size), values)
        new.update(key for (key,) in cursor.fetchall())
        done += size
    return new


def _insert_postgresql(cursor: Any, table: Table, rows: list[tuple[Any, ...]]) -> set[str]:
    statement, names, binary, smaller = _json_statement(table, len(rows[0]))
    said = []
    for row in rows:
        one = dict(zip(names, row, strict=True))
        for name, write in smaller:
            value = one[name]
            if value is not None:
                one[name] = write(value)
        if binary is not None:
            del one[binary]
        said.append(one)
    parameters: list[Any] = [_encode(said).decode()]
    if binary is not None:
        place = names.index(binary)
        parameters.append([row[place] for row in rows])
    cursor.execute(statement, parameters)
    if isinstance(table.columns[0].type, IdType):
        return {unpack_id(key) for (key,) in cursor.fetchall()}
    return {key for (key,) in cursor.fetchall()}


@lru_cache(maxsize=64)
def _values_statement(table: Table, width: int, size: int) -> str:
    row = f"({', '.join(['?'] * width)})"
    return f"INSERT INTO {_into(table, width)} VALUES {', '.join([row] * size)} {_ending(table)}"  # noqa: S608 - our own names


@lru_cache(maxsize=16)
def _json_statement(
    table: Table, width: int
) -> tuple[str, tuple[str, ...], str | None, tuple[tuple[str, Callable[[str], str]], ...]]:
    """Give the statement, the names of its columns, which goes as bytes, and how those are written that are smaller."""
    columns = list(table.columns)[:width]
    kinds = {
        column.name: column.type.dialect_impl(_DIALECT).compile(_DIALECT).partition(" COLLATE")[0] for column in columns
    }
    binary = next((column.name for column in columns if isinstance(column.type, LargeBinary)), None)
    smaller = tuple(
        (column.name, column.type.in_json) for column in columns if isinstance(column.type, (IdType, Choice))
    )
    plain = [name for name in kinds if name != binary]
    fields = ", ".join(f'"{name}" {kinds[name]}' for name in plain)
    sources, names = f"json_to_recordset(%b::json) AS ({fields})", list(plain)
    if binary is not None:
        sources, names = f"{sources}, unnest(%b::bytea[])", [*plain, binary]
    listed = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(f'"{name}"' for name in kinds)
    rows = f"ROWS FROM ({sources}) AS rows({listed})"
    statement = f"INSERT INTO {_into(table, width)} SELECT {values} FROM {rows} {_ending(table)}"  # noqa: S608 - our own names
    return statement, tuple(kinds), binary, smaller


def _into(table: Table, width: int) -> str:
    names = ", ".join(f'"{column.name}"' for column in list(table.columns)[:width])
    return f'"{table.name}" ({names})'


def _ending(table: Table) -> str:
    (key,) = table.primary_key.columns
    return f'ON CONFLICT ("{key.name}") DO NOTHING RETURNING "{key.name}"'
