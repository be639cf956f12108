"""What rollouts are decided by, kept as counts; a rollout that is open is counted from its calls once.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KEY = sa.String(512)
_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make it so."""
    op.create_table(
        "rollout_events",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("experiment", _KEY, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("rollout_events_experiment", "rollout_events", ["experiment", "id"])
    op.create_table(
        "rollout_units",
        sa.Column("experiment", _KEY, primary_key=True),
        sa.Column("generation", sa.String(64), primary_key=True),
        sa.Column("unit", sa.LargeBinary(16), primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("counted", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger),
    )
    op.create_index("rollout_units_due", "rollout_units", ["experiment", "due"])
    op.create_table(
        "rollout_counts",
        sa.Column("experiment", _KEY, primary_key=True),
        sa.Column("generation", sa.String(64), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.LargeBinary, nullable=False),
    )
