"""Rows of `assignment`, and the one statement that writes a transition."""

import json
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text, update

from engine.clock import local_day
from engine.definition import DefinitionRef, Phase
from engine.model import Assignment, Decision, Event
from engine.store.prepared import Answer, Prepared
from engine.store.tables import assignment as a
from engine.store.tables import event as e
from engine.store.tables import plan as p
from engine.store.tables import task as t

_COLUMNS = (
    a.c.id,
    a.c.task_id,
    a.c.agency_code,
    a.c.definition_name,
    a.c.definition_version,
    a.c.state,
    a.c.phase,
    a.c.version,
    a.c.round,
    a.c.head,
    a.c.due_on,
    a.c.original_due_on,
    a.c.period,
    a.c.parent_id,
    a.c.authors,
    a.c.reported_on,
    a.c.completed_on,
    a.c.previous_state,
    a.c.paused_until,
    a.c.extension_open,
    a.c.extensions,
    a.c.next_check_on,
    a.c.facts,
    p.c.monitor_agency,
    p.c.oversight_agency,
    p.c.issuer_agency,
)
whole = select(*_COLUMNS).join_from(a, t, a.c.task_id == t.c.id).join(p, t.c.plan_id == p.c.id)
"""Select of everything `from_row` needs."""


def from_row(row: Any) -> Assignment:
    """Return the assignment of a row of `whole`."""
    return Assignment(
        id=row[0],
        task_id=row[1],
        agency=row[2],
        definition=DefinitionRef(row[3], row[4]),
        state=row[5],
        phase=Phase(row[6]),
        version=row[7],
        round=row[8],
        head=row[9],
        due_on=row[10],
        original_due_on=row[11],
        period=row[12],
        parent_id=row[13],
        authors=frozenset(row[14]),
        reported_on=row[15],
        completed_on=row[16],
        previous_state=row[17],
        paused_until=row[18],
        extension_open=row[19],
        extensions=row[20],
        next_check_on=row[21],
        facts=row[22],
        monitor=row[23],
        oversight=row[24],
        issuer=row[25],
    )


def to_row(assignment: Assignment) -> dict[str, Any]:
    """Return the columns of an assignment."""
    return {
        "id": assignment.id,
        "task_id": assignment.task_id,
        "agency_code": assignment.agency,
        "definition_name": assignment.definition.name,
        "definition_version": assignment.definition.version,
        "state": assignment.state,
        "phase": assignment.phase.value,
        "version": assignment.version,
        "round": assignment.round,
        "head": assignment.head,
        "due_on": assignment.due_on,
        "original_due_on": assignment.original_due_on,
        "period": assignment.period,
        "parent_id": assignment.parent_id,
        "authors": sorted(assignment.authors),
        "reported_on": assignment.reported_on,
        "completed_on": assignment.completed_on,
        "previous_state": assignment.previous_state,
        "paused_until": assignment.paused_until,
        "extension_open": assignment.extension_open,
        "extensions": assignment.extensions,
        "next_check_on": assignment.next_check_on,
        "facts": dict(assignment.facts),
    }


def event_row(event: Event) -> dict[str, Any]:
    """Return the columns of an event."""
    return {
        "assignment_id": event.assignment_id,
        "seq": event.seq,
        "at": event.at,
        "transition": event.transition,
        "from_state": event.from_state,
        "to_state": event.to_state,
        "actor_id": event.actor_id,
        "acting_for_id": event.acting_for_id,
        "agency_code": event.agency,
        "role": event.role,
        "data": dict(event.data),
        "changes": dict(event.changes),
        "previous_hash": event.previous_hash,
        "hash": event.hash,
    }


def send_lock(connection: Connection, assignment_id: int) -> Answer:
    """Lock the row of an assignment until the transaction ends; `read_lock` reads it."""
    return _LOCK.send(connection, {"id": assignment_id})


def read_lock(answer: Answer) -> Assignment | None:
    """Return the assignment locked, None if there is none."""
    rows = answer.rows()
    return from_row(rows[0]) if rows else None


def lock(connection: Connection, assignment_id: int) -> Assignment | None:
    """Return the assignment, its row locked until the transaction ends; None if there is none."""
    return read_lock(send_lock(connection, assignment_id))


def read(connection: Connection, assignment_id: int) -> Assignment | None:
    """Return the assignment without a lock."""
    row = connection.execute(whole.where(a.c.id == assignment_id)).first()
    return None if row is None else from_row(row)


def lock_many(connection: Connection, ids: Sequence[int]) -> list[Assignment]:
    """Return assignments, locked in the order of their ids (so that two bulks cannot deadlock)."""
    rows = connection.execute(whole.where(a.c.id.in_(ids)).order_by(a.c.id).with_for_update(of=a))
    return [from_row(row) for row in rows]


def next_ids(connection: Connection, count: int) -> list[int]:
    """Return `count` fresh ids: the hash of the opening event covers the id."""
    rows = connection.execute(
        text(
            "SELECT nextval(pg_get_serial_sequence('assignment', 'id')) "
            "FROM generate_series(1, :count)"
        ),
        {"count": count},
    )
    return list(rows.scalars())


def insert_opened(connection: Connection, decisions: Iterable[Decision]) -> None:
    """Insert new assignments with their opening events."""
    made = list(decisions)
    if made:
        connection.execute(insert(a), [to_row(d.assignment) for d in made])
        connection.execute(insert(e), [event_row(d.event) for d in made])


_SETTLING = frozenset({Phase.DONE, Phase.FINAL})

_LOCK = Prepared(whole.where(a.c.id == bindparam("id")).with_for_update(of=a))

# Compare-and-set, events and outbox rows in one statement and one round trip, for one decision or
# a thousand. Everything is inserted from the updated rows: no row updated, nothing written. The
# parts nobody needs are left out: the server would set them up all the same.
_CHANGED = """
WITH changed AS (
  UPDATE assignment a SET
    state = i.state, phase = i.phase, version = i.version, round = i.round,
    head = decode(i.head, 'hex'), due_on = i.due_on, authors = i.authors,
    reported_on = i.reported_on, completed_on = i.completed_on,
    previous_state = i.previous_state, paused_until = i.paused_until,
    extension_open = i.extension_open, extensions = i.extensions,
    next_check_on = i.next_check_on, facts = i.facts,
    definition_version = i.definition_version
  FROM jsonb_to_recordset(CAST(:decisions AS jsonb)) AS i(
    id bigint, old_version int, old_state text, state text, phase text, version int, round int,
    head text, due_on date, authors bigint[], reported_on date, completed_on date,
    previous_state text, paused_until date, extension_open boolean, extensions int,
    next_check_on date, facts jsonb, at timestamptz, transition text, actor_id bigint,
    acting_for_id bigint, agency_code text, role text, data jsonb, changes jsonb,
    previous_hash text, definition_version int, topic text, tell jsonb, settled_topic text,
    settled_on date, key text, request_hash text)
  WHERE a.id = i.id AND a.version = i.old_version AND a.state = i.old_state
  RETURNING i.*
), written AS (
  INSERT INTO event (assignment_id, seq, at, transition, from_state, to_state, actor_id,
    acting_for_id, agency_code, role, data, changes, previous_hash, hash)
  SELECT id, version, at, transition, old_state, state, actor_id, acting_for_id,
    agency_code, role, data, changes, decode(previous_hash, 'hex'), decode(head, 'hex')
  FROM changed
)"""
_TOLD = """, told AS (
  INSERT INTO outbox (topic, role, agency_code, assignment_id, seq, created_at, urgent)
  SELECT topic, t.role, t.agency, id, version, at, t.urgent
  FROM changed CROSS JOIN LATERAL
    jsonb_to_recordset(tell) AS t(role text, agency text, urgent boolean)
)"""
# Work that is done: nobody is reminded of it any more, and whoever it had been escalated to is
# told so, unless the transition tells them anyway.
_SETTLED = """, settled AS (
  UPDATE escalation s SET settled_on = c.settled_on FROM changed c
  WHERE s.assignment_id = c.id AND c.settled_on IS NOT NULL AND s.settled_on IS NULL
  RETURNING s.assignment_id, s.role, s.agency_code, s.level, s.planned_on
), closing AS (
  INSERT INTO outbox (topic, role, agency_code, assignment_id, seq, created_at)
  SELECT DISTINCT c.settled_topic, s.role, s.agency_code, c.id, c.version, c.at
  FROM settled s JOIN changed c ON c.id = s.assignment_id
  WHERE s.level >= 1 AND s.planned_on IS NOT NULL AND NOT EXISTS (
    SELECT FROM jsonb_to_recordset(c.tell) AS t(role text, agency text)
    WHERE (t.role, t.agency) = (s.role, s.agency_code))
)"""
_REMEMBERED = """, remembered AS (
  INSERT INTO idempotency (person_id, key, request_hash, assignment_id, seq, at)
  SELECT actor_id, key, decode(request_hash, 'hex'), id, version, at FROM changed
)"""
_APPLY = {
    (told, settled, remembered): Prepared(
        text(
            _CHANGED
            + (_TOLD if told else "")
            + (_SETTLED if settled else "")
            + (_REMEMBERED if remembered else "")
            + " SELECT id FROM changed"
        )
    )
    for told in (False, True)
    for settled in (False, True)
    for remembered in (False, True)
}


@dataclass(frozen=True, slots=True)
class Remembered:
    """An idempotency key, and the hash (32 bytes) of the request it stands for."""

    key: str
    request_hash: bytes


def send_apply(
    connection: Connection,
    decisions: Sequence[tuple[Assignment, Decision]],
    remembered: Remembered | None = None,
) -> Answer:
    """Write decisions, each made on the assignment beside it; `read_apply` reads the answer.

    `remembered` goes with a single decision only.
    """
    rows = [_apply_row(before, decision, remembered) for before, decision in decisions]
    told = any(decision.notices for _, decision in decisions)
    settled = any(decision.assignment.phase in _SETTLING for _, decision in decisions)
    statement = _APPLY[told, settled, remembered is not None]
    return statement.send(connection, {"decisions": json.dumps(rows)})


def read_apply(answer: Answer) -> set[int]:
    """Return the ids written; one is missing when its row is no longer as it was decided on."""
    return {row[0] for row in answer.rows()}


def _apply_row(
    before: Assignment, decision: Decision, remembered: Remembered | None
) -> dict[str, Any]:
    after, event = decision.assignment, decision.event
    return {
        "id": after.id,
        "old_version": before.version,
        "old_state": before.state,
        "state": after.state,
        "phase": after.phase,
        "version": after.version,
        "round": after.round,
        "head": after.head.hex(),
        "due_on": _iso(after.due_on),
        "authors": sorted(after.authors),
        "reported_on": _iso(after.reported_on),
        "completed_on": _iso(after.completed_on),
        "previous_state": after.previous_state,
        "paused_until": _iso(after.paused_until),
        "extension_open": after.extension_open,
        "extensions": after.extensions,
        "next_check_on": _iso(after.next_check_on),
        "facts": after.facts,
        "at": event.at.isoformat(),
        "transition": event.transition,
        "actor_id": event.actor_id,
        "acting_for_id": event.acting_for_id,
        "agency_code": event.agency,
        "role": event.role,
        "data": event.data,
        "changes": event.changes,
        "previous_hash": event.previous_hash.hex(),
        "definition_version": after.definition.version,
        "topic": f"{after.definition.name}.{event.transition}",
        "tell": [
            {"role": n.role, "agency": n.agency, "urgent": n.urgent} for n in decision.notices
        ],
        "settled_topic": f"{after.definition.name}.settled",
        "settled_on": local_day(event.at).isoformat() if after.phase in _SETTLING else None,
        "key": remembered.key if remembered else None,
        "request_hash": remembered.request_hash.hex() if remembered else None,
    }


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def look_again(connection: Connection, today: date) -> None:
    """Have the next sweep place every assignment on its ladder again."""
    connection.execute(update(a).where(a.c.next_check_on > today).values(next_check_on=today))


def stream(connection: Connection, batch: int = 2000) -> Generator[Assignment, None, None]:
    """Yield every assignment by id, a batch in memory at a time."""
    query = whole.order_by(a.c.id)
    with connection.execution_options(yield_per=batch).execute(query) as rows:
        for row in rows:
            yield from_row(row)


def open_of(connection: Connection, ref: DefinitionRef) -> list[int]:
    """Return the ids of the assignments of a definition that are not final, in order."""
    rows = connection.execute(
        select(a.c.id)
        .where(
            a.c.definition_name == ref.name,
            a.c.definition_version == ref.version,
            a.c.phase != Phase.FINAL.value,
        )
        .order_by(a.c.id)
    )
    return list(rows.scalars())
