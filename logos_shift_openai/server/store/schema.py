"""The tables of the store, in SQLAlchemy Core.

Heads of calls are columns, to be listed, filtered and counted; bodies lie apart, compressed. Texts that are
JSON are kept as texts, times are milliseconds since 1970. `SCHEMA_VERSION` goes up with every change here.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION: Final = 1
ID_LENGTH: Final = 512
"""Longest text in a column that is indexed, in characters."""

tables: Final = MetaData()

meta: Final = Table(
    "meta",
    tables,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

calls: Final = Table(
    "calls",
    tables,
    Column("id", String(ID_LENGTH), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),  # never goes back, so that a reader can follow it
    Column("endpoint", String(64), nullable=False),
    Column("dataset", String(ID_LENGTH), nullable=False),
    Column("parent", String(ID_LENGTH)),
    Column("name", Text),
    Column("unit_kind", String(16)),
    Column("unit_id", Text),
    Column("user_id", Text),
    Column("conversation_id", Text),
    Column("metadata", Text, nullable=False),
    Column("requested_model", Text),
    Column("served_model", Text),
    Column("served_provider", Text),
    Column("experiment", String(ID_LENGTH)),
    Column("assigned", String(16)),
    Column("served", String(16)),
    Column("share", Integer),
    Column("bucket", Integer),
    Column("why", Text, nullable=False),
    Column("config_version", BigInteger),
    Column("stream", Boolean, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("first_token_ms", Float),
    Column("error_type", Text),
    Column("error_status", Integer),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("provider_id", String(ID_LENGTH)),
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
    Column("tokens_cached", BigInteger),
    Column("sdk", Text, nullable=False),
)
Index("calls_at", calls.c.at)
Index("calls_received", calls.c.received)
Index("calls_dataset_at", calls.c.dataset, calls.c.at)
Index("calls_experiment", calls.c.experiment, calls.c.assigned, sqlite_where=calls.c.experiment.is_not(None))
Index("calls_parent", calls.c.parent, sqlite_where=calls.c.parent.is_not(None))
Index("calls_provider_id", calls.c.provider_id, sqlite_where=calls.c.provider_id.is_not(None))

call_bodies: Final = Table(
    "call_bodies",
    tables,
    Column("call_id", String(ID_LENGTH), primary_key=True),
    Column("codec", String(16), nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("response", LargeBinary),
    Column("attempts", Text, nullable=False),
    Column("truncated", Text, nullable=False),
    Column("media", Text, nullable=False),
)

feedback: Final = Table(
    "feedback",
    tables,
    Column("id", String(ID_LENGTH), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("call_id", String(ID_LENGTH), nullable=False),  # or the provider's own id; may come before its call
    Column("value", Float),
    Column("label", String(16)),
    Column("comment", Text),
    Column("correction", Text),
    Column("by", Text),
)
Index("feedback_call_id", feedback.c.call_id)

refused: Final = Table(
    "refused",
    tables,
    Column("reason", String(64), primary_key=True),
    Column("lines", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)

spool_positions: Final = Table(
    "spool_positions",
    tables,
    Column("segment", Text, primary_key=True),  # "owner/000001.ndjson"
    Column("start", String(64), nullable=False),  # digest of its first bytes: names of owners may come again
    Column("position", BigInteger, nullable=False),
)
