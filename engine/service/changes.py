"""Plans that are suspended, resumed, withdrawn, or superseded by another.

Every open assignment takes a transition of its own definition, decided as every transition is;
what is refused stays as it is and is listed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.agencies import GROUP
from engine.clock import local_day
from engine.decide import opened
from engine.errors import (
    EngineError,
    InvalidData,
    NotAllowed,
    NotFound,
    Sentence,
    TransitionRefused,
)
from engine.service.plans import STATUS, WORKFLOWS, first_due, found, not_in_directory, settled
from engine.service.requests import Request
from engine.store import agencies, assignments, changes, messages, people
from engine.store.database import translate_database_errors
from engine.store.reorganisation import held
from engine.wording import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from sqlalchemy import Connection

    from engine.agencies import Directory
    from engine.calendar import WorkingCalendar
    from engine.definition import Definition
    from engine.model import Actor, Decision
    from engine.service.engine import Engine
    from engine.store.changes import OpenWork
    from engine.store.plans import Plan, StoredTask

SUSPEND, RESUME, WITHDRAW, SUPERSEDE = "suspend", "resume", "withdraw", "supersede"
TRANSFER = "transfer"
CARRIED_FROM = "carried_from"
"""The fact of an assignment that names those of the superseded plan it goes on with, by id."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of the open work on a task of a superseded plan, decided by a person.

    `into` is the task of the new plan it goes on with, None closes it. With `agencies` others
    take it over there; without, whoever has it goes on. `agency` None means all who have it.
    """

    task: int
    agency: str | None
    into: int | None
    agencies: tuple[str, ...]
    reason: str
    decided_by: str

    @property
    def transition(self) -> str:
        """The transition the work takes."""
        return TRANSFER if self.agencies else SUPERSEDE


@dataclass(frozen=True, slots=True)
class Supersession:
    """One plan that takes the place of another, with a choice for each open task."""

    plan: str
    by: str
    reason: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of one open assignment.

    `outcome` is the transition it takes or took, "waiting" for a choice, or "refused".
    `became` are the assignments it goes on as.
    """

    work: OpenWork
    outcome: str
    refusal: EngineError | None = None
    became: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanChanged:
    """What a change of a plan did, or would do."""

    plan: str
    applied: bool
    changed: tuple[Changed, ...] = ()

    def of(self, outcome: str) -> list[Changed]:
        """Return what had this outcome."""
        return [c for c in self.changed if c.outcome == outcome]


_Key = tuple[int, str, str | None]


@dataclass
class _Going:
    """Open work with its choice, and where it goes: (task, agency, period) of the new plan."""

    work: OpenWork
    choice: Choice
    keys: list[_Key] = field(default_factory=list)
    refusal: EngineError | None = None


class Changes:
    """Use cases of changing a plan as a whole."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def suspend(self, number: str, reason: str, person_id: int) -> PlanChanged:
        """Suspend every open assignment of a plan; no period opens until it is resumed.

        Raises:
            PlanNotFound: No plan has this number.
            NotAllowed: The person is no leader of the issuer.
            TransitionRefused: The plan is not active.
            InvalidData: No reason was given.
        """
        return self._all(number, SUSPEND, reason, person_id, {"reason": reason})

    def resume(self, number: str, reason: str, person_id: int) -> PlanChanged:
        """Let a suspended plan go on, each assignment from where it stood; raises as `suspend`."""
        return self._all(number, RESUME, reason, person_id, {})

    def withdraw(self, number: str, reason: str, person_id: int) -> PlanChanged:
        """Withdraw every open assignment of a plan for good; raises as `suspend`."""
        return self._all(number, WITHDRAW, reason, person_id, {"reason": reason})

    def supersede(self, wanted: Supersession, person_id: int, *, apply: bool) -> PlanChanged:
        """Put a plan in the place of another; without `apply` only say what would become of what.

        Open work without a choice stays as it is and is listed. Applying again does the rest.

        Raises:
            PlanNotFound: One of the plans is not stored.
            NotAllowed: The person is no leader of the issuer.
            NotFound, InvalidData: A choice names a task or an agency there is not, or the plans
                cannot follow each other. Nothing was changed.
        """
        engine = self._engine
        now = engine.clock.now()
        with translate_database_errors(), engine.database.begin() as connection:
            messages.take_turns(connection, "change plan")
            old, new = found(connection, wanted.plan), found(connection, wanted.by)
            _check_order(old, new)
            actor = _leader(connection, old, person_id, now)
            tasks = {t.row.printed.number: t for t in settled(connection, new.id)}
            directory = agencies.read(connection)
            _check_choices(connection, old, wanted, tasks, directory)
            work = changes.open_work(connection, old.id, lock=True)
            superseding = _Superseding(
                engine, connection, wanted, tasks, directory, actor, person_id, now
            )
            going = superseding.going(work)
            if not apply:
                connection.rollback()
                return PlanChanged(old.number, applied=False, changed=_listed(work, going, {}))
            done = superseding.carry(going)
            if old.status != "superseded":
                changes.add(
                    connection,
                    old.id,
                    SUPERSEDE,
                    wanted.reason,
                    by_plan_id=new.id,
                    decided_by=person_id,
                    decided_at=now,
                )
        return PlanChanged(old.number, applied=True, changed=_listed(work, going, done))

    def _all(
        self, number: str, what: str, reason: str, person_id: int, data: Mapping[str, Any]
    ) -> PlanChanged:
        engine = self._engine
        now = engine.clock.now()
        if not reason.strip():
            raise InvalidData({"reason": Sentence("bắt buộc nêu lý do", "a reason is required")})
        with translate_database_errors(), engine.database.begin() as connection:
            messages.take_turns(connection, "change plan")
            plan = found(connection, number)
            _leader(connection, plan, person_id, now)
            if plan.status != ("suspended" if what == RESUME else "active"):
                raise _wrong_status(plan)
            paused = what == RESUME
            work = [
                w
                for w in changes.open_work(connection, plan.id, lock=True)
                if what == WITHDRAW or (w.phase == "paused") is paused
            ]
            results = engine.fire_within(
                connection, [Request(w.id, data) for w in work], what, person_id, now
            )
            changes.add(
                connection,
                plan.id,
                what,
                reason,
                by_plan_id=None,
                decided_by=person_id,
                decided_at=now,
            )
        return PlanChanged(
            number,
            applied=True,
            changed=tuple(
                Changed(w, "refused" if r.refusal else what, r.refusal)
                for w, r in zip(work, results, strict=True)
            ),
        )


@dataclass(frozen=True)
class _Superseding:
    """One plan taking another's place, within one transaction.

    `tasks` are those of the new plan by number. What is read of each is read once: the
    statements do not grow with the work.
    """

    engine: Engine
    connection: Connection
    wanted: Supersession
    tasks: Mapping[int, StoredTask]
    directory: Directory
    actor: Actor
    person_id: int
    now: datetime
    first: dict[int, tuple[str | None, date | None]] = field(default_factory=dict)

    def going(self, work: Sequence[OpenWork]) -> list[_Going]:
        """Return the open work somebody chose for, each with where it goes."""
        day = local_day(self.now)
        chosen = {(c.task, c.agency): c for c in self.wanted.choices}
        going = []
        for one in work:
            choice = chosen.get((one.task, one.agency)) or chosen.get((one.task, None))
            if choice is None:
                continue
            goes = _Going(one, choice)
            going.append(goes)
            if choice.into is None:
                continue
            task = self.tasks[choice.into]
            if task.row.flag is not Flag.OK:
                goes.refusal = _undecided(task)
                continue
            period, _ = self._first(task)
            named = choice.agencies or (one.agency,)
            takers = {a for party in named for a in self.directory.expand(party, day)}
            goes.keys = [(task.id, agency, period) for agency in sorted(takers)]
            if not takers:
                goes.refusal = _nobody(named)
        return going

    def carry(self, going: Sequence[_Going]) -> dict[int, tuple[int, ...]]:
        """Take the transitions and open what goes on; return what each became, by id."""
        ids = held(self.connection, {key[0] for g in going for key in g.keys})
        fresh = list(dict.fromkeys(k for g in going for k in g.keys if k not in ids))
        new = assignments.next_ids(self.connection, len(fresh))
        ids |= dict(zip(fresh, new, strict=True))
        for transition in (SUPERSEDE, TRANSFER):
            ready = [g for g in going if g.refusal is None and g.choice.transition == transition]
            requests = [Request(g.work.id, _data(self.wanted, g, ids)) for g in ready]
            results = self.engine.fire_within(
                self.connection, requests, transition, self.person_id, self.now
            )
            for goes, result in zip(ready, results, strict=True):
                goes.refusal = result.refusal
        done = [g for g in going if g.refusal is None]
        calendar = self.engine.reference.calendar(self.connection)
        latest = {
            every: self.engine.reference.latest(self.connection, name)
            for every, name in WORKFLOWS.items()
        }
        made = [
            self._opened(key, ids[key], sources, latest, calendar)
            for key in fresh
            if (sources := sorted(g.work.id for g in done if key in g.keys))
        ]
        assignments.insert_opened(self.connection, made)
        return {g.work.id: tuple(ids[key] for key in g.keys) for g in done}

    def _first(self, task: StoredTask) -> tuple[str | None, date | None]:
        """Return the period and the due date an assignment of a task begins with."""
        if task.id not in self.first:
            calendar = self.engine.reference.calendar(self.connection)
            self.first[task.id] = first_due(
                self.engine, self.connection, task.row, local_day(self.now), calendar
            )
        return self.first[task.id]

    def _opened(
        self,
        key: _Key,
        assignment_id: int,
        sources: list[int],
        latest: Mapping[str | None, Definition],
        calendar: WorkingCalendar,
    ) -> Decision:
        task_id, agency, period = key
        task = next(task for task in self.tasks.values() if task.id == task_id)
        return opened(
            latest[task.row.deadline.recurrence],
            assignment_id=assignment_id,
            task_id=task_id,
            agency=agency,
            now=self.now,
            calendar=calendar,
            due_on=self._first(task)[1],
            period=period,
            actor=self.actor,
            facts={CARRIED_FROM: sources, "superseded_plan": self.wanted.plan},
        )


def _data(wanted: Supersession, goes: _Going, ids: Mapping[_Key, int]) -> dict[str, Any]:
    """Return what the event holds: why, who decided it, what goes on."""
    choice = goes.choice
    reason = (
        f"{choice.reason} ({choice.decided_by}; kế hoạch {wanted.by} thay thế: {wanted.reason})"
    )
    named = [f"{key[1]} (phần việc {ids[key]})" for key in goes.keys]
    if named:
        reason += f"; tiếp tục ở nhiệm vụ {choice.into}: {', '.join(named)}"
    if choice.transition == TRANSFER:
        return {"reason": reason, "successor": ", ".join(named)}
    return {"reason": reason}


def _listed(
    work: Sequence[OpenWork], going: Sequence[_Going], became: Mapping[int, tuple[int, ...]]
) -> tuple[Changed, ...]:
    by_id = {g.work.id: g for g in going}
    result = []
    for one in work:
        goes = by_id.get(one.id)
        if goes is None:
            result.append(Changed(one, "waiting"))
        elif goes.refusal is not None:
            result.append(Changed(one, "refused", goes.refusal))
        else:
            result.append(Changed(one, goes.choice.transition, None, became.get(one.id, ())))
    return tuple(result)


def _leader(connection: Connection, plan: Plan, person_id: int, now: datetime) -> Actor:
    actor = people.asking(connection, person_id, now, local_day(now)).actor
    leads = {(role, plan.issuer_agency) for role in ("vice_chair", "chair")}
    if actor is None or not leads.intersection((a.role, a.agency) for a in actor.authorities):
        raise NotAllowed(
            [
                Sentence(
                    "Chỉ lãnh đạo cơ quan ban hành được tạm dừng, thu hồi hoặc thay thế kế hoạch",
                    "only a leader of the issuer suspends, withdraws or supersedes a plan",
                )
            ]
        )
    return actor


def _wrong_status(plan: Plan) -> TransitionRefused:
    words = STATUS[plan.status]
    return TransitionRefused(
        [
            Sentence(
                f"Kế hoạch {plan.number} {words.vi} nên không làm được việc này",
                f"plan {plan.number} {words.en}, so this is not possible",
            )
        ]
    )


def _check_order(old: Plan, new: Plan) -> None:
    if old.id == new.id or new.issued_on < old.issued_on or new.status != "active":
        raise InvalidData(
            {
                "by": Sentence(
                    f"kế hoạch {new.number} không thể thay thế {old.number}: phải là kế hoạch "
                    "khác, ban hành cùng ngày hoặc sau, và đang thực hiện",
                    f"plan {new.number} cannot supersede {old.number}: it has to be another one, "
                    "issued the same day or later, and active",
                )
            }
        )


def _check_choices(
    connection: Connection,
    old: Plan,
    wanted: Supersession,
    tasks: Mapping[int, StoredTask],
    directory: Directory,
) -> None:
    numbers = {t.row.printed.number for t in settled(connection, old.id)}
    known = set(directory.agencies) | {GROUP + code for code in directory.groups}
    for choice in wanted.choices:
        if choice.task not in numbers:
            raise NotFound(
                Sentence(f"nhiệm vụ của {old.number}", f"task of {old.number}"), choice.task
            )
        if choice.into is not None and choice.into not in tasks:
            raise NotFound(
                Sentence(f"nhiệm vụ của {wanted.by}", f"task of {wanted.by}"), choice.into
            )
        named = {*choice.agencies, *([choice.agency] if choice.agency else [])}
        if named - known:
            raise InvalidData({f"task {choice.task}": not_in_directory(sorted(named - known))})


def _nobody(named: Sequence[str]) -> TransitionRefused:
    listed = ", ".join(named)
    return TransitionRefused(
        [
            Sentence(
                f"{listed} không còn tồn tại; chọn cơ quan tiếp nhận",
                f"{listed} does not exist any more; choose who takes over",
            )
        ]
    )


def _undecided(task: StoredTask) -> TransitionRefused:
    number = task.row.printed.number
    return TransitionRefused(
        [
            Sentence(
                f"nhiệm vụ {number} của kế hoạch mới còn chờ văn thư quyết định",
                f"task {number} of the new plan still waits for a clerk",
            )
        ]
    )
