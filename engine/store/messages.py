"""Digests and deliveries: what waits to be told, what is owed, what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from engine.store.tables import delivery, delivery_attempt, message, message_item


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """One thing one person is to be told, with the assignment as it stands now."""

    person_id: int
    person_name: str
    role: str
    agency_name: str
    assignment_id: int
    reason: str
    level: int | None
    plan_number: str
    task_number: int
    title: str
    lead_name: str
    period: str | None
    due_on: date | None
    phase: str


@dataclass(frozen=True, slots=True)
class FrozenMessage:
    """The text of one digest, and where it goes: (channel, address) in order."""

    person_id: int
    subject: str
    body_text: str
    body_html: str
    zalo_text: str
    items: Sequence[WaitingItem]


@dataclass(frozen=True, slots=True)
class Owed:
    """A delivery claimed under a lease."""

    id: int
    channel: str
    address: str
    recipient_name: str
    subject: str
    body_text: str
    body_html: str
    zalo_text: str
    rfc_message_id: str
    attempts: int


def take_turns(connection: Connection, subject: str) -> None:
    """Wait for this transaction's turn at `subject`; released when it ends."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:subject, 0))"), {"subject": subject}
    )


# A (role, agency) waits whole until none of its people has a message of this day and slot: a row
# is told once, to everybody it is for. A rung whose assignment was settled or paused meanwhile
# is not told any more.
_WAITING = text("""
WITH open_rows AS (
  SELECT role, agency_code, assignment_id, rule AS reason, level FROM escalation
  WHERE planned_on IS NULL AND fired_on <= :day
  UNION ALL
  SELECT role, agency_code, assignment_id, topic, NULL FROM outbox
  WHERE planned_on IS NULL AND created_at <= :now
), people AS (
  SELECT g.role, g.agency_code, n.id, n.full_name FROM role_grant g
  JOIN person n ON n.id = g.person_id AND n.active
  WHERE g.valid_from <= :day AND coalesce(g.valid_to, 'infinity') >= :day
), served AS (
  SELECT DISTINCT p.role, p.agency_code FROM people p
  JOIN message m ON m.person_id = p.id AND m.day = :day AND m.slot = :slot
)
SELECT DISTINCT p.id, p.full_name, r.role, y.name AS agency_name, r.assignment_id, r.reason,
  r.level, l.number AS plan_number, k.number AS task_number, k.title, b.name AS lead_name,
  a.period, a.due_on, a.phase
FROM open_rows r
JOIN people p USING (role, agency_code)
JOIN agency y ON y.code = r.agency_code AND coalesce(y.valid_to, 'infinity') >= :day
JOIN assignment a ON a.id = r.assignment_id
JOIN agency b ON b.code = a.agency_code
JOIN task k ON k.id = a.task_id
JOIN plan l ON l.id = k.plan_id
WHERE NOT EXISTS (SELECT FROM served s WHERE (s.role, s.agency_code) = (r.role, r.agency_code))
  AND (r.level IS NULL OR (a.phase IN ('open', 'review') AND coalesce(a.paused_until < :day, true)))
ORDER BY p.id, r.assignment_id, r.reason, r.level
""")


def waiting(connection: Connection, day: date, slot: str, now: datetime) -> list[WaitingItem]:
    """Return everything to be told on `day`, by person; rights and names as they are now."""
    rows = connection.execute(_WAITING, {"day": day, "slot": slot, "now": now})
    return [WaitingItem(*row) for row in rows]


def nobody_for(connection: Connection, day: date) -> list[tuple[str, str, int]]:
    """Return (role, agency, rows) of what waits although nobody holds that role there."""
    rows = connection.execute(
        text("""
        SELECT r.role, r.agency_code, count(*) FROM (
          SELECT role, agency_code FROM escalation WHERE planned_on IS NULL
          UNION ALL SELECT role, agency_code FROM outbox WHERE planned_on IS NULL) r
        JOIN agency y ON y.code = r.agency_code AND coalesce(y.valid_to, 'infinity') >= :day
        WHERE NOT EXISTS (SELECT FROM role_grant g JOIN person n ON n.id = g.person_id
          WHERE n.active AND (g.role, g.agency_code) = (r.role, r.agency_code)
          AND g.valid_from <= :day AND coalesce(g.valid_to, 'infinity') >= :day)
        GROUP BY 1, 2 ORDER BY 1, 2
        """),
        {"day": day},
    )
    return [(row[0], row[1], row[2]) for row in rows]


def mark_planned(
    connection: Connection, day: date, now: datetime, pairs: Sequence[tuple[str, str]]
) -> None:
    """Mark what waits for these (role, agency) as told on `day`."""
    values = {
        "day": day,
        "now": now,
        "roles": [role for role, _ in pairs],
        "agencies": [agency for _, agency in pairs],
    }
    who = (
        "(role, agency_code) IN "
        "(SELECT * FROM unnest(CAST(:roles AS text[]), CAST(:agencies AS text[])))"
    )
    connection.execute(
        text(
            "UPDATE escalation SET planned_on = :day "
            f"WHERE planned_on IS NULL AND fired_on <= :day AND {who}"
        ),
        values,
    )
    connection.execute(
        text(
            "UPDATE outbox SET planned_on = :day "
            f"WHERE planned_on IS NULL AND created_at <= :now AND {who}"
        ),
        values,
    )


def waiting_pairs(
    connection: Connection, day: date, slot: str, now: datetime
) -> list[tuple[str, str]]:
    """Return the (role, agency) pairs `waiting` reads for."""
    rows = connection.execute(
        text("""
        WITH open_rows AS (
          SELECT role, agency_code FROM escalation WHERE planned_on IS NULL AND fired_on <= :day
          UNION SELECT role, agency_code FROM outbox
          WHERE planned_on IS NULL AND created_at <= :now
        ), people AS (
          SELECT g.role, g.agency_code, n.id FROM role_grant g
          JOIN person n ON n.id = g.person_id AND n.active
          JOIN agency y ON y.code = g.agency_code AND coalesce(y.valid_to, 'infinity') >= :day
          WHERE g.valid_from <= :day AND coalesce(g.valid_to, 'infinity') >= :day
        )
        SELECT DISTINCT role, agency_code FROM open_rows JOIN people p USING (role, agency_code)
        EXCEPT
        SELECT p.role, p.agency_code FROM people p
        JOIN message m ON m.person_id = p.id AND m.day = :day AND m.slot = :slot
        """),
        {"day": day, "slot": slot, "now": now},
    )
    return [(row[0], row[1]) for row in rows]


def freeze(
    connection: Connection,
    frozen: FrozenMessage,
    day: date,
    slot: str,
    content_hash: bytes,
    now: datetime,
) -> int | None:
    """Insert a digest; None when this person has one of this day and slot already."""
    message_id: int | None = connection.execute(
        upsert(message)
        .values(
            person_id=frozen.person_id,
            day=day,
            slot=slot,
            subject=frozen.subject,
            body_text=frozen.body_text,
            body_html=frozen.body_html,
            zalo_text=frozen.zalo_text,
            content_hash=content_hash,
            frozen_at=now,
        )
        .on_conflict_do_nothing()
        .returning(message.c.id)
    ).scalar()
    if message_id is not None and frozen.items:
        items = {(i.assignment_id, i.reason): i for i in frozen.items}
        connection.execute(
            insert(message_item),
            [
                {
                    "message_id": message_id,
                    "assignment_id": i.assignment_id,
                    "reason": i.reason,
                    "level": i.level,
                }
                for i in items.values()
            ],
        )
    return message_id


def owe(
    connection: Connection,
    message_id: int,
    person_id: int,
    channels: Sequence[str],
    domain: str,
    now: datetime,
) -> int:
    """Queue a delivery for each of the person's contacts on `channels`; return how many."""
    # The Message-ID is fixed here: every resend carries the same one (RFC 5322, 3.6.4).
    done = connection.execute(
        text("""
        INSERT INTO delivery
          (message_id, channel, address, state, attempts, next_attempt_at, rfc_message_id)
        SELECT :message_id, channel, address, 'queued', 0, :now,
          '<' || md5(:message_id || '|' || channel || '|' || address) || '@' || :domain || '>'
        FROM contact WHERE person_id = :person_id AND channel = ANY(CAST(:channels AS text[]))
        ORDER BY position
        """),
        {
            "message_id": message_id,
            "person_id": person_id,
            "channels": list(channels),
            "domain": domain,
            "now": now,
        },
    )
    return done.rowcount


# Nobody is told in the name of an agency that has ended, also not what was planned before it did.
_SUPPRESS = text("""
UPDATE delivery d SET state = 'suppressed', last_code = 'ended',
  last_text = 'the agency of the recipient has ended'
FROM message m
WHERE d.state = 'queued' AND m.id = d.message_id AND m.day < :day
  AND EXISTS (SELECT FROM role_grant g JOIN agency y ON y.code = g.agency_code
    WHERE g.person_id = m.person_id AND y.valid_to < :day)
  AND NOT EXISTS (SELECT FROM role_grant g JOIN agency y ON y.code = g.agency_code
    WHERE g.person_id = m.person_id AND g.valid_from <= :day
    AND coalesce(g.valid_to, 'infinity') >= :day AND coalesce(y.valid_to, 'infinity') >= :day)
""")


def suppress(connection: Connection, day: date) -> int:
    """Give up what is queued for people whose agencies have all ended; return how many."""
    return connection.execute(_SUPPRESS, {"day": day}).rowcount


_CLAIM = text("""
WITH owed AS (
  SELECT id FROM delivery WHERE state = 'queued' AND next_attempt_at <= :now
  ORDER BY next_attempt_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE delivery d SET state = 'sending', attempts = d.attempts + 1, lease_owner = :worker,
  lease_until = :lease_until
FROM owed, message m, person n
WHERE d.id = owed.id AND m.id = d.message_id AND n.id = m.person_id
RETURNING d.id, d.channel, d.address, n.full_name, m.subject, m.body_text, m.body_html,
  m.zalo_text, d.rfc_message_id, d.attempts
""")


def claim(
    connection: Connection, limit: int, worker: str, now: datetime, lease_until: datetime
) -> list[Owed]:
    """Lease up to `limit` deliveries that are due to this worker."""
    rows = connection.execute(
        _CLAIM, {"limit": limit, "worker": worker, "now": now, "lease_until": lease_until}
    )
    return sorted((Owed(*row) for row in rows), key=lambda owed: owed.id)


def mark(
    connection: Connection,
    delivery_id: int,
    *,
    worker: str,
    state: str,
    outcome: str,
    code: str | None,
    note: str | None,
    provider_message_id: str | None,
    next_attempt_at: datetime | None,
    now: datetime,
) -> bool:
    """Record an attempt of the worker that holds the lease; False when it no longer does."""
    values: dict[str, Any] = {
        "state": state,
        "lease_owner": None,
        "lease_until": None,
        "last_code": code,
        "last_text": note,
        "provider_message_id": provider_message_id,
    }
    if next_attempt_at is not None:
        values["next_attempt_at"] = next_attempt_at
    number = connection.execute(
        update(delivery)
        .where(
            delivery.c.id == delivery_id,
            delivery.c.state == "sending",
            delivery.c.lease_owner == worker,
        )
        .values(**values)
        .returning(delivery.c.attempts)
    ).scalar()
    if number is None:
        return False
    connection.execute(
        insert(delivery_attempt).values(
            delivery_id=delivery_id,
            number=number,
            finished_at=now,
            outcome=outcome,
            code=code,
            text=note,
            worker=worker,
        )
    )
    return True


def expired(connection: Connection, now: datetime) -> list[tuple[int, str, str, int]]:
    """Return (delivery, channel, worker, attempts) whose lease ran out, locked."""
    rows = connection.execute(
        select(delivery.c.id, delivery.c.channel, delivery.c.lease_owner, delivery.c.attempts)
        .where(delivery.c.state == "sending", delivery.c.lease_until < now)
        .order_by(delivery.c.id)
        .with_for_update(skip_locked=True)
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def counts(connection: Connection) -> Mapping[str, int]:
    """Return how many deliveries are in each state."""
    rows = connection.execute(select(delivery.c.state, func.count()).group_by(delivery.c.state))
    return {row[0]: row[1] for row in rows}


def oldest_owed(connection: Connection) -> datetime | None:
    """Return since when the oldest queued delivery is due."""
    return connection.execute(
        select(func.min(delivery.c.next_attempt_at)).where(delivery.c.state == "queued")
    ).scalar()


def listed(
    connection: Connection, after: int | None, limit: int, person_id: int | None = None
) -> list[Mapping[str, Any]]:
    """Return deliveries, newest first, before the id `after`."""
    query = (
        select(
            delivery.c.id,
            delivery.c.channel,
            delivery.c.state,
            delivery.c.attempts,
            delivery.c.last_code,
            delivery.c.last_text,
            message.c.day,
            message.c.slot,
            message.c.subject,
            message.c.person_id,
        )
        .join(message, message.c.id == delivery.c.message_id)
        .order_by(delivery.c.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(delivery.c.id < after)
    if person_id is not None:
        query = query.where(message.c.person_id == person_id)
    return [dict(row) for row in connection.execute(query).mappings()]
