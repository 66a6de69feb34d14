"""The values of the domain, frozen: what is read from the database and what rules return."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from engine.definition import DefinitionRef, Phase

GENESIS = b"\x00" * 32
"""The previous hash of the first event of a chain."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The workflow instance: one lead agency's duty for one task (and one period).

    `version` is the number of its events, `head` the hash of the last one. `authors` are the
    persons whose authority was in play in this round. An extension request is an assignment of
    its own whose `parent_id` is the assignment it asks for.
    """

    id: int
    task_id: int
    agency: str
    definition: DefinitionRef
    state: str
    phase: Phase
    version: int
    round: int
    head: bytes
    due_on: date | None
    original_due_on: date | None
    period: str | None = None
    parent_id: int | None = None
    authors: frozenset[int] = frozenset()
    reported_on: date | None = None
    completed_on: date | None = None
    previous_state: str | None = None
    paused_until: date | None = None
    extension_open: bool = False
    extensions: int = 0
    next_check_on: date | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    monitor: str = ""  # agencies of the plan, read with the row
    oversight: str = ""
    issuer: str = ""

    @property
    def reviewer(self) -> str:
        """Return the agency that reviews: one level up where the monitoring agency leads."""
        return self.oversight if self.agency == self.monitor else self.monitor

    @property
    def clock_on(self) -> date | None:
        """Return the date the ladder counts from in the present phase."""
        match self.phase:
            case Phase.OPEN:
                return self.due_on
            case Phase.REVIEW:
                return self.reported_on
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Authority:
    """A role at an agency that holds now, one's own or a delegator's."""

    role: str
    agency: str
    acting_for: int | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, with everything that gives or takes a right, read in the same transaction.

    `stands_for` are the persons the actor substitutes for now. `units` are the agencies the
    actor, or a person substituted for, belongs to.
    """

    person_id: int | None  # None: the system
    authorities: tuple[Authority, ...] = ()
    stands_for: frozenset[int] = frozenset()
    acting_for: int | None = None  # asked for explicitly

    @property
    def is_system(self) -> bool:
        """Tell whether the engine itself asks."""
        return self.person_id is None

    @property
    def own(self) -> frozenset[int]:
        """Return the actor alone, nobody for the system."""
        return frozenset() if self.person_id is None else frozenset({self.person_id})

    @property
    def identities(self) -> frozenset[int]:
        """Return the actor and everybody the actor substitutes for."""
        return self.own | self.stands_for

    @property
    def units(self) -> frozenset[str]:
        """Return every agency in whose name the actor could speak."""
        return frozenset(a.agency for a in self.authorities)


SYSTEM = Actor(None)


@dataclass(frozen=True, slots=True)
class Event:
    """A fact about an assignment; written once, past tense, chained by hash.

    `changes` holds each changed column as `[old, new]`, dates as ISO text; `data` what the actor
    entered. `at` is aware and in UTC.
    """

    assignment_id: int
    seq: int
    at: datetime
    transition: str
    from_state: str | None
    to_state: str
    actor_id: int | None
    acting_for_id: int | None
    agency: str | None
    role: str | None
    data: Mapping[str, Any]
    changes: Mapping[str, Any]
    previous_hash: bytes
    hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Notice:
    """Somebody is to be told of a transition: a role at an agency, resolved when it is sent."""

    topic: str
    role: str
    agency: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What a transition changes: the new assignment, its event, who is told, what follows."""

    assignment: Assignment
    event: Event
    notices: tuple[Notice, ...] = ()
    opens: str | None = None
    raises: str | None = None
