"""Agencies and groups, effective-dated."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY

from engine.store.tables.base import metadata, surrogate, text_column

agency = Table(
    "agency",
    metadata,
    Column("code", Text, primary_key=True),
    text_column("name"),
    text_column("short_name"),
    text_column("kind"),
    text_column("level"),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date),
    Column("aliases", ARRAY(Text), nullable=False),
    Column("unconfirmed", Boolean, nullable=False),
    CheckConstraint("valid_to >= valid_from", name="validity"),
)

agency_group = Table(
    "agency_group",
    metadata,
    Column("code", Text, primary_key=True),
    text_column("name"),
    Column("aliases", ARRAY(Text), nullable=False),
    Column("confirmed", Boolean, nullable=False),
)

agency_group_member = Table(
    "agency_group_member",
    metadata,
    surrogate(),
    Column("group_code", Text, ForeignKey("agency_group.code"), nullable=False),
    Column("agency_code", Text, ForeignKey("agency.code")),
    Column("member_group_code", Text, ForeignKey("agency_group.code")),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date),
    CheckConstraint("num_nonnulls(agency_code, member_group_code) = 1", name="one_member"),
    UniqueConstraint(
        "group_code",
        "agency_code",
        "member_group_code",
        "valid_from",
        name="uq_agency_group_member_from",
        postgresql_nulls_not_distinct=True,
    ),
)
