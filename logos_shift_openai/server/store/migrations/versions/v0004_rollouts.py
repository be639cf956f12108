"""Rollouts, and every decision with its evidence.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEY = sa.String(512)
_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make it so."""
    op.create_table(
        "rollouts",
        sa.Column("experiment", _KEY, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("policy", "state")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("started", "updated")),
        sa.Column("pending", sa.BigInteger),
    )
    op.create_table(
        "decisions",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("experiment", _KEY, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("event", sa.String(16)),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("share", sa.Integer, nullable=False),
        sa.Column("config_version", sa.BigInteger),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("decisions_experiment", "decisions", ["experiment", "id"])
