"""The working calendar: load it, and look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.store import calendar
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
        """Insert or replace (day, is working, note); return how many days changed."""
        with translate_database_errors(), self._engine.database.begin() as connection:
            return calendar.load(connection, days)

    def read(self) -> WorkingCalendar:
        """Return the working calendar.

        Raises:
            OutsideCalendar: None was loaded.
        """
        with translate_database_errors(), self._engine.database.connect() as connection:
            return self._engine.reference.calendar(connection)
