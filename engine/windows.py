"""When a message may go out: hours of the day, working days, a person's quiet hours."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from engine.calendar import WorkingCalendar
from engine.clock import ZONE
from engine.errors import OutsideCalendar

_LONGEST_DAYS = 60  # longer than any run of rest days
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Window:
    """From `opens` until before `closes`, both times in `ZONE`."""

    opens: time
    closes: time
    working_days_only: bool = True


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When a person wants nothing; over midnight where it ends before it begins."""

    begins: time
    ends: time

    def cover(self, moment: time) -> bool:
        """Tell whether `moment` of the day is quiet."""
        if self.begins < self.ends:
            return self.begins <= moment < self.ends
        return moment >= self.begins or moment < self.ends


def next_opening(
    window: Window, moment: datetime, calendar: WorkingCalendar, quiet: QuietHours | None = None
) -> datetime:
    """Return `moment`, or the first one after it at which the window is open, in UTC.

    Quiet hours that would leave nothing of the window are passed over: a reminder may come at a
    bad time, it may not come never.
    """
    local = moment.astimezone(ZONE)
    for _ in range(_LONGEST_DAYS):
        if not _is_open_day(window, local.date(), calendar) or local.time() >= window.closes:
            local = datetime.combine(local.date() + timedelta(days=1), window.opens, ZONE)
            continue
        if local.time() < window.opens:
            local = datetime.combine(local.date(), window.opens, ZONE)
        if quiet is not None and quiet.cover(local.time()):
            after = quiet.ends
            passed_midnight = after <= local.time()
            day = local.date() + timedelta(days=1) if passed_midnight else local.date()
            local = datetime.combine(day, after, ZONE)
            continue
        return moment if local <= moment else local.astimezone(moment.tzinfo)
    return next_opening(window, moment, calendar)


def _is_open_day(window: Window, day: date, calendar: WorkingCalendar) -> bool:
    if not window.working_days_only:
        return True
    try:
        return calendar.is_working(day)
    except OutsideCalendar:  # nobody loaded that year yet: held for ever would be worse
        return day.weekday() < _SATURDAY
