"""What a process keeps in memory: published definitions for ever, the calendar by its number."""

from datetime import date

from sqlalchemy import Connection

from engine.calendar import WorkingCalendar
from engine.definition import Definition, DefinitionRef, from_body
from engine.errors import DefinitionChanged, NotFound, OutsideCalendar, Sentence
from engine.store import calendar as calendar_rows
from engine.store import definitions as definition_rows


class Reference:
    """Definitions and calendar of one database, read on demand.

    A published definition never changes, so a copy is never stale; its hash is checked when it
    is read. The calendar may be loaded again by another process: whoever asks names the number
    read in its own transaction.
    """

    def __init__(self) -> None:
        self._definitions: dict[DefinitionRef, Definition] = {}
        self._calendar: tuple[int, WorkingCalendar] | None = None

    def definition(self, connection: Connection, ref: DefinitionRef) -> Definition:
        """Return a published definition.

        Raises:
            NotFound: It was never published.
            DefinitionChanged: Its row no longer has the hash it was published with.
        """
        known = self._definitions.get(ref)
        if known is not None:
            return known
        row = definition_rows.read(connection, ref.name, ref.version)
        if row is None:
            raise NotFound(Sentence("quy trình", "definition"), ref)
        body, published = row
        if definition_rows.digest(body) != published:
            raise DefinitionChanged(ref.name, ref.version)
        self._definitions[ref] = definition = from_body(body, ref.version)
        return definition

    def latest(self, connection: Connection, name: str) -> Definition:
        """Return the newest version of a definition."""
        version = definition_rows.latest(connection, name)
        if version is None:
            raise NotFound(Sentence("quy trình đã công bố", "published definition"), name)
        return self.definition(connection, DefinitionRef(name, version))

    def calendar(self, connection: Connection, version: int | None = None) -> WorkingCalendar:
        """Return the working calendar; `version` is its number as read in this transaction."""
        if version is None:
            version = calendar_rows.version(connection)
        if self._calendar is None or self._calendar[0] != version:
            days = calendar_rows.days(connection)
            if not days:
                raise OutsideCalendar(date.min)
            self._calendar = (version, calendar_rows.to_calendar(days))
        return self._calendar[1]
