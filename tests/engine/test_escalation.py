"""The ladder as a function: which rung a day stands on, and which are still to come."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.calendar import WorkingCalendar
from engine.definition import EscalationStep, Phase
from engine.errors import OutsideCalendar
from engine.escalation import Reminder, check_from, fires_on, reached, reminders
from tests.strategies import ladders

DUE = date(2025, 9, 30)
# The holidays around 2/9/2025, and the make-up Saturday that year.
YEAR = WorkingCalendar(
    date(2025, 1, 1), date(2026, 12, 31), off=frozenset({date(2025, 9, 1), date(2025, 9, 2)})
)
LADDER = (
    EscalationStep("due_in_5", 0, ("officer",), working_days_before=5),
    EscalationStep("overdue", 0, ("officer",), days_after=1),
    EscalationStep("overdue", 1, ("officer", "head"), days_after=4),
    EscalationStep("overdue", 2, ("officer", "head", "monitor"), days_after=5),
    EscalationStep("review_waiting", 0, ("coordinator",), phase=Phase.REVIEW, days_after=3),
)


def days(found: tuple[Reminder, ...]) -> list[tuple[date | None, str, int]]:
    return [(r.day, r.rule, r.level) for r in found]


def test_rungs_of_a_weekend_are_told_on_monday_by_the_highest_alone() -> None:
    coming = reminders(LADDER, Phase.OPEN, DUE, date(2025, 9, 1), YEAR)

    # Level 1 falls on Saturday 4/10, level 2 on Sunday 5/10.
    assert days(coming) == [
        (date(2025, 9, 23), "due_in_5", 0),
        (date(2025, 10, 1), "overdue", 0),
        (date(2025, 10, 6), "overdue", 2),
    ]


def test_only_the_rungs_of_the_present_phase_are_climbed() -> None:
    coming = reminders(LADDER, Phase.REVIEW, DUE, DUE, YEAR)

    assert days(coming) == [(date(2025, 10, 3), "review_waiting", 0)]
    assert reminders(LADDER, Phase.PAUSED, None, DUE, YEAR) == ()


def test_after_a_pause_the_highest_rung_right_then_is_told_once() -> None:
    coming = reminders(
        LADDER, Phase.OPEN, DUE, date(2025, 9, 30), YEAR, paused_until=date(2025, 10, 5)
    )

    assert days(coming) == [(date(2025, 10, 6), "overdue", 2)]


def test_what_was_recorded_in_this_run_is_not_to_come() -> None:
    coming = reminders(
        LADDER, Phase.OPEN, DUE, date(2025, 10, 1), YEAR, told={("overdue", 0), ("due_in_5", 0)}
    )

    assert days(coming) == [(date(2025, 10, 6), "overdue", 2)]


def test_a_rung_beyond_the_calendar_is_named_without_a_day() -> None:
    coming = reminders(LADDER, Phase.OPEN, date(2026, 12, 30), date(2026, 12, 1), YEAR)

    assert days(coming) == [
        (date(2026, 12, 23), "due_in_5", 0),
        (date(2026, 12, 31), "overdue", 0),
        (None, "overdue", 1),
        (None, "overdue", 2),
    ]
    far = reminders(LADDER, Phase.OPEN, date(2031, 5, 5), date(2026, 12, 1), YEAR)
    assert {day for day, _, _ in days(far)} == {None}
    assert len(far) == 4


def test_a_holiday_declared_late_moves_what_counts_working_days() -> None:
    more = WorkingCalendar(YEAR.first, YEAR.last, off=YEAR.off | {date(2025, 9, 26)})

    first = reminders(LADDER, Phase.OPEN, DUE, date(2025, 9, 1), more)[0]

    assert first.day == date(2025, 9, 22)


def test_a_rung_that_counts_working_days_of_no_calendar_is_said() -> None:
    with pytest.raises(OutsideCalendar):
        fires_on(LADDER[0], date(2031, 5, 5), YEAR)


@given(
    ladder=ladders(),
    due=st.dates(date(2025, 2, 1), date(2026, 12, 31)),
    start=st.integers(-60, 60),
    pause=st.none() | st.integers(0, 30),
    phase=st.sampled_from([Phase.OPEN, Phase.REVIEW]),
)
def test_what_is_to_come_is_what_each_working_day_says_alone(
    ladder: tuple[EscalationStep, ...], due: date, start: int, pause: int | None, phase: Phase
) -> None:
    today = max(due + timedelta(days=start), YEAR.first)
    paused_until = None if pause is None else today + timedelta(days=pause)

    coming = reminders(ladder, phase, due, today, YEAR, paused_until=paused_until)

    recorded = []
    seen = set()
    day = today
    while day <= YEAR.last:
        rung = reached(ladder, phase, due, day, YEAR)
        runs = YEAR.is_working(day) and (paused_until is None or day > paused_until)
        if runs and rung is not None and (rung.rule, rung.level) not in seen:
            seen.add((rung.rule, rung.level))
            recorded.append((day, rung.rule, rung.level))
        day += timedelta(days=1)
    assert [(r.day, r.rule, r.level) for r in coming if r.day is not None] == recorded


@given(
    ladder=ladders(),
    due=st.dates(date(2025, 2, 1), date(2026, 12, 31)),
    start=st.integers(-60, 60),
)
def test_the_next_look_is_never_after_the_first_reminder(
    ladder: tuple[EscalationStep, ...], due: date, start: int
) -> None:
    today = min(max(due + timedelta(days=start), YEAR.first), YEAR.last)

    coming = reminders(ladder, Phase.OPEN, due, today, YEAR)

    look = check_from(ladder, Phase.OPEN, due, today, YEAR)
    known = [r.day for r in coming if r.day is not None]
    if known:
        assert look is not None
        assert look <= known[0]
