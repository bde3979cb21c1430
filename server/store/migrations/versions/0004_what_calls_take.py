"""When a call was last seen to run, and what the calls of erased interviews took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls_out", sa.Column("seen_at", sa.Float(precision=53)))
    op.create_table(
        "calls_tally",
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("began_at", sa.Float(precision=53), nullable=False),
        sa.Column("seconds", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_calls_tally")),
    )
    op.create_index(op.f("ix_calls_tally_began_at"), "calls_tally", ["began_at"])


def downgrade() -> None:
    raise NotImplementedError("restore a backup")
