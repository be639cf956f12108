"""Shadows: calls that were also sent to a candidate, whose answers nobody got.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KEY = sa.String(512)
_ID = sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def upgrade() -> None:
    """Make it so."""
    op.create_table(
        "shadows",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("shadow_of", _ID, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("at", "received")),
        sa.Column("dataset", _KEY, nullable=False),
        sa.Column("experiment", _KEY),
        *(sa.Column(name, sa.Text) for name in ("model", "provider")),
        sa.Column("duration_ms", sa.Float, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("error_type", "error_message")),
        *(sa.Column(name, sa.BigInteger) for name in ("tokens_in", "tokens_out", "tokens_cached")),
        sa.Column("data", sa.LargeBinary),
        sa.Column("compared", sa.String(16)),
        *(sa.Column(name, sa.Float) for name in ("score", "judged")),
        sa.Column("judge", sa.Text),
    )
    op.create_index("shadows_shadow_of", "shadows", ["shadow_of"])
    op.create_index("shadows_experiment_at", "shadows", ["experiment", "at"])
