"""The ladder: a definition and a day -> which rung an assignment stands on, and when to look next.

Policy lives here alone. The sweep asks once per distinct date and definition and hands the
answers to SQL, which only compares dates.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Reminder:
    """One day on which a rung will be recorded, when nothing happens before."""

    day: date
    rule: str
    level: int
    tell: tuple[str, ...]  # audiences, see `engine.definition.AUDIENCES`


@dataclass(frozen=True, slots=True)
class Preview:
    """The reminders to come; `beyond_calendar`: some lie in years nobody has loaded yet."""

    reminders: tuple[Reminder, ...]
    beyond_calendar: bool


def preview(  # noqa: PLR0913  the state of one assignment, by name
    ladder: Sequence[EscalationStep],
    phase: Phase,
    clock_on: date | None,
    today: date,
    calendar: WorkingCalendar,
    *,
    paused_until: date | None = None,
    told: Container[tuple[str, int]] = (),
) -> Preview:
    """Return what sweeps on every working day from `today` on would record.

    Args:
        ladder: The policy.
        phase: Whose turn it is; only rungs of this phase are climbed.
        clock_on: The date the rungs count from.
        today: The first day looked at.
        calendar: Sweeps run on its working days; a rung of a rest day is told on the next one,
            or replaced by a higher one reached meanwhile.
        paused_until: Nothing is told up to and including this day.
        told: (rule, level) recorded already in this round.
    """
    starts = [] if paused_until is None else [paused_until + timedelta(days=1)]
    beyond = False
    for step in ladder:
        if clock_on is not None and step.phase is phase:
            try:
                starts.append(fires_on(step, clock_on, calendar))
            except OutsideCalendar:
                beyond = True
    found: list[Reminder] = []
    seen: set[tuple[str, int]] = set()
    days = set()
    for start in starts:
        try:
            days.add(calendar.next_working(max(start, today)))
        except OutsideCalendar:
            beyond = True
    for day in sorted(days):
        rung = reached(ladder, phase, clock_on, day, calendar)
        if rung is None or (paused_until is not None and day <= paused_until):
            continue
        key = (rung.rule, rung.level)
        if key not in told and key not in seen:
            seen.add(key)
            found.append(Reminder(day, rung.rule, rung.level, rung.tell))
    return Preview(tuple(found), beyond)
