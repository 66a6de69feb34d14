"""The one place that reads the clock; everything else is given the moment as a value."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Protocol
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
"""The zone in which days begin and end for every rule of the domain."""


class Clock(Protocol):
    """Tells the moment a use case happens."""

    def now(self) -> datetime:
        """Return the present moment, aware and in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's present moment in UTC."""
        return datetime.now(UTC)


@dataclass
class FixedClock:
    """A clock that stands where it was set: tests, the demo and `--as-of` move it by hand."""

    moment: datetime

    def now(self) -> datetime:
        """Return the moment this clock was set to, in UTC."""
        return self.moment.astimezone(UTC)


def local_day(moment: datetime) -> date:
    """Return the calendar day of an aware moment in `ZONE`."""
    return moment.astimezone(ZONE).date()


def at(day: date, hour: int = 8, minute: int = 0) -> datetime:
    """Return the moment `hour:minute` of `day` in `ZONE`, in UTC."""
    # Built in the local zone, so that a change of its offset could not shift the day.
    return datetime.combine(day, time(hour, minute), ZONE).astimezone(UTC)
