"""The values of a message on its way: what is to be read, and how it reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from engine.channels import Outcome, OutcomeState

__all__ = [
    "Digest",
    "DigestItem",
    "Notice",
    "Outcome",
    "OutcomeState",
    "Rendered",
    "Section",
]


class Section(StrEnum):
    """Where a line of a digest stands, in the order it is read."""

    URGENT = "urgent"
    OVERDUE = "overdue"
    QUARTER = "quarter"
    DUE = "due"
    WAITING = "waiting"
    NEWS = "news"
    SETTLED = "settled"
    STANDING = "standing"


@dataclass(frozen=True, slots=True)
class DigestItem:
    """One line of a digest."""

    section: Section
    assignment_id: int
    plan_number: str
    task_number: int
    title: str
    lead_name: str
    period: str | None
    due_on: date | None
    days_overdue: int
    reason: str
    level: int | None
    note: str
    state_label: str
    url: str
    can_acknowledge: bool


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything one person is told in one message."""

    recipient_name: str
    agency_names: tuple[str, ...]
    day: date
    slot: str
    quarter: str | None
    url: str
    items: tuple[DigestItem, ...]
    titles_in_zalo: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """What an administrator is told of a gateway."""

    recipient_name: str
    gateway: str
    state: str
    reason: str
    since: datetime
    waiting: int
    url: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """The texts of a message, NFC."""

    subject: str
    text: str
    html: str
    zalo: str
    parameters: Mapping[str, str]
