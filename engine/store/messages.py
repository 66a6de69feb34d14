"""Planning: what waits to be told becomes one message per person and slot, with its deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from engine.store.escalations import CLOCK


@dataclass(frozen=True, slots=True)
class Planned:
    """How many rows one planning added: messages, deliveries; `superseded` older deliveries."""

    messages: int
    deliveries: int
    superseded: int
    without_contact: list[int]


def take_turns(connection: Connection, subject: str) -> None:
    """Wait for this transaction's turn at `subject`; released when it ends."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:subject, 0))"), {"subject": subject}
    )


# Whoever holds a role at a living agency today; rights are read now, never frozen.
_HOLDER = """
  SELECT DISTINCT g.role, g.agency_code, g.person_id FROM role_grant g
  JOIN person n ON n.id = g.person_id AND n.active
  JOIN agency y ON y.code = g.agency_code AND coalesce(y.valid_to, 'infinity') >= :day
  WHERE g.valid_from <= :day AND coalesce(g.valid_to, 'infinity') >= :day
"""

# A rung is of use while its assignment stands where the rung was reached.
_PRESENT = f"""
  a.phase IN ('open', 'review')
    AND (e.rule = 'quarter' OR (e.round = a.round AND e.clock_on = {CLOCK}))
"""

# It waits while its assignment is paused and is told when the pause is over.
_RUNG = f"""
  e.planned_on IS NULL AND e.settled_on IS NULL AND e.fired_on <= :day
    AND {_PRESENT} AND coalesce(a.paused_until < :day, true)
"""

_DAILY_ROWS = f"""
  SELECT e.role, e.agency_code, e.assignment_id, e.rule AS reason, e.level, e.period,
    NULL::int AS seq, false AS urgent
  FROM escalation e JOIN assignment a ON a.id = e.assignment_id WHERE {_RUNG}
  UNION ALL
  SELECT role, agency_code, assignment_id, topic, NULL, '', seq, false FROM outbox
  WHERE planned_on IS NULL AND NOT urgent AND created_at <= :now
"""

_URGENT_ROWS = """
  SELECT role, agency_code, assignment_id, topic AS reason, NULL::int AS level, '' AS period,
    seq, true AS urgent
  FROM outbox WHERE planned_on IS NULL AND urgent AND created_at <= :now
"""

# What a later message may take the place of. The index of these names the same states.
UNSENT = "'queued', 'retry', 'parked', 'dead', 'failed'"

# A (role, agency) waits whole until none of its people has a message of this slot: a row is told
# once, to everybody it is for. What never arrived of an older message is told again in this one,
# as soon as its person can be reached: also after every address had failed, or when there was none.
_PLAN = """
WITH open_row AS MATERIALIZED ({rows}),
holder AS MATERIALIZED ({holder}),
pair AS MATERIALIZED (
  SELECT DISTINCT role, agency_code FROM open_row JOIN holder USING (role, agency_code)
  EXCEPT
  SELECT h.role, h.agency_code FROM holder h
  JOIN message m ON m.person_id = h.person_id AND m.day = :day AND m.slot = :slot
), reached AS MATERIALIZED (
  SELECT DISTINCT c.person_id FROM contact c JOIN opening o USING (channel)
  WHERE c.state = 'active'
), unsent AS (
  SELECT message_id FROM delivery WHERE state IN ({unsent})
  UNION SELECT id FROM message WHERE unaddressed
), carried AS MATERIALIZED (
  SELECT m.id, m.person_id FROM unsent u JOIN message m ON m.id = u.message_id
  JOIN reached USING (person_id)
  WHERE :carry AND m.day < :day AND m.notice IS NULL AND NOT EXISTS (
      SELECT FROM delivery o WHERE o.message_id = m.id
        AND o.state IN ('sending', 'accepted', 'delivered', 'seen', 'unknown'))
    AND NOT EXISTS (
      SELECT FROM message t WHERE (t.person_id, t.day, t.slot) = (m.person_id, :day, :slot))
), item AS MATERIALIZED (
  SELECT h.person_id, r.* FROM open_row r JOIN pair USING (role, agency_code)
  JOIN holder h USING (role, agency_code)
  UNION ALL
  SELECT c.person_id, i.role, i.agency_code, i.assignment_id, i.reason, i.level, i.period,
    i.seq, i.urgent
  FROM carried c JOIN message_item i ON i.message_id = c.id
  JOIN holder h ON (h.person_id, h.role, h.agency_code) = (c.person_id, i.role, i.agency_code)
), made AS MATERIALIZED (
  INSERT INTO message (person_id, day, slot, planned_at, unaddressed)
  SELECT DISTINCT person_id, CAST(:day AS date), :slot, CAST(:now AS timestamptz),
    NOT EXISTS (SELECT FROM reached r WHERE r.person_id = item.person_id)
  FROM item ON CONFLICT DO NOTHING
  RETURNING id, person_id
), items AS (
  INSERT INTO message_item
    (message_id, assignment_id, reason, role, agency_code, level, period, seq, urgent)
  SELECT m.id, i.assignment_id, i.reason, i.role, i.agency_code, max(i.level), max(i.period),
    max(i.seq), bool_or(i.urgent)
  FROM item i JOIN made m USING (person_id) GROUP BY 1, 2, 3, 4, 5
), owed AS (
  INSERT INTO delivery (message_id, channel, contact_id, state, attempts, next_attempt_at,
    expires_at, rfc_message_id, tracking_id)
  SELECT m.id, c.channel, c.id, CASE w.state WHEN 'active' THEN 'queued' ELSE 'parked' END, 0,
    o.opens, :expires_at, {mail_id}, {tracking_id}
  FROM made m CROSS JOIN LATERAL (
    SELECT DISTINCT ON (kind) id, channel FROM (
      SELECT id, channel, position,
        CASE WHEN channel LIKE 'zalo%' THEN 'zalo' ELSE channel END AS kind
      FROM contact WHERE person_id = m.person_id AND state = 'active') k
    WHERE channel IN (SELECT channel FROM opening) ORDER BY kind, position) c
  JOIN opening o USING (channel) JOIN gateway w USING (channel)
  RETURNING message_id
), superseded AS (
  UPDATE delivery d SET state = 'superseded' FROM carried c JOIN made m USING (person_id)
  WHERE d.message_id = c.id AND d.state IN ({unsent})
  RETURNING d.id
), addressed AS (
  UPDATE message m SET unaddressed = false FROM carried c JOIN made d USING (person_id)
  WHERE m.id = c.id AND m.unaddressed
), {told}
SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM owed),
  (SELECT count(*) FROM superseded),
  ARRAY(SELECT person_id FROM made WHERE id NOT IN (SELECT message_id FROM owed) ORDER BY 1)
"""

_OPENING = """opening AS (
  SELECT * FROM jsonb_to_recordset(CAST(:openings AS jsonb)) AS o(channel text, opens timestamptz)
), """

_TOLD_DAILY = f"""told_rung AS (
  UPDATE escalation e SET planned_on = :day FROM assignment a, pair p
  WHERE a.id = e.assignment_id AND {_RUNG}
    AND (e.role, e.agency_code) = (p.role, p.agency_code)
), told_news AS (
  UPDATE outbox o SET planned_on = :day FROM pair p
  WHERE o.planned_on IS NULL AND NOT o.urgent AND o.created_at <= :now
    AND (o.role, o.agency_code) = (p.role, p.agency_code)
)"""

_TOLD_URGENT = """told_news AS (
  UPDATE outbox o SET planned_on = :day FROM pair p
  WHERE o.planned_on IS NULL AND o.urgent AND o.created_at <= :now
    AND (o.role, o.agency_code) = (p.role, p.agency_code)
)"""


# The ids of a delivery, made with it and the same at every attempt: the Message-ID of RFC 5322,
# 3.6.4, and a tracking id of at most 48 letters and digits (Zalo ZBS). Nobody can guess them, so
# nobody can forge the bounce or the receipt of a message they did not see.
_MAIL_ID = "'<' || replace(gen_random_uuid()::text, '-', '') || '@' || :domain || '>'"
_TRACKING_ID = "replace(gen_random_uuid()::text, '-', '')"


def _plan(rows: str, told: str) -> Any:
    body = _PLAN.format(
        rows=rows,
        holder=_HOLDER,
        told=told,
        unsent=UNSENT,
        mail_id=_MAIL_ID,
        tracking_id=_TRACKING_ID,
    )
    return text(body.replace("WITH ", f"WITH {_OPENING}", 1))


_PLAN_DAILY = _plan(_DAILY_ROWS, _TOLD_DAILY)
_PLAN_URGENT = _plan(_URGENT_ROWS, _TOLD_URGENT)


def plan(
    connection: Connection,
    day: date,
    now: datetime,
    slot: str,
    openings: str,
    expires_at: datetime,
    domain: str,
    *,
    urgent: bool,
) -> Planned:
    """Make the messages of a slot out of what waits, and their deliveries.

    Args:
        connection: Of a transaction that has its turn at planning.
        day: The day the messages are of.
        now: The moment; what came after it waits.
        slot: `daily`, or the name of this batch of urgent ones.
        openings: JSON list of {channel, opens}: the channels in use, and when each may be used.
        expires_at: When a message not sent by then is given up.
        domain: Our part of every Message-ID.
        urgent: Only what is urgent; else only what is not.
    """
    row = connection.execute(
        _PLAN_URGENT if urgent else _PLAN_DAILY,
        {
            "day": day,
            "now": now,
            "slot": slot,
            "openings": openings,
            "expires_at": expires_at,
            "domain": domain,
            "carry": not urgent,
        },
    ).one()
    return Planned(*row)


def last_urgent(connection: Connection, now: datetime) -> int | None:
    """Return the newest urgent row that waits; it names the slot of the batch."""
    return connection.execute(
        text(
            "SELECT max(id) FROM outbox WHERE planned_on IS NULL AND urgent AND created_at <= :now"
        ),
        {"now": now},
    ).scalar()


def settle_obsolete(connection: Connection, day: date) -> int:
    """Put aside rungs nobody was told of before they went out of date; return how many."""
    return connection.execute(
        text(f"""
        UPDATE escalation e SET settled_on = :day FROM assignment a
        WHERE a.id = e.assignment_id AND e.planned_on IS NULL AND e.settled_on IS NULL
          AND a.phase <> 'paused' AND ({_PRESENT}) IS NOT TRUE
        """),
        {"day": day},
    ).rowcount


def nobody_for(connection: Connection, day: date) -> list[tuple[str, str, int]]:
    """Return (role, agency, rows) of what waits although nobody holds that role there."""
    rows = connection.execute(
        text("""
        SELECT r.role, r.agency_code, count(*) FROM (
          SELECT role, agency_code FROM escalation WHERE planned_on IS NULL AND settled_on IS NULL
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


def notify_administrators(
    connection: Connection,
    day: date,
    now: datetime,
    slot: str,
    notice: str,
    channels: Sequence[str],
    expires_at: datetime,
    domain: str,
) -> int:
    """Make one message to every administrator (`notice` is JSON); one per slot, ever."""
    return connection.execute(
        text(f"""
        WITH made AS (
          INSERT INTO message (person_id, day, slot, planned_at, unaddressed, notice)
          SELECT DISTINCT g.person_id, CAST(:day AS date), :slot, CAST(:now AS timestamptz),
            false, CAST(:notice AS jsonb)
          FROM ({_HOLDER}) g WHERE g.role = 'admin'
            AND NOT EXISTS (SELECT FROM message o WHERE o.slot = :slot)
          ON CONFLICT DO NOTHING RETURNING id, person_id
        )
        INSERT INTO delivery (message_id, channel, contact_id, state, attempts, next_attempt_at,
          expires_at, rfc_message_id, tracking_id)
        SELECT m.id, c.channel, c.id, 'queued', 0, :now, :expires_at, {_MAIL_ID},
          {_TRACKING_ID}
        FROM made m JOIN contact c ON c.person_id = m.person_id AND c.state = 'active'
        WHERE c.channel = ANY(CAST(:channels AS text[]))
        """),
        {
            "day": day,
            "now": now,
            "slot": slot,
            "notice": notice,
            "channels": list(channels),
            "expires_at": expires_at,
            "domain": domain,
        },
    ).rowcount


def fall_back(
    connection: Connection,
    delivery_id: int,
    channels: Sequence[str],
    now: datetime,
    domain: str,
) -> str | None:
    """Owe the message of a delivery on the next channel that has none of it; return which."""
    return connection.execute(
        text(f"""
        INSERT INTO delivery (message_id, channel, contact_id, state, attempts, next_attempt_at,
          expires_at, rfc_message_id, tracking_id, fallback_of)
        SELECT d.message_id, c.channel, c.id,
          CASE w.state WHEN 'active' THEN 'queued' ELSE 'parked' END, 0, CAST(:now AS timestamptz),
          greatest(d.expires_at, CAST(:now AS timestamptz) + interval '1 day'),
          {_MAIL_ID}, {_TRACKING_ID}, d.id
        FROM delivery d JOIN message m ON m.id = d.message_id
        JOIN contact c ON c.person_id = m.person_id AND c.state = 'active'
        JOIN gateway w ON w.channel = c.channel
        WHERE d.id = :delivery_id AND c.channel = ANY(CAST(:channels AS text[]))
          AND NOT EXISTS (SELECT FROM delivery o
            WHERE o.message_id = d.message_id AND o.channel = c.channel)
        ORDER BY c.position, c.id LIMIT 1
        ON CONFLICT DO NOTHING
        RETURNING channel
        """),
        {
            "delivery_id": delivery_id,
            "channels": list(channels),
            "now": now,
            "domain": domain,
        },
    ).scalar()


def own(
    connection: Connection, person_id: int, before: int | None, limit: int
) -> list[Mapping[str, Any]]:
    """Return a person's messages, newest first, each with its deliveries as JSON."""
    rows = connection.execute(
        text("""
        SELECT m.id, m.day, m.slot,
          coalesce((SELECT max(d.subject) FROM delivery d WHERE d.message_id = m.id), '')
            AS subject,
          coalesce((SELECT jsonb_agg(jsonb_build_object('channel', d.channel, 'state', d.state)
            ORDER BY d.id) FROM delivery d WHERE d.message_id = m.id), '[]') AS deliveries
        FROM message m
        WHERE m.person_id = :person_id AND (CAST(:before AS bigint) IS NULL OR m.id < :before)
        ORDER BY m.id DESC LIMIT :limit
        """),
        {"person_id": person_id, "before": before, "limit": limit},
    )
    return [dict(row) for row in rows.mappings()]
