"""What a tuning job has cost, by what its provider told.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it so."""
    op.add_column("tuning_jobs", sa.Column("trained_tokens", sa.BigInteger))
    op.add_column("tuning_jobs", sa.Column("cost", sa.Float))
