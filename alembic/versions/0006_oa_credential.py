"""The tokens of an Official Account of Zalo, sealed.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "oa_credential",
        sa.Column("oa_id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("access_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("refresh_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("access_expires_at", _INSTANT, nullable=False),
        sa.Column("refresh_issued_at", _INSTANT, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("rotate_started_at", _INSTANT),
        sa.Column("rotate_tries", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.CheckConstraint(
            "state IN ('active', 'needs_consent')", name=op.f("ck_oa_credential_state")
        ),
        sa.CheckConstraint("generation >= 1", name=op.f("ck_oa_credential_generation")),
        sa.CheckConstraint(
            "(rotate_started_at IS NULL) = (rotate_tries = 0)",
            name=op.f("ck_oa_credential_rotating"),
        ),
        sa.PrimaryKeyConstraint("oa_id", name=op.f("pk_oa_credential")),
    )
