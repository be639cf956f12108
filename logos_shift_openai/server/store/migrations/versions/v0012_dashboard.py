"""Sessions of the dashboard, and prices of models.

Revision ID: 0012
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it so."""
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("key_id", sa.String(32), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("created", "expires")),
    )
    op.create_index("sessions_expires", "sessions", ["expires"])
    op.create_table(
        "prices",
        sa.Column("model", sa.String(512), primary_key=True),
        *(sa.Column(name, sa.Float, nullable=False) for name in ("input", "output")),
        sa.Column("cached", sa.Float),
    )
