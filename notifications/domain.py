"""The values of a message on its way: digest, notice, rendered texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Section(StrEnum):
    """Why an item is told, in the order a digest is read."""

    URGENT = "urgent"  # somebody asks for action now
    OVERDUE = "overdue"  # a rung after the due date was reached
    QUARTER = "quarter"  # left overdue at the end of a quarter
    DUE = "due"  # the due date is near
    WAITING = "waiting"  # somebody's decision is awaited
    NEWS = "news"  # what happened since the last digest
    SETTLED = "settled"  # the closing line to whoever had been escalated to
    STANDING = "standing"  # told before and still open: state, not news


@dataclass(frozen=True, slots=True)
class DigestItem:
    """One assignment in a digest.

    `period` is "2025Q3" or "2025"; `reason` the rule of the ladder or the transition it tells;
    `level` the rung, None for news; `note` a person's own words, of any length and content;
    `state_label` the Vietnamese name of the state now. `can_acknowledge` tells whether the
    recipient may answer "đã tiếp nhận" and pause the reminders.
    """

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
    """Everything one person is told at one time.

    `slot` is "daily" or "urgent"; `quarter` ("2025Q3") says that the table of a quarter is
    attached. Without `titles_in_zalo` a Zalo text carries codes only: it leaves the network.
    """

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
    """What an administrator is told when a gateway stopped or came back.

    `state` is "parked", "needs_consent" or "active"; `reason` the provider's code and text;
    `waiting` how many deliveries wait for the gateway.
    """

    recipient_name: str
    gateway: str
    state: str
    reason: str
    since: datetime
    waiting: int
    url: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """The texts of a message, NFC; `parameters` fill a ZBS template."""

    subject: str
    text: str
    html: str
    zalo: str
    parameters: Mapping[str, str]
