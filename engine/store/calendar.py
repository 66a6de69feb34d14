"""The working calendar's rows."""

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from engine.calendar import WorkingCalendar
from engine.store.tables import calendar_day, calendar_version

_SATURDAY = 5


def version(connection: Connection) -> int:
    """Return the number that grows with every load, 0 before the first."""
    return connection.execute(select(calendar_version.c.version)).scalar() or 0


def days(connection: Connection) -> list[tuple[date, bool]]:
    """Return (day, is working) of every day loaded, in order."""
    rows = connection.execute(
        select(calendar_day.c.day, calendar_day.c.is_working).order_by(calendar_day.c.day)
    )
    return [(row[0], row[1]) for row in rows]


def to_calendar(rows: list[tuple[date, bool]]) -> WorkingCalendar:
    """Return the calendar of rows that follow each other without a gap."""
    return WorkingCalendar(
        first=rows[0][0],
        last=rows[-1][0],
        off=frozenset(d for d, working in rows if not working and d.weekday() < _SATURDAY),
        working=frozenset(d for d, working in rows if working and d.weekday() >= _SATURDAY),
    )


def load(connection: Connection, rows: Iterable[tuple[date, bool, str | None]]) -> int:
    """Insert or replace days; return how many rows differ now."""
    values = [{"day": d, "is_working": w, "note": n} for d, w, n in rows]
    statement = upsert(calendar_day)
    changed = connection.execute(
        statement.values(values)
        .on_conflict_do_update(
            index_elements=["day"],
            set_={
                "is_working": statement.excluded.is_working,
                "note": statement.excluded.note,
            },
            where=(calendar_day.c.is_working != statement.excluded.is_working)
            | calendar_day.c.note.is_distinct_from(statement.excluded.note),
        )
        .returning(calendar_day.c.day)
    ).all()
    if changed:
        connection.execute(
            text(
                "INSERT INTO calendar_version (single, version) VALUES (true, 1) "
                "ON CONFLICT (single) DO UPDATE SET version = calendar_version.version + 1"
            )
        )
    return len(changed)
