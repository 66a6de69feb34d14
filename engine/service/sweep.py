"""What time does: reminders and escalation, daily and by quarter, bounded and set-based."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from engine.clock import local_day
from engine.deadlines import quarter_end
from engine.decide import addressee
from engine.definition import AUDIENCES, Definition, DefinitionRef, Phase
from engine.errors import AssignmentNotFound, InvalidData, NotFound, Sentence
from engine.escalation import Reminder, next_check, reached, reminders
from engine.store import assignments, definitions, escalations
from engine.store.database import translate_database_errors
from engine.store.escalations import ClockKey, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from engine.calendar import WorkingCalendar
    from engine.service.engine import Engine

_VERSION_DIGITS = 9  # fits the column
_FIRST, _LAST = date(2000, 1, 1), date(2199, 12, 31)  # of dates to try; others are typing errors

BATCH = 10_000
"""Assignments per transaction of a sweep: bounds its locks and its memory."""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found and added.

    `rows` are new rows of the ledger (one per recipient); `fired` maps rule and level to the
    assignments that got at least one. The same sweep again adds nothing.
    """

    day: date
    examined: int = 0
    rows: int = 0
    fired: dict[tuple[str, int], list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Addressee:
    """A role at an agency, and what the agency is called."""

    role: str
    agency: str
    agency_name: str


@dataclass(frozen=True, slots=True)
class Coming:
    """A rung to come and whom it tells. `day` None: beyond the calendar that is loaded."""

    day: date | None
    rule: str
    level: int
    tell: tuple[Addressee, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The ladder of a definition from a due date on and from the day of a report on."""

    definition: DefinitionRef
    from_due: tuple[Reminder, ...]
    from_report: tuple[Reminder, ...]


class Sweeps:
    """Use cases of escalation."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, progress: Callable[[int], None] | None = None) -> SweepResult:
        """Remind and escalate everything due by today; any number of sweeps may run at once.

        Args:
            progress: Called with the number of assignments examined after every batch.

        Raises:
            OutsideCalendar: Today is outside the working calendar.
        """
        engine = self._engine
        today = local_day(engine.clock.now())
        with translate_database_errors(), engine.database.begin() as connection:
            calendar = engine.reference.calendar(connection)
            calendar.is_working(today)
            steps = [
                self._step(connection, key, today, calendar)
                for key in escalations.due_keys(connection, today)
            ]
        examined = rows = 0
        fired: dict[tuple[str, int], list[int]] = defaultdict(list)
        after = (date.min, 0)
        while True:
            with translate_database_errors(), engine.database.begin() as connection:
                batch = escalations.sweep_batch(connection, today, steps, after, BATCH)
            examined += batch.examined
            rows += batch.rows
            for place, ids in batch.fired.items():
                fired[place].extend(ids)
            if progress is not None:
                progress(examined)
            if batch.last is None:
                break
            after = batch.last
        with translate_database_errors(), engine.database.begin() as connection:
            escalations.replace_untold(connection, today)
        return SweepResult(
            today, examined, rows, {place: sorted(fired[place]) for place in sorted(fired)}
        )

    def quarter(self, name: str) -> SweepResult:
        """Tell heads, monitor and leaders what the quarter `2025Q3` left open and overdue.

        Raises:
            InvalidData: `name` is no quarter, or it has not ended yet.
        """
        engine = self._engine
        today = local_day(engine.clock.now())
        ends_on = quarter_end(name, today)
        with translate_database_errors(), engine.database.begin() as connection:
            engine.reference.calendar(connection).is_working(today)
            steps = [
                {
                    "definition_name": ref.name,
                    "definition_version": ref.version,
                    "level": definition.quarter.level,
                    "tell": [
                        {"role": role, "place": place}
                        for role, place in (AUDIENCES[a] for a in definition.quarter.tell)
                    ],
                }
                for ref, definition in self._published(connection)
                if definition.quarter is not None
            ]
            rows, fired = escalations.quarter(connection, today, name, ends_on, steps)
        ids = {place: sorted(found) for place, found in fired.items()}
        return SweepResult(today, sum(map(len, ids.values())), rows, ids)

    def preview(
        self, assignment_id: int, definition: str | None = None, due_on: date | None = None
    ) -> tuple[Coming, ...]:
        """Return when an assignment will be reminded and escalated if nothing happens before.

        Args:
            assignment_id: Which assignment.
            definition: Another policy to try, `name` (the newest version) or `name@version`;
                None: the one the assignment is pinned to.
            due_on: Another due date to try, for work that is with the lead agency.

        Returns:
            What the daily sweeps will record, with whom each rung tells. What was recorded
            already is left out, but where another policy or date is tried nothing was.

        Raises:
            AssignmentNotFound: There is none of this id.
            NotFound: No such definition is published.
            InvalidData: A date to try is in another century.
        """
        engine = self._engine
        today = local_day(engine.clock.now())
        with translate_database_errors(), engine.database.connect() as connection:
            found = assignments.read(connection, assignment_id)
            if found is None:
                raise AssignmentNotFound(assignment_id)
            policy = (
                engine.reference.definition(connection, found.definition)
                if definition is None
                else self._named(connection, definition)
            )
            tried = definition is not None or due_on is not None
            if due_on is not None:
                found = replace(found, due_on=_possible("due_on", due_on))
            coming = reminders(
                policy.ladder,
                found.phase,
                found.clock_on,
                today,
                engine.reference.calendar(connection),
                paused_until=found.paused_until,
                told=()
                if tried
                else escalations.told(connection, found.id, found.round, found.clock_on),
            )
            whom = {name: addressee(name, found) for r in coming for name in r.tell}
            agencies = escalations.agencies(connection, {code for _, code in whom.values()})
        return tuple(
            Coming(
                r.day,
                r.rule,
                r.level,
                tuple(
                    Addressee(role, code, agencies[code].name)
                    for role, code in dict.fromkeys(whom[name] for name in r.tell)
                    if agencies[code].lives_on(r.day or today)
                ),
            )
            for r in coming
        )

    def ladder(
        self, definition: str, due_on: date | None = None, reported_on: date | None = None
    ) -> Policy:
        """Return on which days the ladder of a definition tells whom, for any assignment.

        Args:
            definition: `name` (the newest version) or `name@version`.
            due_on: The due date reminders and escalation count from; None: those are left out.
            reported_on: The day of a report that waits for review; None: those are left out.

        Raises:
            NotFound: No such definition is published.
            InvalidData: A date to try is in another century.
        """
        engine = self._engine
        with translate_database_errors(), engine.database.connect() as connection:
            found = self._named(connection, definition)
            calendar = engine.reference.calendar(connection)
        return Policy(
            found.ref,
            reminders(
                found.ladder, Phase.OPEN, _possible("due_on", due_on), calendar.first, calendar
            ),
            reminders(
                found.ladder,
                Phase.REVIEW,
                _possible("reported_on", reported_on),
                calendar.first,
                calendar,
            ),
        )

    def quarter_rows(self, name: str, person_id: int | None = None) -> list[Mapping[str, Any]]:
        """Return the table of a quarter: what it left overdue, an assignment a row.

        Args:
            name: The quarter, like 2025Q3.
            person_id: Only what this person was told; None: everything.

        Returns:
            Rows with plan, task, title, lead, period, original_due_on, due_on, days_at_end (days
            late at the end of the quarter), days_now (late today, or on the day of the report),
            state_label, level (the highest anybody was told at by the ladder, 0: reminded alone),
            last_report_on (the last time something was handed in for review) and extensions.
        """
        engine = self._engine
        today = local_day(engine.clock.now())
        ends_on = quarter_end(name, today)
        with translate_database_errors(), engine.database.connect() as connection:
            rows = escalations.quarter_rows(connection, name, person_id, today)
            definitions = {
                ref: engine.reference.definition(connection, ref)
                for ref in {_ref(row) for row in rows}
            }
        return [
            {
                **row,
                "days_at_end": max(0, (ends_on - row["due_on"]).days),
                "days_now": max(0, ((row["reported_on"] or today) - row["due_on"]).days),
                "state_label": definitions[_ref(row)].states[row["state"]].label,
            }
            for row in rows
        ]

    def _step(
        self, connection: Connection, key: ClockKey, today: date, calendar: WorkingCalendar
    ) -> Step:
        ref = DefinitionRef(key.definition_name, key.definition_version)
        ladder = self._engine.reference.definition(connection, ref).ladder
        phase = Phase(key.phase)
        rung = reached(ladder, phase, key.clock_on, today, calendar)
        return Step(
            key=key,
            rule=None if rung is None else rung.rule,
            level=0 if rung is None else rung.level,
            tell=() if rung is None else tuple(AUDIENCES[a] for a in rung.tell),
            next_check_on=next_check(ladder, phase, key.clock_on, today, calendar),
        )

    def _named(self, connection: Connection, named: str) -> Definition:
        name, at_sign, version = named.partition("@")
        reference = self._engine.reference
        if not at_sign:
            return reference.latest(connection, name)
        if not version.isascii() or not version.isdigit() or len(version) > _VERSION_DIGITS:
            raise NotFound(Sentence("quy trình", "definition"), named)
        return reference.definition(connection, DefinitionRef(name, int(version)))

    def _published(self, connection: Connection) -> list[tuple[DefinitionRef, Definition]]:
        refs = [
            DefinitionRef(row["name"], row["version"]) for row in definitions.listed(connection)
        ]
        return [(ref, self._engine.reference.definition(connection, ref)) for ref in refs]


def _possible(name: str, day: date | None) -> date | None:
    if day is not None and not _FIRST <= day <= _LAST:
        raise InvalidData(
            {
                name: Sentence(
                    f"phải là ngày từ {_FIRST:%d/%m/%Y} đến {_LAST:%d/%m/%Y}",
                    f"has to be a date from {_FIRST} to {_LAST}",
                )
            }
        )
    return day


def _ref(row: Mapping[str, Any]) -> DefinitionRef:
    return DefinitionRef(row["definition_name"], row["definition_version"])
