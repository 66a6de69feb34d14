"""History: reading events, roots over days."""

from collections.abc import Generator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text, tuple_

from engine.model import Event
from engine.store.tables import event, history_root, person

_COLUMNS = (
    event.c.assignment_id,
    event.c.seq,
    event.c.at,
    event.c.transition,
    event.c.from_state,
    event.c.to_state,
    event.c.actor_id,
    event.c.acting_for_id,
    event.c.agency_code,
    event.c.role,
    event.c.data,
    event.c.changes,
    event.c.previous_hash,
    event.c.hash,
)


def from_row(row: Row[Any] | Sequence[Any]) -> Event:
    """Return the event of a row of all columns in their order."""
    return Event(*row)


def since(connection: Connection, assignment_id: int, seq: int) -> list[Event]:
    """Return the events of an assignment after `seq`, in order."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(event.c.assignment_id == assignment_id, event.c.seq > seq)
        .order_by(event.c.seq)
    )
    return [from_row(row) for row in rows]


def one(connection: Connection, assignment_id: int, seq: int) -> Event | None:
    """Return one event."""
    row = connection.execute(
        select(*_COLUMNS).where(event.c.assignment_id == assignment_id, event.c.seq == seq)
    ).first()
    return None if row is None else from_row(row)


def timeline(connection: Connection, assignment_id: int) -> list[Mapping[str, Any]]:
    """Return the events of an assignment with the names of who acted and for whom."""
    actor, principal = person.alias("actor"), person.alias("principal")
    rows = connection.execute(
        select(
            event.c.seq,
            event.c.at,
            event.c.transition,
            event.c.from_state,
            event.c.to_state,
            actor.c.login.label("actor"),
            actor.c.full_name.label("actor_name"),
            principal.c.login.label("acting_for"),
            principal.c.full_name.label("acting_for_name"),
            event.c.agency_code.label("agency"),
            event.c.role,
            event.c.data,
            event.c.changes,
            func.encode(event.c.hash, "hex").label("hash"),
        )
        .outerjoin(actor, actor.c.id == event.c.actor_id)
        .outerjoin(principal, principal.c.id == event.c.acting_for_id)
        .where(event.c.assignment_id == assignment_id)
        .order_by(event.c.seq)
    )
    return [dict(row) for row in rows.mappings()]


def page(
    connection: Connection, after: tuple[datetime, int, int] | None, limit: int
) -> list[Event]:
    """Return events after (at, assignment, seq), oldest first."""
    query = select(*_COLUMNS).order_by(event.c.at, event.c.assignment_id, event.c.seq).limit(limit)
    if after is not None:
        query = query.where(tuple_(event.c.at, event.c.assignment_id, event.c.seq) > tuple_(*after))
    return [from_row(row) for row in connection.execute(query)]


def stream(connection: Connection, batch: int = 2000) -> Generator[Event, None, None]:
    """Yield every event by assignment and seq, a batch in memory at a time."""
    query = select(*_COLUMNS).order_by(event.c.assignment_id, event.c.seq)
    with connection.execution_options(yield_per=batch).execute(query) as rows:
        for row in rows:
            yield from_row(row)


def days_with_events(connection: Connection, after: date | None, before: date) -> list[date]:
    """Return the local days strictly between `after` and `before` that have events."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT (at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date AS day FROM event "
            "WHERE at < CAST(:before AS date)::timestamp AT TIME ZONE 'Asia/Ho_Chi_Minh' AND "
            "(CAST(:after AS date) IS NULL OR "
            "at >= (CAST(:after AS date) + 1)::timestamp AT TIME ZONE 'Asia/Ho_Chi_Minh') "
            "ORDER BY day"
        ),
        {"after": after, "before": before},
    )
    return list(rows.scalars())


def heads_of_day(connection: Connection, day: date) -> tuple[int, list[tuple[int, int, bytes]]]:
    """Return (events of the day, [(assignment, seq, hash) of its last event of the day])."""
    rows = connection.execute(
        text(
            "SELECT assignment_id, max(seq), (array_agg(hash ORDER BY seq DESC))[1], count(*) "
            "FROM event WHERE at >= CAST(:day AS date)::timestamp AT TIME ZONE 'Asia/Ho_Chi_Minh' "
            "AND at < (CAST(:day AS date) + 1)::timestamp AT TIME ZONE 'Asia/Ho_Chi_Minh' "
            "GROUP BY assignment_id ORDER BY assignment_id"
        ),
        {"day": day},
    ).all()
    return sum(r[3] for r in rows), [(r[0], r[1], r[2]) for r in rows]


def roots(connection: Connection) -> list[tuple[date, int, bytes]]:
    """Return (day, events, root) of every stored root, oldest first."""
    rows = connection.execute(
        select(history_root.c.day, history_root.c.events, history_root.c.root).order_by(
            history_root.c.day
        )
    )
    return [(r[0], r[1], r[2]) for r in rows]


def last_root(connection: Connection) -> tuple[date, bytes] | None:
    """Return (day, root) of the newest stored root."""
    row = connection.execute(
        select(history_root.c.day, history_root.c.root).order_by(history_root.c.day.desc()).limit(1)
    ).first()
    return None if row is None else (row[0], row[1])


def add_root(connection: Connection, day: date, events: int, root: bytes, now: datetime) -> None:
    """Store the root of a day."""
    connection.execute(insert(history_root).values(day=day, events=events, root=root, made_at=now))
