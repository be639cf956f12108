"""Candidates' answers to held-out questions, and the autopilot of each dataset.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_KEY = sa.String(512)
_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make it so."""
    op.create_table(
        "evaluations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("edition", sa.String(64), nullable=False),
        *(sa.Column(name, _KEY, nullable=False) for name in ("model", "provider")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("candidate", "rules")),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("report", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("created", "updated", "due")),
    )
    op.create_index("evaluations_model", "evaluations", ["model", "provider", "updated"])
    op.create_table(
        "evaluation_answers",
        sa.Column("evaluation", sa.String(64), primary_key=True),
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text) for name in ("answer", "confidences", "error")),
        *(sa.Column(name, sa.BigInteger) for name in ("tokens_in", "tokens_out")),
    )
    op.create_table(
        "autopilots",
        sa.Column("dataset", _KEY, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("policy", "state", "spent")),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "autopilot_steps",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("dataset", _KEY, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("step", sa.String(32), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("why", "data")),
    )
    op.create_index("autopilot_steps_dataset", "autopilot_steps", ["dataset", "id"])
