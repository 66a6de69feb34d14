"""The ladder: a definition and a day -> which rung an assignment stands on, and when to look next.

Policy lives here alone. The sweep asks once per distinct date and definition and hands the
answers to SQL, which only compares dates.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from engine.calendar import WorkingCalendar
from engine.definition import EscalationStep, Phase
from engine.errors import OutsideCalendar


def fires_on(step: EscalationStep, clock_on: date, calendar: WorkingCalendar) -> date:
    """Return the day a rung is reached when its clock counts from `clock_on`.

    Raises:
        OutsideCalendar: A reminder counts working days in a year nobody loaded.
    """
    if step.working_days_before is not None:
        return calendar.add_working_days(clock_on, -step.working_days_before)
    return clock_on + timedelta(days=step.days_after or 0)


def reached(
    ladder: Sequence[EscalationStep],
    phase: Phase,
    clock_on: date | None,
    today: date,
    calendar: WorkingCalendar,
) -> EscalationStep | None:
    """Return the highest rung reached on `today`, None before the first.

    Only the highest: after days without a sweep the people of each rung are told once, by the
    rung that is right today (its `tell` names those below it too), not by all that were missed.
    """
    best: tuple[date, int, EscalationStep] | None = None
    for index, step in enumerate(ladder):
        if clock_on is None or step.phase is not phase:
            continue
        try:
            day = fires_on(step, clock_on, calendar)
        except OutsideCalendar:
            continue  # far away: `next_check` returns when the calendar is long enough
        if day <= today and (best is None or (day, index) >= best[:2]):
            best = (day, index, step)
    return None if best is None else best[2]


def next_check(
    ladder: Sequence[EscalationStep],
    phase: Phase,
    clock_on: date | None,
    after: date,
    calendar: WorkingCalendar,
) -> date | None:
    """Return the first day after `after` on which a rung is reached, None when none is left."""
    days = []
    for step in ladder:
        if clock_on is None or step.phase is not phase:
            continue
        try:
            day = fires_on(step, clock_on, calendar)
        except OutsideCalendar:
            # The working days of that year are not known yet: look again on the last day known.
            day = calendar.last
        if day > after:
            days.append(day)
    return min(days, default=None)


def check_from(
    ladder: Sequence[EscalationStep],
    phase: Phase,
    clock_on: date | None,
    today: date,
    calendar: WorkingCalendar,
) -> date | None:
    """Return when the sweep has to look at an assignment that has just changed.

    `today` when a rung is reached already: the ledger, not this date, keeps it from being
    recorded twice.
    """
    if reached(ladder, phase, clock_on, today, calendar) is not None:
        return today
    return next_check(ladder, phase, clock_on, today, calendar)
