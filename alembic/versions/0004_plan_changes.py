"""What became of a plan as a whole: suspended, resumed, withdrawn, superseded.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("by_plan_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "what IN ('suspend', 'resume', 'withdraw', 'supersede')",
            name=op.f("ck_plan_change_what"),
        ),
        sa.CheckConstraint(
            "(what = 'supersede') = (by_plan_id IS NOT NULL)",
            name=op.f("ck_plan_change_superseded_by"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_change_plan_id_plan")),
        sa.ForeignKeyConstraint(
            ["by_plan_id"], ["plan.id"], name=op.f("fk_plan_change_by_plan_id_plan")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["person.id"], name=op.f("fk_plan_change_decided_by_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_change")),
    )
    op.create_index("ix_plan_change_plan_id", "plan_change", ["plan_id"])
    op.execute(
        "CREATE TRIGGER plan_change_append_only BEFORE UPDATE OR DELETE ON plan_change "
        "FOR EACH ROW EXECUTE FUNCTION dondoc_refuse_change()"
    )
