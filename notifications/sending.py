"""Plan what waits and send what is owed: claim, read again, send outside any transaction, mark."""

import logging
import os
import secrets
import socket
from collections import Counter
from datetime import datetime

from engine.channels import DIGEST_TIME, Limit, Outcome, OutcomeState, Ways
from engine.clock import ZONE
from engine.service.deliveries import Attempt, Ready
from engine.service.engine import Engine
from engine.service.messages import PlanResult
from engine.settings import Settings
from notifications.channels.base import dispatch
from notifications.channels.mail import GovMail, SmtpServer
from notifications.channels.zbot import ZaloBot
from notifications.letters import content
from notifications.secrets import protect_logs

log = logging.getLogger(__name__)

BATCH = 20


class Sender:
    """Sends one delivery by its channel, with the connections of the settings."""

    def __init__(self, settings: Settings) -> None:
        protect_logs()
        self._settings = settings
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

    def send(self, ready: Ready) -> Outcome:
        """Send a delivery and return its outcome; never raises for what the other side does."""
        settings = self._settings
        match ready.channel:
            case "email":
                mail = GovMail(
                    self._smtp,
                    ready.address,
                    ready.letter.recipient_name,
                    ready.content.html or "",
                    ready.rfc_message_id,
                    ready.began_at,
                )
                return dispatch(mail, ready.content.text, ready.content.subject)
            case "zalo_bot" if settings.zalo_bot_token is not None:
                token = settings.zalo_bot_token.get_secret_value()
                bot = ZaloBot(settings.zalo_bot_url, token, ready.address)
                return dispatch(bot, ready.content.text, "")
            case _:
                return Outcome(OutcomeState.PARKED, "not-set-up", "this channel is not set up here")


def ways(settings: Settings) -> Ways:
    """Return the channels in use and how fast: mail is the record, Zalo the nudge."""
    limits = {"email": Limit(settings.smtp_per_minute, settings.smtp_workers)}
    if settings.zalo_bot_token is not None:
        limits["zalo_bot"] = Limit(settings.zalo_per_minute, 1)
    return Ways(limits, settings.mail_from.rpartition("@")[2])


def plan_digests(engine: Engine, settings: Settings) -> PlanResult:
    """Make the digests of the engine's day; whoever has one of this day gets no second."""
    return engine.messages.plan(ways(settings))


def deliver(engine: Engine, settings: Settings, sender: Sender) -> dict[str, int]:
    """Plan what waits when it is time, settle what was left lying, send what is due.

    Returns:
        How many messages were `planned`, and deliveries ended in each state.
    """
    out = ways(settings)
    counts: Counter[str] = Counter()
    if _is_time(engine, engine.clock.now()):
        counts["planned"] = plan_digests(engine, settings).messages
    counts["planned"] += engine.messages.plan_urgent(out)
    counts.update(engine.deliveries.reap(out))
    worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    while claimed := engine.deliveries.claim(out, worker, BATCH):
        for delivery_id in claimed:
            counts[_send_one(engine, settings, sender, out, delivery_id, worker)] += 1
    return dict(counts)


def _send_one(  # noqa: PLR0913, PLR0917  what one attempt needs
    engine: Engine, settings: Settings, sender: Sender, out: Ways, delivery_id: int, worker: str
) -> str:
    ready = engine.deliveries.begin(
        delivery_id, worker, out, lambda letter: content(letter, settings)
    )
    if ready is None:
        return "not_sent"
    outcome = sender.send(ready)
    state = engine.deliveries.finish(delivery_id, out, Attempt(worker, ready.began_at, outcome))
    log.info("delivery %s by %s: %s %s", delivery_id, ready.channel, state, outcome.code)
    return state


def _is_time(engine: Engine, now: datetime) -> bool:
    local = now.astimezone(ZONE)
    return local.time() >= DIGEST_TIME and engine.calendars.read().is_working(local.date())
