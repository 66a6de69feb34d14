"""Plans: read, import, let the clerk decide, assign to the lead agencies."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from engine.agencies import GroupUnconfirmed
from engine.clock import local_day
from engine.deadlines import Deadline, DeadlineKind, periods
from engine.decide import opened
from engine.errors import (
    InvalidData,
    NotAllowed,
    NotFound,
    PersonNotFound,
    PlanNotFound,
    Sentence,
)
from engine.store import agencies, assignments, people, plans
from engine.store.database import translate_database_errors
from engine.wording import Flag, ReadRow, read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from engine.agencies import Directory
    from engine.calendar import WorkingCalendar
    from engine.model import Actor, Decision
    from engine.service.engine import Engine
    from engine.store.plans import Plan, StoredTask
    from engine.wording import PrintedRow

WORKFLOWS = {None: "assigned-task", "quarterly": "thuong-xuyen", "yearly": "hang-nam"}
"""The workflow of a task by how often it recurs."""

_REASONS = {
    "missing_deadline": Sentence("ô thời hạn bị mất", "the cell of the deadline is missing"),
    "unknown_deadline": Sentence(
        "chưa hiểu cách ghi thời hạn", "the wording of the deadline is not known"
    ),
    "impossible_date": Sentence("thời hạn là ngày không có thật", "the deadline is no real date"),
    "date_before_plan": Sentence(
        "thời hạn trước ngày ban hành kế hoạch", "the deadline is before the plan was issued"
    ),
    "range_backwards": Sentence("thời hạn ghi ngược", "the range of dates runs backwards"),
    "missing_cell": Sentence("một ô của dòng bị mất", "a cell of the row is missing"),
    "lead_proposed": Sentence(
        "cơ quan chủ trì mới là đề xuất, cần văn thư xác nhận",
        "the lead agency is only proposed; a clerk has to confirm it",
    ),
    "lead_unnamed": Sentence(
        "chưa nêu cơ quan chủ trì cụ thể", "no lead agency is named in particular"
    ),
    "lead_related_only": Sentence(
        "chủ trì ghi “liên quan”, cần chỉ rõ cơ quan",
        "the lead says “concerned”: name the agencies",
    ),
    "lead_unknown_party": Sentence(
        "tên cơ quan chủ trì không có trong danh bạ", "a lead agency is not in the directory"
    ),
    "coordinating_unknown_party": Sentence(
        "tên cơ quan phối hợp không có trong danh bạ",
        "a coordinating agency is not in the directory",
    ),
    "lead_ended_agency": Sentence(
        "cơ quan chủ trì đã chấm dứt hoạt động", "a lead agency has ended"
    ),
}


@dataclass(frozen=True, slots=True)
class Indicator:
    """A row of the annex of indicators as printed."""

    horizon: str
    number: str
    name: str
    unit: str | None
    target: str | None
    agency_text: str | None


@dataclass(frozen=True, slots=True)
class PrintedPlan:
    """A plan as printed."""

    number: str
    issued_on: date
    issuer: str
    title: str
    signer: str | None
    issuer_agency: str
    monitor_agency: str
    oversight_agency: str
    rows: tuple[PrintedRow, ...]
    indicators: tuple[Indicator, ...] = ()


@dataclass(frozen=True, slots=True)
class ClerkDecision:
    """What a clerk decided about one row: party codes, or a deadline."""

    task: int
    field: str  # "lead" | "coordinating" | "deadline"
    value: tuple[str, ...] | Deadline
    reason: str
    decided_by: str
    decided_on: date


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was not assigned, and why."""

    task: int
    reasons: tuple[str, ...]
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lead party of an assigned row that has to wait for its list of members."""

    task: int
    party: str
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Assigned:
    """What assigning a plan did; `created` maps a task number to its new assignment ids."""

    created: dict[int, list[int]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)


class Plans:
    """Use cases of plans."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def preview(self, printed: PrintedPlan) -> list[ReadRow]:
        """Return every row as read against the directory; nothing is stored."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return _read(printed, agencies.read(connection))

    def apply(self, printed: PrintedPlan) -> tuple[list[ReadRow], bool]:
        """Store a plan with all its rows; return (rows, whether it is new).

        The same plan again stores nothing.

        Raises:
            InvalidData: A plan of this number is stored with other rows, or names an agency the
                directory does not have.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            directory = agencies.read(connection)
            _check_agencies(printed, directory)
            rows = _read(printed, directory)
            known = plans.find(connection, printed.number)
            if known is not None:
                stored = [t.row.printed for t in plans.tasks(connection, known.id)]
                if stored != list(printed.rows):
                    raise InvalidData({"number": _stored_otherwise(printed.number)})
                return rows, False
            plan_id = plans.add(
                connection,
                {
                    "number": printed.number,
                    "issued_on": printed.issued_on,
                    "issuer": printed.issuer,
                    "title": printed.title,
                    "signer": printed.signer,
                    "issuer_agency": printed.issuer_agency,
                    "monitor_agency": printed.monitor_agency,
                    "oversight_agency": printed.oversight_agency,
                },
                now,
            )
            plans.add_tasks(connection, plan_id, rows)
            plans.add_indicators(connection, plan_id, [asdict(i) for i in printed.indicators])
        return rows, True

    def record_decisions(self, number: str, decisions: Sequence[ClerkDecision]) -> int:
        """Record decisions of the clerk; return how many are new. Nothing printed changes.

        Raises:
            PlanNotFound, NotFound, PersonNotFound: The plan, a task or a person is unknown.
            InvalidData: A party is not in the directory.
        """
        with translate_database_errors(), self._engine.database.begin() as connection:
            plan = _found(connection, number)
            directory = agencies.read(connection)
            ids = {t.row.printed.number: t.id for t in plans.tasks(connection, plan.id)}
            newest = {
                (d.task_number, d.field): d.value for d in plans.decisions(connection, plan.id)
            }
            new = 0
            for d in decisions:
                if d.task not in ids:
                    raise NotFound(Sentence("nhiệm vụ", "task"), d.task)
                _check_parties(d, directory)
                value = _decision_json(d.value)
                if newest.get((d.task, d.field)) == value:
                    continue
                person = people.by_login(connection, d.decided_by)
                if person is None:
                    raise PersonNotFound(d.decided_by)
                plans.add_decision(
                    connection, ids[d.task], d.field, value, d.reason, person.id, d.decided_on
                )
                new += 1
        return new

    def assign(self, number: str, person_id: int) -> Assigned:
        """Open one assignment per lead agency for every row that may be assigned.

        Groups are expanded on the day. Rows that need a clerk are refused with the reasons;
        groups without a confirmed list wait. Assigning again adds what is missing and no more.

        Raises:
            PlanNotFound: No plan has this number.
            NotAllowed: The person is neither clerk nor coordinator of the plan's agencies, nor
                a leader.
        """
        engine = self._engine
        now = engine.clock.now()
        day = local_day(now)
        result = Assigned()
        with translate_database_errors(), engine.database.begin() as connection:
            plan = _found(connection, number)
            actor = _assigner(connection, plan, person_id, now)
            directory = agencies.read(connection)
            calendar = engine.reference.calendar(connection)
            held = plans.assigned_pairs(connection, plan.id)
            duties: list[tuple[StoredTask, str]] = []
            for task in _settled(connection, plan.id):
                if task.row.flag is not Flag.OK:
                    result.refused.append(_refusal(task.row))
                    continue
                duties += self._duties(task, directory, day, result)
            wanted = [
                (task, agency, period, due_on)
                for task, agency in duties
                for period, due_on in [self._due(connection, task.row, day, calendar)]
                if (task.id, agency, period) not in held
            ]
            made = self._open(connection, wanted, actor, now, calendar)
            assignments.insert_opened(connection, made)
        numbers = {task.id: task.row.printed.number for task, _ in duties}
        for decision in made:
            opened_one = decision.assignment
            result.created.setdefault(numbers[opened_one.task_id], []).append(opened_one.id)
        return result

    def listed(self) -> list[Plan]:
        """Return every plan."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return plans.listed(connection)

    def show(self, number: str) -> tuple[Plan, list[ReadRow], list[Any], list[Any]]:
        """Return a plan, its rows with decisions applied, the decisions, the indicators."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            plan = _found(connection, number)
            return (
                plan,
                [t.row for t in _settled(connection, plan.id)],
                plans.decisions(connection, plan.id),
                plans.indicators(connection, plan.id),
            )

    def _duties(
        self, task: StoredTask, directory: Directory, day: date, result: Assigned
    ) -> list[tuple[StoredTask, str]]:
        found: dict[str, None] = {}
        for party in task.row.lead:
            try:
                found |= dict.fromkeys(directory.expand(party, day))
            except GroupUnconfirmed as refusal:
                result.waiting.append(Waiting(task.row.printed.number, party, refusal.sentence))
        return [(task, agency) for agency in found]

    def _due(
        self, connection: Connection, row: ReadRow, day: date, calendar: WorkingCalendar
    ) -> tuple[str | None, date | None]:
        """Return (period, due date) of an assignment opened on `day`."""
        every = row.deadline.recurrence
        if every is None:
            return None, row.deadline.due_on
        recurrence = self._engine.reference.latest(connection, WORKFLOWS[every]).recurrence
        if recurrence is None:
            raise NotFound(Sentence("chu kỳ của quy trình", "recurrence of"), WORKFLOWS[every])
        period = next(periods(every, day, day, recurrence.due_working_days, calendar))
        return period.name, period.due_on

    def _open(
        self,
        connection: Connection,
        wanted: list[tuple[StoredTask, str, str | None, date | None]],
        actor: Actor,
        now: datetime,
        calendar: WorkingCalendar,
    ) -> list[Decision]:
        ids = assignments.next_ids(connection, len(wanted))
        latest = {
            every: self._engine.reference.latest(connection, name)
            for every, name in WORKFLOWS.items()
        }
        return [
            opened(
                latest[task.row.deadline.recurrence],
                assignment_id=assignment_id,
                task_id=task.id,
                agency=agency,
                now=now,
                calendar=calendar,
                due_on=due_on,
                period=period,
                actor=actor,
            )
            for assignment_id, (task, agency, period, due_on) in zip(ids, wanted, strict=True)
        ]


def _found(connection: Connection, number: str) -> Plan:
    plan = plans.find(connection, number)
    if plan is None:
        raise PlanNotFound(number)
    return plan


def _read(printed: PrintedPlan, directory: Directory) -> list[ReadRow]:
    return read_rows(printed.rows, directory, printed.issued_on)


def _assigner(connection: Connection, plan: Plan, person_id: int, now: datetime) -> Actor:
    actor = people.asking(connection, person_id, now, local_day(now)).actor
    fitting = {
        (role, agency)
        for role in ("clerk", "coordinator")
        for agency in (plan.monitor_agency, plan.oversight_agency)
    } | {(role, plan.issuer_agency) for role in ("vice_chair", "chair")}
    if actor is None or not fitting.intersection((a.role, a.agency) for a in actor.authorities):
        raise NotAllowed(
            [
                Sentence(
                    "Chỉ văn thư, điều phối của cơ quan theo dõi hoặc lãnh đạo được giao nhiệm vụ",
                    "only a clerk or coordinator of the monitoring agencies, or a leader, assigns",
                )
            ]
        )
    return actor


def _settled(connection: Connection, plan_id: int) -> list[StoredTask]:
    """Return the tasks with the newest decisions in place of what they settle."""
    newest = {(d.task_number, d.field): d.value for d in plans.decisions(connection, plan_id)}
    return [_with_decisions(task, newest) for task in plans.tasks(connection, plan_id)]


def _with_decisions(task: StoredTask, newest: dict[tuple[int, str], Any]) -> StoredTask:
    row, number = task.row, task.row.printed.number
    lead = newest.get((number, "lead"))
    coordinating = newest.get((number, "coordinating"))
    deadline = newest.get((number, "deadline"))
    if lead is deadline is coordinating is None:
        return task
    settled = {
        name
        for name in row.reasons
        if (name.startswith("lead_") and lead)
        or (name.startswith("coordinating_") and coordinating)
        or (name == "missing_cell" and (lead if row.printed.missing_cell == "party" else deadline))
        or (name in _OF_DEADLINE and deadline)
    }
    left = tuple(name for name in row.reasons if name not in settled)
    return replace(
        task,
        row=replace(
            row,
            lead=tuple(lead) if lead else row.lead,
            coordinating=tuple(coordinating) if coordinating else row.coordinating,
            deadline=_deadline(deadline) if deadline else row.deadline,
            reasons=left,
            flag=Flag.OK if not set(left) & set(_REASONS) else row.flag,
        ),
    )


_OF_DEADLINE = frozenset(
    {
        "missing_deadline",
        "unknown_deadline",
        "impossible_date",
        "date_before_plan",
        "range_backwards",
    }
)


def _decision_json(value: tuple[str, ...] | Deadline) -> Any:
    if not isinstance(value, Deadline):
        return list(value)
    due = None if value.due_on is None else value.due_on.isoformat()
    return {"kind": value.kind.value, "due_on": due, "recurrence": value.recurrence}


def _deadline(value: Any) -> Deadline:
    due = None if value["due_on"] is None else date.fromisoformat(value["due_on"])
    return Deadline(DeadlineKind(value["kind"]), due_on=due, recurrence=value["recurrence"])


def _refusal(row: ReadRow) -> Refused:
    why = [_REASONS[name] for name in row.reasons if name in _REASONS]
    return Refused(
        row.printed.number,
        row.reasons,
        Sentence("; ".join(s.vi for s in why), "; ".join(s.en for s in why)),
    )


def _check_agencies(printed: PrintedPlan, directory: Directory) -> None:
    named = {printed.issuer_agency, printed.monitor_agency, printed.oversight_agency}
    strange = sorted(named - set(directory.agencies))
    if strange:
        raise InvalidData({"plan": _not_in_directory(strange)})


def _check_parties(decision: ClerkDecision, directory: Directory) -> None:
    if isinstance(decision.value, Deadline):
        return
    known = set(directory.agencies) | {f"@{code}" for code in directory.groups}
    strange = sorted(set(decision.value) - known)
    if strange:
        raise InvalidData({f"task {decision.task}": _not_in_directory(strange)})


def _not_in_directory(codes: list[str]) -> Sentence:
    named = ", ".join(codes)
    return Sentence(
        f"không có trong danh bạ: {named}; nạp danh bạ trước",
        f"not in the directory: {named}; load the directory first",
    )


def _stored_otherwise(number: str) -> Sentence:
    return Sentence(
        f"kế hoạch {number} đã có với nội dung khác; chưa có gì thay đổi",
        f"plan {number} is stored with other rows; nothing was changed",
    )
