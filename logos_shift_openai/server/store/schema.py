"""The tables of the store, in SQLAlchemy Core.

Those of records stand in `store.record_tables`, the kinds of their columns in `store.columns`. Texts that are JSON are
kept as texts, times are milliseconds since 1970. Every change here comes with a migration; the name of the last one
stands in `REVISION`.
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
    String,
    Table,
    Text,
)

from .columns import ID_LENGTH, Id, Name
from .record_tables import (
    Counter,
    call_bodies,
    calls,
    dictionaries,
    evidence,
    evidence_deltas,
    feedback,
    shadows,
    tables,
)

__all__ = [
    "ID_LENGTH",
    "REVISION",
    "Id",
    "api_keys",
    "autopilot_steps",
    "autopilots",
    "call_bodies",
    "calls",
    "configs",
    "decisions",
    "deliveries",
    "dictionaries",
    "editions",
    "evaluation_answers",
    "evaluations",
    "evidence",
    "evidence_deltas",
    "example_indexes",
    "feedback",
    "leases",
    "meta",
    "notifications",
    "refused",
    "retention",
    "rollout_counts",
    "rollout_events",
    "rollout_units",
    "rollouts",
    "sessions",
    "shadows",
    "spool_positions",
    "tables",
    "tuning_jobs",
]

REVISION: Final = "0016"
"""The last migration; a store that stands at it has the tables below."""

meta: Final = Table(
    "meta",
    tables,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

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

retention: Final = Table(
    "retention",
    tables,
    Column("dataset", String(ID_LENGTH), primary_key=True),  # "*" for those without a rule of their own
    Column("days", Integer),  # null: kept for good
    Column("body_days", Integer),
)

api_keys: Final = Table(
    "api_keys",
    tables,
    Column("id", String(32), primary_key=True),
    Column("scope", String(16), nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False),  # sha256 of a secret of 256 random bits
    Column("label", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
    Column("last_used", BigInteger),
)

configs: Final = Table(
    "configs",
    tables,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("by_key", String(32)),
    Column("why", Text, nullable=False),
)

leases: Final = Table(
    "leases",
    tables,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)

rollouts: Final = Table(
    "rollouts",
    tables,
    Column("experiment", String(ID_LENGTH), primary_key=True),
    Column("policy", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("pending", BigInteger),  # the version of an embedded config that is decided and maybe not written yet
    Column("subject", Text),  # what the config says of the experiment, as far as the evidence depends on it
    Column("trail", Text),  # the course of its proofs, see `core.rollout_trail`
)

decisions: Final = Table(
    "decisions",
    tables,
    Column("id", Counter, primary_key=True, autoincrement=True),
    Column("experiment", String(ID_LENGTH), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("action", String(16), nullable=False),
    Column("event", String(16)),
    Column("why", Text, nullable=False),
    Column("share", Integer, nullable=False),
    Column("config_version", BigInteger),  # the one that it made; null where the config stayed
    Column("document", Text, nullable=False),  # `core.rollout.decision_json` and the rows of the evidence
)
Index("decisions_experiment", decisions.c.experiment, decisions.c.id)

tuning_jobs: Final = Table(
    "tuning_jobs",
    tables,
    Column("id", Name, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),  # names the job to its provider
    Column("tuner", String(32), nullable=False),
    Column("edition", String(ID_LENGTH), nullable=False),
    Column("settings", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("turn", Integer, nullable=False),  # counts its changes, so that of two writers one notices
    Column("cancel", Boolean, nullable=False),  # asked for, not done yet
    Column("attempts", Integer, nullable=False),  # failures in a row
    Column("handle", Text),
    Column("candidate", Text),
    Column("said", Text, nullable=False),
    Column("next_step", Text, nullable=False),
    Column("fraction", Float),
    Column("points", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("trained_tokens", BigInteger),
    Column("cost", Float),  # dollars; null where nobody could tell
)
Index("tuning_jobs_due", tuning_jobs.c.state, tuning_jobs.c.due)

example_indexes: Final = Table(
    "example_indexes",
    tables,
    Column("name", String(64), primary_key=True),  # SHA-256 of the content
    Column("content", LargeBinary, nullable=False),  # compressed with zlib
    Column("at", BigInteger, nullable=False),
)
notifications: Final = Table(
    "notifications",
    tables,
    Column("id", Name, primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("experiment", String(ID_LENGTH)),
    Column("dataset", String(ID_LENGTH)),
    Column("why", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Column("spread", BigInteger),  # when a delivery was made for each channel that wants it; null before
)
Index("notifications_at", notifications.c.at)

deliveries: Final = Table(
    "deliveries",
    tables,
    Column("notification", Name, primary_key=True),
    Column("channel", String(64), primary_key=True),
    Column("state", String(16), nullable=False),  # waiting, sent, given_up
    Column("tries", Integer, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("claimed", BigInteger, nullable=False),  # until when a process has it in hand; 0 for none
    Column("tried", BigInteger),
    Column("fault", Text),
)
Index("deliveries_due", deliveries.c.state, deliveries.c.due)
# What ingest says to open rollouts, until it is counted; see `store.rollout_counts`.
rollout_events: Final = Table(
    "rollout_events",
    tables,
    Column("id", Counter, primary_key=True, autoincrement=True),
    Column("experiment", String(ID_LENGTH), nullable=False),
    Column("data", LargeBinary, nullable=False),
)
Index("rollout_events_experiment", rollout_events.c.experiment, rollout_events.c.id)

rollout_units: Final = Table(
    "rollout_units",
    tables,
    Column("experiment", String(ID_LENGTH), primary_key=True),
    Column("generation", String(64), primary_key=True),  # names the run that is counted; see `rollout_counts`
    Column("unit", LargeBinary(16), primary_key=True),  # a digest
    Column("data", LargeBinary, nullable=False),
    Column("counted", BigInteger, nullable=False),  # the time as of which the counts have it
    Column("due", BigInteger),  # when it counts for more by time alone
)
Index("rollout_units_due", rollout_units.c.experiment, rollout_units.c.due)

rollout_counts: Final = Table(
    "rollout_counts",
    tables,
    Column("experiment", String(ID_LENGTH), primary_key=True),
    Column("generation", String(64), nullable=False),
    Column("until", BigInteger, nullable=False),  # the time as of which it is counted; never goes back
    Column("counts", LargeBinary, nullable=False),
)
# Editions.
editions: Final = Table(
    "editions",
    tables,
    Column("id", String(64), primary_key=True),
    Column("dataset", String(ID_LENGTH), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("place", Text, nullable=False),
    Column("manifest", Text, nullable=False),
)
Index("editions_dataset_at", editions.c.dataset, editions.c.at)
# Of the dashboard.

sessions: Final = Table(
    "sessions",
    tables,
    Column("token_hash", LargeBinary(32), primary_key=True),  # sha256 of 256 random bits
    Column("key_id", String(32), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
)
Index("sessions_expires", sessions.c.expires)

# What candidates answered to held-out questions, and the autopilot of each dataset.
evaluations: Final = Table(
    "evaluations",
    tables,
    Column("id", String(64), primary_key=True),
    Column("edition", String(64), nullable=False),
    Column("model", String(ID_LENGTH), nullable=False),
    Column("provider", String(ID_LENGTH), nullable=False),  # "" for the caller's own
    Column("candidate", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("state", String(16), nullable=False),  # open, passed, failed
    Column("said", Text, nullable=False),
    Column("report", Text),
    Column("attempts", Integer, nullable=False),  # broken off in a row
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
)
Index("evaluations_model", evaluations.c.model, evaluations.c.provider, evaluations.c.updated)

evaluation_answers: Final = Table(
    "evaluation_answers",
    tables,
    Column("evaluation", String(64), primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),  # line of the held-out file, from 1
    Column("answer", Text),  # JSON; null where the candidate gave none
    Column("confidences", Text),
    Column("error", Text),
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
)

autopilots: Final = Table(
    "autopilots",
    tables,
    Column("dataset", String(ID_LENGTH), primary_key=True),
    Column("policy", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("spent", Text, nullable=False),  # jobs and dollars by month
    Column("turn", Integer, nullable=False),  # counts its changes, so that of two writers one notices
    Column("said", Text, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

autopilot_steps: Final = Table(
    "autopilot_steps",
    tables,
    Column("id", Counter, primary_key=True, autoincrement=True),
    Column("dataset", String(ID_LENGTH), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("round", Integer, nullable=False),
    Column("step", String(32), nullable=False),
    Column("why", Text, nullable=False),
    Column("data", Text, nullable=False),
)
Index("autopilot_steps_dataset", autopilot_steps.c.dataset, autopilot_steps.c.id)

# What clients say of themselves.
client_processes: Final = Table(
    "client_processes",
    tables,
    Column("process", String(32), primary_key=True),
    Column("via", String(16), nullable=False),  # server, or home where its report lay in the home folder
    Column("key_id", String(32)),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("said", Text, nullable=False),  # JSON: the rest of its last report
    Column("counts", Text, nullable=False),  # JSON
)
Index("client_processes_last_seen", client_processes.c.last_seen)

client_counts: Final = Table(
    "client_counts",
    tables,
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970
    Column("reason", String(32), primary_key=True),
    Column("records", BigInteger, nullable=False),
)

# Of editions in the making.
edition_builds: Final = Table(
    "edition_builds",
    tables,
    Column("id", String(64), primary_key=True),
    Column("dataset", String(ID_LENGTH), nullable=False),
    Column("state", String(16), nullable=False),  # running, made, failed
    Column("read", BigInteger, nullable=False),
    Column("edition", String(64)),
    Column("said", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
)
