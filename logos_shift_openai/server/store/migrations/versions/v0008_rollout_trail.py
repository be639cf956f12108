"""What a rollout is about, and the course of its proofs.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it so."""
    for name in ("subject", "trail"):
        op.add_column("rollouts", sa.Column(name, sa.Text))
