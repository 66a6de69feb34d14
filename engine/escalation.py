"""The ladder: a definition and a day -> which rung an assignment stands on, and when to look next.

Policy lives here alone. The sweep asks once per distinct date and definition and hands the
answers to SQL, which only compares dates.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from engine.calendar import WorkingCalendar
from engine.definition import Definition, EscalationStep, Phase
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


def pause_ends(definition: Definition, today: date, calendar: WorkingCalendar) -> date:
    """Return the last day without reminders when they are paused today.

    Raises:
        OutsideCalendar: It lies in a year nobody has loaded.
    """
    return calendar.add_working_days(today, definition.pause_working_days)


@dataclass(frozen=True, slots=True)
class Reminder:
    """A rung to come. `day` None: its working days lie in a year nobody has loaded yet."""

    day: date | None
    rule: str
    level: int
    tell: tuple[str, ...]  # audiences, see `engine.definition.AUDIENCES`


def reminders(  # noqa: PLR0913  the state of one assignment, by name
    ladder: Sequence[EscalationStep],
    phase: Phase,
    clock_on: date | None,
    today: date,
    calendar: WorkingCalendar,
    *,
    paused_until: date | None = None,
    told: Container[tuple[str, int]] = (),
) -> tuple[Reminder, ...]:
    """Return what sweeps on every working day from `today` on will record if nothing happens.

    Args:
        ladder: The policy.
        phase: Whose turn it is; only rungs of this phase are climbed.
        clock_on: The date the rungs count from; None: no clock runs.
        today: The first day looked at.
        calendar: Sweeps run on its working days; a rung of a rest day is told on the next one,
            or replaced by a higher one reached meanwhile.
        paused_until: Nothing is told up to and including this day.
        told: (rule, level) recorded already in this run.

    Returns:
        In the order of days; those beyond the calendar last, in the order of the ladder.
    """
    if clock_on is None:
        return ()
    first = today if paused_until is None else max(today, paused_until + timedelta(days=1))
    days = set()
    beyond = []
    for step in ladder:
        if step.phase is phase:
            try:
                days.add(calendar.next_working(max(fires_on(step, clock_on, calendar), first)))
            except OutsideCalendar:
                beyond.append(step)
    found: dict[tuple[str, int], Reminder] = {}
    for day in sorted(days):
        rung = reached(ladder, phase, clock_on, day, calendar)
        if rung is not None and (rung.rule, rung.level) not in told:
            found.setdefault(
                (rung.rule, rung.level), Reminder(day, rung.rule, rung.level, rung.tell)
            )
    for step in beyond:
        if (step.rule, step.level) not in told:
            found.setdefault(
                (step.rule, step.level), Reminder(None, step.rule, step.level, step.tell)
            )
    return tuple(found.values())
