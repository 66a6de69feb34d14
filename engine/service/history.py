"""Integrity of history: verify every event and row, daily roots, export."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from engine.chain import GENESIS, day_root, digest
from engine.clock import local_day
from engine.decide import MIGRATION, OPENING, defined_by, evolve
from engine.store import assignments, events
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sqlalchemy import Connection

    from engine.model import Assignment, Event
    from engine.service.engine import Engine

_REBUILT = (
    "task_id",
    "agency",
    "definition",
    "period",
    "parent_id",
    "state",
    "phase",
    "version",
    "round",
    "head",
    "due_on",
    "original_due_on",
    "authors",
    "reported_on",
    "completed_on",
    "previous_state",
    "paused_until",
    "extension_open",
    "extensions",
    "facts",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """The first row that differs: what and where, in words an operator can act on."""

    what: str
    assignment_id: int | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class Verification:
    """How much was checked, and the first fault (None: history is whole)."""

    events: int
    assignments: int
    roots: int
    fault: Fault | None


class _Broken(Exception):
    def __init__(self, what: str, assignment_id: int | None, seq: int | None = None) -> None:
        super().__init__(what)
        self.fault = Fault(what, assignment_id, seq)


class History:
    """Use cases of history."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def verify(self, progress: Callable[[int], None] | None = None) -> Verification:
        """Replay every event, rebuild every assignment, check every hash and every root.

        One snapshot of the database; memory does not grow with history.
        """
        checked = chains = roots = 0
        with translate_database_errors(), self._engine.database.connect() as connection:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
            try:
                with (
                    connection.begin(),
                    closing(events.stream(connection)) as stream,
                    closing(assignments.stream(connection)) as found,
                ):
                    rows = _Rows(found)
                    for assignment_id, chain in groupby(stream, key=lambda e: e.assignment_id):
                        checked += self._chain(connection, rows, assignment_id, chain)
                        chains += 1
                        if progress is not None:
                            progress(checked)
                    rows.expect_end()
                    roots = self._roots(connection)
            except _Broken as broken:
                return Verification(checked, chains, roots, broken.fault)
        return Verification(checked, chains, roots, None)

    def make_roots(self) -> int:
        """Store the root of every finished local day that has events and none yet."""
        now = self._engine.clock.now()
        made = 0
        with translate_database_errors(), self._engine.database.begin() as connection:
            last = events.last_root(connection)
            after, previous = last if last is not None else (None, GENESIS)
            for day in events.days_with_events(connection, after, local_day(now)):
                number, heads = events.heads_of_day(connection, day)
                previous = day_root(previous, heads)
                events.add_root(connection, day, number, previous, now)
                made += 1
        return made

    def export(self) -> Iterator[Mapping[str, Any]]:
        """Yield every event and then every root as JSON-ready objects."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            with closing(events.stream(connection)) as stream:
                yield from map(event_json, stream)
            for day, number, root in events.roots(connection):
                yield {"day": day.isoformat(), "events": number, "root": root.hex()}

    def _chain(
        self, connection: Connection, rows: _Rows, assignment_id: int, chain: Iterable[Event]
    ) -> int:
        rebuilt: Assignment | None = None
        previous = GENESIS
        number = 0
        for number, event in enumerate(chain, start=1):
            if event.seq != number:
                what = f"event {number} of assignment {assignment_id} is missing"
                raise _Broken(what, assignment_id, number)
            if event.previous_hash != previous:
                what = f"event {number} of assignment {assignment_id} does not follow its chain"
                raise _Broken(what, assignment_id, number)
            if digest(event) != event.hash:
                what = f"event {number} of assignment {assignment_id} was altered"
                raise _Broken(what, assignment_id, number)
            rebuilt = self._step(connection, rebuilt, event)
            previous = event.hash
        row = rows.take(assignment_id)
        for column in _REBUILT:
            if getattr(row, column) != getattr(rebuilt, column):
                what = (
                    f"assignment {assignment_id} differs from its events in {column}: "
                    f"row {getattr(row, column)!r}, events {getattr(rebuilt, column)!r}"
                )
                raise _Broken(what, assignment_id, number)
        return number

    def _step(self, connection: Connection, before: Assignment | None, event: Event) -> Assignment:
        """Replay one event, checking that the definition allows its edge."""
        where = f"event {event.seq} of assignment {event.assignment_id}"
        moved_to = defined_by(event)
        if (before is None) != (event.transition == OPENING) or (
            (moved_to is None) != (event.transition not in {OPENING, MIGRATION})
        ):
            raise _Broken(f"{where} does not open it", event.assignment_id, event.seq)
        if moved_to is not None:
            definition = self._engine.reference.definition(connection, moved_to)
            if event.to_state not in definition.states:
                raise _Broken(f"{where} has no state of {moved_to}", event.assignment_id, event.seq)
            return evolve(before, event, definition)
        assert before is not None  # noqa: S101  only the opening event has nothing before it
        definition = self._engine.reference.definition(connection, before.definition)
        transition = definition.transitions.get(event.transition)
        if (
            transition is None
            or event.from_state != before.state
            or before.state not in transition.sources
        ):
            what = f"{where} is no transition of {before.definition}"
            raise _Broken(what, event.assignment_id, event.seq)
        return evolve(before, event, definition)

    def _roots(self, connection: Connection) -> int:
        previous = GENESIS
        stored = events.roots(connection)
        for day, number, root in stored:
            found, heads = events.heads_of_day(connection, day)
            previous = day_root(previous, heads)
            if found != number or previous != root:
                raise _Broken(f"the root of {day} does not fit the events of that day", None)
        if stored:
            days = events.days_with_events(connection, None, stored[-1][0])
            without = set(days) - {day for day, _, _ in stored}
            if without:
                raise _Broken(f"events of {min(without)} were added after its root", None)
        return len(stored)


class _Rows:
    """The assignments in the order of their ids, read beside the events."""

    def __init__(self, rows: Iterator[Assignment]) -> None:
        self._rows = rows
        self._next = next(self._rows, None)

    def take(self, assignment_id: int) -> Assignment:
        row = self._next
        if row is not None and row.id < assignment_id:
            raise _Broken(f"assignment {row.id} has no events", row.id)
        if row is None or row.id != assignment_id:
            raise _Broken(f"assignment {assignment_id} has events but no row", assignment_id)
        self._next = next(self._rows, None)
        return row

    def expect_end(self) -> None:
        if self._next is not None:
            raise _Broken(f"assignment {self._next.id} has no events", self._next.id)


def event_json(event: Event) -> dict[str, Any]:
    """Return an event as a JSON-ready object; hashes in hex, the moment as ISO 8601 in UTC."""
    return {
        "assignment_id": event.assignment_id,
        "seq": event.seq,
        "at": event.at.isoformat(),
        "transition": event.transition,
        "from_state": event.from_state,
        "to_state": event.to_state,
        "actor_id": event.actor_id,
        "acting_for_id": event.acting_for_id,
        "agency": event.agency,
        "role": event.role,
        "data": event.data,
        "changes": event.changes,
        "previous_hash": event.previous_hash.hex(),
        "hash": event.hash.hex(),
    }
