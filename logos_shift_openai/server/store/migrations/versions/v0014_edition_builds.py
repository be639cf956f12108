"""How far editions in the making have come.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it so."""
    op.create_table(
        "edition_builds",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("dataset", sa.String(512), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("read", sa.BigInteger, nullable=False),
        sa.Column("edition", sa.String(64)),
        sa.Column("said", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("created", "updated")),
    )
