"""Contacts, what is wanted on them, and the codes that bind a chat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from engine.store.tables import contact, link_code, quiet_hours, unwanted


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact as it is kept; `sealed` None: the address was taken back."""

    id: int
    person_id: int
    channel: str
    sealed: bytes | None
    state: str
    position: int
    purpose: str
    basis: str
    consented_on: date | None
    changed_at: datetime


_CONTACT = select(contact).with_only_columns(
    *(contact.c[name] for name in Contact.__dataclass_fields__)
)


def of(connection: Connection, person_id: int) -> list[Contact]:
    """Return the contacts of a person, in the order they are tried."""
    rows = connection.execute(
        _CONTACT.where(contact.c.person_id == person_id).order_by(contact.c.position, contact.c.id)
    )
    return [Contact(*row) for row in rows]


def found(connection: Connection, channel: str, *fingerprints: bytes) -> Contact | None:
    """Return the contact of an address, given by what any key makes of it."""
    row = connection.execute(
        _CONTACT.where(
            contact.c.channel == channel, contact.c.fingerprint.in_(fingerprints)
        ).order_by(contact.c.id)
    ).first()
    return None if row is None else Contact(*row)


def save(
    connection: Connection,
    person_id: int,
    channel: str,
    position: int | None,
    values: Mapping[str, Any],
) -> int:
    """Insert or replace a contact; return its id. `position` None: where it is, else the last."""
    if position is None:
        position = connection.execute(
            select(
                func.coalesce(
                    func.max(contact.c.position).filter(contact.c.channel == channel),
                    func.max(contact.c.position) + 1,
                    0,
                )
            ).where(contact.c.person_id == person_id)
        ).scalar_one()
    made: int = connection.execute(
        upsert(contact)
        .values(person_id=person_id, channel=channel, position=position, **values)
        .on_conflict_do_update(
            index_elements=["person_id", "channel"], set_={"position": position, **values}
        )
        .returning(contact.c.id)
    ).scalar_one()
    return made


def mark(connection: Connection, contact_id: int, **values: Any) -> None:
    """Write values of a contact that still has an address."""
    connection.execute(
        update(contact)
        .where(contact.c.id == contact_id, contact.c.sealed.is_not(None))
        .values(**values)
    )


def erase(connection: Connection, person_id: int, channels: Sequence[str], now: datetime) -> int:
    """Forget the addresses of a person on these channels; return how many there were.

    Also which receipts came from there; a wrong code keeps it, as it keeps others from guessing.
    """
    whose = {"person_id": person_id, "channels": list(channels)}
    connection.execute(
        text("""
        UPDATE receipt r SET sender = NULL FROM contact c
        WHERE c.person_id = :person_id AND c.channel = ANY(CAST(:channels AS text[]))
          AND r.sender = c.fingerprint AND r.kind <> 'wrong_code'
        """),
        whose,
    )
    return connection.execute(
        update(contact)
        .where(
            contact.c.person_id == person_id,
            contact.c.channel.in_(channels),
            contact.c.sealed.is_not(None),
        )
        .values(sealed=None, fingerprint=None, state="withdrawn", changed_at=now)
    ).rowcount


def bounced_in_a_row(connection: Connection, contact_id: int, since: date) -> int:
    """Return how many mails to an address came back one after the other, up to the newest that did.

    What was sent after that one may still come back, so it does not count either way. One mail
    may be reported as delayed several times and counts once.

    Args:
        connection: Of the bounce's transaction.
        contact_id: The address.
        since: Older messages are not looked at.
    """
    number: int = connection.execute(
        text("""
        WITH sent AS (
          SELECT d.id, EXISTS (SELECT FROM receipt r
            WHERE r.delivery_id = d.id AND r.source = 'bounce') AS back
          FROM contact c JOIN message m ON m.person_id = c.person_id AND m.day >= :since
          JOIN delivery d ON d.message_id = m.id AND d.contact_id = c.id
            AND d.state IN ('accepted', 'delivered', 'seen', 'failed', 'unknown')
          WHERE c.id = :id
        ), newest AS (SELECT max(id) AS id FROM sent WHERE back)
        SELECT count(*) FROM sent, newest
        WHERE sent.back AND sent.id > coalesce(
          (SELECT max(s.id) FROM sent s, newest WHERE NOT s.back AND s.id < newest.id), 0)
        """),
        {"id": contact_id, "since": since},
    ).scalar_one()
    return number


def suppress(connection: Connection, person_id: int, channels: Sequence[str]) -> int:
    """Give up what is still owed to a person on these channels; return how many."""
    return connection.execute(
        text("""
        UPDATE delivery d SET state = 'suppressed', last_code = 'withdrawn' FROM message m
        WHERE m.id = d.message_id AND m.person_id = :person_id
          AND d.channel = ANY(CAST(:channels AS text[]))
          AND d.state IN ('queued', 'retry', 'parked', 'dead')
        """),
        {"person_id": person_id, "channels": list(channels)},
    ).rowcount


def forget_texts(connection: Connection, person_id: int) -> int:
    """Erase the texts sent to a person and where they went; what was tried stays.

    A delivery that is being sent is erased too: its worker has what it needs.
    """
    return connection.execute(
        text("""
        UPDATE delivery d SET subject = NULL, body_text = NULL, body_html = NULL, sent_to = NULL,
          last_text = NULL
        FROM message m WHERE m.id = d.message_id AND m.person_id = :person_id
        """),
        {"person_id": person_id},
    ).rowcount


def sealed_otherwise(connection: Connection, prefix: bytes) -> list[Contact]:
    """Return contacts not sealed by the key whose entry begins with `prefix`, locked."""
    rows = connection.execute(
        _CONTACT.where(
            contact.c.sealed.is_not(None),
            func.substring(contact.c.sealed, 1, len(prefix)) != prefix,
        )
        .order_by(contact.c.id)
        .with_for_update()
    )
    return [Contact(*row) for row in rows]


def wishes(connection: Connection, person_id: int) -> tuple[set[tuple[str, str]], Any]:
    """Return the (section, channel) not wanted, and the quiet hours (begins, ends) or None."""
    rows = connection.execute(
        select(unwanted.c.section, unwanted.c.channel).where(unwanted.c.person_id == person_id)
    )
    quiet = connection.execute(
        select(quiet_hours.c.begins, quiet_hours.c.ends).where(quiet_hours.c.person_id == person_id)
    ).one_or_none()
    return {(row[0], row[1]) for row in rows}, None if quiet is None else tuple(quiet)


def wish(
    connection: Connection,
    person_id: int,
    off: Sequence[tuple[str, str]],
    quiet: tuple[time, time] | None,
) -> None:
    """Make these the wishes of a person."""
    connection.execute(delete(unwanted).where(unwanted.c.person_id == person_id))
    if off:
        connection.execute(
            insert(unwanted),
            [{"person_id": person_id, "section": s, "channel": c} for s, c in off],
        )
    connection.execute(delete(quiet_hours).where(quiet_hours.c.person_id == person_id))
    if quiet is not None:
        connection.execute(
            insert(quiet_hours).values(person_id=person_id, begins=quiet[0], ends=quiet[1])
        )


def add_code(
    connection: Connection,
    person_id: int,
    fingerprint: bytes,
    now: datetime,
    expires_at: datetime,
) -> bool:
    """Make this the one open code of a person; False when somebody else's is the same."""
    connection.execute(
        update(link_code)
        .where(
            link_code.c.used_at.is_(None),
            (link_code.c.person_id == person_id) | (link_code.c.expires_at <= now),
        )
        .values(withdrawn=True)
    )
    return (
        connection.execute(
            upsert(link_code)
            .values(
                person_id=person_id,
                fingerprint=fingerprint,
                made_at=now,
                expires_at=expires_at,
                withdrawn=False,
            )
            .on_conflict_do_nothing()
            .returning(link_code.c.id)
        ).scalar()
        is not None
    )


def use_code(connection: Connection, fingerprint: bytes, now: datetime) -> int | None:
    """Use up an open code; return whose it is, None when it is not one or too late."""
    return connection.execute(
        update(link_code)
        .where(
            link_code.c.fingerprint == fingerprint,
            link_code.c.used_at.is_(None),
            ~link_code.c.withdrawn,
            link_code.c.expires_at > now,
        )
        .values(used_at=now)
        .returning(link_code.c.person_id)
    ).scalar()
