"""Daily partitions of calls and bodies on PostgreSQL, so that old days go by dropping a table.

Our ids begin with their time, and sort by it: so a day is a range of ids, an id alone says which partition it
belongs to, and one primary key over the id holds across all of them. Ids that are not ours, and days without a
partition, go to a default one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from .columns import IdType

if TYPE_CHECKING:
    from sqlalchemy import Connection

DAY_MS: Final = 86_400_000
PARTITIONED: Final = (("calls", "id"), ("call_bodies", "call_id"))
_AHEAD: Final = range(-2, 4)
_CLOCK: Final = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


def day_start_id(day: int) -> str:
    """Give the id that all ids of a day, and no earlier ones, sort at or after.

    Args:
        day: Days since 1970.
    """
    digits = f"{day * DAY_MS:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def days_of(connection: Connection, table: str) -> set[int]:
    """Give the days that have a partition."""
    children = text(
        "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
        "WHERE inhparent = CAST(:table AS regclass)"
    )
    names = connection.scalars(children, {"table": table})
    return {int(found[1]) for name in names if (found := re.fullmatch(rf"{table}_day_(\d+)", name))}


def make_partitions(connection: Connection, now: int | None = None) -> list[str]:
    """Make the partitions of the days to come, and of the last ones.

    Rows of such a day that went to the default partition meanwhile are moved over.

    Args:
        connection: A writer's connection, on PostgreSQL.
        now: Milliseconds since 1970; None for the database's own clock.

    Returns:
        The partitions that are new.
    """
    if now is None:
        now = int(connection.exec_driver_sql(f"SELECT {_CLOCK}").scalar_one())
    today = now // DAY_MS
    made: list[str] = []
    for table, key in PARTITIONED:
        there = days_of(connection, table)
        days = [day for day in (today + ahead for ahead in _AHEAD) if day not in there]
        made += [_make(connection, table, key, day) for day in days]
    return made


def drop_days_before(connection: Connection, table: str, day: int) -> list[str]:
    """Drop the partitions of days before one.

    Returns:
        Their names.
    """
    gone = [f"{table}_day_{one}" for one in sorted(days_of(connection, table)) if one < day]
    for name in gone:
        connection.exec_driver_sql(f'DROP TABLE "{name}"')
    return gone


def _make(connection: Connection, table: str, key: str, day: int) -> str:
    name = f"{table}_day_{day}"
    start, end = (IdType.in_json(day_start_id(one)) for one in (day, day + 1))
    of_the_day = f"\"{key}\" >= '{start}' AND \"{key}\" < '{end}'"
    move = f'WITH moved AS (DELETE FROM "{table}_default" WHERE {of_the_day} RETURNING *)'  # noqa: S608 - made of digits
    for statement in (
        f'CREATE TABLE "{name}" (LIKE "{table}" INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
        f'{move} INSERT INTO "{name}" SELECT * FROM moved',  # noqa: S608 - made of digits
        f"ALTER TABLE \"{table}\" ATTACH PARTITION \"{name}\" FOR VALUES FROM ('{start}') TO ('{end}')",
    ):
        connection.exec_driver_sql(statement)
    return name
