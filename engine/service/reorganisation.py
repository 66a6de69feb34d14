"""Agencies end and others begin: the directory changes, open work goes where a person chose.

Nothing is handed over by a rule. An open assignment without a choice stays as it is and is
listed; one that is handed over takes the transition `transfer` of its own definition, decided
as every transition is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from engine.agencies import GROUP, Directory
from engine.clock import local_day
from engine.deadlines import periods
from engine.decide import opened
from engine.errors import (
    InvalidData,
    NotAllowed,
    NotFound,
    PersonNotFound,
    PlanNotFound,
    Sentence,
    TransitionRefused,
)
from engine.service.requests import Request
from engine.store import agencies, assignments, messages, people
from engine.store import reorganisation as store
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from sqlalchemy import Connection

    from engine.calendar import WorkingCalendar
    from engine.definition import Definition
    from engine.errors import EngineError
    from engine.model import Actor, Decision
    from engine.reorganisation import Reorganisation
    from engine.service.engine import Engine
    from engine.store.reorganisation import LeftBehind

TRANSFER, WITHDRAW = "transfer", "withdraw"
"""The transitions of a definition that hand work over, and that end it."""

OUTCOMES = {
    "waiting": Sentence("cần chọn nơi tiếp nhận", "needs a choice"),
    "refused": Sentence("bị từ chối", "refused"),
    "transfer": Sentence("sẽ chuyển giao", "to be transferred"),
    "transferred": Sentence("đã chuyển giao", "transferred"),
    "withdraw": Sentence("sẽ thu hồi", "to be withdrawn"),
    "withdrawn": Sentence("đã thu hồi", "withdrawn"),
    "continue": Sentence("sẽ tiếp tục ở nơi tiếp nhận", "to go on with the successor"),
    "continued": Sentence("tiếp tục ở nơi tiếp nhận", "goes on with the successor"),
    "ends": Sentence("chấm dứt", "ends"),
}
"""What may become of an assignment that is left behind, for a person."""

_KEEPERS = frozenset({"clerk", "admin", "coordinator", "vice_chair", "chair"})
"""Who may change the directory; each transition asks for rights of its own."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Who takes a task over: from one ended agency, or (None) from all of them.

    `successors` are agency codes or `@` and a group; None stands for the successors the
    directory names for each agency, an empty tuple for nobody: the task lost its object.
    """

    plan: str
    task: int
    agency: str | None
    successors: tuple[str, ...] | None
    reason: str
    decided_by: str
    decided_on: date


@dataclass(frozen=True, slots=True)
class Handover:
    """One assignment an agency leaves behind, and what becomes of it.

    `proposed` are the successors the directory names, `successors` those chosen. `became` maps
    a successor to its assignment, once there is one.
    """

    left: LeftBehind
    proposed: tuple[str, ...]
    choice: Choice | None
    successors: tuple[str, ...] = ()
    refusal: EngineError | None = None
    became: Mapping[str, int] = field(default_factory=dict)
    done: bool = False

    @property
    def withdrawn(self) -> bool:
        """Tell whether nobody is to take over."""
        return self.choice is not None and self.choice.successors == ()

    @property
    def outcome(self) -> str:
        """Return what became of it, or in a preview what would: a word of `OUTCOMES`."""
        if self.choice is None:
            return "waiting"
        if self.refusal is not None:
            return "refused"
        if self.left.finished:
            return "ends" if self.withdrawn else "continued" if self.done else "continue"
        if self.withdrawn:
            return "withdrawn" if self.done else WITHDRAW
        return "transferred" if self.done else TRANSFER


@dataclass(frozen=True, slots=True)
class Reorganised:
    """What a reorganisation changes (or changed): agency and group codes, and the open work."""

    applied: bool
    ended: tuple[str, ...]
    begun: tuple[str, ...]
    groups: tuple[str, ...]
    succeeded: tuple[str, ...]
    handovers: tuple[Handover, ...]
    opened: tuple[int, ...] = ()

    @property
    def waiting(self) -> tuple[Handover, ...]:
        """Return what still needs a choice."""
        return tuple(h for h in self.handovers if h.choice is None)


_Key = tuple[int, str, str | None]
"""Task, agency and period: what there is one assignment of."""


@dataclass(frozen=True, slots=True)
class _Source:
    """An assignment left behind, as what one successor gets of it."""

    handover: Handover
    due_on: date | None
    original_due_on: date | None


class Reorganisations:
    """Use cases of reorganisations."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def preview(
        self, reorganisation: Reorganisation, choices: Sequence[Choice] = ()
    ) -> Reorganised:
        """Return what would change; nothing is written.

        Raises:
            InvalidData, GroupUnconfirmed, NotFound, PersonNotFound, PlanNotFound: Reorganisation
                or choices name what there is not.
        """
        with translate_database_errors(), self._engine.database.connect() as connection:
            before = agencies.read(connection)
            after = reorganisation.applied_to(before)
            handovers = self._handovers(connection, reorganisation, after, choices, lock=False)
        return _reorganised(_changed(before, after), before, handovers, applied=False)

    def apply(
        self, reorganisation: Reorganisation, choices: Sequence[Choice], person_id: int
    ) -> Reorganised:
        """Change the directory and hand over what a choice was made for, in one transaction.

        What the engine refuses stays as it is, with the reason. Applying again does the rest;
        what was done is not done twice.

        Raises:
            NotAllowed: The person may not change the directory.
            InvalidData, GroupUnconfirmed, NotFound, PersonNotFound, PlanNotFound: As `preview`;
                nothing was changed.
        """
        engine = self._engine
        now = engine.clock.now()
        with translate_database_errors(), engine.database.begin() as connection:
            messages.take_turns(connection, "reorganise")
            actor = _keeper(connection, person_id, now)
            before = agencies.read(connection)
            after = reorganisation.applied_to(before)
            changed = _changed(before, after)
            agencies.save(connection, changed)
            handovers = self._handovers(connection, reorganisation, after, choices, lock=True)
            if local_day(now) < reorganisation.effective_on:
                handovers = [_too_early(h, reorganisation) for h in handovers]
            work = _Work(
                engine,
                connection,
                person_id,
                actor,
                now,
                after,
                reorganisation.basis,
                engine.reference.calendar(connection),
                # Read once: a statement for each assignment would be too many.
                {
                    name: engine.reference.latest(connection, name)
                    for name in sorted({h.left.definition for h in handovers})
                },
            )
            handed, made = work.hand_over(handovers)
        return _reorganised(changed, before, handed, applied=True, opened=made)

    def _handovers(
        self,
        connection: Connection,
        reorganisation: Reorganisation,
        directory: Directory,
        choices: Sequence[Choice],
        *,
        lock: bool,
    ) -> list[Handover]:
        """Return what is left behind, each with its choice.

        A successor has to exist on the day of the reorganisation, later on the day of today:
        who takes over later takes over then.
        """
        day = max(local_day(self._engine.clock.now()), reorganisation.effective_on)
        _check_known(connection, reorganisation, choices)
        left = store.left_behind(connection, reorganisation.ends, lock=lock)
        return _chosen(reorganisation, directory, choices, left, day)


@dataclass(frozen=True, slots=True)
class _Work:
    """Handing over within one transaction: a constant number of statements for any number."""

    engine: Engine
    connection: Connection
    person_id: int
    actor: Actor
    now: datetime
    directory: Directory
    basis: str
    calendar: WorkingCalendar
    latest: Mapping[str, Definition]

    def hand_over(self, handovers: Sequence[Handover]) -> tuple[list[Handover], list[int]]:
        """Return the handovers with what became of them, and the ids of what was opened."""
        going = [h for h in handovers if h.choice is not None and h.refusal is None]
        if not going:
            return list(handovers), []
        sources = self._sources(going)
        ids = store.held(self.connection, {h.left.task_id for h in going})
        fresh = [key for key in sources if key not in ids]
        new = assignments.next_ids(self.connection, len(fresh))
        ids |= dict(zip(fresh, new, strict=True))
        became: dict[int, dict[str, int]] = {h.left.id: {} for h in going}
        for key, found in sources.items():
            for source in found:
                became[source.handover.left.id][key[1]] = ids[key]
        after = self._settled(handovers, going, became)
        done = {h.left.id for h in after if h.done}
        wanted = {
            key: taken
            for key in fresh
            if (taken := [s for s in sources[key] if s.handover.left.id in done])
        }
        made = [self._opened(key, taken, ids[key]) for key, taken in wanted.items()]
        assignments.insert_opened(self.connection, made)
        return after, [decision.assignment.id for decision in made]

    def _sources(self, going: Sequence[Handover]) -> dict[_Key, list[_Source]]:
        """Return what every successor takes over, period by period."""
        found: dict[_Key, list[_Source]] = {}
        for h in going:
            for period, source in self._periods(h):
                for successor in h.successors:
                    found.setdefault((h.left.task_id, successor, period), []).append(source)
        return found

    def _periods(self, h: Handover) -> list[tuple[str | None, _Source]]:
        """Return the period left open; of a duty whose last period is done, those begun since."""
        left = h.left
        if not left.finished:
            return [(left.period, _Source(h, left.due_on, left.original_due_on))]
        every = self.latest[left.definition].recurrence
        if every is None or left.original_due_on is None:
            return []
        first = left.original_due_on + timedelta(days=1)
        today = local_day(self.now)
        return [
            (p.name, _Source(h, p.due_on, None))
            for p in periods(every.every, first, today, every.due_working_days, self.calendar)
        ]

    def _settled(
        self,
        handovers: Sequence[Handover],
        going: Sequence[Handover],
        became: Mapping[int, Mapping[str, int]],
    ) -> list[Handover]:
        """Take the transitions; return every handover with what became of it."""
        results: dict[int, EngineError | None] = {
            h.left.id: None if h.withdrawn or became[h.left.id] else _NOT_BEGUN
            for h in going
            if h.left.finished
        }
        for transition, withdrawn in ((TRANSFER, False), (WITHDRAW, True)):
            requests = [
                Request(h.left.id, self._data(h, became[h.left.id]))
                for h in going
                if not h.left.finished and h.withdrawn is withdrawn
            ]
            if requests:
                for one in self.engine.fire_within(
                    self.connection, requests, transition, self.person_id, self.now
                ):
                    results[one.assignment_id] = one.refusal
        return [
            _settled_as(h, results[h.left.id], became[h.left.id]) if h.left.id in results else h
            for h in handovers
        ]

    def _data(self, h: Handover, became: Mapping[str, int]) -> dict[str, Any]:
        """Return what the event of the transition holds: why, who decided it, who took over."""
        choice = h.choice
        if choice is None:
            return {}
        day = f"{choice.decided_on:%d/%m/%Y}"
        reason = f"{choice.reason} ({choice.decided_by} quyết định ngày {day}; {self.basis})"
        if h.withdrawn:
            return {"reason": reason}
        named = [
            f"{self.directory.agencies[code].name} ({code}, phần việc {number})"
            for code, number in became.items()
        ]
        return {"reason": reason, "successor": "; ".join(named)}

    def _opened(self, key: _Key, taken: Sequence[_Source], assignment_id: int) -> Decision:
        task_id, agency, period = key
        left = [s.handover.left for s in taken]
        # An extension one of several was granted is not lost where they become one.
        days = [s.due_on for s in taken if s.due_on is not None]
        originals = [s.original_due_on for s in taken if s.original_due_on is not None]
        return opened(
            self.latest[left[0].definition],
            assignment_id=assignment_id,
            task_id=task_id,
            agency=agency,
            now=self.now,
            calendar=self.calendar,
            due_on=max(days, default=None),
            period=period,
            actor=self.actor,
            facts={
                store.TRANSFERRED_FROM: sorted(one.id for one in left),
                "transferred_from_agencies": sorted({one.agency for one in left}),
                "transfer_basis": self.basis,
            },
            original_due_on=min(originals, default=None),
            extensions=max((one.extensions for one in left if not one.finished), default=0),
        )


def _settled_as(h: Handover, refusal: EngineError | None, became: Mapping[str, int]) -> Handover:
    if refusal is not None:
        return replace(h, refusal=refusal)
    return replace(h, became=became, done=True)


_NOT_BEGUN = TransitionRefused(
    [
        Sentence(
            "kỳ báo cáo tiếp theo chưa bắt đầu; thực hiện lại khi kỳ bắt đầu",
            "the next reporting period has not begun; run this again when it has",
        )
    ]
)


def _keeper(connection: Connection, person_id: int, now: datetime) -> Actor:
    actor = people.asking(connection, person_id, now, local_day(now)).actor
    if actor is None or not any(a.role in _KEEPERS for a in actor.authorities):
        raise NotAllowed(
            [
                Sentence(
                    "Chỉ văn thư, quản trị viên, điều phối hoặc lãnh đạo được sắp xếp lại danh bạ",
                    "only a clerk, an administrator, a coordinator or a leader reorganises",
                )
            ]
        )
    return actor


def _chosen(
    reorganisation: Reorganisation,
    directory: Directory,
    choices: Sequence[Choice],
    left: Sequence[LeftBehind],
    day: date,
) -> list[Handover]:
    """Return what is left behind, each with its choice: the one of its agency before the task's.

    Raises:
        InvalidData, GroupUnconfirmed: A choice names a successor there is not.
    """
    chosen = {(c.plan, c.task, c.agency): (c, _agencies(c, directory, day)) for c in choices}
    proposed = {
        code: tuple(c for c in directory.successors_of(code) if directory.agency_on(c, day))
        for code in reorganisation.ends
    }
    handovers = []
    for one in sorted(left, key=lambda o: (o.plan, o.task, o.agency, o.period or "")):
        found = chosen.get((one.plan, one.task, one.agency)) or chosen.get(
            (one.plan, one.task, None)
        )
        default = proposed[one.agency]
        if found is None:
            handovers.append(Handover(one, default, None))
            continue
        choice, named = found
        successors = default if choice.successors is None else named
        missing = choice.successors is None and not default
        handovers.append(
            Handover(one, default, choice, successors, _no_default(one) if missing else None)
        )
    return handovers


def _check_known(
    connection: Connection, reorganisation: Reorganisation, choices: Sequence[Choice]
) -> None:
    if not choices:
        return
    tasks = store.tasks_of(connection, {c.plan for c in choices})
    for choice in choices:
        if choice.plan not in tasks:
            raise PlanNotFound(choice.plan)
        if choice.task not in tasks[choice.plan]:
            raise NotFound(Sentence("nhiệm vụ", "task"), choice.task)
        if choice.agency is not None and choice.agency not in reorganisation.ends:
            raise InvalidData(
                {
                    _place(choice): Sentence(
                        f"{choice.agency} không nằm trong các cơ quan chấm dứt",
                        f"{choice.agency} is not among the agencies that end",
                    )
                }
            )
    for login in store.unknown_logins(connection, sorted({c.decided_by for c in choices})):
        raise PersonNotFound(login)


def _agencies(choice: Choice, directory: Directory, day: date) -> tuple[str, ...]:
    """Return the agencies a choice names, in order of code."""
    found: set[str] = set()
    for party in choice.successors or ():
        known = directory.groups if party.startswith(GROUP) else directory.agencies
        agencies_ = directory.expand(party, day) if party.removeprefix(GROUP) in known else []
        if not agencies_:
            raise InvalidData(
                {
                    _place(choice): Sentence(
                        f"nơi tiếp nhận {party} không tồn tại ngày {day:%d/%m/%Y}",
                        f"the successor {party} does not exist on {day}",
                    )
                }
            )
        found.update(agencies_)
    return tuple(sorted(found))


def _place(choice: Choice) -> str:
    return f"{choice.plan}, {choice.task}" + (f", {choice.agency}" if choice.agency else "")


def _no_default(left: LeftBehind) -> TransitionRefused:
    return TransitionRefused(
        [
            Sentence(
                f"danh bạ chưa ghi nơi tiếp nhận của {left.agency}; nêu rõ successors",
                f"the directory names no successor of {left.agency}; name the successors",
            )
        ]
    )


def _too_early(handover: Handover, reorganisation: Reorganisation) -> Handover:
    if handover.choice is None:
        return handover
    day = reorganisation.effective_on
    refusal = TransitionRefused(
        [
            Sentence(
                f"chuyển giao từ ngày {day:%d/%m/%Y}; khi đó thực hiện lại",
                f"work is handed over from {day} on; run this again then",
            )
        ]
    )
    return replace(handover, refusal=refusal)


def _changed(before: Directory, after: Directory) -> Directory:
    """Return what of the directory is not as it was."""
    return Directory(
        {c: a for c, a in after.agencies.items() if before.agencies.get(c) != a},
        {c: g for c, g in after.groups.items() if before.groups.get(c) != g},
        {c: s for c, s in after.successors.items() if before.successors.get(c) != s},
    )


def _reorganised(
    changed: Directory,
    before: Directory,
    handovers: Sequence[Handover],
    *,
    applied: bool,
    opened: Sequence[int] = (),
) -> Reorganised:
    return Reorganised(
        applied=applied,
        ended=tuple(c for c in sorted(changed.agencies) if c in before.agencies),
        begun=tuple(c for c in sorted(changed.agencies) if c not in before.agencies),
        groups=tuple(sorted(changed.groups)),
        succeeded=tuple(sorted(changed.successors)),
        handovers=tuple(handovers),
        opened=tuple(opened),
    )
