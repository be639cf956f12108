"""Tuning jobs, and the files of examples for candidates that need no training.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    """Make it so."""
    op.create_table(
        "tuning_jobs",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("tuner", sa.String(32), nullable=False),
        sa.Column("edition", sa.String(512), nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("handle", sa.Text),
        sa.Column("candidate", sa.Text),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("said", "next_step")),
        sa.Column("fraction", sa.Float),
        sa.Column("points", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("created", "updated", "due", "deadline")),
    )
    op.create_index("tuning_jobs_due", "tuning_jobs", ["state", "due"])
    op.create_table(
        "example_indexes",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
