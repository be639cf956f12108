"""On PostgreSQL records take less: ids as bytes, letters for what is one of a few, columns in the order of their size.

The column that a table is partitioned by cannot change its type, so calls and bodies are made anew, and copied within
the database; for the time of the migration both are there. SQLite keeps them as they are.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_DAY_MS = 86_400_000
_KEYS = {"calls": "id", "call_bodies": "call_id"}
_CHILDREN = """
    SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
    WHERE inhparent = CAST(:name AS regclass)
"""
_ENDPOINTS = {"chat.completions": "c", "responses": "r", "embeddings": "e", "completions": "t"}
_VARIANTS = {"baseline": "b", "candidate": "c"}
_PACKINGS = {"zstd": "z"}


def upgrade() -> None:
    """Make it so."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    days = {table: _put_aside(connection, table) for table in _KEYS}
    for name in ("at", "received", "dataset_at", "parent", "provider_id"):
        op.execute(f"DROP INDEX calls_{name}")
    _make_calls()
    _make_bodies()
    for table, ones in days.items():
        _partition(table, ones)
    for table in _KEYS:
        _copy(table)
        op.execute(f"DROP TABLE before_{table}")
    op.create_index("calls_at", "calls", ["at"])
    op.create_index("calls_received", "calls", ["received"])
    op.create_index("calls_dataset_at", "calls", ["dataset", "at"])
    end = sa.text("substr(provider_id, length(provider_id) - 6)")
    for name, indexed in (("parent", "parent"), ("provider_id", end)):
        op.create_index(f"calls_{name}", "calls", [indexed], postgresql_where=sa.text(f"{name} IS NOT NULL"))
    for table, names in (("feedback", ("id", "call_id")), ("shadows", ("id", "shadow_of"))):
        changes = ", ".join(f'ALTER COLUMN "{name}" TYPE BYTEA USING {_id(name)}' for name in names)
        op.execute(sa.text(f"ALTER TABLE {table} {changes}".replace(":", r"\:")))


def _put_aside(connection: sa.Connection, table: str) -> list[int]:
    """Rename a table with its partitions and keys, and give the days that have one."""
    names = list(connection.scalars(sa.text(_CHILDREN), {"name": table}))
    for name in (table, *names):
        op.execute(f'ALTER TABLE "{name}" RENAME TO "before_{name}"')
        op.execute(f'ALTER INDEX IF EXISTS "{name}_pkey" RENAME TO "before_{name}_pkey"')
    return sorted(int(found[1]) for name in names if (found := re.fullmatch(rf"{table}_day_(\d+)", name)))


def _make_calls() -> None:
    op.create_table(
        "calls",  # what is aligned to 8 bytes first, then to 4, then to none
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("at", "received")),
        sa.Column("duration_ms", sa.Float, nullable=False),
        *(sa.Column(name, sa.Float) for name in ("first_token_ms", "score")),
        *(sa.Column(name, sa.Integer) for name in ("tokens_in", "tokens_out", "tokens_cached")),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("stream", "complete")),
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("provider_id", sa.LargeBinary),
        sa.Column("parent", sa.LargeBinary),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("dataset", sa.String(512), nullable=False),
        sa.Column("experiment", sa.String(512)),
        *(sa.Column(name, sa.String(16)) for name in ("assigned", "served")),
        *(sa.Column(name, sa.Text) for name in ("requested_model", "served_model", "error_type")),
        sa.Column("rest", sa.LargeBinary, nullable=False),
        postgresql_partition_by="RANGE (id)",
    )


def _make_bodies() -> None:
    op.create_table(
        "call_bodies",
        sa.Column("call_id", sa.LargeBinary, primary_key=True),
        sa.Column("codec", sa.String(8), nullable=False),
        sa.Column("data", sa.LargeBinary),
        sa.Column("place", sa.Text),
        postgresql_partition_by="RANGE (call_id)",
    )
    op.execute("ALTER TABLE call_bodies ALTER COLUMN data SET STORAGE EXTERNAL")  # it is compressed already


def _partition(table: str, days: list[int]) -> None:
    op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    for day in days:
        start, end = (f"'\\x{one * _DAY_MS:012x}{'0' * 20}'" for one in (day, day + 1))
        op.execute(f"CREATE TABLE {table}_day_{day} PARTITION OF {table} FOR VALUES FROM ({start}) TO ({end})")
    if table == "call_bodies":
        for name in ("default", *(f"day_{day}" for day in days)):
            op.execute(f"ALTER TABLE {table}_{name} ALTER COLUMN data SET STORAGE EXTERNAL")


def _copy(table: str) -> None:
    sources = {
        "calls": {
            **{name: name for name in ("at", "received", "duration_ms", "first_token_ms", "score", "stream")},
            **{name: name for name in ("complete", "dataset", "experiment", "requested_model", "served_model")},
            **{name: name for name in ("error_type", "rest", "tokens_in", "tokens_out", "tokens_cached")},
            **{name: _id(name) for name in ("id", "provider_id", "parent")},
            **{name: _letter(name, _VARIANTS) for name in ("assigned", "served")},
            "endpoint": _letter("endpoint", _ENDPOINTS),
        },
        "call_bodies": {
            **{name: name for name in ("data", "place")},
            "call_id": _id("call_id"),
            "codec": _letter("codec", _PACKINGS),
        },
    }[table]
    into, out = ", ".join(f'"{name}"' for name in sources), ", ".join(sources.values())
    copy = f"INSERT INTO {table} ({into}) SELECT {out} FROM before_{table} ORDER BY {_KEYS[table]}"  # noqa: S608 - our own names
    op.execute(sa.text(copy.replace(":", r"\:")))


def _id(name: str) -> str:
    return (
        f"CASE WHEN {name} ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$' "
        f"THEN decode(replace({name}, '-', ''), 'hex') "
        f"WHEN octet_length({name}) = 16 THEN convert_to({name}, 'UTF8') || '\\x00'::bytea "
        f"ELSE convert_to({name}, 'UTF8') END"
    )


def _letter(name: str, letters: dict[str, str]) -> str:
    cases = " ".join(f"WHEN '{text}' THEN '{letter}'" for text, letter in letters.items())
    return f"CASE {name} {cases} ELSE {name} END"
