"""The first schema: heads, bodies, feedback, refused lines and the positions of the spool.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.String(512)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "meta", sa.Column("name", sa.String(64), primary_key=True), sa.Column("value", sa.Text, nullable=False)
    )
    op.create_table(
        "calls",
        sa.Column("id", _ID, primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("at", "received")),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("dataset", _ID, nullable=False),
        sa.Column("parent", _ID),
        sa.Column("name", sa.Text),
        sa.Column("unit_kind", sa.String(16)),
        *(sa.Column(name, sa.Text) for name in ("unit_id", "user_id", "conversation_id")),
        sa.Column("metadata", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("requested_model", "served_model", "served_provider")),
        sa.Column("experiment", _ID),
        *(sa.Column(name, sa.String(16)) for name in ("assigned", "served")),
        *(sa.Column(name, sa.Integer) for name in ("share", "bucket")),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("config_version", sa.BigInteger),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("stream", "complete")),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("first_token_ms", sa.Float),
        sa.Column("error_type", sa.Text),
        sa.Column("error_status", sa.Integer),
        *(sa.Column(name, sa.Text) for name in ("error_code", "error_message")),
        sa.Column("provider_id", _ID),
        *(sa.Column(name, sa.BigInteger) for name in ("tokens_in", "tokens_out", "tokens_cached")),
        sa.Column("sdk", sa.Text, nullable=False),
    )
    op.create_index("calls_at", "calls", ["at"])
    op.create_index("calls_received", "calls", ["received"])
    op.create_index("calls_dataset_at", "calls", ["dataset", "at"])
    op.create_index(
        "calls_experiment", "calls", ["experiment", "assigned"], sqlite_where=sa.text("experiment IS NOT NULL")
    )
    op.create_index("calls_parent", "calls", ["parent"], sqlite_where=sa.text("parent IS NOT NULL"))
    op.create_index("calls_provider_id", "calls", ["provider_id"], sqlite_where=sa.text("provider_id IS NOT NULL"))
    op.create_table(
        "call_bodies",
        sa.Column("call_id", _ID, primary_key=True),
        sa.Column("codec", sa.String(16), nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("response", sa.LargeBinary),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("attempts", "truncated", "media")),
    )
    op.create_table(
        "feedback",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("call_id", _ID, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("label", sa.String(16)),
        *(sa.Column(name, sa.Text) for name in ("comment", "correction", "by")),
    )
    op.create_index("feedback_call_id", "feedback", ["call_id"])
    op.create_table(
        "refused",
        sa.Column("reason", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("lines", "last_at")),
    )
    op.create_table(
        "spool_positions",
        sa.Column("segment", sa.Text, primary_key=True),
        sa.Column("start", sa.String(64), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
