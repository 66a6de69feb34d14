"""Where people are reached: sealed addresses, what they want where, how a chat is linked."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Time,
    UniqueConstraint,
    text,
)

from engine.store.tables.base import instant, metadata, one_of, surrogate, text_column

CHANNELS = ("email", "zalo_bot", "zalo_zbs", "zalo_uid", "apprise")
CONTACT_STATES = (
    "active",
    "bounced",  # mail comes back
    "refused",  # the other side says this address takes nothing from us
    "withdrawn",  # the person took it back; the address is erased
)

# One address per person and channel, in the order they are tried. Personal data: sealed, found by
# a keyed hash, with the purpose and the basis it is kept on (Luat 91/2025/QH15).
contact = Table(
    "contact",
    metadata,
    surrogate(),
    Column("person_id", BigInteger, ForeignKey("person.id"), nullable=False),
    text_column("channel"),
    Column("sealed", LargeBinary),
    Column("fingerprint", LargeBinary),
    text_column("state"),
    Column("position", SmallInteger, nullable=False),
    text_column("purpose"),
    text_column("basis"),
    Column("consented_on", Date),
    Column("changed_at", instant, nullable=False),
    one_of("channel", CHANNELS),
    one_of("state", CONTACT_STATES),
    one_of("basis", ("public_duty", "consent")),
    CheckConstraint("(basis = 'consent') = (consented_on IS NOT NULL)", name="consent"),
    CheckConstraint("(state = 'withdrawn') = (sealed IS NULL)", name="erased"),
    CheckConstraint("(sealed IS NULL) = (fingerprint IS NULL)", name="found"),
    UniqueConstraint("person_id", "channel"),
    # A mailbox may be an office's; a chat or a phone is one person's.
    Index(
        "uq_contact_one_person",
        "channel",
        "fingerprint",
        unique=True,
        postgresql_where=text("channel LIKE 'zalo%' AND sealed IS NOT NULL"),
    ),
    Index("ix_contact_fingerprint", "channel", "fingerprint"),
)

# What a person does not want on a channel; no row means wanted.
unwanted = Table(
    "unwanted",
    metadata,
    Column("person_id", BigInteger, ForeignKey("person.id"), primary_key=True),
    Column("section", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    one_of("channel", CHANNELS),
)

quiet_hours = Table(
    "quiet_hours",
    metadata,
    Column("person_id", BigInteger, ForeignKey("person.id"), primary_key=True),
    Column("begins", Time, nullable=False),
    Column("ends", Time, nullable=False),
    CheckConstraint("begins <> ends", name="some"),
)

# A one-time code a person sends to the bot: it binds the chat it comes from.
link_code = Table(
    "link_code",
    metadata,
    surrogate(),
    Column("person_id", BigInteger, ForeignKey("person.id"), nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("made_at", instant, nullable=False),
    Column("expires_at", instant, nullable=False),
    Column("used_at", instant),
    Column("withdrawn", Boolean, nullable=False),
    Index(
        "uq_link_code_open",
        "fingerprint",
        unique=True,
        postgresql_where=text("used_at IS NULL AND NOT withdrawn"),
    ),
)
