"""Periods of recurring tasks: one assignment per period, opened when the period begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from engine.clock import local_day
from engine.deadlines import periods
from engine.decide import opened
from engine.service.plans import WORKFLOWS
from engine.store import assignments, messages, plans
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from engine.model import Decision
    from engine.service.engine import Engine


@dataclass(frozen=True, slots=True)
class PeriodsOpened:
    """What was opened: assignment ids by period."""

    day: date
    opened: dict[str, list[int]] = field(default_factory=dict)


class Periods:
    """Use cases of periods."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self) -> PeriodsOpened:
        """Open every period that has begun by today for every recurring duty that goes on.

        An agency that ends before the cut-off of a period gets no assignment for it. Opening
        twice, also at once, opens nothing twice.
        """
        engine = self._engine
        now = engine.clock.now()
        today = local_day(now)
        made: list[Decision] = []
        with translate_database_errors(), engine.database.begin() as connection:
            messages.take_turns(connection, "open periods")
            calendar = engine.reference.calendar(connection)
            latest = {
                every: engine.reference.latest(connection, name)
                for every, name in WORKFLOWS.items()
            }
            recurrences = {e: d.recurrence for e, d in latest.items() if e and d.recurrence}
            wanted = [
                (task_id, agency, every, period)
                for task_id, agency, every, due_on, ends in plans.recurring_duties(connection)
                for period in periods(
                    every,
                    due_on + timedelta(days=1),
                    today,
                    recurrences[every].due_working_days,
                    calendar,
                )
                if ends is None or ends >= period.data_to
            ]
            ids = assignments.next_ids(connection, len(wanted))
            for assignment_id, (task_id, agency, every, period) in zip(ids, wanted, strict=True):
                made.append(
                    opened(
                        latest[every],
                        assignment_id=assignment_id,
                        task_id=task_id,
                        agency=agency,
                        now=now,
                        calendar=calendar,
                        due_on=period.due_on,
                        period=period.name,
                    )
                )
            assignments.insert_opened(connection, made)
        result = PeriodsOpened(today)
        for decision in made:
            name = decision.assignment.period or ""
            result.opened.setdefault(name, []).append(decision.assignment.id)
        return result
