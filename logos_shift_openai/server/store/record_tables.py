"""The tables that records make: calls with their bodies, feedback, shadows, and the evidence that is counted of them.

What calls are filtered and counted by are columns; the rest of a head is one compressed text; bodies lie apart,
compressed too. Those that name a record do so by its id. They are part of `store.schema`, which has all tables.
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
    SmallInteger,
    String,
    Table,
    Text,
)

from .columns import ID_LENGTH, Endpoint, Id, Packing, Tokens, Variant, end_of

Counter: Final = BigInteger().with_variant(Integer, "sqlite")  # the one type that SQLite counts up by itself

tables: Final = MetaData()

calls: Final = Table(
    "calls",
    tables,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),  # never goes back, so that a reader can follow it
    Column("endpoint", Endpoint, nullable=False),
    Column("dataset", String(ID_LENGTH), nullable=False),
    Column("parent", Id),
    Column("requested_model", Text),
    Column("served_model", Text),
    Column("experiment", String(ID_LENGTH)),
    Column("assigned", Variant),
    Column("served", Variant),
    Column("stream", Boolean, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("first_token_ms", Float),
    Column("error_type", Text),
    Column("provider_id", Id),
    Column("tokens_in", Tokens),
    Column("tokens_out", Tokens),
    Column("tokens_cached", Tokens),
    Column("rest", LargeBinary, nullable=False),  # what nobody filters by, as JSON; see `store.rows.Rest`
    Column("score", Float),  # the one that counts, as far as the evidence has it
    postgresql_partition_by="RANGE (id)",
)
Index("calls_at", calls.c.at)
Index("calls_received", calls.c.received)
Index("calls_dataset_at", calls.c.dataset, calls.c.at)
for _name, _indexed in (
    ("parent", calls.c.parent),
    ("provider_id", end_of(calls.c.provider_id)),  # long and in no order
):
    _there = calls.c[_name].is_not(None)
    Index(f"calls_{_name}", _indexed, sqlite_where=_there, postgresql_where=_there)

call_bodies: Final = Table(
    "call_bodies",
    tables,
    Column("call_id", Id, primary_key=True),
    Column("codec", Packing, nullable=False),
    Column("data", LargeBinary),  # null where it lies in another store, at `place`
    Column("place", Text),  # "object:start:length"
    postgresql_partition_by="RANGE (call_id)",
)

dictionaries: Final = Table(
    "dictionaries",
    tables,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # the number that zstd writes into each frame
    Column("dataset", String(ID_LENGTH), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("calls", BigInteger, nullable=False),  # how many the dataset had when it was trained
    Column("data", LargeBinary, nullable=False),
)

feedback: Final = Table(
    "feedback",
    tables,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False, server_default="0"),
    Column("call_id", Id, nullable=False),  # or the provider's own id; may come before its call
    Column("value", Float),
    Column("label", String(16)),
    Column("comment", Text),
    Column("correction", Text),
    Column("by", Text),
)
Index("feedback_call_id", feedback.c.call_id)
Index("feedback_received", feedback.c.received)

# Text keys are "" where a call has none: a key has no nulls. What the packed sums hold is in `store.sums`.
_KEY: Final = (("dataset", String(ID_LENGTH)), ("experiment", String(ID_LENGTH)), ("variant", String(16)))

evidence: Final = Table(
    "evidence",
    tables,
    Column("level", SmallInteger, primary_key=True),  # 0 everything, 1 a day, 2 an hour
    *(Column(name, kind, primary_key=True) for name, kind in _KEY),
    Column("functions", Boolean, primary_key=True),
    Column("start", BigInteger, primary_key=True),  # of the day or hour; 0 for everything
    Column("sums", LargeBinary, nullable=False),
)

evidence_deltas: Final = Table(
    "evidence_deltas",
    tables,
    Column("id", Counter, primary_key=True, autoincrement=True),
    *(Column(name, kind, nullable=False) for name, kind in _KEY),
    Column("functions", Boolean, nullable=False),
    Column("start", BigInteger, nullable=False),  # of the hour
    Column("sums", LargeBinary, nullable=False),
)

shadows: Final = Table(
    "shadows",
    tables,
    Column("id", Id, primary_key=True),
    Column("shadow_of", Id, nullable=False),  # the call that was sent to the candidate too; may come later
    Column("at", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("dataset", String(ID_LENGTH), nullable=False),
    Column("experiment", String(ID_LENGTH)),
    Column("model", Text),
    Column("provider", Text),
    Column("duration_ms", Float, nullable=False),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
    Column("tokens_cached", BigInteger),
    Column("data", LargeBinary),  # the packed bodies of its record; null when they are past their time
    Column("compared", String(16)),  # how, or "not" where nothing can be compared; null while it waits
    Column("score", Float),
    Column("judged", Float),  # 1 the candidate's is better, 0.5 as good, 0 worse
    Column("judge", Text),
)
Index("shadows_shadow_of", shadows.c.shadow_of)
Index("shadows_experiment_at", shadows.c.experiment, shadows.c.at)
