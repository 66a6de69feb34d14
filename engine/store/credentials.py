"""The tokens of Official Accounts, and the lock under which they are renewed."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import OperationalError

from engine.store.tables import oa_credential

_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class Held:
    """A credential as it is kept."""

    oa_id: str
    app_id: str
    access_sealed: bytes = field(repr=False)
    refresh_sealed: bytes = field(repr=False)
    access_expires_at: datetime
    refresh_issued_at: datetime
    generation: int
    rotate_started_at: datetime | None
    rotate_tries: int
    state: str
    last_error: str | None
    updated_at: datetime


def lock(connection: Connection, oa_id: str, timeout_seconds: float) -> bool:
    """Take the lock of an account for the rest of this session; False: not within the timeout."""
    milliseconds = f"{timeout_seconds * 1000:.0f}"
    connection.execute(select(func.set_config("lock_timeout", milliseconds, literal(value=False))))
    try:
        connection.execute(
            text("SELECT pg_advisory_lock(hashtextextended('oa ' || :oa_id, 0))"),
            {"oa_id": oa_id},
        )
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        return False
    connection.commit()
    return True


def find(connection: Connection, oa_id: str) -> Held | None:
    """Return the credential of an account."""
    row = connection.execute(select(oa_credential).where(oa_credential.c.oa_id == oa_id)).first()
    return None if row is None else Held(*row)


def listed(connection: Connection) -> list[Held]:
    """Return every credential, by account."""
    rows = connection.execute(select(oa_credential).order_by(oa_credential.c.oa_id))
    return [Held(*row) for row in rows]


def save(connection: Connection, oa_id: str, **values: Any) -> None:
    """Insert a credential, or replace it as its next generation."""
    fresh = {"rotate_started_at": None, "rotate_tries": 0, "last_error": None, **values}
    connection.execute(
        upsert(oa_credential)
        .values(oa_id=oa_id, generation=1, **fresh)
        .on_conflict_do_update(
            index_elements=["oa_id"],
            set_={"generation": oa_credential.c.generation + 1, **fresh},
        )
    )


def change(connection: Connection, oa_id: str, generation: int, /, **values: Any) -> bool:
    """Write values of a credential; False when it is no longer of this generation."""
    return bool(
        connection.execute(
            update(oa_credential)
            .where(oa_credential.c.oa_id == oa_id, oa_credential.c.generation == generation)
            .values(**values)
        ).rowcount
    )


def lose(connection: Connection, oa_id: str, generation: int, reason: str, now: datetime) -> bool:
    """Mark the grant of an account lost; False when it was, or a newer one is there."""
    return bool(
        connection.execute(
            update(oa_credential)
            .where(
                oa_credential.c.oa_id == oa_id,
                oa_credential.c.generation == generation,
                oa_credential.c.state != "needs_consent",
            )
            .values(state="needs_consent", last_error=reason, updated_at=now)
        ).rowcount
    )
