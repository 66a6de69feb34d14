"""What is known of a message after an attempt, and what each channel makes of it.

Exactly-once does not exist on these channels: none refuses a duplicate for certain. What can be
promised is one message per person and slot, at most one send of it without a crash, and that
every doubtful case is named.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Final

from engine.windows import Window


class OutcomeState(StrEnum):
    """What is known after an attempt to send."""

    ACCEPTED = "accepted"  # the other side took it
    RETRY = "retry"  # refused for certain, may be taken later
    UNKNOWN = "unknown"  # may have been taken: nobody can know
    FAILED = "failed"  # refused for good, for this contact
    PARKED = "parked"  # refused because our gateway is not set up right: every message would be
    REJECTED = "rejected"  # refused because of the message itself: our mistake, nobody's address


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt.

    `retry_after_seconds` is the other side's wish and slows the whole gateway; `quota_left` is
    how many messages it says it takes today.
    """

    state: OutcomeState
    code: str = ""
    text: str = ""
    provider_message_id: str | None = None
    retry_after_seconds: float | None = None
    quota_left: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """How a channel is used.

    `resends` is how often a message nobody can know about is sent again under the same id;
    `receipt_wait` how long a receipt may still settle it before that is given up.
    """

    window: Window
    resends: int = 0
    receipt_wait: timedelta | None = None


RECORD: Final = "email"
"""The channel that holds the complete table and is never left out."""

_ZALO_HOURS = Window(time(7, 30), time(17, 0))

RULES: Mapping[str, Rule] = {
    # One Message-ID lets mailboxes collapse a second copy: at least once.
    "email": Rule(Window(time(6, 0), time(20, 0)), resends=2),
    "zalo_bot": Rule(_ZALO_HOURS),
    # The receipt carries our tracking id.
    "zalo_zbs": Rule(_ZALO_HOURS, receipt_wait=timedelta(minutes=30)),
    "zalo_uid": Rule(_ZALO_HOURS),
    "apprise": Rule(_ZALO_HOURS),
}

URGENT_WINDOW = Window(time(6, 0), time(22, 0), working_days_only=False)
"""An urgent message waits for no digest and no working day, but for the end of the night."""

SECTIONS = ("urgent", "overdue", "quarter", "due", "waiting", "news", "settled")
"""What a person may be told, in the order it is read; preferences name these."""

ESCALATIONS = frozenset({"urgent", "overdue", "quarter"})
"""What nobody can switch off on the record."""

MAX_REFUSALS = 8
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(minutes=30)
PROBE_AFTER = timedelta(minutes=30)
"""How long a parked gateway rests before one message tries it again."""

SOFT_BOUNCES = 5
"""So many mails in a row that came back for now are one that came back for good."""

SOFT_WITHIN = timedelta(days=92)
"""How far back that row is looked for: who is told once a quarter gets few mails."""


def section_of(reason: str, level: int | None, *, urgent: bool = False) -> str:
    """Return the section of an item: a rung by its rule, news by the transition it tells."""
    if urgent:
        return "urgent"
    if level is None:
        return "settled" if reason.endswith(".settled") else "news"
    if reason == "quarter":
        return "quarter"
    if reason.startswith("due_in_"):
        return "due"
    return "waiting" if reason.endswith("_waiting") else "overdue"


def retry_at(refusals: int, now: datetime, wish_seconds: float | None) -> datetime:
    """Return when to try again: 30 s · 2ⁿ, at most 30 minutes, full jitter, or as wished.

    Args:
        refusals: How often it was refused, at least 1.
        now: The moment of the last refusal.
        wish_seconds: What the other side asked for (Retry-After).
    """
    if wish_seconds is not None:
        return now + timedelta(seconds=wish_seconds)
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (refusals - 1))
    part = random.random()  # noqa: S311  spreads load, keeps no secret
    return now + timedelta(seconds=longest.total_seconds() * part)


DIGEST_TIME = time(7, 40)
"""From this time on working days what waits becomes the digest of the day (ten minutes after
the sweep began)."""

DAILY = "daily"
"""The slot of the one digest a person gets a day."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How fast a gateway may be used: messages a minute, and by how many workers at once."""

    per_minute: int
    workers: int


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways out that are set up here.

    `limits` has the channels in use, the record first; `domain` is our part of a Message-ID.
    """

    limits: Mapping[str, Limit]
    domain: str

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the channels in use."""
        return tuple(self.limits)
