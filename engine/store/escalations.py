"""The escalation ledger, filled set-based: policy comes in as rows, SQL compares dates."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class ClockKey:
    """What decides the rung: the definition, the phase, and the date its clock counts from."""

    definition_name: str
    definition_version: int
    phase: str
    clock_on: date


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with the assignments of a key.

    `tell` are (role, which agency of the assignment: lead, reviewer, monitor, oversight,
    issuer); `rule` None: no rung is reached, only `next_check_on` moves.
    """

    key: ClockKey
    rule: str | None
    level: int
    tell: tuple[tuple[str, str], ...]
    next_check_on: date | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch of a sweep did; `fired` maps (rule, level) to assignment ids."""

    examined: int
    last: tuple[date, int] | None
    rows: int
    fired: Mapping[tuple[str, int], Sequence[int]]


CLOCK = "CASE a.phase WHEN 'open' THEN a.due_on WHEN 'review' THEN a.reported_on END"

_KEYS = text(f"""
SELECT DISTINCT definition_name, definition_version, phase, {CLOCK} AS clock_on
FROM assignment a WHERE next_check_on <= :today
""")


def due_keys(connection: Connection, today: date) -> list[ClockKey]:
    """Return the distinct keys of every assignment to be looked at on `today`."""
    rows = connection.execute(_KEYS, {"today": today})
    return [ClockKey(*row) for row in rows if row[3] is not None]


# `recipient` names the agencies of an assignment as the steps do.
_RECIPIENT = """
CASE t.place
  WHEN 'lead' THEN d.agency_code
  WHEN 'reviewer' THEN CASE WHEN d.agency_code = p.monitor_agency
    THEN p.oversight_agency ELSE p.monitor_agency END
  WHEN 'monitor' THEN p.monitor_agency
  WHEN 'oversight' THEN p.oversight_agency
  ELSE p.issuer_agency END
"""

_SWEEP = text(f"""
WITH due AS MATERIALIZED (
  SELECT a.id, a.task_id, a.agency_code, a.definition_name, a.definition_version, a.phase,
    a.round, a.paused_until, a.next_check_on, {CLOCK} AS clock_on
  FROM assignment a
  WHERE a.next_check_on <= :today AND (a.next_check_on, a.id) > (:after_day, :after_id)
  ORDER BY a.next_check_on, a.id LIMIT :size
  FOR UPDATE SKIP LOCKED
), step AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset(CAST(:steps AS jsonb)) AS s(
    definition_name text, definition_version int, phase text, clock_on date,
    rule text, level int, tell jsonb, next_check_on date)
), placed AS MATERIALIZED (
  SELECT d.*, s.rule, s.level, s.tell, s.next_check_on AS next_step,
    coalesce(d.paused_until >= :today, false) AS paused
  FROM due d JOIN step s USING (definition_name, definition_version, phase, clock_on)
), ledger AS (
  INSERT INTO escalation
    (assignment_id, rule, level, period, round, clock_on, role, agency_code, fired_on)
  SELECT d.id, d.rule, d.level, '', d.round, d.clock_on, t.role, y.code, :today
  FROM placed d
  JOIN task k ON k.id = d.task_id
  JOIN plan p ON p.id = k.plan_id
  CROSS JOIN LATERAL jsonb_to_recordset(d.tell) AS t(role text, place text)
  JOIN agency y ON y.code = {_RECIPIENT}
    AND y.valid_from <= :today AND coalesce(y.valid_to, 'infinity') >= :today
  WHERE d.rule IS NOT NULL AND NOT d.paused
  ON CONFLICT DO NOTHING
  RETURNING assignment_id, rule, level
), moved AS (
  UPDATE assignment a SET next_check_on =
    CASE WHEN d.paused THEN d.paused_until + 1 ELSE d.next_step END
  FROM placed d WHERE a.id = d.id
)
SELECT
  (SELECT count(*) FROM due),
  (SELECT (next_check_on, id)::text FROM due ORDER BY next_check_on DESC, id DESC LIMIT 1),
  (SELECT count(*) FROM ledger),
  (SELECT jsonb_agg(f) FROM (SELECT rule, level, jsonb_agg(DISTINCT assignment_id) AS ids
    FROM ledger GROUP BY rule, level) f)
""")


def sweep_batch(
    connection: Connection,
    today: date,
    steps: Sequence[Step],
    after: tuple[date, int],
    size: int,
) -> Batch:
    """Record the rungs of up to `size` assignments after `after`, and move their next check.

    Rows another sweep holds are passed over: that sweep does them.
    """
    examined, last, rows, fired = connection.execute(
        _SWEEP,
        {
            "today": today,
            "after_day": after[0],
            "after_id": after[1],
            "size": size,
            "steps": json.dumps([_step_row(s) for s in steps]),
        },
    ).one()
    return Batch(
        examined,
        _pair(last),
        rows,
        {(f["rule"], f["level"]): f["ids"] for f in fired or ()},
    )


def replace_untold(connection: Connection, today: date) -> None:
    """Put aside rungs nobody was told of yet where a later one came: that one is told alone.

    They wait because nobody held the role, or because reminders were paused before the digest.
    """
    connection.execute(
        text("""
        UPDATE escalation e SET settled_on = :today
        WHERE e.planned_on IS NULL AND e.settled_on IS NULL AND e.period = ''
          AND e.fired_on < :today AND EXISTS (
            SELECT FROM escalation n
            WHERE n.assignment_id = e.assignment_id AND n.period = '' AND n.fired_on > e.fired_on
              AND (n.role, n.agency_code) = (e.role, e.agency_code))
        """),
        {"today": today},
    )


_QUARTER = text(f"""
WITH step AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset(CAST(:steps AS jsonb)) AS s(
    definition_name text, definition_version int, level int, tell jsonb)
), ledger AS (
  INSERT INTO escalation
    (assignment_id, rule, level, period, round, clock_on, role, agency_code, fired_on)
  SELECT d.id, 'quarter', s.level, :quarter, d.round, :ends_on, t.role, y.code, :today
  FROM assignment d
  JOIN step s USING (definition_name, definition_version)
  JOIN task k ON k.id = d.task_id
  JOIN plan p ON p.id = k.plan_id
  CROSS JOIN LATERAL jsonb_to_recordset(s.tell) AS t(role text, place text)
  JOIN agency y ON y.code = {_RECIPIENT}
    AND y.valid_from <= :today AND coalesce(y.valid_to, 'infinity') >= :today
  WHERE d.due_on <= :ends_on AND d.parent_id IS NULL
    AND (d.phase = 'open' OR (d.phase = 'review' AND d.reported_on > d.due_on))
    AND coalesce(d.paused_until < :today, true)
  ON CONFLICT DO NOTHING
  RETURNING assignment_id, level
)
SELECT (SELECT count(*) FROM ledger),
  (SELECT jsonb_agg(f) FROM (SELECT level, jsonb_agg(DISTINCT assignment_id) AS ids
    FROM ledger GROUP BY level) f)
""")


def quarter(
    connection: Connection,
    today: date,
    name: str,
    ends_on: date,
    steps: Sequence[Mapping[str, Any]],
) -> tuple[int, dict[tuple[str, int], Sequence[int]]]:
    """Record what the quarter left overdue; return (rows, assignment ids by rule and level)."""
    rows, fired = connection.execute(
        _QUARTER,
        {"today": today, "quarter": name, "ends_on": ends_on, "steps": json.dumps(list(steps))},
    ).one()
    return rows, {("quarter", f["level"]): f["ids"] for f in fired or ()}


def told(
    connection: Connection, assignment_id: int, round_: int, clock_on: date | None
) -> set[tuple[str, int]]:
    """Return the (rule, level) recorded of an assignment in a run: a round, and a date."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT rule, level FROM escalation WHERE assignment_id = :id "
            "AND round = :round AND clock_on = :clock_on AND period = ''"
        ),
        {"id": assignment_id, "round": round_, "clock_on": clock_on},
    )
    return {(row[0], row[1]) for row in rows}


@dataclass(frozen=True, slots=True)
class Agency:
    """What an agency is called, and from when to when it lives."""

    name: str
    valid_from: date
    valid_to: date | None

    def lives_on(self, day: date) -> bool:
        """Tell whether it can be told anything on `day`."""
        return self.valid_from <= day <= (self.valid_to or date.max)


def agencies(connection: Connection, codes: Collection[str]) -> dict[str, Agency]:
    """Return agencies by code."""
    rows = connection.execute(
        text("SELECT code, name, valid_from, valid_to FROM agency WHERE code = ANY(:codes)"),
        {"codes": sorted(codes)},
    )
    return {row[0]: Agency(*row[1:]) for row in rows}


_QUARTER_ROWS = text(
    "SELECT DISTINCT ON (l.number, k.number, b.name, a.id) a.id AS assignment_id, "
    "l.number AS plan, k.number AS task, k.title, b.name AS lead, a.period, "
    "a.original_due_on, a.due_on, a.state, a.definition_name, a.definition_version, a.phase, "
    "a.reported_on, a.completed_on, a.extensions, e.fired_on, "
    "coalesce((SELECT max(r.level) FROM escalation r WHERE r.assignment_id = a.id "
    "AND r.period = '' AND r.planned_on IS NOT NULL), 0) AS level, "
    "(SELECT CAST(max(v.changes -> 'reported_on' ->> 1) AS date) FROM event v "
    "WHERE v.assignment_id = a.id AND v.changes ? 'reported_on') AS last_report_on "
    "FROM escalation e JOIN assignment a ON a.id = e.assignment_id "
    "JOIN agency b ON b.code = a.agency_code "
    "JOIN task k ON k.id = a.task_id JOIN plan l ON l.id = k.plan_id "
    "WHERE e.rule = 'quarter' AND e.period = :quarter AND (CAST(:person_id AS bigint) IS NULL "
    "OR EXISTS (SELECT FROM role_grant g WHERE g.person_id = :person_id "
    "AND (g.role, g.agency_code) = (e.role, e.agency_code) AND g.valid_from <= :day "
    "AND coalesce(g.valid_to, 'infinity') >= :day)) "
    "ORDER BY l.number, k.number, b.name, a.id, e.fired_on DESC"
)


def quarter_rows(
    connection: Connection, quarter_name: str, person_id: int | None, day: date
) -> list[Mapping[str, Any]]:
    """Return what a quarter left overdue, an assignment a row; of what a person was told."""
    rows = connection.execute(
        _QUARTER_ROWS, {"quarter": quarter_name, "person_id": person_id, "day": day}
    )
    return [dict(row) for row in rows.mappings()]


def _step_row(step: Step) -> dict[str, Any]:
    return {
        "definition_name": step.key.definition_name,
        "definition_version": step.key.definition_version,
        "phase": step.key.phase,
        "clock_on": step.key.clock_on.isoformat(),
        "rule": step.rule,
        "level": step.level,
        "tell": [{"role": role, "place": place} for role, place in step.tell],
        "next_check_on": None if step.next_check_on is None else step.next_check_on.isoformat(),
    }


def _pair(record: str | None) -> tuple[date, int] | None:
    if record is None:
        return None
    day, _, number = record.strip("()").partition(",")
    return date.fromisoformat(day), int(number)
