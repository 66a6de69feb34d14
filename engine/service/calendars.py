"""The working calendar: load it, and look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.clock import local_day
from engine.store import assignments, calendar
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from engine.calendar import WorkingCalendar
    from engine.service.engine import Engine


class Calendars:
    """Use cases of the calendar."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self, days: Iterable[tuple[date, bool, str | None]]) -> int:
        """Insert or replace (day, is working, note); return how many days changed.

        Rungs that count working days may lie on other days then: the next sweep looks at every
        assignment again.
        """
        engine = self._engine
        with translate_database_errors(), engine.database.begin() as connection:
            changed = calendar.load(connection, days)
            if changed:
                assignments.look_again(connection, local_day(engine.clock.now()))
            return changed

    def read(self) -> WorkingCalendar:
        """Return the working calendar.

        Raises:
            OutsideCalendar: None was loaded.
        """
        with translate_database_errors(), self._engine.database.connect() as connection:
            return self._engine.reference.calendar(connection)
