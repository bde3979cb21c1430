"""PINs beside links, and calls to candidates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "invites", sa.Column("kind", sa.String(length=8), nullable=False, server_default="link")
    )
    op.create_table(
        "calls_out",
        sa.Column("call_id", sa.String(length=32), nullable=False),
        sa.Column("interview_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("not_before", sa.Float(precision=53), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.Float(precision=53)),
        sa.Column("seconds", sa.Float(precision=53)),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["interview_id"],
            ["interviews.interview_id"],
            name=op.f("fk_calls_out_interview_id_interviews"),
        ),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_calls_out")),
    )
    op.create_index(op.f("ix_calls_out_interview_id"), "calls_out", ["interview_id"])
    op.create_index(op.f("ix_calls_out_outcome_not_before"), "calls_out", ["outcome", "not_before"])
    op.create_index(op.f("ix_calls_out_began_at"), "calls_out", ["began_at"])


def downgrade() -> None:
    raise NotImplementedError("restore a backup")
