"""The values of a message on its way: digest, rendered text, outcome."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class OutcomeState(StrEnum):
    """What is known after an attempt to send."""

    ACCEPTED = "accepted"  # the other side took it
    RETRY = "retry"  # refused for certain, may be taken later
    UNKNOWN = "unknown"  # may have been taken: nobody can know
    FAILED = "failed"  # refused for good, for this contact


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt; `retry_after_seconds` is the other side's wish."""

    state: OutcomeState
    code: str = ""
    text: str = ""
    provider_message_id: str | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class DigestItem:
    """One assignment in a digest."""

    plan_number: str
    task_number: int
    title: str
    lead_name: str
    period: str | None
    due_on: date | None
    days_overdue: int
    reason: str  # rule of the ladder, or topic of a transition
    level: int | None
    url: str


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything one person is told on one day."""

    recipient_name: str
    agency_name: str
    day: date
    url: str
    items: tuple[DigestItem, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The texts of a digest, NFC."""

    subject: str
    text: str
    html: str
    zalo: str
