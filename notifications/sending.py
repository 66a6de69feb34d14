"""Plan what waits and send what is owed: claim, read again, send outside any transaction, mark."""

import logging
import os
import secrets
import socket
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from engine.channels import DIGEST_TIME, Outcome, OutcomeState, Ways
from engine.clock import ZONE, local_day
from engine.errors import InvalidData, Sentence
from engine.service.deliveries import Attempt, Content, Ready
from engine.service.engine import Engine
from engine.service.letters import Letter
from engine.service.messages import PlanResult
from engine.settings import Settings, keyring
from engine.store.people import Person
from notifications.bounces import bounce_address
from notifications.channels.base import dispatch
from notifications.channels.mail import Attachment, GovMail, Mail, SmtpServer, SmtpSession
from notifications.channels.stock import StockUrl, checked
from notifications.channels.zbot import ZaloBot
from notifications.letters import content
from notifications.oa import NEEDS_CONSENT, OfficialAccount, park_for_consent
from notifications.secrets import protect_logs
from notifications.ways import ways

log = logging.getLogger(__name__)

BATCH = 20


class Sender:
    """Sends one delivery by its channel, with the connections of the settings.

    Args:
        engine: Keeps the tokens of the Official Account.
        settings: Where the servers are.
        attachments: Makes the files that go with a letter by mail.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        attachments: Callable[[Letter], tuple[Attachment, ...]] = lambda _: (),
    ) -> None:
        protect_logs()
        self._settings = settings
        self._account = OfficialAccount(engine, settings)
        self._attachments = attachments
        self._ring = None if settings.mail_bounce_address is None else keyring(settings)
        self._session = SmtpSession(
            SmtpServer(
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
        )

    def close(self) -> None:
        """End what is open."""
        self._session.close()

    def _bounce_address(self, delivery_id: int) -> str | None:
        base = self._settings.mail_bounce_address
        return (
            None
            if self._ring is None or base is None
            else bounce_address(base, delivery_id, self._ring)
        )

    def send(self, ready: Ready) -> Outcome:
        """Send a delivery and return its outcome; never raises for what the other side does."""
        settings = self._settings
        match ready.channel:
            case "email":
                mail = Mail(
                    to_address=ready.address,
                    to_name=ready.letter.recipient_name,
                    html=ready.content.html or "",
                    message_id=ready.rfc_message_id,
                    sent_at=ready.began_at,
                    references=ready.letter.references,
                    attachments=self._attachments(ready.letter),
                    bounce_address=self._bounce_address(ready.id),
                    reply_to=settings.mail_reply_to,
                )
                return dispatch(
                    GovMail(self._session, mail), ready.content.text, ready.content.subject
                )
            case "zalo_bot" if settings.zalo_bot_token is not None:
                token = settings.zalo_bot_token.get_secret_value()
                bot = ZaloBot(settings.zalo_bot_url, token, ready.address)
                return dispatch(bot, ready.content.text, "")
            case "zalo_zbs":
                return self._account.send_to_phone(
                    ready.address, ready.content.parameters, ready.tracking_id, ready.began_at
                )
            case "zalo_uid":
                return self._account.send_to_user(
                    ready.address, ready.content.parameters, ready.began_at
                )
            case "apprise":
                return self._by_service(ready)
            case _:
                return Outcome(OutcomeState.PARKED, "not-set-up", "this channel is not set up here")

    def _by_service(self, ready: Ready) -> Outcome:
        services = self._settings.apprise_services
        try:
            service = StockUrl(checked(ready.address, services))
        except InvalidData as refused:  # allowed when it was entered, and not any more
            return Outcome(OutcomeState.FAILED, "address", refused.sentence.en)
        return dispatch(service, ready.content.text, ready.content.subject)


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
    sender.close()
    return dict(counts)


def try_out(
    engine: Engine, settings: Settings, sender: Sender, channel: str, person: Person
) -> Outcome:
    """Send a short message to a person on a channel; a gateway that takes it is used again.

    Raises:
        InvalidData: The person has no address there.
    """
    own = engine.contacts.listed(person.id, whole=True)
    address = next((c.address for c in own if c.channel == channel and c.address), None)
    if address is None:
        problem = Sentence(
            f"{person.login} chưa có địa chỉ ở kênh này; ghi bằng: dondoc contact set",
            f"{person.login} has no address there; enter one by: dondoc contact set",
        )
        raise InvalidData({channel: problem})
    now = engine.clock.now()
    token = secrets.token_hex(16)
    text = f"Tin thử của dondoc lúc {now.astimezone(ZONE):%H:%M %d/%m/%Y}. Không cần trả lời."
    day = f"{now.astimezone(ZONE):%d/%m/%Y}"
    parameters = {
        "ten": person.full_name,
        "don_vi": "dondoc",
        "so_viec": "0",
        "so_qua_han": "0",
        "ma": "Tin thử",
        "han": day,
        "ngay": day,
    }
    outcome = sender.send(
        Ready(
            id=0,
            channel=channel,
            address=address,
            content=Content("Tin thử của dondoc", text, f"<p>{text}</p>", parameters),
            letter=Letter(
                0, channel, person.id, person.full_name, local_day(now), "test", None, (), None, ()
            ),
            rfc_message_id=f"<{token}@{ways(settings).domain}>",
            tracking_id=token,
            began_at=now,
        )
    )
    if outcome.state is OutcomeState.ACCEPTED:
        engine.gateways.resume(ways(settings), channel)
    return outcome


def _send_one(  # noqa: PLR0913, PLR0917  what one attempt needs
    engine: Engine, settings: Settings, sender: Sender, out: Ways, delivery_id: int, worker: str
) -> str:
    ready = engine.deliveries.begin(
        delivery_id, worker, out, lambda letter: content(letter, settings)
    )
    if ready is None:
        return "not_sent"
    outcome = sender.send(ready)
    if outcome.code == NEEDS_CONSENT:  # before the mark, which would only park and probe
        park_for_consent(engine, out, outcome.text)
    state = engine.deliveries.finish(delivery_id, out, Attempt(worker, ready.began_at, outcome))
    log.info("delivery %s by %s: %s %s", delivery_id, ready.channel, state, outcome.code)
    return state


def _is_time(engine: Engine, now: datetime) -> bool:
    local = now.astimezone(ZONE)
    return local.time() >= DIGEST_TIME and engine.calendars.read().is_working(local.date())
