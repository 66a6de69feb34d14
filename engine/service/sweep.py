"""What time does: reminders and escalation, daily and by quarter, bounded and set-based."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from engine.clock import local_day
from engine.deadlines import quarter_end
from engine.definition import AUDIENCES, Definition, DefinitionRef, Phase
from engine.escalation import next_check, reached
from engine.store import definitions, escalations
from engine.store.database import translate_database_errors
from engine.store.escalations import ClockKey, Step

if TYPE_CHECKING:
    from collections.abc import Callable

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
