"""What failed at every address, or had none, is told as soon as its person can be reached.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_UNSENT = "state IN ('queued', 'retry', 'parked', 'dead', 'failed')"


def upgrade() -> None:
    op.add_column(
        "message",
        sa.Column("unaddressed", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    # A quarter back: what is older was told again by the ladder since.
    op.execute("""
        UPDATE message m SET unaddressed = true
        WHERE m.notice IS NULL AND m.day > CURRENT_DATE - 92
          AND NOT EXISTS (SELECT FROM delivery d WHERE d.message_id = m.id)
    """)
    op.alter_column("message", "unaddressed", server_default=None)
    op.create_index(
        "ix_message_unaddressed", "message", ["id"], postgresql_where=sa.text("unaddressed")
    )
    op.drop_index("ix_delivery_unsent", "delivery")
    op.create_index(
        "ix_delivery_unsent", "delivery", ["message_id"], postgresql_where=sa.text(_UNSENT)
    )
