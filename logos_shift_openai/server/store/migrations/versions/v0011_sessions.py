"""Sessions of the dashboard.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
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
