"""Agencies that succeed others; names and memberships unique on every day.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A trusted extension: whoever may create in the database may create it.
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.execute(
        "ALTER TABLE agency ADD CONSTRAINT ex_agency_name EXCLUDE USING gist "
        "(lower(name) WITH =, daterange(valid_from, valid_to, '[]') WITH &&)"
    )
    # Says all the old constraint said, and refuses overlapping days too.
    op.drop_constraint("uq_agency_group_member_from", "agency_group_member")
    op.execute(
        "ALTER TABLE agency_group_member ADD CONSTRAINT ex_agency_group_member_days "
        "EXCLUDE USING gist (group_code WITH =, "
        "coalesce(agency_code, '@' || member_group_code) WITH =, "
        "daterange(valid_from, valid_to, '[]') WITH &&)"
    )
    op.create_table(
        "agency_succession",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("agency_code", sa.Text(), nullable=False),
        sa.Column("successor_agency_code", sa.Text(), nullable=True),
        sa.Column("successor_group_code", sa.Text(), nullable=True),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("unconfirmed", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(successor_agency_code, successor_group_code) = 1",
            name=op.f("ck_agency_succession_one_successor"),
        ),
        sa.CheckConstraint(
            "agency_code <> successor_agency_code", name=op.f("ck_agency_succession_another")
        ),
        sa.ForeignKeyConstraint(
            ["agency_code"], ["agency.code"], name=op.f("fk_agency_succession_agency_code_agency")
        ),
        sa.ForeignKeyConstraint(
            ["successor_agency_code"],
            ["agency.code"],
            name=op.f("fk_agency_succession_successor_agency_code_agency"),
        ),
        sa.ForeignKeyConstraint(
            ["successor_group_code"],
            ["agency_group.code"],
            name=op.f("fk_agency_succession_successor_group_code_agency_group"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agency_succession")),
        sa.UniqueConstraint(
            "agency_code",
            "successor_agency_code",
            "successor_group_code",
            "effective_on",
            name="uq_agency_succession_successor",
            postgresql_nulls_not_distinct=True,
        ),
    )
