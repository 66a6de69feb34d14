"""Ninety working days of a province, drawn from a seed: people act, everything outside fails."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
import sqlalchemy as sa
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from engine.channels import Outcome
from engine.clock import at
from engine.errors import EngineError
from engine.service.deliveries import Ready
from engine.service.engine import Engine
from engine.service.inbox import Bounce
from engine.settings import Settings
from notifications.channels import mail as mail_channel
from notifications.sending import Sender, deliver
from notifications.standin.mailbox import LocalSmtp
from notifications.standin.zalo import ZaloStandIn
from notifications.ways import ways
from tests.factories import PLAN_DATA, REPORT_DATA, person
from tests.notifications.sent import TOKEN

BEGINS = date(2025, 8, 25)
WORKING_DAYS = 90
MOMENTS = ((7, 41), (9, 5), (11, 30), (15, 0), (21, 0))
"""When the worker runs: the digest, three times in the day, once when nothing may go out."""

AGENCIES = ("so-noi-vu", "so-tai-chinh", "skhcn")
LEADER, MONITOR, OVERSIGHT, ADMIN = "pct.ubnd-tinh", "dp.skhcn", "dp.vp-ubnd", "quantri"
PEOPLE = (
    *(f"{short}.{agency}" for agency in AGENCIES for short in ("cv", "tt")),
    *(LEADER, MONITOR, OVERSIGHT, ADMIN),
)
ZALO_FAULTS = (
    *("500", "429", "html200", "html504", "empty200", "no_message_id", "accept_then_reset"),
    *("accept_then_504", "slow_headers", "302"),
)

QUIET_HOURS = (None, (time(12), time(15, 30)), (time(21), time(8)))
PATIENCE_SECONDS = 0.5
"""How long a mail server may be silent here: there is no need to wait as long as in earnest."""


class Died(BaseException):
    """The worker's process ends here; nothing after it runs."""


@dataclass(frozen=True)
class Sending:
    """One send as it was watched from outside."""

    delivery_id: int
    channel: str
    moment: datetime
    ids: frozenset[int]  # of assignments the text reminds or escalates
    forbidden: frozenset[int]  # of those that were closed, or paused by an answer, at that moment
    taken: int  # how many messages the other side had more afterwards
    outcome: Outcome | None  # None: the worker died
    quiet: tuple[time, time] | None  # when the person wanted to be left alone


class FaultyMail:
    """A mail server that keeps what it takes, refuses now and then, or says nothing more."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.kind = True
        self.kept: list[bytes] = []

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _: list[str]
    ) -> str:
        drawn = self._drawn()
        if drawn < 0.01:
            return "550 5.1.1 no such user"
        if drawn < 0.04:
            return "451 4.3.0 try later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        drawn = self._drawn()
        if drawn < 0.03:
            return "451 4.3.0 try later"
        assert isinstance(envelope.content, bytes)
        self.kept.append(envelope.content)
        if drawn < 0.036:  # taken, and nothing more is said
            await asyncio.sleep(3 * PATIENCE_SECONDS)
        elif drawn < 0.07:  # taken, and the connection ends before the answer
            assert server.transport is not None
            server.transport.close()
        return "250 OK"

    def _drawn(self) -> float:
        return 1.0 if self.kind else self.chance.random()


@dataclass
class Life:
    """What was done and seen in the ninety days."""

    engine: Engine
    settings: Settings
    mail: FaultyMail
    zalo: ZaloStandIn
    chance: random.Random
    sendings: list[Sending] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    stuck: list[Mapping[str, Any]] = field(default_factory=list)

    def copies(self) -> Counter[str]:
        """Return how often each Message-ID was taken."""
        mails = [message_from_bytes(raw, policy=policy.default) for raw in self.mail.kept]
        return Counter(str(mail["Message-ID"]) for mail in mails)

    def query(self, statement: str, **values: Any) -> Sequence[Mapping[str, Any]]:
        """Return rows of the database."""
        with self.engine.database.connect() as connection:
            return [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]


class _Watched(Sender):
    """A sender that is watched, and dies now and then."""

    def __init__(self, life: Life, engine: Engine, settings: Settings) -> None:
        super().__init__(engine, settings)
        self._life = life

    def send(self, ready: Ready) -> Outcome:
        life = self._life
        dies = life.chance.random() if not life.mail.kind else 1.0
        if dies < 0.005:
            self._seen(ready, 0, None)
            raise Died
        before = len(life.mail.kept) + len(life.zalo.messages)
        outcome = super().send(ready)
        taken = len(life.mail.kept) + len(life.zalo.messages) - before
        self._seen(ready, taken, None if dies < 0.01 else outcome)
        if dies < 0.01:
            raise Died
        return outcome

    def _seen(self, ready: Ready, taken: int, outcome: Outcome | None) -> None:
        told = {"news", "settled"}
        ids = frozenset(i.item.assignment_id for i in ready.letter.items if i.section not in told)
        news = {i.item.assignment_id for i in ready.letter.items if i.section in told}
        printed = {int(n) for n in re.findall(r"(?:/assignments/|NHAN )(\d+)", ready.content.text)}
        assert printed <= ids | news
        self._life.sendings.append(
            Sending(
                ready.id,
                ready.channel,
                ready.began_at,
                ids,
                frozenset(self._stopped(ids, ready.began_at)),
                taken,
                outcome,
                self._life.engine.contacts.wishes(ready.letter.person_id).quiet,
            )
        )

    def _stopped(self, ids: frozenset[int], moment: datetime) -> set[int]:
        """Ask the history, not the letter, what nobody is to be reminded of now.

        Whoever is urged after an answer is asked again: the answer to that counts.
        """
        rows = self._life.query(
            "SELECT id FROM assignment a WHERE id = ANY(:ids) AND (phase NOT IN ('open', 'review') "
            "OR (paused_until >= CAST(:moment AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date) "
            " AND NOT EXISTS (SELECT FROM event e WHERE e.assignment_id = a.id "
            "  AND e.transition = 'urge' AND e.seq > (SELECT max(p.seq) FROM event p "
            "   WHERE p.assignment_id = a.id AND p.transition IN ('acknowledge', "
            "    'request_extension')))))",
            ids=sorted(ids),
            moment=moment,
        )
        return {row["id"] for row in rows}


@contextmanager
def a_life(engine: Engine, seed: int) -> Iterator[Life]:
    """Yield what ninety days drawn from a seed came to; the last two of them go well."""
    chance = random.Random(seed)
    mail = FaultyMail(chance)
    smtp = LocalSmtp(mail)
    smtp.start()
    try:
        with ZaloStandIn(frozenset({TOKEN})) as zalo, pytest.MonkeyPatch.context() as patch:
            patch.setattr(mail_channel, "TIMEOUT_SECONDS", PATIENCE_SECONDS)
            settings = Settings(
                smtp_port=smtp.port,
                smtp_security="plain",
                mail_from="nhacviec@quangngai.example",
                zalo_bot_token=SecretStr(TOKEN),
                zalo_bot_url=zalo.url,
            )
            life = Life(engine, settings, mail, zalo, chance)
            _live(life)
            yield life
    finally:
        smtp.stop()


def _live(life: Life) -> None:
    engine = life.engine
    with engine.database.begin() as connection:  # a small province: the rest does not answer
        connection.execute(
            sa.text("UPDATE person SET active = false WHERE login <> ALL(:logins)"),
            {"logins": list(PEOPLE)},
        )
    calendar = engine.calendars.read()
    working = 0
    day = BEGINS
    quarter_told = "2025Q2"
    while working < WORKING_DAYS:
        life.mail.kind = working >= WORKING_DAYS - 2
        if calendar.is_working(day):
            working += 1
            early = engine.at(at(day, 6))
            early.periods.open()
            ended = _quarter_before(day)
            if ended != quarter_told:
                engine.at(at(day, 7, 20)).sweeps.quarter(ended)
                quarter_told = ended
        engine.at(at(day, 7, 30)).sweeps.run()
        for hour, minute in MOMENTS:
            _act(life, at(day, hour, minute) - timedelta(minutes=3))
            _work(life, at(day, hour, minute))
        day += timedelta(days=1)


def _quarter_before(day: date) -> str:
    last = day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1) - timedelta(days=1)
    return f"{last.year}Q{(last.month + 2) // 3}"


def _work(life: Life, moment: datetime) -> None:
    """Let a worker run; with faults, unless it is a good day."""
    chance, settings = life.chance, life.settings
    then = life.engine.at(moment)
    if life.mail.kind:
        for gateway in then.gateways.listed():
            then.gateways.resume(ways(settings), gateway.channel)
        _mend_addresses(then)
    else:
        if chance.random() < 0.12:
            life.zalo.fail_next(*chance.choices(ZALO_FAULTS, k=2), hang_seconds=0.05)
        drawn = chance.random()
        if drawn < 0.03:
            settings = settings.model_copy(update={"zalo_bot_token": SecretStr("9:dead")})
        elif drawn < 0.06:
            settings = settings.model_copy(update={"smtp_port": 9})  # nobody listens there
        if chance.random() < 0.1:
            _mend_addresses(then)
    sender = _Watched(life, then, settings)
    try:
        life.did.update(deliver(then, settings, sender))
    except Died:
        life.did["died"] += 1
        sender.close()  # the system closes what a dead process held open
    life.stuck += _stuck(life, moment)


def _stuck(life: Life, moment: datetime) -> Sequence[Mapping[str, Any]]:
    """Return what nobody would ever look at again, though a worker has just run."""
    return life.query(
        "SELECT d.id, d.channel, d.state, w.state AS gateway, w.reason FROM delivery d "
        "JOIN gateway w USING (channel) WHERE d.state = 'parked' AND (w.state = 'active' "
        " OR w.reason IS NULL OR w.state = 'parked' AND w.probe_at IS NULL) "
        "OR d.state IN ('queued', 'retry', 'parked') AND d.expires_at <= :moment "
        "OR d.state = 'sending' AND d.lease_until < :moment",
        moment=moment,
    )


def _mend_addresses(then: Engine) -> None:
    """An administrator enters again what came back."""
    for login in PEOPLE:
        own = person(then, login)
        for contact in then.contacts.listed(own, whole=True):
            if contact.state in {"bounced", "refused"} and contact.address is not None:
                then.contacts.set(own, contact.channel, contact.address)


def _act(life: Life, moment: datetime) -> None:
    """Let people do something, and mails come back."""
    then, chance = life.engine.at(moment), life.chance
    for _ in range(chance.choice((0, 1, 2, 4))):
        _one_step(life, then)
    if chance.random() < 0.05:
        login = chance.choice(PEOPLE)
        off = chance.sample(("news", "due", "overdue", "settled"), 2)
        then.contacts.wish(
            person(then, login),
            [(section, "zalo_bot") for section in off],
            chance.choice(QUIET_HOURS),
        )
    mails = [s for s in life.sendings[-40:] if s.channel == "email" and s.outcome is not None]
    if mails and not life.mail.kind and chance.random() < 0.05:
        back = chance.choice(mails).delivery_id
        bounce = Bounce(
            f"b{len(life.sendings)}-{moment}",
            back,
            None,
            permanent=chance.random() < 0.3,
            status="4.2.2",
            text="came back",
        )
        life.did[f"bounce {then.inbox.bounce(bounce, ways(life.settings))}"] += 1


def _one_step(life: Life, then: Engine) -> None:
    chance = life.chance
    rows = life.query(
        "SELECT id, state, agency_code, definition_name FROM assignment "
        "WHERE agency_code = ANY(:agencies) AND phase IN ('open', 'review', 'done', 'paused')",
        agencies=list(AGENCIES),
    )
    row = chance.choice(rows)
    name, actor, data = _step(row["state"], row["agency_code"], chance)
    try:
        then.fire(row["id"], name, person(then, actor), data=data)
    except EngineError:
        life.did["refused"] += 1
    else:
        life.did[name] += 1


def _step(state: str, agency: str, chance: random.Random) -> tuple[str, str, dict[str, Any]]:
    """Return a transition that may be right in a state, who takes it, and what they enter."""
    officer = f"cv.{agency}"
    reviewer = OVERSIGHT if agency == "skhcn" else MONITOR
    reason = {"reason": "Bổ sung số, ngày văn bản"}
    open_now = [
        ("acknowledge", officer, {"answer": "Đang xử lý, báo cáo trong tuần"}),
        ("acknowledge", officer, {"answer": "Đã giao phòng chuyên môn"}),
        ("urge", reviewer, {"message": "Đề nghị báo cáo ngay"}),
        ("suspend", LEADER, {"reason": "Chờ hướng dẫn"}),
        (
            "request_extension",
            officer,
            {
                "new_due_on": "2026-03-31",
                "extension_reason": "Chờ bộ hướng dẫn",
                "work_done": "Đã có dự thảo",
            },
        ),
    ]
    forward: Mapping[str, list[tuple[str, str, dict[str, Any]]]] = {
        "assigned": [("accept", officer, {})],
        "planning": [("submit_plan", officer, PLAN_DATA)],
        "plan_review": [("approve_plan", reviewer, {}), ("return_plan", reviewer, reason)],
        "in_progress": [("submit_report", officer, REPORT_DATA)] * 2,
        "waiting": [("submit_report", officer, REPORT_DATA)] * 2,
        "in_review": [("approve_report", reviewer, {}), ("return_report", reviewer, reason)],
        "completed": [("close", reviewer, {}), ("reopen", LEADER, reason)],
        "requested": [("grant", reviewer, {}), ("refuse", reviewer, reason)],
        "suspended": [("resume", LEADER, {})],
    }
    choices = forward.get(state, [("submit_report", officer, REPORT_DATA)])
    if state in {"assigned", "planning", "in_progress"} and chance.random() < 0.4:
        choices = open_now
    return chance.choice(choices)
