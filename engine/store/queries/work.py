"""Lists of tasks and assignments, the review queue, the figures of the dashboard.

The four official boxes are computed here and nowhere else: done or not by work state, in time
or overdue by date. A report handed in before the date and still in review is in time.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, text

DONE = "a.completed_on IS NOT NULL AND a.phase IN ('done', 'final')"
OPEN = "a.completed_on IS NULL AND a.phase NOT IN ('done', 'final')"
LATE = "a.due_on < :today AND coalesce(a.reported_on > a.due_on, true)"

BOXES = {
    "done_in_time": f"{DONE} AND coalesce(a.completed_on <= a.due_on, true)",
    "done_late": f"{DONE} AND a.completed_on > a.due_on",
    "open_in_time": f"{OPEN} AND coalesce(NOT ({LATE}), true)",
    "open_overdue": f"{OPEN} AND ({LATE})",
}
"""The condition of each official box on an assignment `a` and the day `:today`."""

_COUNTED = ", ".join(
    f"count(*) FILTER (WHERE a.id IS NOT NULL AND r.counts AND {condition}) AS {box}"
    for box, condition in BOXES.items()
)

# Ongoing tasks stay out of the boxes: their definition says so.
_RATIO = """
SELECT name, version, (body->>'counts_in_ratio')::boolean AS counts FROM definition_version
"""

_TASKS = f"""
WITH ratio AS MATERIALIZED ({_RATIO}), states AS (
  SELECT a.task_id, a.state, count(*) AS n FROM assignment a
  WHERE a.parent_id IS NULL AND (CAST(:agency AS text) IS NULL OR a.agency_code = :agency)
  GROUP BY 1, 2
), counted AS (
  SELECT a.task_id, {_COUNTED} FROM assignment a
  JOIN ratio r ON (r.name, r.version) = (a.definition_name, a.definition_version)
  WHERE a.parent_id IS NULL AND (CAST(:agency AS text) IS NULL OR a.agency_code = :agency)
  GROUP BY 1
)
SELECT t.id, p.number AS plan, t.number, t.number_text, t.section, t.section_title, t.title,
  t.lead_text, t.coordinating_text, t.deadline_text, t.deadline_kind, t.due_on, t.recurrence,
  t.missing_cell, t.flag, t.reasons,
  coalesce(t.due_on < :today, false) AS deadline_passed,
  coalesce((SELECT jsonb_object_agg(state, n) FROM states s WHERE s.task_id = t.id), '{{}}')
    AS assignments,
  coalesce(c.done_in_time, 0) AS done_in_time, coalesce(c.done_late, 0) AS done_late,
  coalesce(c.open_in_time, 0) AS open_in_time, coalesce(c.open_overdue, 0) AS open_overdue
FROM task t JOIN plan p ON p.id = t.plan_id LEFT JOIN counted c ON c.task_id = t.id
WHERE (CAST(:plan AS text) IS NULL OR p.number = :plan)
  AND (CAST(:section AS text) IS NULL OR t.section = :section)
  AND (CAST(:number AS int) IS NULL OR t.number = :number)
  AND (CAST(:due_before AS date) IS NULL OR t.due_on < :due_before)
  AND (CAST(:agency AS text) IS NULL OR EXISTS (SELECT FROM states s WHERE s.task_id = t.id))
  AND CASE CAST(:status AS text) WHEN 'done_in_time' THEN c.done_in_time > 0
    WHEN 'done_late' THEN c.done_late > 0 WHEN 'open_in_time' THEN c.open_in_time > 0
    WHEN 'open_overdue' THEN c.open_overdue > 0 WHEN 'unassigned' THEN NOT EXISTS
      (SELECT FROM assignment x WHERE x.task_id = t.id) ELSE true END
ORDER BY p.issued_on, p.id, t.position
"""


def tasks(
    connection: Connection, today: date, filters: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Return tasks with their assignments counted by state and by box.

    `filters`: plan, number, agency, section, status (a box, or "unassigned"), due_before; each
    may be missing.
    """
    names = ("plan", "number", "agency", "section", "status", "due_before")
    values = {name: filters.get(name) for name in names} | {"today": today}
    return [dict(row) for row in connection.execute(text(_TASKS), values).mappings()]


_ASSIGNMENTS = f"""
SELECT a.id, p.number AS plan, t.number AS task, t.title, a.agency_code AS agency,
  y.name AS agency_name, a.period, a.definition_name AS definition,
  a.definition_version, a.state, a.phase, a.version, a.round, a.due_on, a.original_due_on,
  a.reported_on, a.completed_on, a.extension_open, a.extensions, a.paused_until, a.parent_id,
  CASE WHEN {DONE} THEN 0 WHEN {OPEN} AND ({LATE}) THEN :today - a.due_on ELSE 0 END
    AS days_overdue
FROM assignment a JOIN task t ON t.id = a.task_id JOIN plan p ON p.id = t.plan_id
JOIN agency y ON y.code = a.agency_code
"""

_FILTERS = {
    "id": "a.id = :id",
    "plan": "p.number = :plan",
    "task": "t.number = :task",
    "agency": "a.agency_code = :agency",
    "agencies": "a.agency_code = ANY(CAST(:agencies AS text[]))",
    "section": "t.section = :section",
    "state": "a.state = :state",
    "phase": "a.phase = :phase",
    "definition": "a.definition_name = :definition",
    "period": "a.period = :period",
    "parent": "a.parent_id = :parent",
    "due_before": "a.due_on < :due_before",
}

FAR = date(9999, 12, 31)
"""Stands for no due date in a cursor: such assignments come last."""


def assignments(
    connection: Connection,
    today: date,
    filters: Mapping[str, Any],
    after: tuple[date, int] | None,
    limit: int,
) -> list[Mapping[str, Any]]:
    """Return assignments, the most urgent first, after (due date or `FAR`, id).

    `filters` are names of `_FILTERS`, or `status` with the name of a box. Extension requests
    are listed only when `id`, `definition` or `parent` asks for them.
    """
    conditions = [_FILTERS[name] for name in filters if name in _FILTERS]
    if "status" in filters:
        conditions.append(
            f"({BOXES[filters['status']]}) AND EXISTS (SELECT FROM definition_version v WHERE "
            "(v.name, v.version) = (a.definition_name, a.definition_version) "
            "AND (v.body->>'counts_in_ratio')::boolean)"
        )
    if not {"id", "definition", "parent"}.intersection(filters):
        conditions.append("a.parent_id IS NULL")
    values = {"today": today, "limit": limit, **filters}
    if after is not None:
        conditions.append(
            "a.due_on IS NULL AND a.id > :after_id"
            if after[0] == FAR
            else "((a.due_on, a.id) > (:after_due, :after_id) OR a.due_on IS NULL)"
        )
        values |= {"after_due": after[0], "after_id": after[1]}
    query = (
        f"{_ASSIGNMENTS} WHERE {' AND '.join(conditions)} "
        "ORDER BY a.due_on, a.id LIMIT :limit"  # without a date last, as in the index
    )
    return [dict(row) for row in connection.execute(text(query), values).mappings()]


# Whose turn it is, the definition says: what a coordinator may do from a state, and what a leader
# may approve there (a long extension, an amendment that was gathered).
_TURNS = """
SELECT d.name, d.version, s.state, bool_or(t->'by' ? 'coordinator') AS coordinator,
  bool_or(t->'by' ? 'leader' AND (t->>'approves')::boolean) AS leader
FROM definition_version d, jsonb_array_elements(d.body->'transitions') t,
  jsonb_array_elements_text(t->'sources') s(state)
GROUP BY 1, 2, 3
"""

_REVIEWS = f"""
WITH turns AS MATERIALIZED ({_TURNS})
{_ASSIGNMENTS}
JOIN turns u ON (u.name, u.version, u.state) = (a.definition_name, a.definition_version, a.state)
WHERE a.phase = 'review'
  AND (u.coordinator AND CASE WHEN a.agency_code = p.monitor_agency THEN p.oversight_agency
      ELSE p.monitor_agency END = ANY(CAST(:reviewers AS text[]))
    OR u.leader AND p.issuer_agency = ANY(CAST(:led AS text[])))
  AND (a.reported_on, a.id) > (:after_day, :after_id)
ORDER BY a.reported_on, a.id LIMIT :limit
"""


def reviews(
    connection: Connection,
    today: date,
    reviewers: Sequence[str],
    led: Sequence[str],
    after: tuple[date, int],
    limit: int,
) -> list[Mapping[str, Any]]:
    """Return what waits for the reviewing agencies or for leaders, the longest waiting first.

    `led` are the issuing committees whose plans a leader decides on.
    """
    values = {
        "today": today,
        "reviewers": list(reviewers),
        "led": list(led),
        "after_day": after[0],
        "after_id": after[1],
        "limit": limit,
    }
    return [dict(row) for row in connection.execute(text(_REVIEWS), values).mappings()]


_BY = {
    "plan": ("p.number", "p.title"),
    "section": ("t.section", "t.section_title"),
    "agency": ("a.agency_code", "y.name"),
}


def statistics(
    connection: Connection, today: date, by: str, plan: str | None, dates: str
) -> list[Mapping[str, Any]]:
    """Return the four boxes by plan, section or agency.

    `dates` "granted" counts by the due date with its extensions, "original" by the first one.
    """
    key, label = _BY[by]
    counted = _COUNTED if dates == "granted" else _COUNTED.replace("a.due_on", "a.original_due_on")
    sums = ", ".join(f"sum(a.{box})::int AS {box}" for box in BOXES)
    query = f"""
    WITH ratio AS MATERIALIZED ({_RATIO}), counted AS (
      SELECT a.task_id, a.agency_code, {counted} FROM assignment a
      JOIN ratio r ON (r.name, r.version) = (a.definition_name, a.definition_version)
      WHERE a.parent_id IS NULL GROUP BY 1, 2)
    SELECT {key} AS key, min({label}) AS label, {sums}
    FROM counted a JOIN task t ON t.id = a.task_id JOIN plan p ON p.id = t.plan_id
    JOIN agency y ON y.code = a.agency_code
    WHERE CAST(:plan AS text) IS NULL OR p.number = :plan
    GROUP BY 1 ORDER BY 1
    """
    rows = connection.execute(text(query), {"today": today, "plan": plan})
    return [dict(row) for row in rows.mappings()]
