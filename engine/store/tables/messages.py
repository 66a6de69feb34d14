"""Who is to be told: the outbox, the escalation ledger, digests and their deliveries."""

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
    UniqueConstraint,
    text,
)

from engine.store.tables.base import instant, metadata, one_of, surrogate, text_column

DELIVERY_STATES = (
    "queued",
    "sending",
    "accepted",
    "unknown",
    "failed",
    "dead",
    "suppressed",
)

# Written in the transaction of the state it announces; the planner turns rows into digests.
outbox = Table(
    "outbox",
    metadata,
    surrogate(),
    text_column("topic"),
    text_column("role"),
    text_column("agency_code"),
    Column("assignment_id", BigInteger, ForeignKey("assignment.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("created_at", instant, nullable=False),
    Column("planned_on", Date),
    Index("ix_outbox_waiting", "agency_code", "role", postgresql_where=text("planned_on IS NULL")),
)

# The ledger: one row per rung and recipient, ever. It is also what a digest is made of.
escalation = Table(
    "escalation",
    metadata,
    Column("assignment_id", BigInteger, ForeignKey("assignment.id"), primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("period", Text, primary_key=True),  # '' where the rung belongs to no quarter
    Column("round", Integer, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("agency_code", Text, primary_key=True),
    Column("fired_on", Date, nullable=False),
    Column("planned_on", Date),
    Index(
        "ix_escalation_waiting", "agency_code", "role", postgresql_where=text("planned_on IS NULL")
    ),
)

message = Table(
    "message",
    metadata,
    surrogate(),
    Column("person_id", BigInteger, ForeignKey("person.id"), nullable=False),
    Column("day", Date, nullable=False),
    text_column("slot"),
    text_column("subject"),
    text_column("body_text"),
    text_column("body_html"),
    text_column("zalo_text"),
    Column("content_hash", LargeBinary, nullable=False),
    Column("frozen_at", instant, nullable=False),
    UniqueConstraint("person_id", "day", "slot"),
)

message_item = Table(
    "message_item",
    metadata,
    Column("message_id", BigInteger, ForeignKey("message.id"), primary_key=True),
    Column("assignment_id", BigInteger, ForeignKey("assignment.id"), primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("level", Integer),
)

delivery = Table(
    "delivery",
    metadata,
    surrogate(),
    Column("message_id", BigInteger, ForeignKey("message.id"), nullable=False),
    text_column("channel"),
    text_column("address"),
    text_column("state"),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", instant, nullable=False),
    text_column("lease_owner", nullable=True),
    Column("lease_until", instant),
    Column("rfc_message_id", Text, nullable=False, unique=True),
    text_column("provider_message_id", nullable=True),
    text_column("last_code", nullable=True),
    text_column("last_text", nullable=True),
    one_of("state", DELIVERY_STATES),
    CheckConstraint("(state = 'sending') = (lease_until IS NOT NULL)", name="lease"),
    UniqueConstraint("message_id", "channel"),
    Index("ix_delivery_owed", "next_attempt_at", "id", postgresql_where=text("state = 'queued'")),
    Index("ix_delivery_leased", "lease_until", postgresql_where=text("state = 'sending'")),
)

# Append-only: what was tried, when, and what the other side said.
delivery_attempt = Table(
    "delivery_attempt",
    metadata,
    Column("delivery_id", BigInteger, ForeignKey("delivery.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("finished_at", instant, nullable=False),
    text_column("outcome"),
    text_column("code", nullable=True),
    text_column("text", nullable=True),
    text_column("worker"),
)
