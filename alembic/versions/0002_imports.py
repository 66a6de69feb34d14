"""Where a row of a plan stands in its file, what its layout leaves in doubt, and each import.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    no_doubts = sa.text("'{}'::text[]")
    op.add_column(
        "task",
        sa.Column(
            "others", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
    )
    op.add_column(
        "task",
        sa.Column("doubts", postgresql.ARRAY(sa.Text()), server_default=no_doubts, nullable=False),
    )
    op.add_column("task", sa.Column("place", postgresql.JSONB(), nullable=True))
    op.add_column(
        "indicator",
        sa.Column("doubts", postgresql.ARRAY(sa.Text()), server_default=no_doubts, nullable=False),
    )
    op.drop_constraint(op.f("ck_task_decision_field"), "task_decision", type_="check")
    op.create_check_constraint(
        op.f("ck_task_decision_field"),
        "task_decision",
        "field IN ('lead', 'coordinating', 'deadline', 'row')",
    )
    op.create_table(
        "plan_import",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("changes", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_import_plan_id_plan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_import")),
    )
    op.create_index("ix_plan_import_plan_id", "plan_import", ["plan_id"])
