"""What people look at: lists of tasks and assignments, the review queue, the four boxes."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from engine.clock import local_day
from engine.errors import AssignmentNotFound, InvalidData, Sentence
from engine.store import assignments, events, people
from engine.store.database import translate_database_errors
from engine.store.queries import work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from engine.model import Assignment, Authority, Event
    from engine.service.engine import Engine

PAGE_LIMIT = 200
"""Most rows of one page."""


class Lists:
    """Use cases of reading. Everything may be read by every person who signed in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tasks(self, **filters: Any) -> list[Mapping[str, Any]]:
        """Return tasks with their assignments counted; see `work.tasks` for the filters.

        Raises:
            InvalidData: `status` is no box.
        """
        _check_status(filters.get("status"), (*work.BOXES, "unassigned"))
        with translate_database_errors(), self._engine.database.connect() as connection:
            return work.tasks(connection, self._today(), filters)

    def assignments(
        self, after: tuple[date, int] | None = None, limit: int = 50, **filters: Any
    ) -> list[Mapping[str, Any]]:
        """Return a page of assignments, the most urgent first; see `work.assignments`.

        Raises:
            InvalidData: `status` is no box.
        """
        asked = {name: value for name, value in filters.items() if value is not None}
        _check_status(asked.get("status"), tuple(work.BOXES))
        with translate_database_errors(), self._engine.database.connect() as connection:
            return work.assignments(connection, self._today(), asked, after, min(limit, PAGE_LIMIT))

    def own_work(
        self, person_id: int, after: tuple[date, int] | None = None, limit: int = 50
    ) -> list[Mapping[str, Any]]:
        """Return the open assignments of the agencies a person works for, most urgent first."""
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.connect() as connection:
            agencies = _where(self._authorities(connection, person_id, now), {"officer", "head"})
            return work.assignments(
                connection,
                local_day(now),
                {**_of(agencies), "phase": "open"},
                after,
                min(limit, PAGE_LIMIT),
            )

    def reviews(
        self, person_id: int, after: tuple[date, int] | None = None, limit: int = 50
    ) -> list[Mapping[str, Any]]:
        """Return what waits for a person's decision as a coordinator or leader, longest first."""
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.connect() as connection:
            held = self._authorities(connection, person_id, now)
            return work.reviews(
                connection,
                local_day(now),
                _where(held, {"coordinator"}),
                _where(held, {"vice_chair", "chair"}),
                after or (date.min, 0),
                min(limit, PAGE_LIMIT),
            )

    def statistics(
        self, by: str, plan: str | None = None, dates: str = "granted"
    ) -> list[Mapping[str, Any]]:
        """Return the four boxes by "plan", "section" or "agency".

        `dates` "granted" counts by the due date with its extensions, "original" by the first one.
        """
        with translate_database_errors(), self._engine.database.connect() as connection:
            return work.statistics(connection, self._today(), by, plan, dates)

    def assignment(self, assignment_id: int) -> tuple[Assignment, list[Mapping[str, Any]]]:
        """Return an assignment and its timeline.

        Raises:
            AssignmentNotFound: There is none of this id.
        """
        with translate_database_errors(), self._engine.database.connect() as connection:
            found = assignments.read(connection, assignment_id)
            if found is None:
                raise AssignmentNotFound(assignment_id)
            return found, events.timeline(connection, assignment_id)

    def events(
        self, after: tuple[datetime, int, int] | None = None, limit: int = 50
    ) -> list[Event]:
        """Return events after (at, assignment, seq), oldest first."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return events.page(connection, after, min(limit, PAGE_LIMIT))

    @staticmethod
    def _authorities(connection: Connection, person_id: int, now: datetime) -> Sequence[Authority]:
        actor = people.asking(connection, person_id, now, local_day(now)).actor
        return () if actor is None else actor.authorities

    def _today(self) -> date:
        return local_day(self._engine.clock.now())


def _where(held: Sequence[Authority], roles: set[str]) -> list[str]:
    """Return the agencies at which one of these roles is held."""
    return sorted({a.agency for a in held if a.role in roles})


def _check_status(status: str | None, known: tuple[str, ...]) -> None:
    if status is not None and status not in known:
        problem = Sentence(
            f"không có “{status}”; các giá trị: {', '.join(known)}",
            f'there is no "{status}"; values: {", ".join(known)}',
        )
        raise InvalidData({"status": problem})


def _of(agencies: list[str]) -> dict[str, Any]:
    """Return the filter for a person's agencies: almost always one, and one has an index."""
    return {"agency": agencies[0]} if len(agencies) == 1 else {"agencies": agencies}
