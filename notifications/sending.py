"""Plan the digests of a day, and send what is owed: claim, commit, send, mark."""

import logging
import os
import random
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta

from engine.clock import ZONE, local_day
from engine.service.engine import Engine
from engine.service.messages import PlanResult
from engine.settings import Settings
from engine.store.messages import FrozenMessage, Owed, WaitingItem
from notifications.channels.base import dispatch
from notifications.channels.mail import GovMail, SmtpServer
from notifications.channels.zbot import ZaloBot
from notifications.domain import Digest, DigestItem, Outcome, OutcomeState, Section
from notifications.render import render
from notifications.secrets import protect_logs

log = logging.getLogger(__name__)

DIGEST_TIME = time(7, 40)
"""From this time on working days what waits becomes the digest of the day (ten minutes after
the sweep began)."""

MAX_ATTEMPTS = 8
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(minutes=30)
BATCH = 20


@dataclass(slots=True)
class Counts:
    """What a run did."""

    planned: int = 0
    reaped: int = 0
    suppressed: int = 0
    accepted: int = 0
    retry: int = 0
    unknown: int = 0
    failed: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


class Sender:
    """Sends one delivery by its channel, with the connections of the settings."""

    def __init__(self, settings: Settings) -> None:
        protect_logs()
        self._smtp = SmtpServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            from_address=settings.mail_from,
            from_name=settings.mail_from_name,
            user=settings.smtp_user,
            password=None
            if settings.smtp_password is None
            else settings.smtp_password.get_secret_value(),
            ca_file=settings.smtp_ca_file,
        )
        self._zalo_url = settings.zalo_bot_url
        self._zalo_token = settings.zalo_bot_token

    def send(self, owed: Owed, now: datetime) -> Outcome:
        """Send a delivery and return its outcome; never raises for what the other side does."""
        if owed.channel == "email":
            mail = GovMail(
                self._smtp,
                owed.address,
                owed.recipient_name,
                owed.body_html,
                owed.rfc_message_id,
                now,
            )
            return dispatch(mail, owed.body_text, owed.subject)
        if self._zalo_token is None:
            return Outcome(OutcomeState.FAILED, "no-token", "Zalo is not set up")
        bot = ZaloBot(self._zalo_url, self._zalo_token.get_secret_value(), owed.address)
        return dispatch(bot, owed.zalo_text, "")


def channels(settings: Settings) -> tuple[str, ...]:
    """Return the channels in use: mail is the record, Zalo the nudge where it is set up."""
    return ("email",) if settings.zalo_bot_token is None else ("email", "zalo_bot")


def plan_digests(engine: Engine, settings: Settings) -> PlanResult:
    """Make the digests of the engine's day; whoever has one of this day gets no second."""
    day = local_day(engine.clock.now())
    base = settings.base_url.rstrip("/")

    def freeze(items: Sequence[WaitingItem]) -> FrozenMessage:
        first = items[0]
        rendered = render(
            Digest(
                recipient_name=first.person_name,
                agency_names=(first.agency_name,),
                day=day,
                slot="daily",
                quarter=None,
                url=f"{base}/",
                items=tuple(_item(item, day, base) for item in _one_each(items)),
                titles_in_zalo=True,
            )
        )
        return FrozenMessage(
            person_id=first.person_id,
            subject=rendered.subject,
            body_text=rendered.text,
            body_html=rendered.html,
            zalo_text=rendered.zalo,
            items=items,
        )

    domain = settings.mail_from.rpartition("@")[2]
    return engine.messages.plan(freeze, channels(settings), domain)


def deliver(engine: Engine, settings: Settings, sender: Sender) -> Counts:
    """Plan what waits when it is time, settle what was interrupted, send what is due."""
    counts = Counts()
    now = engine.clock.now()
    if _is_time(engine, now):
        counts.planned = plan_digests(engine, settings).messages
    counts.reaped = engine.messages.reap()
    counts.suppressed = engine.messages.suppress()
    worker = f"{socket.gethostname()}:{os.getpid()}:{random.getrandbits(32):08x}"
    while owed := engine.messages.claim(BATCH, worker):
        for delivery in owed:
            _send_one(engine, sender, delivery, worker, counts)
    return counts


def retry_at(attempts: int, now: datetime, wish_seconds: float | None) -> datetime:
    """Return when to try again: 30 s · 2ⁿ, at most 30 minutes, full jitter, or as wished."""
    if wish_seconds is not None:
        return now + timedelta(seconds=wish_seconds)
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (attempts - 1))
    part = random.random()  # noqa: S311  spreads load, keeps no secret
    return now + timedelta(seconds=longest.total_seconds() * part)


def _send_one(engine: Engine, sender: Sender, owed: Owed, worker: str, counts: Counts) -> None:
    now = engine.clock.now()
    outcome = sender.send(owed, now)
    again = outcome.state is OutcomeState.RETRY and owed.attempts < MAX_ATTEMPTS
    given_up = outcome.state is OutcomeState.RETRY and not again
    marked = engine.messages.mark(
        owed.id,
        worker=worker,
        state="queued" if again else "dead" if given_up else outcome.state.value,
        outcome=outcome.state.value,
        code=outcome.code,
        note=outcome.text[:500],
        provider_message_id=outcome.provider_message_id,
        next_attempt_at=retry_at(owed.attempts, now, outcome.retry_after_seconds)
        if again
        else None,
    )
    name = outcome.state.value
    setattr(counts, name, getattr(counts, name) + 1)
    log.info(
        "delivery %s by %s: %s %s%s",
        owed.id,
        owed.channel,
        name,
        outcome.code,
        "" if marked else " (the lease had run out)",
    )


def _is_time(engine: Engine, now: datetime) -> bool:
    local = now.astimezone(ZONE)
    return local.time() >= DIGEST_TIME and engine.calendars.read().is_working(local.date())


def _one_each(items: Sequence[WaitingItem]) -> list[WaitingItem]:
    """Return one item per assignment: the rung of the highest level before any news."""
    best: dict[int, WaitingItem] = {}
    for item in items:
        held = best.get(item.assignment_id)
        if held is None or _weight(item) > _weight(held):
            best[item.assignment_id] = item
    return list(best.values())


def _weight(item: WaitingItem) -> tuple[bool, int]:
    return item.level is not None, item.level or 0


def _item(item: WaitingItem, day: date, base: str) -> DigestItem:
    late = item.due_on is not None and item.phase in {"open", "review"} and item.due_on < day
    return DigestItem(
        section=_section(item),
        assignment_id=item.assignment_id,
        plan_number=item.plan_number,
        task_number=item.task_number,
        title=item.title,
        lead_name=item.lead_name,
        period=item.period,
        due_on=item.due_on,
        days_overdue=(day - item.due_on).days if late and item.due_on else 0,
        reason=item.reason,
        level=item.level,
        note="",
        state_label="",
        url=f"{base}/assignments/{item.assignment_id}",
        can_acknowledge=False,
    )


def _section(item: WaitingItem) -> Section:
    if item.level is None:
        return Section.NEWS
    if item.reason == "quarter":
        return Section.QUARTER
    if item.reason.startswith("due_in_"):
        return Section.DUE
    return Section.WAITING if item.reason.endswith("_waiting") else Section.OVERDUE
