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
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint

from engine.store.tables.base import metadata, surrogate, text_column

_DAYS = text("daterange(valid_from, valid_to, '[]')")

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
    # A successor may take a name over, but a name means one agency on every day.
    ExcludeConstraint(
        (text("lower(name)"), "="), (_DAYS, "&&"), name="ex_agency_name", using="gist"
    ),
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
    ExcludeConstraint(
        ("group_code", "="),
        (text("coalesce(agency_code, '@' || member_group_code)"), "="),
        (_DAYS, "&&"),
        name="ex_agency_group_member_days",
        using="gist",
    ),
)

# Who takes over from an agency that ended: what the directory proposes, a person decides.
agency_succession = Table(
    "agency_succession",
    metadata,
    surrogate(),
    Column("agency_code", Text, ForeignKey("agency.code"), nullable=False),
    Column("successor_agency_code", Text, ForeignKey("agency.code")),
    Column("successor_group_code", Text, ForeignKey("agency_group.code")),
    Column("effective_on", Date, nullable=False),
    Column("unconfirmed", Boolean, nullable=False),
    text_column("note", nullable=True),
    CheckConstraint(
        "num_nonnulls(successor_agency_code, successor_group_code) = 1", name="one_successor"
    ),
    CheckConstraint("agency_code <> successor_agency_code", name="another"),
    UniqueConstraint(
        "agency_code",
        "successor_agency_code",
        "successor_group_code",
        "effective_on",
        name="uq_agency_succession_successor",
        postgresql_nulls_not_distinct=True,
    ),
)
