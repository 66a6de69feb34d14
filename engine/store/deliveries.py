"""Deliveries: leased, read again before they are sent, marked with what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import Connection, text, update

from engine.store.tables import delivery


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery leased to a worker, with whom it is for."""

    id: int
    message_id: int
    channel: str
    attempts: int
    expires_at: datetime
    rfc_message_id: str
    tracking_id: str
    person_id: int
    person_name: str
    active: bool
    day: date
    slot: str
    notice: Mapping[str, Any] | None
    contact_state: str
    sealed: bytes | None
    quiet_begins: time | None
    quiet_ends: time | None


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One reason to tell a person something, with the assignment as it stands now."""

    assignment_id: int
    reason: str
    level: int | None
    quarter: str
    role: str
    agency_code: str
    seq: int | None
    urgent: bool
    answered: bool  # after it was urged, reminders were paused by an answer
    holds: bool  # the person still has this role at this agency
    agency_name: str
    plan_number: str
    task_number: int
    title: str
    lead: str
    lead_name: str
    period: str | None
    due_on: date | None
    reported_on: date | None
    phase: str
    state: str
    paused_until: date | None
    definition_name: str
    definition_version: int
    note: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What the attempts of a delivery came to."""

    refused: int
    unknown: int


_CLAIM = text("""
WITH owed AS (
  SELECT id FROM delivery WHERE channel = :channel AND state IN ('queued', 'retry')
    AND next_attempt_at <= :now AND expires_at > :now
  ORDER BY next_attempt_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE delivery d SET state = 'sending', lease_owner = :worker, lease_until = :lease_until
FROM owed WHERE d.id = owed.id RETURNING d.id
""")

_PROBE = text("""
WITH owed AS (
  SELECT id FROM delivery WHERE channel = :channel AND state IN ('queued', 'retry', 'parked')
    AND expires_at > :now
  ORDER BY id DESC LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE delivery d SET state = 'sending', lease_owner = :worker, lease_until = :lease_until
FROM owed WHERE d.id = owed.id RETURNING d.id
""")


def claim(
    connection: Connection,
    channel: str,
    limit: int,
    worker: str,
    now: datetime,
    lease_until: datetime,
    *,
    probe: bool,
) -> list[int]:
    """Lease up to `limit` deliveries of a channel; `probe` also takes what is parked."""
    rows = connection.execute(
        _PROBE if probe else _CLAIM,
        {
            "channel": channel,
            "limit": limit,
            "worker": worker,
            "now": now,
            "lease_until": lease_until,
        },
    )
    return sorted(row[0] for row in rows)


def workers(connection: Connection, channel: str, now: datetime) -> set[str]:
    """Return who holds leases of a channel."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT lease_owner FROM delivery "
            "WHERE state = 'sending' AND channel = :channel AND lease_until > :now"
        ),
        {"channel": channel, "now": now},
    )
    return {row[0] for row in rows}


def hold(connection: Connection, delivery_id: int, worker: str) -> Held | None:
    """Lock a delivery this worker has leased and not begun; None when it no longer has."""
    row = connection.execute(
        text("""
        SELECT d.id, d.message_id, d.channel, d.attempts, d.expires_at, d.rfc_message_id,
          d.tracking_id, m.person_id, n.full_name, n.active, m.day, m.slot, m.notice,
          c.state, c.sealed, q.begins, q.ends
        FROM delivery d JOIN message m ON m.id = d.message_id
        JOIN person n ON n.id = m.person_id JOIN contact c ON c.id = d.contact_id
        LEFT JOIN quiet_hours q ON q.person_id = m.person_id
        WHERE d.id = :id AND d.state = 'sending' AND d.lease_owner = :worker
          AND d.submitted_at IS NULL
        FOR UPDATE OF d
        """),
        {"id": delivery_id, "worker": worker},
    ).one_or_none()
    return None if row is None else Held(*row)


_ITEM = """
  a.id, {reason}, {level}, {quarter}, {role}, {agency}, {seq}, {urgent}, {answered}, EXISTS (
    SELECT FROM role_grant g WHERE g.person_id = :person_id
      AND (g.role, g.agency_code) = ({role}, {agency})
      AND g.valid_from <= :day AND coalesce(g.valid_to, 'infinity') >= :day
  ) AND coalesce(y.valid_to, 'infinity') >= :day,
  coalesce(y.name, ''), l.number, k.number, k.title, a.agency_code, b.name, a.period, a.due_on,
  a.reported_on, a.phase, a.state, a.paused_until, a.definition_name, a.definition_version,
  {note}
"""
_JOINS = """
  LEFT JOIN agency y ON y.code = {agency}
  JOIN agency b ON b.code = a.agency_code
  JOIN task k ON k.id = a.task_id
  JOIN plan l ON l.id = k.plan_id
"""

_ITEMS = text(
    "SELECT"
    + _ITEM.format(
        reason="i.reason",
        level="i.level",
        quarter="i.period",
        role="i.role",
        agency="i.agency_code",
        seq="i.seq",
        urgent="i.urgent",
        answered="""i.urgent AND EXISTS (SELECT FROM event x WHERE x.assignment_id = i.assignment_id
          AND x.seq > i.seq AND x.changes -> 'paused_until' ->> 1 IS NOT NULL)""",
        note="coalesce(v.data->>'message', v.data->>'reason', '')",
    )
    + """
  FROM message_item i JOIN assignment a ON a.id = i.assignment_id
  LEFT JOIN event v ON (v.assignment_id, v.seq) = (i.assignment_id, i.seq)
"""
    + _JOINS.format(agency="i.agency_code")
    + " WHERE i.message_id = :message_id ORDER BY a.id, i.reason, i.role, i.agency_code"
)


def items(connection: Connection, message_id: int, person_id: int, day: date) -> list[ItemRow]:
    """Return why a message exists, each with its assignment as it stands now."""
    rows = connection.execute(
        _ITEMS, {"message_id": message_id, "person_id": person_id, "day": day}
    )
    return [ItemRow(*row) for row in rows]


_STANDING = text(
    "SELECT"
    + _ITEM.format(
        reason="e.rule",
        level="e.level",
        quarter="e.period",
        role="e.role",
        agency="e.agency_code",
        seq="NULL::int",
        urgent="false",
        answered="false",
        note="''",
    )
    + """
  FROM (
    SELECT DISTINCT ON (s.assignment_id) s.* FROM role_grant g
    JOIN escalation s ON (s.role, s.agency_code) = (g.role, g.agency_code)
    WHERE g.person_id = :person_id AND g.valid_from <= :day
      AND coalesce(g.valid_to, 'infinity') >= :day
      AND s.planned_on < :day AND s.settled_on IS NULL
    ORDER BY s.assignment_id, s.fired_on DESC, s.level DESC
  ) e JOIN assignment a ON a.id = e.assignment_id AND a.phase IN ('open', 'review')
    AND coalesce(a.paused_until < :day, true)
"""
    + _JOINS.format(agency="e.agency_code")
    + """
  WHERE NOT EXISTS (SELECT FROM message_item i
    WHERE i.message_id = :message_id AND i.assignment_id = a.id)
  ORDER BY a.due_on, a.id LIMIT :limit
"""
)


def standing(
    connection: Connection, message_id: int, person_id: int, day: date, limit: int
) -> list[ItemRow]:
    """Return what a person was told on an earlier day and is still so, beside a message."""
    rows = connection.execute(
        _STANDING,
        {"message_id": message_id, "person_id": person_id, "day": day, "limit": limit},
    )
    return [ItemRow(*row) for row in rows]


def unwanted(connection: Connection, person_id: int, channel: str) -> set[str]:
    """Return the sections a person does not want on a channel."""
    rows = connection.execute(
        text("SELECT section FROM unwanted WHERE (person_id, channel) = (:person_id, :channel)"),
        {"person_id": person_id, "channel": channel},
    )
    return {row[0] for row in rows}


def thread(connection: Connection, message_id: int, limit: int) -> list[str]:
    """Return the Message-IDs of the mails in which these escalations were first told."""
    rows = connection.execute(
        text("""
        SELECT first FROM (
          SELECT DISTINCT (
            SELECT d.rfc_message_id FROM message p
            JOIN message_item o ON o.message_id = p.id AND o.assignment_id = i.assignment_id
              AND o.level IS NOT NULL
            JOIN delivery d ON d.message_id = p.id AND d.channel = 'email'
              AND d.state IN ('accepted', 'delivered', 'seen', 'unknown')
            WHERE p.person_id = m.person_id AND p.id < m.id
            ORDER BY p.id LIMIT 1
          ) AS first
          FROM message m JOIN message_item i ON i.message_id = m.id
          WHERE m.id = :message_id AND (i.level >= 1 OR i.reason LIKE '%.settled')
        ) t WHERE first IS NOT NULL ORDER BY first LIMIT :limit
        """),
        {"message_id": message_id, "limit": limit},
    )
    return [row[0] for row in rows]


_LEAVE_OUT = text("""
UPDATE message_item SET left_out = :why
WHERE message_id = :message_id AND assignment_id = :assignment_id AND reason = :reason
  AND role = :role AND agency_code = :agency_code AND left_out IS DISTINCT FROM :why
""")


def leave_out(
    connection: Connection, message_id: int, left: Sequence[tuple[ItemRow, str | None]]
) -> None:
    """Record why each item of a message is not in its text; None: it is."""
    if left:
        connection.execute(
            _LEAVE_OUT,
            [
                {
                    "message_id": message_id,
                    "assignment_id": item.assignment_id,
                    "reason": item.reason,
                    "role": item.role,
                    "agency_code": item.agency_code,
                    "why": why,
                }
                for item, why in left
            ],
        )


def freeze(
    connection: Connection,
    delivery_id: int,
    now: datetime,
    lease_until: datetime,
    values: Mapping[str, Any],
) -> None:
    """Keep the text about to be sent; from here on a crash leaves the delivery unknown."""
    connection.execute(
        update(delivery)
        .where(delivery.c.id == delivery_id)
        .values(
            submitted_at=now,
            lease_until=lease_until,
            frozen_at=now,
            attempts=delivery.c.attempts + 1,
            **values,
        )
    )


def put_back(
    connection: Connection,
    delivery_id: int,
    state: str,
    code: str | None = None,
    next_attempt_at: datetime | None = None,
) -> None:
    """End a lease without an attempt: nothing was sent."""
    values: dict[str, Any] = {"state": state, "lease_owner": None, "lease_until": None}
    if code is not None:
        values["last_code"] = code
    if next_attempt_at is not None:
        values["next_attempt_at"] = next_attempt_at
    connection.execute(update(delivery).where(delivery.c.id == delivery_id).values(**values))


def lock_sent(connection: Connection, delivery_id: int, worker: str) -> Mapping[str, Any] | None:
    """Lock a delivery after its attempt; None when there is none."""
    row = (
        connection.execute(
            text("""
            SELECT d.id, d.message_id, d.channel, d.attempts, d.expires_at, d.contact_id, d.state,
              d.submitted_at, d.content_hash, (d.state = 'sending' AND d.lease_owner = :worker)
                AS held
            FROM delivery d WHERE d.id = :id FOR UPDATE
            """),
            {"id": delivery_id, "worker": worker},
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else dict(row)


def add_attempt(connection: Connection, values: Mapping[str, Any]) -> None:
    """Append an attempt; the first record of a number stays."""
    connection.execute(
        text("""
        INSERT INTO delivery_attempt (delivery_id, number, started_at, finished_at, outcome, code,
          text, content_hash, worker)
        VALUES (:delivery_id, :number, :started_at, :finished_at, :outcome, :code, :text,
          :content_hash, :worker)
        ON CONFLICT DO NOTHING
        """),
        dict(values),
    )


def tally(connection: Connection, delivery_id: int) -> Tally:
    """Return how often a delivery was refused for now, and how often nobody knows."""
    row = connection.execute(
        text("""
        SELECT count(*) FILTER (WHERE outcome = 'retry'),
          count(*) FILTER (WHERE outcome = 'unknown')
        FROM delivery_attempt WHERE delivery_id = :id
        """),
        {"id": delivery_id},
    ).one()
    return Tally(*row)


def settle(connection: Connection, delivery_id: int, values: Mapping[str, Any]) -> None:
    """Write what became of a delivery and end its lease."""
    connection.execute(
        update(delivery)
        .where(delivery.c.id == delivery_id)
        .values(lease_owner=None, lease_until=None, submitted_at=None, **values)
    )


def escalates(connection: Connection, message_id: int) -> bool:
    """Tell whether a message escalates something, rather than only reminding of it."""
    return bool(
        connection.execute(
            text(
                "SELECT EXISTS (SELECT FROM message_item WHERE message_id = :id "
                "AND left_out IS NULL AND (level >= 1 OR urgent))"
            ),
            {"id": message_id},
        ).scalar()
    )


def release_unbegun(connection: Connection, now: datetime) -> int:
    """Queue again what a worker leased and never began to send; return how many."""
    return connection.execute(
        text("""
        UPDATE delivery SET state = CASE WHEN attempts > 0 THEN 'retry' ELSE 'queued' END,
          lease_owner = NULL, lease_until = NULL
        WHERE state = 'sending' AND lease_until < :now AND submitted_at IS NULL
        """),
        {"now": now},
    ).rowcount


def interrupted(connection: Connection, now: datetime) -> list[tuple[int, str]]:
    """Return (delivery, worker) whose sending began and whose lease ran out, locked."""
    rows = connection.execute(
        text("""
        SELECT id, lease_owner FROM delivery
        WHERE state = 'sending' AND lease_until < :now AND submitted_at IS NOT NULL
        ORDER BY id FOR UPDATE SKIP LOCKED
        """),
        {"now": now},
    )
    return [(row[0], row[1]) for row in rows]


def waited_out(connection: Connection, now: datetime) -> list[int]:
    """Return the unknown deliveries whose receipt did not come in time, locked."""
    rows = connection.execute(
        text(
            "SELECT id FROM delivery WHERE settle_at <= :now AND state = 'unknown' "
            "ORDER BY id FOR UPDATE SKIP LOCKED"
        ),
        {"now": now},
    )
    return [row[0] for row in rows]


def expire(connection: Connection, now: datetime) -> int:
    """Give up what was not sent in its time; return how many."""
    return connection.execute(
        text("""
        UPDATE delivery SET state = 'dead', last_code = coalesce(last_code, 'expired')
        WHERE state IN ('queued', 'retry', 'parked') AND expires_at <= :now
        """),
        {"now": now},
    ).rowcount


def park(connection: Connection, channel: str) -> None:
    """Let everything unsent of a channel wait for its gateway."""
    connection.execute(
        text(
            "UPDATE delivery SET state = 'parked' "
            "WHERE channel = :channel AND state IN ('queued', 'retry')"
        ),
        {"channel": channel},
    )


def unpark(connection: Connection, channel: str, now: datetime) -> int:
    """Queue again what waited for a gateway; return how many."""
    return connection.execute(
        text(
            "UPDATE delivery SET state = 'queued', next_attempt_at = :now "
            "WHERE channel = :channel AND state = 'parked'"
        ),
        {"channel": channel, "now": now},
    ).rowcount


def requeue(connection: Connection, delivery_id: int, now: datetime, expires_at: datetime) -> bool:
    """Queue a delivery that was given up once more; False when its state does not allow it."""
    return (
        connection.execute(
            text("""
            UPDATE delivery SET state = 'queued', next_attempt_at = :now,
              expires_at = greatest(expires_at, :expires_at), settle_at = NULL
            WHERE id = :id AND state IN ('dead', 'failed', 'unknown', 'suppressed', 'parked',
              'retry')
            """),
            {"id": delivery_id, "now": now, "expires_at": expires_at},
        ).rowcount
        > 0
    )


def drop(connection: Connection, delivery_id: int) -> bool:
    """Take a delivery off the list of what is still owed; False when nothing is owed."""
    return (
        connection.execute(
            text("""
            UPDATE delivery SET state = 'suppressed', last_code = 'dropped', settle_at = NULL
            WHERE id = :id AND state IN ('queued', 'retry', 'parked', 'dead', 'failed', 'unknown')
            """),
            {"id": delivery_id},
        ).rowcount
        > 0
    )


_LISTED = """
SELECT d.id, d.channel, d.state, d.attempts, d.next_attempt_at, d.expires_at, d.last_code,
  d.last_text, d.sent_to, m.day, m.slot, n.login, n.full_name,
  coalesce(d.subject, '') AS subject
FROM delivery d JOIN message m ON m.id = d.message_id JOIN person n ON n.id = m.person_id
"""


def listed(
    connection: Connection,
    before: int | None,
    limit: int,
    states: Sequence[str] = (),
    channel: str | None = None,
) -> list[Mapping[str, Any]]:
    """Return deliveries, newest first, before the id `before`."""
    rows = connection.execute(
        text(
            _LISTED
            + """
        WHERE (CAST(:before AS bigint) IS NULL OR d.id < :before)
          AND (CAST(:channel AS text) IS NULL OR d.channel = :channel)
          AND (cardinality(CAST(:states AS text[])) = 0 OR d.state = ANY(CAST(:states AS text[])))
        ORDER BY d.id DESC LIMIT :limit
        """
        ),
        {"before": before, "limit": limit, "states": list(states), "channel": channel},
    )
    return [dict(row) for row in rows.mappings()]


def shown(connection: Connection, delivery_id: int) -> dict[str, Any] | None:
    """Return everything known of a delivery: text, items, attempts, receipts, its fallback."""
    row = (
        connection.execute(
            text("""
            SELECT d.id, d.message_id, d.channel, d.state, d.attempts, d.next_attempt_at,
              d.expires_at, d.rfc_message_id, d.tracking_id, d.provider_message_id, d.sent_to,
              d.subject, d.body_text, d.frozen_at, d.last_code, d.last_text, d.fallback_of,
              d.settle_at, m.day, m.slot, m.planned_at, m.notice, n.login, n.full_name
            FROM delivery d JOIN message m ON m.id = d.message_id
            JOIN person n ON n.id = m.person_id WHERE d.id = :id
            """),
            {"id": delivery_id},
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    found = dict(row)
    for name, query in _PARTS.items():
        rows = connection.execute(query, {"id": delivery_id, "message_id": row["message_id"]})
        found[name] = [dict(part) for part in rows.mappings()]
    return found


_PARTS = {
    "items": text(
        "SELECT assignment_id, reason, level, period, role, agency_code, seq, urgent, left_out "
        "FROM message_item WHERE message_id = :message_id ORDER BY 1, 2, 5, 6"
    ),
    "tries": text(
        "SELECT number, started_at, finished_at, outcome, code, text, worker "
        "FROM delivery_attempt WHERE delivery_id = :id ORDER BY number"
    ),
    "receipts": text(
        "SELECT source, kind, received_at FROM receipt WHERE delivery_id = :id ORDER BY id"
    ),
    "beside": text(
        "SELECT id, channel, state, fallback_of FROM delivery "
        "WHERE message_id = :message_id AND id <> :id ORDER BY id"
    ),
}


def counts(connection: Connection) -> Mapping[tuple[str, str], int]:
    """Return how many deliveries are in each (channel, state)."""
    rows = connection.execute(
        text("SELECT channel, state, count(*) FROM delivery GROUP BY channel, state")
    )
    return {(row[0], row[1]): row[2] for row in rows}


def oldest_owed(connection: Connection) -> datetime | None:
    """Return since when the oldest delivery to be sent is due."""
    return connection.execute(
        text("SELECT min(next_attempt_at) FROM delivery WHERE state IN ('queued', 'retry')")
    ).scalar()


def bounce_rate(connection: Connection, since: datetime) -> float:
    """Return the part of the mails sent since then that came back, 0 to 1."""
    return float(
        connection.execute(
            text("""
            SELECT coalesce(avg(CASE WHEN b.delivery_id IS NULL THEN 0 ELSE 1 END), 0)
            FROM delivery d LEFT JOIN (SELECT DISTINCT delivery_id FROM receipt
              WHERE source = 'bounce' AND kind = 'permanent') b ON b.delivery_id = d.id
            WHERE d.channel = 'email' AND d.frozen_at >= :since
              AND (d.state IN ('accepted', 'delivered', 'seen', 'failed')
                OR b.delivery_id IS NOT NULL)
            """),
            {"since": since},
        ).scalar_one()
    )


# Receipts.


def add_receipt(
    connection: Connection,
    source: str,
    event_key: str,
    kind: str,
    now: datetime,
    *,
    delivery_id: int | None = None,
    provider_message_id: str | None = None,
    sender: bytes | None = None,
) -> int | None:
    """Insert what came in; None when it had come before."""
    return connection.execute(
        text("""
        INSERT INTO receipt (source, event_key, kind, delivery_id, provider_message_id, sender,
          received_at)
        VALUES (:source, :event_key, :kind, :delivery_id, :provider_message_id, :sender, :now)
        ON CONFLICT DO NOTHING RETURNING id
        """),
        {
            "source": source,
            "event_key": event_key,
            "kind": kind,
            "delivery_id": delivery_id,
            "provider_message_id": provider_message_id,
            "sender": sender,
            "now": now,
        },
    ).scalar()


def recent(connection: Connection, kind: str, sender: bytes, since: datetime) -> int:
    """Return how many receipts of a kind came from a sender since then."""
    return int(
        connection.execute(
            text(
                "SELECT count(*) FROM receipt "
                "WHERE sender = :sender AND kind = :kind AND received_at >= :since"
            ),
            {"sender": sender, "kind": kind, "since": since},
        ).scalar_one()
    )


def find(
    connection: Connection,
    *,
    delivery_id: int | None = None,
    tracking_id: str | None = None,
    rfc_message_id: str | None = None,
    channels: Sequence[str] = (),
    provider_message_id: str | None = None,
) -> Mapping[str, Any] | None:
    """Lock the delivery that any of these names; None when there is none."""
    row = (
        connection.execute(
            text("""
            SELECT id, message_id, channel, state, contact_id FROM delivery
            WHERE id = :delivery_id OR tracking_id = :tracking_id
              OR rfc_message_id = :rfc_message_id
              OR (channel = ANY(CAST(:channels AS text[]))
                AND provider_message_id = :provider_message_id)
            ORDER BY id LIMIT 1 FOR UPDATE
            """),
            {
                "delivery_id": delivery_id,
                "tracking_id": tracking_id,
                "rfc_message_id": rfc_message_id,
                "channels": list(channels),
                "provider_message_id": provider_message_id,
            },
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else dict(row)


def match_receipts(
    connection: Connection, delivery_id: int, source: str, provider_message_id: str
) -> list[str]:
    """Bind receipts that came before we knew the provider's id; return their kinds."""
    rows = connection.execute(
        text("""
        UPDATE receipt SET delivery_id = :delivery_id
        WHERE source = :source AND provider_message_id = :provider_message_id
          AND delivery_id IS NULL RETURNING kind
        """),
        {
            "delivery_id": delivery_id,
            "source": source,
            "provider_message_id": provider_message_id,
        },
    )
    return [row[0] for row in rows]
