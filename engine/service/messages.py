"""What people are told: one digest per person and day, and beside it what is urgent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from engine.channels import DAILY, DIGEST_TIME, RULES, URGENT_WINDOW, Ways
from engine.clock import ZONE, local_day
from engine.store import messages
from engine.store.database import translate_database_errors
from engine.windows import Window, next_opening

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from engine.calendar import WorkingCalendar
    from engine.service.engine import Engine

URGENT_LASTS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What planning made: messages, deliveries, and who could not be told.

    `superseded` are older deliveries never sent that these messages replace; `nobody` are
    (role, agency, rows) nobody holds; `without_contact` are persons without an address on the
    channels in use.
    """

    messages: int
    deliveries: int
    superseded: int
    without_contact: list[int]
    nobody: list[tuple[str, str, int]]


class Messages:
    """Use cases of messages."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def plan(self, ways: Ways) -> PlanResult:
        """Make one message per person out of what waits, and queue its deliveries.

        Whoever has a digest of this day gets no second one; what comes later waits for the next.
        Nothing is written yet: the text is made when it is sent.
        """
        engine = self._engine
        now = engine.clock.now()
        day = local_day(now)
        with translate_database_errors(), engine.database.begin() as connection:
            messages.take_turns(connection, "plan messages")
            calendar = engine.reference.calendar(connection)
            messages.settle_obsolete(connection, day)
            planned = messages.plan(
                connection,
                day,
                now,
                DAILY,
                _openings(ways, now, calendar, None),
                next_digest(now, calendar),
                ways.domain,
                urgent=False,
            )
            nobody = messages.nobody_for(connection, day)
        return PlanResult(
            planned.messages,
            planned.deliveries,
            planned.superseded,
            planned.without_contact,
            nobody,
        )

    def plan_urgent(self, ways: Ways) -> int:
        """Make messages of what is urgent, beside the digest; return how many."""
        engine = self._engine
        now = engine.clock.now()
        with translate_database_errors(), engine.database.begin() as connection:
            if messages.last_urgent(connection, now) is None:
                return 0
            messages.take_turns(connection, "plan messages")
            newest = messages.last_urgent(connection, now)
            if newest is None:  # another planner had the turn before
                return 0
            calendar = engine.reference.calendar(connection)
            planned = messages.plan(
                connection,
                local_day(now),
                now,
                f"urgent-{newest}",
                _openings(ways, now, calendar, URGENT_WINDOW),
                now + URGENT_LASTS,
                ways.domain,
                urgent=True,
            )
        return planned.messages

    def own(
        self, person_id: int, before: int | None = None, limit: int = 50
    ) -> list[Mapping[str, Any]]:
        """Return a person's messages, newest first, with the state of each delivery."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return messages.own(connection, person_id, before, limit)


def notify_administrators(
    connection: Connection, ways: Ways, now: datetime, slot: str, notice: Mapping[str, Any]
) -> None:
    """Tell the administrators something once, on every channel but the one it is about."""
    channels = [c for c in ways.channels if c != notice["gateway"]]
    messages.notify_administrators(
        connection,
        local_day(now),
        now,
        slot,
        json.dumps(notice),
        channels,
        now + URGENT_LASTS,
        ways.domain,
    )


def next_digest(now: datetime, calendar: WorkingCalendar) -> datetime:
    """Return when the digest after the one of `now` is made: until then this one is of use."""
    window = Window(DIGEST_TIME, DIGEST_TIME.replace(hour=23))
    tomorrow = datetime.combine(now.astimezone(ZONE).date() + timedelta(days=1), DIGEST_TIME, ZONE)
    return next_opening(window, tomorrow, calendar)


def _openings(ways: Ways, now: datetime, calendar: WorkingCalendar, window: Window | None) -> str:
    return json.dumps(
        [
            {
                "channel": channel,
                "opens": next_opening(window or RULES[channel].window, now, calendar).isoformat(),
            }
            for channel in ways.channels
        ]
    )
