"""What clients say of themselves: the last report of each process, and what they counted by day.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it so."""
    op.create_table(
        "client_processes",
        sa.Column("process", sa.String(32), primary_key=True),
        sa.Column("via", sa.String(16), nullable=False),
        sa.Column("key_id", sa.String(32)),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("first_seen", "last_seen", "sequence")),
        sa.Column("ended", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("said", "counts")),
    )
    op.create_index("client_processes_last_seen", "client_processes", ["last_seen"])
    op.create_table(
        "client_counts",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.String(32), primary_key=True),
        sa.Column("records", sa.BigInteger, nullable=False),
    )
