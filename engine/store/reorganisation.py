"""What agencies that end leave behind, and what their successors hold already."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

TRANSFERRED_FROM = "transferred_from"
"""The fact of an assignment that names those it took over from, by id."""


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """An open assignment of an agency that ends, or the last period of a duty that recurs.

    Of the latter (`finished`) there is nothing to hand over but the duty itself.
    """

    id: int
    plan: str
    task_id: int
    task: int
    agency: str
    period: str | None
    due_on: date | None
    original_due_on: date | None
    state: str
    extension_open: bool
    extensions: int
    definition: str
    finished: bool


# Of a recurring duty the latest period counts; one that was handed on is named by its successor.
_LEFT_BEHIND = """
SELECT a.id, p.number, k.id, k.number, a.agency_code, a.period, a.due_on, a.original_due_on,
  a.state, a.extension_open, a.extensions, a.definition_name, a.phase IN ('done', 'final')
FROM assignment a JOIN task k ON k.id = a.task_id JOIN plan p ON p.id = k.plan_id
WHERE a.agency_code = ANY(CAST(:agencies AS text[])) AND a.parent_id IS NULL
  AND (a.phase NOT IN ('done', 'final') OR (
    a.period IS NOT NULL AND a.completed_on IS NOT NULL
    AND NOT EXISTS (SELECT FROM assignment later
      WHERE (later.task_id, later.agency_code) = (a.task_id, a.agency_code)
      AND later.parent_id IS NULL AND later.original_due_on > a.original_due_on)
    AND NOT EXISTS (SELECT FROM assignment heir
      WHERE heir.task_id = a.task_id AND heir.parent_id IS NULL
      AND heir.facts->:transferred_from @> to_jsonb(a.id))))
ORDER BY a.id
"""


def left_behind(
    connection: Connection, agencies: Collection[str], *, lock: bool = False
) -> list[LeftBehind]:
    """Return what these agencies leave behind, in order of id.

    Args:
        connection: The transaction.
        agencies: Codes of the agencies that end.
        lock: Whether the rows are locked until the transaction ends.
    """
    rows = connection.execute(
        text(_LEFT_BEHIND + (" FOR UPDATE OF a" if lock else "")),
        {"agencies": list(agencies), "transferred_from": TRANSFERRED_FROM},
    )
    return [LeftBehind(*row) for row in rows]


def held(
    connection: Connection, task_ids: Collection[int]
) -> dict[tuple[int, str, str | None], int]:
    """Return the assignment of every (task, agency, period) of these tasks."""
    rows = connection.execute(
        text(
            "SELECT task_id, agency_code, period, id FROM assignment "
            "WHERE task_id = ANY(CAST(:tasks AS bigint[])) AND parent_id IS NULL"
        ),
        {"tasks": list(task_ids)},
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def tasks_of(connection: Connection, plans: Collection[str]) -> dict[str, set[int]]:
    """Return the numbers of the tasks of these plans, by plan; an unknown plan is left out."""
    rows = connection.execute(
        text(
            "SELECT p.number, array_agg(k.number) FROM plan p JOIN task k ON k.plan_id = p.id "
            "WHERE p.number = ANY(CAST(:plans AS text[])) GROUP BY 1"
        ),
        {"plans": list(plans)},
    )
    return {row[0]: set(row[1]) for row in rows}


def unknown_logins(connection: Connection, logins: Sequence[str]) -> list[str]:
    """Return those of the logins nobody has."""
    rows = connection.execute(
        text(
            "SELECT l FROM unnest(CAST(:logins AS text[])) AS l "
            "WHERE NOT EXISTS (SELECT FROM person n WHERE n.login = l) ORDER BY 1"
        ),
        {"logins": list(logins)},
    )
    return list(rows.scalars())
