"""Plans, the tasks of their annex as printed and as read, decisions of the clerk, indicators."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from engine.store.tables.base import instant, metadata, one_of, surrogate, text_column

plan = Table(
    "plan",
    metadata,
    surrogate(),
    Column("number", Text, nullable=False, unique=True),
    Column("issued_on", Date, nullable=False),
    text_column("issuer"),
    text_column("title"),
    text_column("signer", nullable=True),
    Column("issuer_agency", Text, ForeignKey("agency.code"), nullable=False),
    Column("monitor_agency", Text, ForeignKey("agency.code"), nullable=False),
    Column("oversight_agency", Text, ForeignKey("agency.code"), nullable=False),
    Column("imported_at", instant, nullable=False),
    CheckConstraint("monitor_agency <> oversight_agency", name="two_reviewers"),
)

task = Table(
    "task",
    metadata,
    surrogate(),
    Column("plan_id", BigInteger, ForeignKey("plan.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    text_column("number_text"),
    text_column("section"),
    text_column("section_title"),
    text_column("title"),
    text_column("lead_text", nullable=True),
    text_column("coordinating_text", nullable=True),
    text_column("deadline_text", nullable=True),
    text_column("deadline_kind"),
    Column("starts_on", Date),
    Column("due_on", Date),
    text_column("recurrence", nullable=True),
    text_column("missing_cell", nullable=True),
    Column("others", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("doubts", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("place", JSONB(none_as_null=True)),
    text_column("flag"),
    Column("reasons", ARRAY(Text), nullable=False),
    one_of("flag", ("ok", "review", "error")),
    UniqueConstraint("plan_id", "number"),
)

task_party = Table(
    "task_party",
    metadata,
    surrogate(),
    Column("task_id", BigInteger, ForeignKey("task.id"), nullable=False),
    text_column("role"),
    Column("position", Integer, nullable=False),
    Column("agency_code", Text, ForeignKey("agency.code")),
    Column("group_code", Text, ForeignKey("agency_group.code")),
    one_of("role", ("lead", "coordinating")),
    CheckConstraint("num_nonnulls(agency_code, group_code) = 1", name="one_party"),
    UniqueConstraint("task_id", "role", "position"),
)

task_decision = Table(
    "task_decision",
    metadata,
    surrogate(),
    Column("task_id", BigInteger, ForeignKey("task.id"), nullable=False),
    text_column("field"),
    Column("value", JSONB, nullable=False),
    text_column("reason"),
    Column("decided_by", BigInteger, ForeignKey("person.id"), nullable=False),
    Column("decided_on", Date, nullable=False),
    one_of("field", ("lead", "coordinating", "deadline", "row")),
    Index("ix_task_decision_task_id", "task_id"),
)

# One row an import that changed something: the file it came from, and each row before and after.
plan_import = Table(
    "plan_import",
    metadata,
    surrogate(),
    Column("plan_id", BigInteger, ForeignKey("plan.id"), nullable=False),
    Column("imported_at", instant, nullable=False),
    text_column("file", nullable=True),
    text_column("sha256", nullable=True),
    Column("changes", JSONB, nullable=False),
    Index("ix_plan_import_plan_id", "plan_id"),
)

# What became of a plan as a whole; the newest row counts.
plan_change = Table(
    "plan_change",
    metadata,
    surrogate(),
    Column("plan_id", BigInteger, ForeignKey("plan.id"), nullable=False),
    text_column("what"),
    Column("by_plan_id", BigInteger, ForeignKey("plan.id")),
    text_column("reason"),
    Column("decided_by", BigInteger, ForeignKey("person.id"), nullable=False),
    Column("decided_at", instant, nullable=False),
    one_of("what", ("suspend", "resume", "withdraw", "supersede")),
    CheckConstraint("(what = 'supersede') = (by_plan_id IS NOT NULL)", name="superseded_by"),
    Index("ix_plan_change_plan_id", "plan_id"),
)

indicator = Table(
    "indicator",
    metadata,
    surrogate(),
    Column("plan_id", BigInteger, ForeignKey("plan.id"), nullable=False),
    Column("position", Integer, nullable=False),
    text_column("horizon"),
    text_column("number"),
    text_column("name"),
    text_column("unit", nullable=True),
    text_column("target", nullable=True),
    text_column("agency_text", nullable=True),
    Column("doubts", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    UniqueConstraint("plan_id", "horizon", "number"),
)
