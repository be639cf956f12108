"""The server's schema: evidence, scores, packed bodies with dictionaries, keys, configs, leases, retention.

On SQLite calls and feedback get their new columns in place, and bodies are packed anew. On PostgreSQL, where no
store of the first version was ever filled, calls and bodies are made again as partitioned tables.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID_LENGTH = 512
_ID = sa.String(_ID_LENGTH).with_variant(sa.String(_ID_LENGTH, collation="C"), "postgresql")
_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_PART = 200


def upgrade() -> None:
    """Make it so."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        _partitioned(connection)
    else:
        _in_place(connection)
    _feedback(connection)
    _evidence()
    _serving()
    meta = sa.table("meta", sa.column("name"), sa.column("value"))
    connection.execute(sa.delete(meta).where(meta.c.name == "schema_version"))
    connection.execute(sa.insert(meta).values(name="recount", value="due"))


def _in_place(connection: sa.Connection) -> None:
    op.drop_index("calls_experiment", "calls")
    op.add_column("calls", sa.Column("score", sa.Float))
    op.rename_table("call_bodies", "call_bodies_before")
    _bodies_table()
    before = sa.table(
        "call_bodies_before",
        *(sa.column(name) for name in ("call_id", "request", "response", "attempts", "truncated", "media")),
    )
    after = sa.table("call_bodies", *(sa.column(name) for name in ("call_id", "codec", "data")))
    last = ""
    while rows := connection.execute(
        sa.select(before).where(before.c.call_id > last).order_by(before.c.call_id).limit(_PART)
    ).all():
        last = rows[-1].call_id
        connection.execute(
            sa.insert(after), [{"call_id": row.call_id, "codec": "zlib", "data": _packed(row)} for row in rows]
        )
    op.drop_table("call_bodies_before")


def _packed(row: Any) -> bytes:
    parts = {
        "request": zlib.decompress(row.request),
        "response": b"null" if row.response is None else zlib.decompress(row.response),
        **{name: getattr(row, name).encode() for name in ("attempts", "truncated", "media")},
    }
    text = b",".join(json.dumps(name).encode() + b":" + part for name, part in parts.items())
    return zlib.compress(b"{" + text + b"}")


def _partitioned(connection: sa.Connection) -> None:
    for table in ("call_bodies", "calls"):
        if connection.scalar(sa.text(f"SELECT EXISTS (SELECT 1 FROM {table})")):  # noqa: S608 - our own names
            raise RuntimeError("a store of the first version on PostgreSQL, which there is none of")
    op.drop_table("call_bodies")
    before = sa.Table("calls", sa.MetaData(), autoload_with=connection)
    kinds = {"id": _ID, "parent": _ID, "provider_id": _ID}
    columns = [
        sa.Column(one.name, kinds.get(one.name, one.type), primary_key=one.primary_key, nullable=one.nullable)
        for one in before.columns
    ]
    op.drop_table("calls")
    op.create_table("calls", *columns, sa.Column("score", sa.Float), postgresql_partition_by="RANGE (id)")
    op.create_index("calls_at", "calls", ["at"])
    op.create_index("calls_received", "calls", ["received"])
    op.create_index("calls_dataset_at", "calls", ["dataset", "at"])
    for name in ("parent", "provider_id"):
        op.create_index(f"calls_{name}", "calls", [name], postgresql_where=sa.text(f"{name} IS NOT NULL"))
    _bodies_table()
    for table in ("calls", "call_bodies"):
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    op.execute("ALTER TABLE call_bodies ALTER COLUMN data SET STORAGE EXTERNAL")  # it is compressed already
    op.execute("ALTER TABLE call_bodies_default ALTER COLUMN data SET STORAGE EXTERNAL")


def _bodies_table() -> None:
    op.create_table(
        "call_bodies",
        sa.Column("call_id", _ID, primary_key=True),
        sa.Column("codec", sa.String(8), nullable=False),
        sa.Column("data", sa.LargeBinary),
        sa.Column("place", sa.Text),
        postgresql_partition_by="RANGE (call_id)",
    )


def _feedback(connection: sa.Connection) -> None:
    op.add_column("feedback", sa.Column("received", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("feedback_received", "feedback", ["received"])
    if connection.dialect.name == "postgresql":
        for name in ("id", "call_id"):
            op.alter_column("feedback", name, type_=_ID)


def _evidence() -> None:
    def key(*, primary: bool) -> list[sa.Column[Any]]:
        kinds = {"dataset": _ID_LENGTH, "experiment": _ID_LENGTH, "variant": 16}
        texts = [sa.Column(name, sa.String(size), nullable=False, primary_key=primary) for name, size in kinds.items()]
        return [*texts, sa.Column("functions", sa.Boolean, nullable=False, primary_key=primary)]

    op.create_table(
        "evidence",
        sa.Column("level", sa.SmallInteger, primary_key=True),
        *key(primary=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("sums", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "evidence_deltas",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        *key(primary=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("sums", sa.LargeBinary, nullable=False),
    )


def _serving() -> None:
    op.create_table(
        "dictionaries",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("dataset", sa.String(_ID_LENGTH), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("at", "calls")),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "retention",
        sa.Column("dataset", sa.String(_ID_LENGTH), primary_key=True),
        *(sa.Column(name, sa.Integer) for name in ("days", "body_days")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in ("revoked", "last_used")),
    )
    op.create_table(
        "configs",
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("by_key", sa.String(32)),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("holder", sa.String(64), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("token", "until")),
    )
