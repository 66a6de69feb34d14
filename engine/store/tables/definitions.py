"""Published definitions: immutable rows."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from engine.store.tables.base import instant, metadata

definition_version = Table(
    "definition_version",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("body", JSONB, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("published_at", instant, nullable=False),
    CheckConstraint("version >= 1", name="version"),
)

# The approving transitions of a definition, apart from its body: the four-eyes trigger asks here.
definition_approval = Table(
    "definition_approval",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("transition", Text, primary_key=True),
    ForeignKeyConstraint(
        ["name", "version"], ["definition_version.name", "definition_version.version"]
    ),
)
