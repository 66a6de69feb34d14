"""Working days, holidays, make-up Saturdays: the calendar as a value."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from engine.errors import OutsideCalendar

_SATURDAY = 5
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class WorkingCalendar:
    """The days from `first` to `last`, both known.

    Offices work Monday to Friday, but on no day of `off` (holidays), and on the days of
    `working` (make-up Saturdays). Every method raises OutsideCalendar for a day nobody loaded:
    whether it will be a holiday is not known.
    """

    first: date
    last: date
    off: frozenset[date] = field(default_factory=frozenset)
    working: frozenset[date] = field(default_factory=frozenset)

    def is_working(self, day: date) -> bool:
        """Tell whether offices are open on `day`."""
        if not self.first <= day <= self.last:
            raise OutsideCalendar(day)
        return day in self.working or (day.weekday() < _SATURDAY and day not in self.off)

    def next_working(self, day: date) -> date:
        """Return `day`, or the first working day after it.

        A time limit that ends on a rest day runs to the next working day.
        """
        while not self.is_working(day):
            day += _DAY
        return day

    def add_working_days(self, day: date, number: int) -> date:
        """Return the day `number` working days after `day` (before it, when negative)."""
        step = _DAY if number >= 0 else -_DAY
        for _ in range(abs(number)):
            day += step
            while not self.is_working(day):
                day += step
        return day

    def days(self) -> Iterator[tuple[date, bool]]:
        """Yield every day with whether it is a working day."""
        day = self.first
        while day <= self.last:
            yield day, self.is_working(day)
            day += _DAY
