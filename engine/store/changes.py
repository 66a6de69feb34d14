"""Changes of a plan as a whole, and the open work they are about."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, insert, text

from engine.store.tables import plan_change


@dataclass(frozen=True, slots=True)
class OpenWork:
    """An assignment of a plan that is neither done nor ended."""

    id: int
    task: int
    agency: str
    period: str | None
    due_on: date | None
    state: str
    phase: str


def open_work(connection: Connection, plan_id: int, *, lock: bool = False) -> list[OpenWork]:
    """Return the open assignments of a plan by task and agency; requests of them are left out."""
    rows = connection.execute(
        text(
            "SELECT a.id, t.number, a.agency_code, a.period, a.due_on, a.state, a.phase "
            "FROM assignment a JOIN task t ON t.id = a.task_id "
            "WHERE t.plan_id = :plan AND a.parent_id IS NULL AND a.phase NOT IN ('done', 'final') "
            "ORDER BY t.number, a.agency_code, a.period" + (" FOR UPDATE OF a" if lock else "")
        ),
        {"plan": plan_id},
    )
    return [OpenWork(*row) for row in rows]


def add(
    connection: Connection,
    plan_id: int,
    what: str,
    reason: str,
    *,
    by_plan_id: int | None,
    decided_by: int,
    decided_at: datetime,
) -> None:
    """Insert what became of a plan."""
    connection.execute(
        insert(plan_change).values(
            plan_id=plan_id,
            what=what,
            by_plan_id=by_plan_id,
            reason=reason,
            decided_by=decided_by,
            decided_at=decided_at,
        )
    )
