"""The outbox of notifications, and how far each has come on each channel.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    """Make it so."""
    op.create_table(
        "notifications",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.String(512)) for name in ("experiment", "dataset")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("why", "data")),
        sa.Column("spread", sa.BigInteger),
    )
    op.create_index("notifications_at", "notifications", ["at"])
    op.create_table(
        "deliveries",
        sa.Column("notification", _ID, primary_key=True),
        sa.Column("channel", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("due", "claimed")),
        sa.Column("tried", sa.BigInteger),
        sa.Column("fault", sa.Text),
    )
    op.create_index("deliveries_due", "deliveries", ["state", "due"])
