"""Typed due dates, reporting periods with their cut-off, and how a due date stands today."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from dateutil.relativedelta import relativedelta
from dateutil.rrule import YEARLY, rrule

from engine.calendar import WorkingCalendar
from engine.errors import InvalidData, Sentence


class DeadlineKind(StrEnum):
    """What kind of deadline a plan prints."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"
    RANGE = "range"
    ONGOING = "ongoing"  # thường xuyên
    YEARLY = "yearly"  # hằng năm
    PERIODIC = "periodic"  # định kỳ hằng quý, 6 tháng, tháng
    EVENT = "event"  # ngay khi …
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Deadline:
    """A deadline as read. `due_on` is the last day in time, where there is one.

    `recurrence` is "quarterly" or "yearly" for a deadline that comes again, else None.
    """

    kind: DeadlineKind
    starts_on: date | None = None
    due_on: date | None = None
    recurrence: str | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """A reporting period: `2026Q1` or `2026`, the data it covers and when the report is due."""

    name: str
    data_from: date
    data_to: date  # the cut-off: last day whose data belong to it
    due_on: date


# Cut-off on the 14th of the last month, data from the 15th of the month before the period
# (Nghị định 09/2019/NĐ-CP, as circulars made under it repeat).
_CUT_OFF_DAY = 14
_MONTHS = {"quarterly": (3, 6, 9, 12), "yearly": (12,)}
_LENGTH = {"quarterly": relativedelta(months=3), "yearly": relativedelta(years=1)}


def periods(
    recurrence: str, first: date, last: date, due_working_days: int, calendar: WorkingCalendar
) -> Iterator[Period]:
    """Yield the periods whose cut-off is on or after `first` and that began by `last`.

    Args:
        recurrence: "quarterly" or "yearly".
        first: Usually the day the task was assigned.
        last: Usually today.
        due_working_days: Working days between the cut-off and the due date.
        calendar: Raises OutsideCalendar where a due date lies beyond it.
    """
    length = _LENGTH[recurrence]
    cut_offs = rrule(
        YEARLY,
        bymonth=_MONTHS[recurrence],
        bymonthday=_CUT_OFF_DAY,
        dtstart=datetime.combine(first, datetime.min.time()),
        until=datetime.combine(last, datetime.min.time()) + length,
    )
    for moment in cut_offs:
        data_to = moment.date()
        data_from = data_to - length + timedelta(days=1)
        if data_from > last:
            return
        yield Period(
            name=_name(recurrence, data_to),
            data_from=data_from,
            data_to=data_to,
            due_on=calendar.add_working_days(data_to, due_working_days),
        )


def _name(recurrence: str, data_to: date) -> str:
    return str(data_to.year) if recurrence == "yearly" else f"{data_to.year}Q{data_to.month // 3}"


class TimeState(StrEnum):
    """How a due date stands: the axis of time, apart from the state of the work."""

    NO_DEADLINE = "no_deadline"
    IN_TIME = "in_time"
    DUE_SOON = "due_soon"
    DUE_TODAY = "due_today"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class TimeStatus:
    """A time state, with the calendar days left or, when overdue, the days too late."""

    state: TimeState
    days: int = 0


def time_status(
    due_on: date | None,
    today: date,
    *,
    reported_on: date | None = None,
    finished_on: date | None = None,
    due_soon_days: int = 7,
) -> TimeStatus:
    """Return how a due date stands on `today`.

    What is finished stands as it stood on that day. A report handed in by the due date and
    still in review is in time, however long the review takes: the lead has done its part.

    Args:
        due_on: The last day in time; None for what has no deadline of its own.
        today: The day that is asked about.
        reported_on: When the report now in review was handed in.
        finished_on: When the work was completed.
        due_soon_days: From how many calendar days before the date it is due soon.
    """
    if due_on is None:
        return TimeStatus(TimeState.NO_DEADLINE)
    handed_in = finished_on or reported_on
    if handed_in is not None and handed_in <= due_on:
        return TimeStatus(TimeState.IN_TIME, (due_on - handed_in).days)
    left = (due_on - (finished_on or today)).days
    if left < 0:
        return TimeStatus(TimeState.OVERDUE, -left)
    if left == 0:
        return TimeStatus(TimeState.DUE_TODAY)
    return TimeStatus(TimeState.DUE_SOON if left <= due_soon_days else TimeState.IN_TIME, left)


def quarter_end(name: str, today: date) -> date:
    """Return the last day of a calendar quarter written `2025Q3`.

    Raises:
        InvalidData: It is not written like that, or has not ended before `today`.
    """
    match = re.fullmatch(r"(20\d\d)Q([1-4])", name)
    if match is None:
        raise InvalidData(
            {
                "quarter": Sentence(
                    f"“{name}” không phải là quý; viết như 2025Q3",
                    f'"{name}" is no quarter; write it like 2025Q3',
                )
            }
        )
    last = end_of_month(int(match[1]), int(match[2]) * 3)
    if last >= today:
        raise InvalidData(
            {
                "quarter": Sentence(
                    f"quý {name} chưa kết thúc vào ngày {today:%d/%m/%Y}",
                    f"quarter {name} has not ended on {today}",
                )
            }
        )
    return last


def quarter_before(today: date) -> str:
    """Return the name of the calendar quarter that ended last before `today`."""
    day = today - relativedelta(months=3)
    return f"{day.year}Q{(day.month + 2) // 3}"


def end_of_month(year: int, month: int) -> date:
    """Return the last day of a month."""
    return date(year, month, 1) + relativedelta(months=1, days=-1)
