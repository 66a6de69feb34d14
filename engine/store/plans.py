"""Plans, tasks with their parties, decisions of the clerk, indicators."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from engine.agencies import GROUP
from engine.deadlines import Deadline, DeadlineKind
from engine.store.tables import (
    indicator,
    person,
    plan,
    plan_change,
    plan_import,
    task,
    task_decision,
    task_party,
)
from engine.wording import Flag, Place, PrintedIndicator, PrintedRow, ReadRow


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as stored; `status` is active, suspended, withdrawn or superseded."""

    id: int
    number: str
    issued_on: date
    issuer: str
    title: str
    signer: str | None
    issuer_agency: str
    monitor_agency: str
    oversight_agency: str
    status: str = "active"


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task as stored: its id and the reading it was imported with.

    `skipped` says that a clerk decided never to assign it.
    """

    id: int
    row: ReadRow
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as stored: `value` is the JSON of a party list or of a deadline."""

    task_number: int
    field: str
    value: Any
    reason: str
    decided_by: str
    decided_on: date


_PLAN: Select[Any] = select(
    plan.c.id,
    plan.c.number,
    plan.c.issued_on,
    plan.c.issuer,
    plan.c.title,
    plan.c.signer,
    plan.c.issuer_agency,
    plan.c.monitor_agency,
    plan.c.oversight_agency,
    func.coalesce(
        select(
            case(
                (plan_change.c.what == "suspend", "suspended"),
                (plan_change.c.what == "withdraw", "withdrawn"),
                (plan_change.c.what == "supersede", "superseded"),
            )
        )
        .where(plan_change.c.plan_id == plan.c.id)
        .order_by(plan_change.c.id.desc())
        .limit(1)
        .scalar_subquery(),
        "active",
    ),
)


def find(connection: Connection, number: str) -> Plan | None:
    """Return the plan of a number."""
    row = connection.execute(_PLAN.where(plan.c.number == number)).first()
    return None if row is None else Plan(*row)


def listed(connection: Connection) -> list[Plan]:
    """Return every plan, oldest first."""
    return [Plan(*row) for row in connection.execute(_PLAN.order_by(plan.c.issued_on, plan.c.id))]


def add(connection: Connection, values: Mapping[str, Any], now: datetime) -> int:
    """Insert a plan; return its id."""
    made: int = connection.execute(
        insert(plan).values(imported_at=now, **values).returning(plan.c.id)
    ).scalar_one()
    return made


def add_tasks(connection: Connection, plan_id: int, rows: Sequence[ReadRow]) -> None:
    """Insert tasks with the parties they were read with."""
    if not rows:
        return
    ids = connection.execute(
        insert(task).returning(task.c.id, sort_by_parameter_order=True),
        [_task_values(plan_id, row) for row in rows],
    ).scalars()
    _add_parties(connection, dict(zip(ids, rows, strict=True)))


def update_tasks(connection: Connection, changed: Mapping[int, ReadRow]) -> None:
    """Give tasks, by id, another print and reading."""
    if not changed:
        return
    # Numbers may change places: none is taken while they move.
    connection.execute(update(task).where(task.c.id.in_(changed)).values(number=-task.c.number))
    connection.execute(
        update(task).where(task.c.id == bindparam("task_id")),
        [{"task_id": task_id, **_task_values(None, row)} for task_id, row in changed.items()],
    )
    connection.execute(delete(task_party).where(task_party.c.task_id.in_(changed)))
    _add_parties(connection, changed)


def remove_tasks(connection: Connection, ids: Sequence[int]) -> None:
    """Delete tasks nothing was ever decided or assigned on."""
    if ids:
        connection.execute(delete(task_party).where(task_party.c.task_id.in_(ids)))
        connection.execute(delete(task).where(task.c.id.in_(ids)))


def in_use(connection: Connection, plan_id: int) -> set[int]:
    """Return the ids of a plan's tasks that are assigned, or that a clerk decided on."""
    rows = connection.execute(
        text(
            "SELECT t.id FROM task t WHERE t.plan_id = :plan AND ("
            "EXISTS (SELECT FROM assignment a WHERE a.task_id = t.id) OR "
            "EXISTS (SELECT FROM task_decision d WHERE d.task_id = t.id))"
        ),
        {"plan": plan_id},
    )
    return set(rows.scalars())


def _add_parties(connection: Connection, rows: Mapping[int, ReadRow]) -> None:
    parties = [
        {
            "task_id": task_id,
            "role": role,
            "position": position,
            "agency_code": None if code.startswith(GROUP) else code,
            "group_code": code.removeprefix(GROUP) if code.startswith(GROUP) else None,
        }
        for task_id, row in rows.items()
        for role, codes in (("lead", row.lead), ("coordinating", row.coordinating))
        for position, code in enumerate(codes, start=1)
    ]
    if parties:
        connection.execute(insert(task_party), parties)


def tasks(connection: Connection, plan_id: int) -> list[StoredTask]:
    """Return the tasks of a plan in their order."""
    parties: dict[tuple[int, str], list[str]] = defaultdict(list)
    for task_id, role, agency_code, group_code in connection.execute(
        select(
            task_party.c.task_id,
            task_party.c.role,
            task_party.c.agency_code,
            task_party.c.group_code,
        )
        .join(task, task.c.id == task_party.c.task_id)
        .where(task.c.plan_id == plan_id)
        .order_by(task_party.c.task_id, task_party.c.role, task_party.c.position)
    ):
        parties[task_id, role].append(agency_code or GROUP + group_code)
    rows = connection.execute(select(task).where(task.c.plan_id == plan_id).order_by("position"))
    return [
        StoredTask(
            r["id"],
            ReadRow(
                printed=PrintedRow(
                    position=r["position"],
                    number=r["number"],
                    number_text=r["number_text"],
                    section=r["section"],
                    section_title=r["section_title"],
                    title=r["title"],
                    lead_text=r["lead_text"],
                    coordinating_text=r["coordinating_text"],
                    deadline_text=r["deadline_text"],
                    missing_cell=r["missing_cell"],
                    others=tuple((heading, cell) for heading, cell in r["others"]),
                    doubts=tuple(r["doubts"]),
                    place=None if r["place"] is None else Place(**r["place"]),
                ),
                deadline=Deadline(
                    DeadlineKind(r["deadline_kind"]), r["starts_on"], r["due_on"], r["recurrence"]
                ),
                lead=tuple(parties[r["id"], "lead"]),
                coordinating=tuple(parties[r["id"], "coordinating"]),
                flag=Flag(r["flag"]),
                reasons=tuple(r["reasons"]),
            ),
        )
        for r in rows.mappings()
    ]


def _task_values(plan_id: int | None, row: ReadRow) -> dict[str, Any]:
    return ({} if plan_id is None else {"plan_id": plan_id}) | {
        "position": row.printed.position,
        "number": row.printed.number,
        "number_text": row.printed.number_text,
        "section": row.printed.section,
        "section_title": row.printed.section_title,
        "title": row.printed.title,
        "lead_text": row.printed.lead_text,
        "coordinating_text": row.printed.coordinating_text,
        "deadline_text": row.printed.deadline_text,
        "missing_cell": row.printed.missing_cell,
        "others": [list(pair) for pair in row.printed.others],
        "doubts": list(row.printed.doubts),
        "place": None if row.printed.place is None else asdict(row.printed.place),
        "deadline_kind": row.deadline.kind.value,
        "starts_on": row.deadline.starts_on,
        "due_on": row.deadline.due_on,
        "recurrence": row.deadline.recurrence,
        "flag": row.flag.value,
        "reasons": list(row.reasons),
    }


def set_indicators(connection: Connection, plan_id: int, rows: Sequence[PrintedIndicator]) -> None:
    """Make these the rows of a plan's annex of indicators."""
    connection.execute(delete(indicator).where(indicator.c.plan_id == plan_id))
    if rows:
        connection.execute(
            insert(indicator),
            [
                {
                    "plan_id": plan_id,
                    "position": position,
                    "horizon": row.horizon,
                    "number": row.number,
                    "name": row.name,
                    "unit": row.unit,
                    "target": row.target,
                    "agency_text": row.agency_text,
                    "doubts": list(row.doubts),
                }
                for position, row in enumerate(rows, start=1)
            ],
        )


def add_import(connection: Connection, plan_id: int, values: Mapping[str, Any]) -> None:
    """Insert what an import changed; see `table.plan_import`."""
    connection.execute(insert(plan_import).values(plan_id=plan_id, **values))


def imports(connection: Connection, plan_id: int) -> list[Mapping[str, Any]]:
    """Return the imports of a plan, oldest first."""
    rows = connection.execute(
        select(
            plan_import.c.imported_at,
            plan_import.c.file,
            plan_import.c.sha256,
            plan_import.c.changes,
        )
        .where(plan_import.c.plan_id == plan_id)
        .order_by(plan_import.c.id)
    )
    return [dict(row) for row in rows.mappings()]


def indicators(connection: Connection, plan_id: int) -> list[Mapping[str, Any]]:
    """Return the indicators of a plan in their order."""
    rows = connection.execute(
        select(
            indicator.c.horizon,
            indicator.c.number,
            indicator.c.name,
            indicator.c.unit,
            indicator.c.target,
            indicator.c.agency_text,
            indicator.c.doubts,
        )
        .where(indicator.c.plan_id == plan_id)
        .order_by(indicator.c.position)
    )
    return [dict(row) for row in rows.mappings()]


def add_decision(
    connection: Connection,
    task_id: int,
    field: str,
    value: Any,
    reason: str,
    decided_by: int,
    decided_on: date,
) -> None:
    """Insert a decision; the newest of a task and field is the one that counts."""
    connection.execute(
        insert(task_decision).values(
            task_id=task_id,
            field=field,
            value=value,
            reason=reason,
            decided_by=decided_by,
            decided_on=decided_on,
        )
    )


def decisions(connection: Connection, plan_id: int) -> list[StoredDecision]:
    """Return the decisions on a plan's tasks, oldest first."""
    rows = connection.execute(
        select(
            task.c.number,
            task_decision.c.field,
            task_decision.c.value,
            task_decision.c.reason,
            person.c.login,
            task_decision.c.decided_on,
        )
        .join(task, task.c.id == task_decision.c.task_id)
        .join(person, person.c.id == task_decision.c.decided_by)
        .where(task.c.plan_id == plan_id)
        .order_by(task_decision.c.id)
    )
    return [StoredDecision(*row) for row in rows]


def assigned_pairs(connection: Connection, plan_id: int) -> set[tuple[int, str, str | None]]:
    """Return the (task, agency, period) of every assignment of a plan."""
    rows = connection.execute(
        text(
            "SELECT a.task_id, a.agency_code, a.period FROM assignment a "
            "JOIN task t ON t.id = a.task_id WHERE t.plan_id = :plan AND a.parent_id IS NULL"
        ),
        {"plan": plan_id},
    )
    return {(row[0], row[1], row[2]) for row in rows}


def recurring_duties(connection: Connection) -> list[tuple[int, str, str, date, date | None]]:
    """Return (task, agency, recurrence, latest due date, last day of the agency) to go on with.

    A duty whose latest period was withdrawn, transferred or superseded is not gone on with, nor
    one of a plan that is.
    """
    rows = connection.execute(
        text("""
        SELECT DISTINCT ON (a.task_id, a.agency_code)
          a.task_id, a.agency_code, a.phase, a.completed_on, v.body->'recurrence'->>0,
          a.original_due_on, y.valid_to
        FROM assignment a JOIN agency y ON y.code = a.agency_code
        JOIN definition_version v ON (v.name, v.version) = (a.definition_name, a.definition_version)
        WHERE a.period IS NOT NULL AND a.parent_id IS NULL AND coalesce((
          SELECT c.what FROM plan_change c JOIN task t ON t.plan_id = c.plan_id
          WHERE t.id = a.task_id ORDER BY c.id DESC LIMIT 1), 'resume') = 'resume'
        ORDER BY a.task_id, a.agency_code, a.original_due_on DESC
        """)
    )
    return [
        (task_id, agency, recurrence, due, ends)
        for task_id, agency, phase, completed, recurrence, due, ends in rows
        if phase != "paused" and (phase != "final" or completed is not None)
    ]
