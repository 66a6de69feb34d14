"""People, what they may do where, who acts for whom, and how they sign in."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
)

from engine.store.tables.base import instant, metadata, one_of, surrogate, text_column

ROLES = (
    "officer",
    "head",
    "coordinator",
    "vice_chair",
    "chair",
    "clerk",
    "admin",
    "auditor",
)

person = Table(
    "person",
    metadata,
    surrogate(),
    Column("login", Text, nullable=False, unique=True),
    text_column("full_name"),
    text_column("password_hash", nullable=True),
    Column("active", Boolean, nullable=False),
    Column("created_at", instant, nullable=False),
)

role_grant = Table(
    "role_grant",
    metadata,
    surrogate(),
    Column("person_id", BigInteger, ForeignKey("person.id"), nullable=False),
    Column("agency_code", Text, ForeignKey("agency.code"), nullable=False),
    text_column("role"),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date),
    one_of("role", ROLES),
    CheckConstraint("valid_to >= valid_from", name="validity"),
    Index("ix_role_grant_person_id", "person_id"),
    Index("ix_role_grant_agency_code_role", "agency_code", "role"),
)

delegation = Table(
    "delegation",
    metadata,
    surrogate(),
    Column("from_person_id", BigInteger, ForeignKey("person.id"), nullable=False),
    Column("to_person_id", BigInteger, ForeignKey("person.id"), nullable=False),
    Column("valid_from", instant, nullable=False),
    Column("valid_to", instant, nullable=False),
    text_column("reason"),
    Column("created_at", instant, nullable=False),
    CheckConstraint("valid_to > valid_from", name="validity"),
    CheckConstraint("from_person_id <> to_person_id", name="two_persons"),
    Index("ix_delegation_to_person_id", "to_person_id"),
)

token = Table(
    "token",
    metadata,
    surrogate(),
    Column("person_id", BigInteger, ForeignKey("person.id"), nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    text_column("kind"),
    text_column("label"),
    Column("created_at", instant, nullable=False),
    Column("expires_at", instant),
    Column("revoked_at", instant),
    one_of("kind", ("api", "session")),
)
