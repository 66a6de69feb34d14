"""History: append-only, hash-chained; roots over days; first answers to repeated requests."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from engine.store.tables.base import instant, metadata, text_column

event = Table(
    "event",
    metadata,
    Column("assignment_id", BigInteger, ForeignKey("assignment.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", instant, nullable=False),
    text_column("transition"),
    text_column("from_state", nullable=True),
    text_column("to_state"),
    Column("actor_id", BigInteger, ForeignKey("person.id")),
    Column("acting_for_id", BigInteger, ForeignKey("person.id")),
    text_column("agency_code", nullable=True),
    text_column("role", nullable=True),
    Column("data", JSONB, nullable=False),
    Column("changes", JSONB, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("seq >= 1", name="seq"),
    CheckConstraint("(seq = 1) = (from_state IS NULL)", name="opening"),
    CheckConstraint("octet_length(hash) = 32 AND octet_length(previous_hash) = 32", name="hashes"),
    Index("ix_event_at", "at", "assignment_id", "seq"),
)

history_root = Table(
    "history_root",
    metadata,
    Column("day", Date, primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("made_at", instant, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("person_id", BigInteger, ForeignKey("person.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("assignment_id", BigInteger, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", instant, nullable=False),
)
