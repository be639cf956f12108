"""What nobody filters calls by becomes one text, `rest`; provider ids are found by their hash on PostgreSQL.

On SQLite the table is made anew; on PostgreSQL columns come and go in place, on all partitions at once.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.String(512)
_PART = 500
_GONE = (
    *("name", "unit_kind", "unit_id", "user_id", "conversation_id", "metadata", "served_provider", "share", "bucket"),
    *("why", "config_version", "error_status", "error_code", "error_message", "sdk"),
)
_KEPT = (
    *("id", "at", "received", "endpoint", "dataset", "parent", "requested_model", "served_model", "experiment"),
    *("assigned", "served", "stream", "complete", "duration_ms", "first_token_ms", "error_type", "provider_id"),
    *("tokens_in", "tokens_out", "tokens_cached", "score"),
)


def upgrade() -> None:
    """Make it so."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        _in_place(connection)
    else:
        _anew(connection)


def _in_place(connection: sa.Connection) -> None:
    op.add_column("calls", sa.Column("rest", sa.LargeBinary))
    after = sa.table("calls", sa.column("id"), sa.column("rest"))
    change = sa.update(after).where(after.c.id == sa.bindparam("of")).values(rest=sa.bindparam("packed"))
    for rows in _parts(connection, "calls", ("id",)):
        connection.execute(change, [{"of": row["id"], "packed": _rest(row)} for row in rows])
    op.alter_column("calls", "rest", nullable=False)
    for name in _GONE:
        op.drop_column("calls", name)
    op.drop_index("calls_provider_id", "calls")
    op.create_index(
        "calls_provider_id",
        "calls",
        ["provider_id"],
        postgresql_using="hash",
        postgresql_where=sa.text("provider_id IS NOT NULL"),
    )


def _anew(connection: sa.Connection) -> None:
    for name in ("at", "received", "dataset_at", "parent", "provider_id"):
        op.drop_index(f"calls_{name}", "calls")
    op.rename_table("calls", "calls_before")
    op.create_table(
        "calls",
        sa.Column("id", _ID, primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("at", "received")),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("dataset", _ID, nullable=False),
        sa.Column("parent", _ID),
        *(sa.Column(name, sa.Text) for name in ("requested_model", "served_model")),
        sa.Column("experiment", _ID),
        *(sa.Column(name, sa.String(16)) for name in ("assigned", "served")),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("stream", "complete")),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("first_token_ms", sa.Float),
        sa.Column("error_type", sa.Text),
        sa.Column("provider_id", _ID),
        *(sa.Column(name, sa.BigInteger) for name in ("tokens_in", "tokens_out", "tokens_cached")),
        sa.Column("rest", sa.LargeBinary, nullable=False),
        sa.Column("score", sa.Float),
    )
    after = sa.table("calls", *(sa.column(name) for name in (*_KEPT, "rest")))
    for rows in _parts(connection, "calls_before", _KEPT):
        connection.execute(
            sa.insert(after), [{**{name: row[name] for name in _KEPT}, "rest": _rest(row)} for row in rows]
        )
    op.drop_table("calls_before")
    op.create_index("calls_at", "calls", ["at"])
    op.create_index("calls_received", "calls", ["received"])
    op.create_index("calls_dataset_at", "calls", ["dataset", "at"])
    for name in ("parent", "provider_id"):
        op.create_index(f"calls_{name}", "calls", [name], sqlite_where=sa.text(f"{name} IS NOT NULL"))


def _parts(connection: sa.Connection, table: str, names: tuple[str, ...]) -> Any:
    before = sa.table(table, *(sa.column(name) for name in (*names, *_GONE)))
    last = ""
    while rows := list(
        connection.execute(sa.select(before).where(before.c.id > last).order_by(before.c.id).limit(_PART)).mappings()
    ):
        yield rows
        last = rows[-1]["id"]


def _rest(row: sa.RowMapping) -> bytes:
    parts = {name: json.dumps(row[name]) for name in _GONE if name != "metadata" and row[name] not in {None, ""}}
    if row["metadata"] != "{}":
        parts["metadata"] = row["metadata"]
    return ("{" + ",".join(f'"{name}":{part}' for name, part in parts.items()) + "}").encode()
