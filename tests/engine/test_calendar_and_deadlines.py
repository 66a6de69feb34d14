from datetime import date

import pytest

from definitions import loader
from engine.calendar import WorkingCalendar
from engine.deadlines import (
    TimeState,
    TimeStatus,
    periods,
    quarter_before,
    quarter_end,
    time_status,
)
from engine.errors import InvalidData, OutsideCalendar
from engine.store.calendar import to_calendar

DUE = date(2025, 9, 30)


@pytest.fixture(scope="module")
def calendar() -> WorkingCalendar:
    return to_calendar([(day, works) for day, works, _ in loader.calendar(loader.CALENDAR)])


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2025, 1, 27), False),  # Tết 2025
        (date(2025, 2, 3), True),
        (date(2025, 4, 26), True),  # make-up Saturday
        (date(2025, 5, 2), False),
        (date(2025, 9, 1), False),
        (date(2026, 1, 2), False),
        (date(2026, 1, 10), True),  # make-up Saturday
        (date(2026, 2, 16), False),
        (date(2026, 2, 20), False),
        (date(2026, 2, 23), True),
        (date(2026, 4, 27), False),
        (date(2026, 8, 22), True),  # make-up Saturday
        (date(2026, 8, 31), False),
        (date(2026, 9, 2), False),
        (date(2026, 11, 24), True),  # a setting: not confirmed as a holiday
    ],
)
def test_the_bundled_calendar_knows_holidays_and_make_up_saturdays(
    calendar: WorkingCalendar, day: date, works: bool
) -> None:
    assert calendar.is_working(day) is works


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        (date(2026, 1, 1), date(2026, 1, 4), 4),
        (date(2026, 2, 14), date(2026, 2, 22), 9),
        (date(2026, 4, 25), date(2026, 4, 27), 3),
        (date(2026, 4, 30), date(2026, 5, 3), 4),
        (date(2026, 8, 29), date(2026, 9, 2), 5),
    ],
)
def test_the_holidays_of_2026_have_the_length_that_was_announced(
    calendar: WorkingCalendar, first: date, last: date, days: int
) -> None:
    off = [d for d, works in calendar.days() if first <= d <= last and not works]

    assert len(off) == days
    assert calendar.is_working(calendar.next_working(last))


def test_working_days_are_counted_over_tet_both_ways(calendar: WorkingCalendar) -> None:
    assert calendar.add_working_days(date(2026, 2, 13), 1) == date(2026, 2, 23)
    assert calendar.add_working_days(date(2026, 2, 23), -1) == date(2026, 2, 13)
    assert calendar.next_working(date(2026, 2, 14)) == date(2026, 2, 23)


def test_a_day_nobody_loaded_is_refused(calendar: WorkingCalendar) -> None:
    with pytest.raises(OutsideCalendar, match="2028"):
        calendar.add_working_days(date(2027, 12, 31), 1)


def test_a_period_is_cut_off_on_the_14th_and_not_with_the_quarter(
    calendar: WorkingCalendar,
) -> None:
    (period,) = periods("quarterly", date(2025, 7, 1), date(2025, 7, 1), 4, calendar)

    assert period.name == "2025Q3"
    assert (period.data_from, period.data_to) == (date(2025, 6, 15), date(2025, 9, 14))
    assert period.due_on == date(2025, 9, 18)


def test_the_next_period_begins_on_the_15th(calendar: WorkingCalendar) -> None:
    names = [p.name for p in periods("quarterly", date(2025, 9, 1), date(2025, 9, 15), 4, calendar)]

    assert names == ["2025Q3", "2025Q4"]


def test_a_year_runs_from_15_december_to_14_december(calendar: WorkingCalendar) -> None:
    first, second = periods("yearly", date(2025, 3, 7), date(2025, 12, 15), 4, calendar)

    assert (first.name, first.data_from, first.data_to) == (
        "2025",
        date(2024, 12, 15),
        date(2025, 12, 14),
    )
    assert second.name == "2026"


def test_a_quarter_is_escalated_only_after_it_ended() -> None:
    assert quarter_end("2025Q3", date(2025, 10, 1)) == date(2025, 9, 30)
    assert quarter_before(date(2026, 1, 2)) == "2025Q4"
    for wrong in ("2025Q5", "Q3/2025", "2025Q4", ""):
        with pytest.raises(InvalidData):
            quarter_end(wrong, date(2025, 10, 1))


@pytest.mark.parametrize(
    ("today", "state", "days"),
    [
        (date(2025, 9, 1), TimeState.IN_TIME, 29),
        (date(2025, 9, 22), TimeState.IN_TIME, 8),
        (date(2025, 9, 23), TimeState.DUE_SOON, 7),
        (date(2025, 9, 29), TimeState.DUE_SOON, 1),
        (date(2025, 9, 30), TimeState.DUE_TODAY, 0),
        (date(2025, 10, 1), TimeState.OVERDUE, 1),
        (date(2026, 11, 23), TimeState.OVERDUE, 419),
    ],
)
def test_the_last_day_is_still_in_time_and_the_next_is_overdue(
    today: date, state: TimeState, days: int
) -> None:
    assert time_status(DUE, today) == TimeStatus(state, days)


def test_what_has_no_deadline_is_never_overdue() -> None:
    assert time_status(None, date(2099, 1, 1)) == TimeStatus(TimeState.NO_DEADLINE)


def test_a_report_handed_in_in_time_does_not_become_late_in_review() -> None:
    later = date(2025, 12, 1)

    assert time_status(DUE, later, reported_on=DUE).state is TimeState.IN_TIME
    assert time_status(DUE, later, reported_on=date(2025, 10, 1)).state is TimeState.OVERDUE


def test_what_is_finished_stands_as_on_that_day() -> None:
    later = date(2026, 11, 23)

    assert time_status(DUE, later, finished_on=DUE) == TimeStatus(TimeState.IN_TIME, 0)
    assert time_status(DUE, later, finished_on=date(2025, 10, 3)) == TimeStatus(
        TimeState.OVERDUE, 3
    )
