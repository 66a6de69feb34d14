"""Sending, as the database sees it: lease, read again, mark; and the list of what went wrong.

The order of an attempt makes every crash explainable: leased and not begun is queued again;
begun and not marked may have been taken, so it is `unknown` and never blindly repeated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from engine.addresses import mask_text, masked
from engine.channels import (
    MAX_REFUSALS,
    PROBE_AFTER,
    RECORD,
    RULES,
    URGENT_WINDOW,
    Limit,
    Outcome,
    OutcomeState,
    Ways,
    retry_at,
)
from engine.clock import local_day
from engine.errors import DeliverySettled, NotFound, Sentence
from engine.service.contacts import contact_about
from engine.service.letters import (
    EXPLANATIONS,
    Letter,
    LetterItem,
    NothingToSay,
    quarter_of,
    read_items,
)
from engine.service.messages import next_digest
from engine.store import contacts, deliveries, gateways, messages
from engine.store.database import translate_database_errors
from engine.windows import QuietHours, next_opening

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from engine.calendar import WorkingCalendar
    from engine.service.engine import Engine
    from engine.store.deliveries import Held
    from engine.store.gateways import Gateway

LEASE = timedelta(seconds=90)
"""How long a delivery belongs to its worker, counted anew when its sending begins."""

NOTE_LIMIT = 500
THREAD_LIMIT = 10


@dataclass(frozen=True, slots=True)
class Content:
    """A letter as it goes out: the text of its channel, and what a template is filled with."""

    subject: str
    text: str
    html: str | None
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to send: by whom, since when, and how it ended."""

    worker: str
    began_at: datetime
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Ready:
    """A delivery whose text is kept and whose sending has begun."""

    id: int
    channel: str
    address: str = field(repr=False)
    content: Content = field(repr=False)
    letter: Letter
    rfc_message_id: str
    tracking_id: str
    began_at: datetime


class Deliveries:
    """Use cases of deliveries."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, ways: Ways, worker: str, batch: int) -> list[int]:
        """Lease deliveries that are due, as many as their gateways allow now, and commit."""
        now = self._engine.clock.now()
        claimed: list[int] = []
        with translate_database_errors(), self._engine.database.begin() as connection:
            for gateway in gateways.lock(connection, ways.channels):
                limit = ways.limits[gateway.channel]
                others = deliveries.workers(connection, gateway.channel, now) - {worker}
                if len(others) >= limit.workers:
                    continue
                probe = gateway.state != "active"
                allowed = min(batch, _allowance(gateway, limit, now))
                if allowed <= 0:
                    continue
                ids = deliveries.claim(
                    connection, gateway.channel, allowed, worker, now, now + LEASE, probe=probe
                )
                claimed += ids
                values: dict[str, Any] = {
                    "tokens": _tokens(gateway, limit.per_minute, now) - len(ids),
                    "filled_at": now,
                }
                if probe and ids:
                    values["probe_at"] = now + PROBE_AFTER
                gateways.change(connection, gateway.channel, **values)
        return claimed

    def begin(
        self, delivery_id: int, worker: str, ways: Ways, write: Callable[[Letter], Content]
    ) -> Ready | None:
        """Read a leased delivery again, keep its text, and begin; None: nothing is to be sent.

        What was closed, answered, acknowledged, taken over or is not wanted meanwhile is left
        out; a message with nothing left is suppressed, one outside its hours waits for them.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            held = deliveries.hold(connection, delivery_id, worker)
            if held is None:
                return None
            calendar = self._engine.reference.calendar(connection)
            letter = self._letter(connection, held, ways, now, calendar)
            if letter is None:
                return None
            address = self._engine.keyring.open(held.sealed or b"", _about(held))
            content = write(letter)
            deliveries.freeze(
                connection,
                held.id,
                now,
                now + LEASE,
                {
                    "subject": content.subject,
                    "body_text": content.text,
                    "body_html": content.html,
                    "content_hash": hashlib.sha256(
                        f"{content.subject}\0{content.text}".encode()
                    ).digest(),
                    "sent_to": masked(held.channel, address),
                },
            )
        return Ready(
            held.id,
            held.channel,
            address,
            content,
            letter,
            held.rfc_message_id,
            held.tracking_id,
            now,
        )

    def finish(self, delivery_id: int, ways: Ways, attempt: Attempt) -> str:
        """Record what became of an attempt and what follows from it; return the state.

        An attempt whose lease ran out meanwhile is recorded and changes nothing: whoever found
        it has called it unknown already.
        """
        with translate_database_errors(), self._engine.database.begin() as connection:
            sent = deliveries.lock_sent(connection, delivery_id, attempt.worker)
            if sent is None:
                raise _no_delivery(delivery_id)
            return self._finish(connection, sent, ways, attempt)

    def reap(self, ways: Ways) -> dict[str, int]:
        """Settle what was left lying: leases that ran out, receipts that never came, old age.

        Returns:
            How many were `released` (never begun), became `unknown`, were `waited_out`,
            `expired`.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            released = deliveries.release_unbegun(connection, now)
            interrupted = deliveries.interrupted(connection, now)
            for delivery_id, worker in interrupted:
                sent = deliveries.lock_sent(connection, delivery_id, worker)
                if sent is not None:
                    lost = Outcome(OutcomeState.UNKNOWN, "lease", EXPLANATIONS["lease"].en)
                    self._finish(
                        connection, sent, ways, Attempt(worker, sent["submitted_at"], lost)
                    )
            waited = deliveries.waited_out(connection, now)
            for delivery_id in waited:
                deliveries.settle(
                    connection, delivery_id, {"settle_at": None, "last_code": "no-receipt"}
                )
                self._escalate_otherwise(connection, delivery_id, ways, now)
            expired = deliveries.expire(connection, now)
        return {
            "released": released,
            "unknown": len(interrupted),
            "waited_out": len(waited),
            "expired": expired,
        }

    def retry(self, delivery_id: int) -> None:
        """Queue a delivery once more because an administrator says so.

        Raises:
            NotFound: There is no such delivery.
            DeliverySettled: It arrived, is being sent, or a later message says the same.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            calendar = self._engine.reference.calendar(connection)
            again = deliveries.requeue(connection, delivery_id, now, next_digest(now, calendar))
            if not again:
                raise _refused(connection, delivery_id)

    def drop(self, delivery_id: int) -> None:
        """Take a delivery off what is owed because an administrator says so.

        Raises:
            NotFound: There is no such delivery.
            DeliverySettled: Nothing is owed any more.
        """
        with translate_database_errors(), self._engine.database.begin() as connection:
            if not deliveries.drop(connection, delivery_id):
                raise _refused(connection, delivery_id)

    def listed(
        self,
        before: int | None = None,
        limit: int = 50,
        states: Sequence[str] = (),
        channel: str | None = None,
    ) -> list[Mapping[str, Any]]:
        """Return deliveries, newest first; of these states and this channel where given."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return deliveries.listed(connection, before, limit, states, channel)

    def show(self, delivery_id: int) -> dict[str, Any]:
        """Return everything known of a delivery: why, what, when, and what was answered.

        Raises:
            NotFound: There is no such delivery.
        """
        with translate_database_errors(), self._engine.database.connect() as connection:
            found = deliveries.shown(connection, delivery_id)
        if found is None:
            raise _no_delivery(delivery_id)
        return found

    def counts(self) -> tuple[Mapping[tuple[str, str], int], datetime | None]:
        """Return deliveries by (channel, state), and since when the oldest owed one is due."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return deliveries.counts(connection), deliveries.oldest_owed(connection)

    def bounce_rate(self, days: int = 30) -> float:
        """Return the part (0 to 1) of the mails of the last days that came back for good."""
        since = self._engine.clock.now() - timedelta(days=days)
        with translate_database_errors(), self._engine.database.connect() as connection:
            return deliveries.bounce_rate(connection, since)

    def _letter(
        self,
        connection: Connection,
        held: Held,
        ways: Ways,
        now: datetime,
        calendar: WorkingCalendar,
    ) -> Letter | None:
        """Return what is to be said now; None when the lease was put back."""
        if not held.active or held.contact_state == "withdrawn":
            why = "withdrawn" if held.active else "inactive"
            deliveries.put_back(connection, held.id, "suppressed", why)
            return None
        if held.contact_state != "active":
            deliveries.put_back(connection, held.id, "failed", held.contact_state)
            messages.fall_back(connection, held.id, ways.channels, now, ways.domain)
            return None
        urgent = held.notice is not None or held.slot.startswith("urgent")
        quiet = None
        if held.quiet_begins is not None and held.quiet_ends is not None and not urgent:
            quiet = QuietHours(held.quiet_begins, held.quiet_ends)
        window = URGENT_WINDOW if urgent else RULES[held.channel].window
        opens = next_opening(window, now, calendar, quiet)
        if opens > now:
            state = "retry" if held.attempts else "queued"
            deliveries.put_back(connection, held.id, state, next_attempt_at=opens)
            return None
        items: tuple[LetterItem, ...] = ()
        if held.notice is None:
            read = read_items(connection, self._engine.reference, held, local_day(now), calendar)
            if isinstance(read, NothingToSay):
                deliveries.put_back(connection, held.id, "suppressed", read.why)
                return None
            items = read
        return Letter(
            delivery_id=held.id,
            channel=held.channel,
            person_id=held.person_id,
            recipient_name=held.person_name,
            day=local_day(now),
            slot="urgent" if urgent else held.slot,
            notice=held.notice,
            items=items,
            quarter=quarter_of(items),
            references=()
            if held.channel != RECORD
            else tuple(deliveries.thread(connection, held.message_id, THREAD_LIMIT)),
        )

    def _finish(
        self, connection: Connection, sent: Mapping[str, Any], ways: Ways, attempt: Attempt
    ) -> str:
        outcome = attempt.outcome
        now = self._engine.clock.now()
        delivery_id, channel = sent["id"], sent["channel"]
        note = mask_text(outcome.text)[:NOTE_LIMIT]  # servers repeat addresses
        deliveries.add_attempt(
            connection,
            {
                "delivery_id": delivery_id,
                "number": sent["attempts"],
                "started_at": attempt.began_at,
                "finished_at": now,
                "outcome": outcome.state.value,
                "code": outcome.code,
                "text": note,
                "content_hash": sent["content_hash"],
                "worker": attempt.worker,
            },
        )
        if not sent["held"]:
            return str(sent["state"])
        values: dict[str, Any] = {
            "last_code": outcome.code,
            "last_text": note,
            "provider_message_id": outcome.provider_message_id,
        }
        follow = self._follow_up(connection, sent, outcome, now)
        deliveries.settle(connection, delivery_id, values | follow)
        self._learn(connection, channel, ways, outcome, now)
        state = str(follow["state"])
        match outcome.state:
            case OutcomeState.ACCEPTED:
                state = self._early_receipt(connection, delivery_id, channel, outcome) or state
            case OutcomeState.FAILED:
                refused = "bounced" if channel == RECORD else "refused"
                contacts.mark(connection, sent["contact_id"], state=refused, changed_at=now)
                messages.fall_back(connection, delivery_id, ways.channels, now, ways.domain)
            case _ if state == "dead":
                messages.fall_back(connection, delivery_id, ways.channels, now, ways.domain)
            case OutcomeState.UNKNOWN if state == "unknown" and follow["settle_at"] is None:
                self._escalate_otherwise(connection, delivery_id, ways, now)
        return state

    def _follow_up(
        self,
        connection: Connection,
        sent: Mapping[str, Any],
        outcome: Outcome,
        now: datetime,
    ) -> dict[str, Any]:
        """Return the state an outcome leads to, and when to look again."""
        tally = deliveries.tally(connection, sent["id"])
        rule = RULES[sent["channel"]]
        match outcome.state:
            case OutcomeState.RETRY:
                again = retry_at(tally.refused, now, outcome.retry_after_seconds)
                if tally.refused < MAX_REFUSALS and again < sent["expires_at"]:
                    return {"state": "retry", "next_attempt_at": again, "settle_at": None}
                return {"state": "dead", "settle_at": None}
            case OutcomeState.UNKNOWN:
                if tally.unknown <= rule.resends:
                    again = retry_at(tally.unknown, now, None)
                    return {"state": "retry", "next_attempt_at": again, "settle_at": None}
                waits = None if rule.receipt_wait is None else now + rule.receipt_wait
                return {"state": "unknown", "settle_at": waits}
            case OutcomeState.REJECTED:
                return {"state": "dead", "settle_at": None}
            case state:
                return {"state": state.value, "settle_at": None}

    def _learn(
        self, connection: Connection, channel: str, ways: Ways, outcome: Outcome, now: datetime
    ) -> None:
        """Write what an outcome says about the gateway rather than about the message."""
        if outcome.quota_left is not None:
            gateways.change(connection, channel, quota_left=outcome.quota_left)
        if outcome.retry_after_seconds is not None:
            slow = now + timedelta(seconds=outcome.retry_after_seconds)
            gateways.change(connection, channel, slow_until=slow)
        if outcome.state is OutcomeState.PARKED:
            # Read by every administrator: without the addresses a refusal repeats.
            reason = f"{outcome.code} {mask_text(outcome.text)}".strip()[:NOTE_LIMIT]
            self._engine.gateways.park_within(connection, ways, channel, reason, now)
        elif outcome.state in {OutcomeState.ACCEPTED, OutcomeState.FAILED}:
            self._engine.gateways.resume_within(connection, ways, channel, now)

    def _early_receipt(
        self, connection: Connection, delivery_id: int, channel: str, outcome: Outcome
    ) -> str | None:
        """Return the state a receipt gave that came before we knew the provider's id."""
        if outcome.provider_message_id is None:
            return None
        kinds = deliveries.match_receipts(
            connection, delivery_id, channel, outcome.provider_message_id
        )
        state = "seen" if "seen" in kinds else "delivered" if "delivered" in kinds else None
        if state is not None:
            deliveries.settle(connection, delivery_id, {"state": state})
        return state

    def _escalate_otherwise(
        self, connection: Connection, delivery_id: int, ways: Ways, now: datetime
    ) -> None:
        """Owe an escalation nobody can know about on the record, where it is not owed there."""
        found = deliveries.find(connection, delivery_id=delivery_id)
        if found is not None and deliveries.escalates(connection, found["message_id"]):
            record = [c for c in ways.channels if c == RECORD]
            messages.fall_back(connection, delivery_id, record, now, ways.domain)


def _allowance(gateway: Gateway, limit: Limit, now: datetime) -> int:
    """Return how many deliveries may be leased now; a parked gateway gives one, to probe it."""
    if gateway.slow_until is not None and gateway.slow_until > now:
        return 0
    if gateway.state == "active":
        return int(_tokens(gateway, limit.per_minute, now))
    parked = gateway.state == "parked"
    return int(parked and gateway.probe_at is not None and gateway.probe_at <= now)


def _tokens(gateway: Gateway, per_minute: int, now: datetime) -> float:
    """Return the messages a gateway may take: a minute's worth at most, refilled steadily."""
    if gateway.filled_at is None:
        return float(per_minute)
    passed = max(0.0, (now - gateway.filled_at).total_seconds())
    return min(float(per_minute), gateway.tokens + passed * per_minute / 60)


def _about(held: Held) -> str:
    return contact_about(held.person_id, held.channel)


def _no_delivery(delivery_id: int) -> NotFound:
    return NotFound(Sentence("lượt gửi", "delivery"), delivery_id)


def _refused(connection: Connection, delivery_id: int) -> NotFound | DeliverySettled:
    found = deliveries.find(connection, delivery_id=delivery_id)
    if found is None:
        return _no_delivery(delivery_id)
    return DeliverySettled(delivery_id, found["state"])
