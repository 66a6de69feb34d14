"""What time does: reminders and escalation, daily and by quarter, bounded and set-based."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from engine.clock import local_day
from engine.deadlines import quarter_end
from engine.definition import AUDIENCES, Definition, DefinitionRef, Phase
from engine.errors import AssignmentNotFound
from engine.escalation import Preview, next_check, preview, reached
from engine.store import assignments, definitions, escalations
from engine.store.database import translate_database_errors
from engine.store.escalations import ClockKey, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from engine.calendar import WorkingCalendar
    from engine.service.engine import Engine

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
                return SweepResult(
                    today, examined, rows, {place: sorted(fired[place]) for place in sorted(fired)}
                )
            after = batch.last

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
    ) -> Preview:
        """Return when an assignment will be reminded and escalated if nothing happens before.

        Args:
            assignment_id: Which assignment.
            definition: Another policy to try: the newest version of this definition.
            due_on: Another date to try.

        Raises:
            AssignmentNotFound: There is none of this id.
            NotFound: No such definition is published.
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
                else engine.reference.latest(connection, definition)
            )
            calendar = engine.reference.calendar(connection)
            told = escalations.told(connection, found.id, found.round, found.clock_on)
        tried = definition is not None or due_on is not None
        return preview(
            policy.ladder,
            found.phase,
            due_on or found.clock_on,
            today,
            calendar,
            paused_until=found.paused_until,
            told=frozenset() if tried else told,
        )

    def quarter_rows(self, name: str, person_id: int | None = None) -> list[Mapping[str, Any]]:
        """Return the table of a quarter: what it left overdue, an assignment a row.

        Args:
            name: The quarter, like 2025Q3.
            person_id: Only what this person was told; None: everything.

        Returns:
            Rows with plan, task, title, lead, period, original_due_on, due_on, days_at_end (late
            at the end of the quarter), days_now, state_label, level and extensions.
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
                "days_at_end": (ends_on - row["due_on"]).days,
                "days_now": ((row["reported_on"] or today) - row["due_on"]).days,
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

    def _published(self, connection: Connection) -> list[tuple[DefinitionRef, Definition]]:
        refs = [
            DefinitionRef(row["name"], row["version"]) for row in definitions.listed(connection)
        ]
        return [(ref, self._engine.reference.definition(connection, ref)) for ref in refs]


def _ref(row: Mapping[str, Any]) -> DefinitionRef:
    return DefinitionRef(row["definition_name"], row["definition_version"])
