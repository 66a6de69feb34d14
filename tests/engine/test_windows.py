"""When a message may go out."""

from datetime import date, datetime, time, timedelta

import pytest

from engine.calendar import WorkingCalendar
from engine.channels import URGENT_WINDOW, section_of
from engine.clock import ZONE
from engine.windows import QuietHours, Window, next_opening

TET = frozenset(date(2026, 2, 14) + timedelta(days=n) for n in range(9))
YEAR = WorkingCalendar(
    date(2026, 1, 1), date(2026, 12, 31), off=TET, working=frozenset({date(2026, 8, 22)})
)
OFFICE = Window(time(7, 30), time(17, 0))


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("moment", "opening"),
    [
        ("2026-02-10T09:00", "2026-02-10T09:00"),
        ("2026-02-10T06:00", "2026-02-10T07:30"),
        ("2026-02-10T22:05", "2026-02-11T07:30"),
        ("2026-02-13T17:00", "2026-02-23T07:30"),  # Friday evening before Tết
        ("2026-08-21T18:00", "2026-08-22T07:30"),  # a make-up Saturday
        ("2026-08-22T18:00", "2026-08-24T07:30"),
        ("2027-01-02T08:00", "2027-01-04T07:30"),  # a year nobody loaded: Monday to Friday
    ],
)
def test_a_message_waits_for_the_next_hour_of_work(moment: str, opening: str) -> None:
    assert next_opening(OFFICE, local(moment), YEAR) == local(opening)


def test_what_is_urgent_waits_only_for_the_end_of_the_night() -> None:
    assert next_opening(URGENT_WINDOW, local("2026-02-14T10:00"), YEAR) == local("2026-02-14T10:00")
    assert next_opening(URGENT_WINDOW, local("2026-02-14T22:05"), YEAR) == local("2026-02-15T06:00")


@pytest.mark.parametrize(
    ("quiet", "moment", "opening"),
    [
        (QuietHours(time(11), time(14)), "2026-02-10T12:00", "2026-02-10T14:00"),
        (QuietHours(time(16), time(9)), "2026-02-10T16:30", "2026-02-11T09:00"),
        (QuietHours(time(16), time(9)), "2026-02-10T08:00", "2026-02-10T09:00"),
        (QuietHours(time(7), time(18)), "2026-02-10T08:00", "2026-02-10T08:00"),  # would be never
    ],
)
def test_quiet_hours_delay_and_never_silence(quiet: QuietHours, moment: str, opening: str) -> None:
    assert next_opening(OFFICE, local(moment), YEAR, quiet) == local(opening)


def test_items_belong_to_the_section_their_reason_says() -> None:
    assert [
        section_of("overdue", 2),
        section_of("due_in_5", 0),
        section_of("quarter", 3),
        section_of("review_waiting", 0),
        section_of("assigned-task.return_report", None),
        section_of("assigned-task.settled", None),
        section_of("assigned-task.urge", None, urgent=True),
    ] == ["overdue", "due", "quarter", "waiting", "news", "settled", "urgent"]
