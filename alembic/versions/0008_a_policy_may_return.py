"""A definition may go back to what it was: an older body is published again as a new version.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint(op.f("uq_definition_version_name_sha256"), "definition_version")
