"""Digests and their deliveries: plan, claim, mark, reap."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from engine.clock import local_day
from engine.store import messages
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.service.engine import Engine
    from engine.store.messages import FrozenMessage, Owed, WaitingItem

LEASE = timedelta(seconds=90)
"""How long a claimed delivery belongs to its worker."""

DAILY = "daily"
"""The slot of the one digest a person gets a day."""

MAIL_RESENDS = 2
"""An interrupted mail is sent again at most this often, under the same Message-ID."""


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What planning made: digests, deliveries, and who could not be told.

    `nobody` are (role, agency, rows) nobody holds; `without_contact` are persons without an
    address on the channels asked for.
    """

    messages: int
    deliveries: int
    without_contact: list[int]
    nobody: list[tuple[str, str, int]]


class Messages:
    """Use cases of messages."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def plan(
        self,
        render: Callable[[Sequence[WaitingItem]], FrozenMessage],
        channels: Sequence[str],
        domain: str,
    ) -> PlanResult:
        """Turn what waits into one frozen digest per person and day, and queue its deliveries.

        Args:
            render: Makes the digest of one person out of that person's items.
            channels: Channels in use, as in the contacts.
            domain: Our part of every Message-ID.
        """
        engine = self._engine
        now = engine.clock.now()
        day = local_day(now)
        made = owed = 0
        without: list[int] = []
        with translate_database_errors(), engine.database.begin() as connection:
            messages.take_turns(connection, "plan digests")
            pairs = messages.waiting_pairs(connection, day, DAILY, now)
            items = messages.waiting(connection, day, DAILY, now) if pairs else []
            for person_id, own in groupby(items, key=lambda item: item.person_id):
                frozen = render(list(own))
                content = f"{frozen.subject}\0{frozen.body_text}\0{frozen.zalo_text}"
                message_id = messages.freeze(
                    connection, frozen, day, DAILY, hashlib.sha256(content.encode()).digest(), now
                )
                if message_id is None:
                    continue
                made += 1
                queued = messages.owe(connection, message_id, person_id, channels, domain, now)
                owed += queued
                if not queued:
                    without.append(person_id)
            if pairs:
                messages.mark_planned(connection, day, now, pairs)
            nobody = messages.nobody_for(connection, day)
        return PlanResult(made, owed, without, nobody)

    def claim(self, limit: int, worker: str) -> list[Owed]:
        """Lease deliveries that are due, and commit: sending happens outside any transaction."""
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            return messages.claim(connection, limit, worker, now, now + LEASE)

    def mark(  # noqa: PLR0913  one outcome, by name
        self,
        delivery_id: int,
        *,
        worker: str,
        state: str,
        outcome: str,
        code: str | None = None,
        note: str | None = None,
        provider_message_id: str | None = None,
        next_attempt_at: datetime | None = None,
    ) -> bool:
        """Record what became of an attempt; False when the lease had run out meanwhile."""
        with translate_database_errors(), self._engine.database.begin() as connection:
            return messages.mark(
                connection,
                delivery_id,
                worker=worker,
                state=state,
                outcome=outcome,
                code=code,
                note=note,
                provider_message_id=provider_message_id,
                next_attempt_at=next_attempt_at,
                now=self._engine.clock.now(),
            )

    def reap(self) -> int:
        """Settle deliveries whose worker died between send and mark; return how many.

        Nobody can know whether such a message arrived: it is `unknown`. Mail is sent again, at
        most twice and under the same Message-ID; Zalo, where a second message is a nuisance and
        nothing tells, is not.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            rows = messages.expired(connection, now)
            for delivery_id, channel, worker, attempts in rows:
                again = channel == "email" and attempts <= MAIL_RESENDS
                messages.mark(
                    connection,
                    delivery_id,
                    worker=worker,
                    state="queued" if again else "unknown",
                    outcome="unknown",
                    code="lease",
                    note="the worker stopped between sending and marking",
                    provider_message_id=None,
                    next_attempt_at=now if again else None,
                    now=now,
                )
        return len(rows)

    def suppress(self) -> int:
        """Give up what is queued for people whose agencies have ended; return how many."""
        day = local_day(self._engine.clock.now())
        with translate_database_errors(), self._engine.database.begin() as connection:
            return messages.suppress(connection, day)

    def counts(self) -> tuple[Mapping[str, int], datetime | None]:
        """Return deliveries by state, and since when the oldest queued one is due."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return messages.counts(connection), messages.oldest_owed(connection)

    def listed(
        self, after: int | None = None, limit: int = 50, person_id: int | None = None
    ) -> list[Mapping[str, Any]]:
        """Return deliveries, newest first."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return messages.listed(connection, after, limit, person_id)
