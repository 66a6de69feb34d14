"""What we may act with on behalf of an Official Account: its tokens, sealed."""

from sqlalchemy import CheckConstraint, Column, Integer, LargeBinary, SmallInteger, Table, Text

from engine.store.tables.base import instant, metadata, one_of, text_column

CREDENTIAL_STATES = (
    "active",
    "needs_consent",  # the grant is lost: an administrator of the account consents again
)

# The refresh token is used once and replaced by its answer. `rotate_started_at` without a newer
# generation says that it was sent and nobody knows whether it still counts.
oa_credential = Table(
    "oa_credential",
    metadata,
    Column("oa_id", Text, primary_key=True),
    text_column("app_id"),
    Column("access_sealed", LargeBinary, nullable=False),
    Column("refresh_sealed", LargeBinary, nullable=False),
    Column("access_expires_at", instant, nullable=False),
    Column("refresh_issued_at", instant, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("rotate_started_at", instant),
    Column("rotate_tries", SmallInteger, nullable=False),
    text_column("state"),
    text_column("last_error", nullable=True),
    Column("updated_at", instant, nullable=False),
    one_of("state", CREDENTIAL_STATES),
    CheckConstraint("generation >= 1", name="generation"),
    CheckConstraint("(rotate_started_at IS NULL) = (rotate_tries = 0)", name="rotating"),
)
