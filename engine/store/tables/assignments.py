"""The assignment: the workflow instance."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from engine.definition import Phase
from engine.store.tables.base import metadata, one_of, text_column

assignment = Table(
    "assignment",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("task_id", BigInteger, ForeignKey("task.id"), nullable=False),
    Column("agency_code", Text, ForeignKey("agency.code"), nullable=False),
    text_column("period", nullable=True),
    Column("parent_id", BigInteger, ForeignKey("assignment.id")),
    text_column("definition_name"),
    Column("definition_version", Integer, nullable=False),
    text_column("state"),
    text_column("phase"),
    Column("version", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("due_on", Date),
    Column("original_due_on", Date),
    Column("authors", ARRAY(BigInteger), nullable=False),
    Column("reported_on", Date),
    Column("completed_on", Date),
    text_column("previous_state", nullable=True),
    Column("paused_until", Date),
    Column("extension_open", Boolean, nullable=False),
    Column("extensions", Integer, nullable=False),
    Column("next_check_on", Date),
    Column("facts", JSONB, nullable=False),
    ForeignKeyConstraint(
        ["definition_name", "definition_version"],
        ["definition_version.name", "definition_version.version"],
    ),
    one_of("phase", Phase),
    CheckConstraint("version >= 1", name="version"),
    CheckConstraint("round >= 1", name="round"),
    CheckConstraint("octet_length(head) = 32", name="head"),
    CheckConstraint(
        "next_check_on IS NULL OR phase NOT IN ('done', 'final')", name="settled_is_not_checked"
    ),
    CheckConstraint("(phase = 'paused') = (previous_state IS NOT NULL)", name="paused_from"),
    Index(
        "uq_assignment_task_agency_period",
        "task_id",
        "agency_code",
        "period",
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=text("parent_id IS NULL"),
    ),
    Index(
        "uq_assignment_open_child",
        "parent_id",
        unique=True,
        postgresql_where=text("parent_id IS NOT NULL AND phase <> 'final'"),
    ),
    Index(
        "ix_assignment_next_check",
        "next_check_on",
        "id",
        postgresql_where=text("next_check_on IS NOT NULL"),
    ),
    Index("ix_assignment_agency", "agency_code", "due_on", "id"),
    Index(
        "ix_assignment_review",
        "reported_on",
        "id",
        postgresql_where=text("phase = 'review'"),
    ),
    # Room on each page, so that an update finds space beside the row it replaces.
    postgresql_with={"fillfactor": "85"},
)
