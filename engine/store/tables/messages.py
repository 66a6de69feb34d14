"""Who is to be told: the outbox, the escalation ledger, digests and their deliveries."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from engine.store.tables.base import instant, metadata, one_of, surrogate, text_column
from engine.store.tables.contacts import CHANNELS

DELIVERY_STATES = (
    "queued",  # to be sent
    "sending",  # leased to a worker
    "accepted",  # the other side took it
    "delivered",  # a receipt says it arrived
    "seen",  # a receipt says it was read
    "retry",  # refused for certain, to be tried again
    "unknown",  # may have been taken: nobody can know
    "failed",  # refused for good, for this contact
    "parked",  # waits for its gateway
    "dead",  # given up: attempts or time ran out, or the message itself was refused
    "suppressed",  # nothing left to say, or not wanted on this channel
    "superseded",  # a later digest says it
)
ARRIVED = ("accepted", "delivered", "seen")
GATEWAY_STATES = ("active", "parked", "needs_consent")

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
    Column("urgent", Boolean, nullable=False, server_default=text("false")),
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
    Column("clock_on", Date, primary_key=True),  # what it counts from: an extended date runs anew
    Column("role", Text, primary_key=True),
    Column("agency_code", Text, primary_key=True),
    Column("fired_on", Date, nullable=False),
    Column("planned_on", Date),
    Column("settled_on", Date),  # the assignment was done: who had been told was told that, too
    Index(
        "ix_escalation_waiting",
        "agency_code",
        "role",
        postgresql_where=text("planned_on IS NULL AND settled_on IS NULL"),
    ),
    Index(
        "ix_escalation_told", "agency_code", "role", postgresql_where=text("planned_on IS NOT NULL")
    ),
)

# One row per person, working day and slot; what it says is read when it is sent.
message = Table(
    "message",
    metadata,
    surrogate(),
    Column("person_id", BigInteger, ForeignKey("person.id"), nullable=False),
    Column("day", Date, nullable=False),
    text_column("slot"),
    Column("planned_at", instant, nullable=False),
    Column("notice", JSONB),  # to an administrator: which gateway stopped, and why
    Column("unaddressed", Boolean, nullable=False),  # nobody could be reached: told again later
    UniqueConstraint("person_id", "day", "slot"),
    Index("ix_message_unaddressed", "id", postgresql_where=text("unaddressed")),
)

# Why the message exists. `left_out` says why an item was not in the text last sent.
message_item = Table(
    "message_item",
    metadata,
    Column("message_id", BigInteger, ForeignKey("message.id"), primary_key=True),
    Column("assignment_id", BigInteger, ForeignKey("assignment.id"), primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    Column("agency_code", Text, primary_key=True),
    Column("level", Integer),
    Column("period", Text, nullable=False),  # the quarter of a quarter's rung, else ''
    Column("seq", Integer),  # the event that is told
    Column("urgent", Boolean, nullable=False),
    text_column("left_out", nullable=True),
)

# The text belongs to the delivery: made anew for every attempt, kept as it was last sent.
delivery = Table(
    "delivery",
    metadata,
    surrogate(),
    Column("message_id", BigInteger, ForeignKey("message.id"), nullable=False),
    text_column("channel"),
    Column("contact_id", BigInteger, ForeignKey("contact.id"), nullable=False),
    text_column("state"),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", instant, nullable=False),
    Column("expires_at", instant, nullable=False),
    text_column("lease_owner", nullable=True),
    Column("lease_until", instant),
    Column("submitted_at", instant),  # from here on, a crash leaves it unknown
    Column("settle_at", instant),  # unknown: until when a receipt is waited for
    Column("fallback_of", BigInteger, ForeignKey("delivery.id")),
    Column("rfc_message_id", Text, nullable=False, unique=True),
    Column("tracking_id", Text, nullable=False, unique=True),
    text_column("provider_message_id", nullable=True),
    text_column("sent_to", nullable=True),  # masked
    text_column("subject", nullable=True),
    text_column("body_text", nullable=True),
    text_column("body_html", nullable=True),
    Column("content_hash", LargeBinary),
    Column("frozen_at", instant),
    text_column("last_code", nullable=True),
    text_column("last_text", nullable=True),
    one_of("state", DELIVERY_STATES),
    CheckConstraint("(state = 'sending') = (lease_until IS NOT NULL)", name="lease"),
    CheckConstraint("state = 'sending' OR submitted_at IS NULL", name="submitted"),
    UniqueConstraint("message_id", "channel"),
    Index(
        "ix_delivery_owed",
        "channel",
        "next_attempt_at",
        "id",
        postgresql_where=text("state IN ('queued', 'retry')"),
    ),
    Index("ix_delivery_leased", "lease_until", postgresql_where=text("state = 'sending'")),
    Index("ix_delivery_settle", "settle_at", postgresql_where=text("settle_at IS NOT NULL")),
    Index(
        "ix_delivery_unsent",
        "message_id",
        postgresql_where=text("state IN ('queued', 'retry', 'parked', 'dead', 'failed')"),
    ),
    Index("ix_delivery_provider", "channel", "provider_message_id"),
)

# Append-only: what was tried, when, and what the other side said.
delivery_attempt = Table(
    "delivery_attempt",
    metadata,
    Column("delivery_id", BigInteger, ForeignKey("delivery.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", instant),
    Column("finished_at", instant, nullable=False),
    text_column("outcome"),
    text_column("code", nullable=True),
    text_column("text", nullable=True),
    Column("content_hash", LargeBinary),
    text_column("worker"),
)

# Our way out on a channel: whether it works, and how fast it may be used.
gateway = Table(
    "gateway",
    metadata,
    Column("channel", Text, primary_key=True),
    text_column("state"),
    text_column("reason", nullable=True),
    Column("since", instant),
    Column("probe_at", instant),  # parked: when one message may try whether it works again
    Column("slow_until", instant),
    Column("tokens", Double, nullable=False),
    Column("filled_at", instant),
    Column("quota_left", Integer),
    one_of("channel", CHANNELS),
    one_of("state", GATEWAY_STATES),
)

# What came in from outside about our messages, once each.
receipt = Table(
    "receipt",
    metadata,
    surrogate(),
    text_column("source"),
    text_column("event_key"),
    text_column("kind"),
    Column("delivery_id", BigInteger, ForeignKey("delivery.id")),
    text_column("provider_message_id", nullable=True),
    Column("sender", LargeBinary),  # keyed hash of the chat that wrote
    Column("received_at", instant, nullable=False),
    UniqueConstraint("source", "event_key"),
    Index("ix_receipt_sender", "sender", "received_at"),
    Index(
        "ix_receipt_unmatched",
        "source",
        "provider_message_id",
        postgresql_where=text("delivery_id IS NULL AND provider_message_id IS NOT NULL"),
    ),
)
