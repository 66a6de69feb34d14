"""Plans: let the clerk decide, assign to the lead agencies, show."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from engine import reasons
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
    TransitionRefused,
    listed,
)
from engine.store import agencies, assignments, people, plans
from engine.store.database import translate_database_errors
from engine.wording import Flag, ReadRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from engine.agencies import Directory
    from engine.calendar import WorkingCalendar
    from engine.model import Actor, Decision
    from engine.service.engine import Engine
    from engine.store.plans import Plan, StoredTask

WORKFLOWS = {None: "assigned-task", "quarterly": "thuong-xuyen", "yearly": "hang-nam"}
"""The workflow of a task by how often it recurs."""


@dataclass(frozen=True, slots=True)
class ClerkDecision:
    """What a clerk decided about one row: party codes, a deadline, or what becomes of the row.

    A row may be "confirmed", taken as it was read, or "skipped", never assigned.
    """

    task: int
    field: str  # "lead" | "coordinating" | "deadline" | "row"
    value: tuple[str, ...] | Deadline | str
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

    def record_decisions(self, number: str, decisions: Sequence[ClerkDecision]) -> int:
        """Record decisions of the clerk; return how many are new. Nothing printed changes.

        Raises:
            PlanNotFound, NotFound, PersonNotFound: The plan, a task or a person is unknown.
            InvalidData: A party is not in the directory.
        """
        with translate_database_errors(), self._engine.database.begin() as connection:
            return record(connection, found(connection, number), decisions)

    def assign(self, number: str, person_id: int) -> Assigned:
        """Open one assignment per lead agency for every row that may be assigned.

        Groups are expanded on the day. Rows that need a clerk are refused with the reasons;
        groups without a confirmed list wait. Assigning again adds what is missing and no more.

        Raises:
            PlanNotFound: No plan has this number.
            NotAllowed: The person is neither clerk nor coordinator of the plan's agencies, nor
                a leader.
            TransitionRefused: The plan is suspended, withdrawn or superseded.
        """
        engine = self._engine
        now = engine.clock.now()
        day = local_day(now)
        result = Assigned()
        with translate_database_errors(), engine.database.begin() as connection:
            plan = found(connection, number)
            actor = _assigner(connection, plan, person_id, now)
            directory = agencies.read(connection)
            calendar = engine.reference.calendar(connection)
            held = plans.assigned_pairs(connection, plan.id)
            duties: list[tuple[StoredTask, str]] = []
            if plan.status != "active":
                raise _not_active(plan)
            for task in settled(connection, plan.id):
                if task.skipped:
                    continue
                if task.row.flag is not Flag.OK:
                    result.refused.append(_refusal(task.row))
                    continue
                duties += self._duties(task, directory, day, result)
            wanted = [
                (task, agency, period, due_on)
                for task, agency in duties
                for period, due_on in [first_due(engine, connection, task.row, day, calendar)]
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
            plan = found(connection, number)
            return (
                plan,
                [t.row for t in settled(connection, plan.id)],
                plans.decisions(connection, plan.id),
                plans.indicators(connection, plan.id),
            )

    def _duties(
        self, task: StoredTask, directory: Directory, day: date, result: Assigned
    ) -> list[tuple[StoredTask, str]]:
        duties: dict[str, None] = {}
        for party in task.row.lead:
            try:
                duties |= dict.fromkeys(directory.expand(party, day))
            except GroupUnconfirmed as refusal:
                result.waiting.append(Waiting(task.row.printed.number, party, refusal.sentence))
        return [(task, agency) for agency in duties]

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


def record(connection: Connection, plan: Plan, decisions: Sequence[ClerkDecision]) -> int:
    """Do what `Plans.record_decisions` does as a part of the caller's transaction."""
    directory = agencies.read(connection)
    ids = {t.row.printed.number: t.id for t in plans.tasks(connection, plan.id)}
    newest = {(d.task_number, d.field): d.value for d in plans.decisions(connection, plan.id)}
    deciders = {
        login: people.by_login(connection, login) for login in {d.decided_by for d in decisions}
    }
    new = 0
    for d in decisions:
        if d.task not in ids:
            raise NotFound(Sentence("nhiệm vụ", "task"), d.task)
        _check_parties(d, directory)
        value = _decision_json(d.value)
        if newest.get((d.task, d.field)) == value:
            continue
        person = deciders[d.decided_by]
        if person is None:
            raise PersonNotFound(d.decided_by)
        plans.add_decision(
            connection, ids[d.task], d.field, value, d.reason, person.id, d.decided_on
        )
        new += 1
    return new


def first_due(
    engine: Engine, connection: Connection, row: ReadRow, day: date, calendar: WorkingCalendar
) -> tuple[str | None, date | None]:
    """Return (period, due date) of an assignment of a task opened on `day`."""
    every = row.deadline.recurrence
    if every is None:
        return None, row.deadline.due_on
    recurrence = engine.reference.latest(connection, WORKFLOWS[every]).recurrence
    if recurrence is None:
        raise NotFound(Sentence("chu kỳ của quy trình", "recurrence of"), WORKFLOWS[every])
    period = next(periods(every, day, day, recurrence.due_working_days, calendar))
    return period.name, period.due_on


STATUS = {
    "active": Sentence("đang thực hiện", "is active"),
    "suspended": Sentence("đang tạm dừng", "is suspended"),
    "withdrawn": Sentence("đã thu hồi", "was withdrawn"),
    "superseded": Sentence("đã được thay thế", "was superseded"),
}
"""How a plan stands, for a sentence."""


def _not_active(plan: Plan) -> TransitionRefused:
    status = STATUS[plan.status]
    return TransitionRefused(
        [
            Sentence(
                f"Kế hoạch {plan.number} {status.vi} nên không giao thêm nhiệm vụ",
                f"plan {plan.number} {status.en}: no more of its tasks are assigned",
            )
        ]
    )


def found(connection: Connection, number: str) -> Plan:
    """Return the plan of a number, or raise PlanNotFound."""
    plan = plans.find(connection, number)
    if plan is None:
        raise PlanNotFound(number)
    return plan


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


def settled(connection: Connection, plan_id: int) -> list[StoredTask]:
    """Return the tasks with the newest decisions in place of what they settle."""
    newest = {(d.task_number, d.field): d.value for d in plans.decisions(connection, plan_id)}
    return [_with_decisions(task, newest) for task in plans.tasks(connection, plan_id)]


def _with_decisions(task: StoredTask, newest: dict[tuple[int, str], Any]) -> StoredTask:
    row, number = task.row, task.row.printed.number
    decided = {
        field: newest[number, field]
        for field in ("lead", "coordinating", "deadline", "row")
        if (number, field) in newest
    }
    if not decided:
        return task
    left = tuple(code for code in row.reasons if not reasons.settled(row, code, decided))
    lead, coordinating = decided.get("lead"), decided.get("coordinating")
    deadline = decided.get("deadline")
    return replace(
        task,
        row=replace(
            row,
            lead=row.lead if lead is None else tuple(lead),
            coordinating=row.coordinating if coordinating is None else tuple(coordinating),
            deadline=row.deadline if deadline is None else _deadline(deadline),
            reasons=left,
            flag=row.flag if left else Flag.OK,
        ),
        skipped=decided.get("row") == "skipped",
    )


def _decision_json(value: tuple[str, ...] | Deadline | str) -> Any:
    if isinstance(value, str):
        return value
    if not isinstance(value, Deadline):
        return list(value)
    due = None if value.due_on is None else value.due_on.isoformat()
    return {"kind": value.kind.value, "due_on": due, "recurrence": value.recurrence}


def _deadline(value: Any) -> Deadline:
    due = None if value["due_on"] is None else date.fromisoformat(value["due_on"])
    return Deadline(DeadlineKind(value["kind"]), due_on=due, recurrence=value["recurrence"])


def _refusal(row: ReadRow) -> Refused:
    why = listed(reasons.sentences(row.reasons))
    return Refused(row.printed.number, row.reasons, why)


def _check_parties(decision: ClerkDecision, directory: Directory) -> None:
    if not isinstance(decision.value, tuple):
        return
    known = set(directory.agencies) | {f"@{code}" for code in directory.groups}
    strange = sorted(set(decision.value) - known)
    if strange:
        raise InvalidData({f"task {decision.task}": not_in_directory(strange)})


def not_in_directory(codes: list[str]) -> Sentence:
    """Return what to say of codes nobody described."""
    named = ", ".join(codes)
    return Sentence(
        f"không có trong danh bạ: {named}; nạp danh bạ trước",
        f"not in the directory: {named}; load the directory first",
    )
