"""The engine: one method per use case, one transaction per method.

`fire` is the only way an assignment changes its state. The other nouns hang off it:
`engine.plans`, `engine.people`, `engine.sweeps`, …
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import Engine as Database

from engine.calendar import WorkingCalendar
from engine.clock import Clock, FixedClock, SystemClock, local_day
from engine.decide import Availability, available, decide, opened
from engine.definition import Definition
from engine.errors import (
    AssignmentNotFound,
    EngineError,
    InvalidData,
    KeyReused,
    NotAllowed,
    Sentence,
    StaleVersion,
)
from engine.model import SYSTEM, Actor, Assignment, Decision
from engine.sealing import KeyRing, SealProblem
from engine.service.agencies import Agencies
from engine.service.calendars import Calendars
from engine.service.changes import Changes
from engine.service.contacts import Contacts
from engine.service.credentials import Credentials
from engine.service.definitions import Definitions
from engine.service.deliveries import Deliveries
from engine.service.gateways import Gateways
from engine.service.history import History
from engine.service.imports import Imports
from engine.service.inbox import Inbox
from engine.service.lists import Lists
from engine.service.messages import Messages
from engine.service.people import People
from engine.service.periods import Periods
from engine.service.plans import Plans
from engine.service.reference import Reference
from engine.service.reorganisation import Reorganisations
from engine.service.requests import BulkResult, Fired, Request
from engine.service.sweep import Sweeps
from engine.store import assignments, events, migrations, people
from engine.store.database import translate_database_errors
from engine.store.prepared import Answer, pipelined

KEY_LIMIT = 200
"""Longest idempotency key, in characters."""


class Engine:
    """Every use case of dondoc on one database.

    Args:
        database: Where everything is remembered.
        clock: Tells the moment, once per use case.
        reference: Definitions and calendar kept in memory; shared by engines of one database.
        keyring: The keys that seal addresses and tokens; not needed by what reads neither.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock | None = None,
        reference: Reference | None = None,
        keyring: KeyRing | None = None,
    ) -> None:
        self.database = database
        self.clock = clock or SystemClock()
        self.reference = reference or Reference()
        self._keyring = keyring
        self.agencies = Agencies(self)
        self.calendars = Calendars(self)
        self.changes = Changes(self)
        self.contacts = Contacts(self)
        self.credentials = Credentials(self)
        self.definitions = Definitions(self)
        self.deliveries = Deliveries(self)
        self.gateways = Gateways(self)
        self.history = History(self)
        self.imports = Imports(self)
        self.inbox = Inbox(self)
        self.lists = Lists(self)
        self.messages = Messages(self)
        self.people = People(self)
        self.periods = Periods(self)
        self.plans = Plans(self)
        self.reorganisation = Reorganisations(self)
        self.sweeps = Sweeps(self)

    def at(self, moment: datetime) -> "Engine":
        """Return this engine with a clock that stands at `moment` (`--as-of`)."""
        return Engine(self.database, FixedClock(moment), self.reference, self._keyring)

    @property
    def keyring(self) -> KeyRing:
        """Return the keys that seal addresses and tokens.

        Raises:
            SealProblem: This engine was opened without any.
        """
        if self._keyring is None:
            raise SealProblem(
                Sentence(
                    "Chưa có khóa niêm phong địa chỉ. Đặt DONDOC_SEAL_KEYS hoặc DONDOC_DATA_DIR.",
                    "No keys to seal addresses with. Set DONDOC_SEAL_KEYS or DONDOC_DATA_DIR.",
                )
            )
        return self._keyring

    def check_ready(self) -> None:
        """Raise unless database, schema and definitions are as this version needs them.

        Raises:
            DatabaseProblem: The database does not answer, or has another schema.
            DefinitionChanged: A published definition was altered.
        """
        migrations.require_current(migrations.check(self.database))
        self.definitions.check()

    def fire(  # noqa: PLR0913  what a request may carry, by name
        self,
        assignment_id: int,
        transition: str,
        person_id: int,
        *,
        data: Mapping[str, Any] | None = None,
        seen: int | None = None,
        key: str | None = None,
        acting_for: int | None = None,
    ) -> Fired:
        """Take a transition and return where the assignment stands.

        Args:
            assignment_id: Which assignment.
            transition: Its name in the assignment's definition.
            person_id: Who asks; rights are read in the transaction.
            data: What was entered, by field.
            seen: The version the person decided on; None skips that comparison.
            key: Idempotency key of the person; a repeat returns the first answer.
            acting_for: The delegator to act for, when one is meant.

        Raises:
            AssignmentNotFound, UnknownTransition, NotAllowed, StaleVersion, WrongState,
            InvalidData, TransitionRefused, KeyReused: nothing was changed.
        """
        now = self.clock.now()
        remembered = None
        if key is not None:
            _check_key(key)
            remembered = assignments.Remembered(
                key, _request_hash(assignment_id, transition, data, acting_for)
            )
        with translate_database_errors(), self.database.connect() as connection:
            transaction = connection.begin()
            with pipelined(connection):
                locked = assignments.send_lock(connection, assignment_id)
                asked = people.send_asking(connection, person_id, now, local_day(now), key)
            before = assignments.read_lock(locked)
            asking = people.read_asking(asked, person_id, acting_for)
            if before is None:
                raise AssignmentNotFound(assignment_id)
            first = asking.first_answer
            if first is not None and remembered is not None:
                if first.request_hash != remembered.request_hash:
                    raise KeyReused(remembered.key)
                return _answer_of_event(connection, first.assignment_id, first.seq)
            calendar = self.reference.calendar(connection, asking.calendar_version)
            decision = self._decide(
                connection, before, transition, asking.actor, now, calendar, data=data, seen=seen
            )
            if decision.opens is None and decision.raises is None:
                # Nothing follows: the commit travels with the write. A row that is not as it
                # was decided on leaves the write, and so the commit, empty.
                with pipelined(connection):
                    answer = assignments.send_apply(connection, [(before, decision)], remembered)
                    transaction.commit()
                _check_written(answer, [(before, decision)])
            else:
                self._write(connection, [(before, decision)], remembered)
                self._follow(connection, decision, asking.actor or SYSTEM, now, calendar)
                transaction.commit()
        return _answer(decision)

    def fire_many(
        self,
        requests: Sequence[Request],
        transition: str,
        person_id: int,
        *,
        acting_for: int | None = None,
    ) -> list[BulkResult]:
        """Take one transition on many assignments in one transaction.

        Every row is decided by itself, with its own event and hash; those refused stay as they
        are and say why, the others are written together.
        """
        with translate_database_errors(), self.database.begin() as connection:
            return self.fire_within(
                connection, requests, transition, person_id, self.clock.now(), acting_for=acting_for
            )

    def fire_within(  # noqa: PLR0913  what a bulk may carry, by name
        self,
        connection: Connection,
        requests: Sequence[Request],
        transition: str,
        person_id: int,
        now: datetime,
        *,
        acting_for: int | None = None,
    ) -> list[BulkResult]:
        """Do what `fire_many` does as a part of the caller's transaction."""
        refusals: dict[int, EngineError] = {}
        decided: list[tuple[Assignment, Decision]] = []
        rows = {
            row.id: row
            for row in assignments.lock_many(connection, [r.assignment_id for r in requests])
        }
        asking = people.asking(connection, person_id, now, local_day(now), acting_for=acting_for)
        calendar = self.reference.calendar(connection, asking.calendar_version)
        for request in requests:
            before = rows.pop(request.assignment_id, None)
            try:
                if before is None:
                    raise AssignmentNotFound(request.assignment_id)
                decision = self._decide(
                    connection,
                    before,
                    transition,
                    asking.actor,
                    now,
                    calendar,
                    data=request.data,
                    seen=request.seen,
                )
            except EngineError as refusal:
                refusals[request.assignment_id] = refusal
                continue
            decided.append((before, decision))
        self._write(connection, decided, None)
        for _, decision in decided:
            self._follow(connection, decision, asking.actor or SYSTEM, now, calendar)
        fired = {decision.assignment.id: _answer(decision) for _, decision in decided}
        return [
            BulkResult(r.assignment_id, fired.get(r.assignment_id), refusals.get(r.assignment_id))
            for r in requests
        ]

    def available(
        self, assignment_id: int, person_id: int, *, acting_for: int | None = None
    ) -> tuple[Assignment, Definition, list[Availability]]:
        """Return the assignment, its definition, and each transition with why not (or None)."""
        now = self.clock.now()
        with translate_database_errors(), self.database.connect() as connection:
            assignment = assignments.read(connection, assignment_id)
            if assignment is None:
                raise AssignmentNotFound(assignment_id)
            asking = people.asking(
                connection, person_id, now, local_day(now), acting_for=acting_for
            )
            calendar = self.reference.calendar(connection, asking.calendar_version)
            definition = self.reference.definition(connection, assignment.definition)
        if asking.actor is None:
            raise _nobody()
        return (
            assignment,
            definition,
            available(definition, assignment, asking.actor, now, calendar),
        )

    def _decide(  # noqa: PLR0913, PLR0917  the input of `decide` and where to read it from
        self,
        connection: Connection,
        before: Assignment,
        transition: str,
        actor: Actor | None,
        now: datetime,
        calendar: WorkingCalendar,
        *,
        data: Mapping[str, Any] | None = None,
        seen: int | None = None,
    ) -> Decision:
        if actor is None:
            raise _nobody()
        definition = self.reference.definition(connection, before.definition)
        try:
            return decide(
                definition, before, transition, actor, now, calendar, data=data, seen=seen
            )
        except StaleVersion as stale:
            changes = [
                {"transition": e.transition, "at": e.at.isoformat(), "state": e.to_state}
                for e in events.since(connection, before.id, stale.seen)
            ]
            raise StaleVersion(stale.seen, stale.version, stale.state, changes) from None

    def _write(
        self,
        connection: Connection,
        decided: Sequence[tuple[Assignment, Decision]],
        remembered: assignments.Remembered | None,
    ) -> None:
        if decided:
            _check_written(assignments.send_apply(connection, decided, remembered), decided)

    def _follow(
        self,
        connection: Connection,
        decision: Decision,
        actor: Actor,
        now: datetime,
        calendar: WorkingCalendar,
    ) -> None:
        """Do what a transition brings with it: open a child, or move the parent."""
        after = decision.assignment
        if decision.opens is not None:
            child = opened(
                self.reference.latest(connection, decision.opens),
                assignment_id=assignments.next_ids(connection, 1)[0],
                task_id=after.task_id,
                agency=after.agency,
                period=after.period,
                parent_id=after.id,
                now=now,
                calendar=calendar,
                due_on=None,
                actor=actor,
                facts={
                    **decision.event.data,
                    "current_due_on": None if after.due_on is None else after.due_on.isoformat(),
                    "extensions": after.extensions,
                },
            )
            assignments.insert_opened(connection, [child])
        if decision.raises is not None and after.parent_id is not None:
            parent = assignments.lock(connection, after.parent_id)
            if parent is None:
                raise AssignmentNotFound(after.parent_id)
            definition = self.reference.definition(connection, parent.definition)
            wanted = definition.transitions[decision.raises].fields
            data = {f.name: after.facts[f.name] for f in wanted if f.name in after.facts}
            moved = self._decide(
                connection, parent, decision.raises, SYSTEM, now, calendar, data=data
            )
            self._write(connection, [(parent, moved)], None)


def _check_written(answer: Answer, decided: Sequence[tuple[Assignment, Decision]]) -> None:
    written = assignments.read_apply(answer)
    for before, _ in decided:
        if before.id not in written:
            raise StaleVersion(before.version, before.version + 1, before.state)


def _nobody() -> NotAllowed:
    return NotAllowed(
        [
            Sentence(
                "Tài khoản không tồn tại hoặc đã khóa; liên hệ quản trị viên",
                "the account does not exist or is locked; ask an administrator",
            )
        ]
    )


def _answer(decision: Decision) -> Fired:
    event = decision.event
    return Fired(event.assignment_id, event.seq, event.to_state, event.transition, event.at)


def _answer_of_event(connection: Connection, assignment_id: int, seq: int) -> Fired:
    event = events.one(connection, assignment_id, seq)
    if event is None:
        raise AssignmentNotFound(assignment_id)
    return Fired(assignment_id, seq, event.to_state, event.transition, event.at)


def _check_key(key: str) -> None:
    if not (key.isprintable() and 0 < len(key) <= KEY_LIMIT):
        problem = Sentence(
            f"khóa phải gồm 1–{KEY_LIMIT} ký tự in được",
            f"a key has 1 to {KEY_LIMIT} printable characters",
        )
        raise InvalidData({"Idempotency-Key": problem})


def _request_hash(
    assignment_id: int, transition: str, data: Mapping[str, Any] | None, acting_for: int | None
) -> bytes:
    request = json.dumps([assignment_id, transition, data or {}, acting_for], sort_keys=True)
    return hashlib.sha256(request.encode()).digest()


__all__ = ["BulkResult", "Engine", "Fired", "Request"]
