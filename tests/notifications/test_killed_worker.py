"""Worker processes that are killed, and many at once: what was taken, and what is known of it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from engine.channels import RULES
from engine.service.engine import Engine
from engine.service.people import NewPerson
from engine.settings import Settings
from engine.store.messages import take_turns
from notifications.sending import Sender, deliver
from notifications.standin.mailbox import LocalSmtp, Mailbox
from notifications.standin.zalo import ZaloStandIn
from notifications.ways import ways
from tests.databases import SEAL_KEYS
from tests.factories import ISSUED
from tests.notifications.sent import MORNING, TOKEN

DONDOC = str(Path(sys.executable).with_name("dondoc"))
TAKEN_SECONDS = 40.0
WAITING_THEIR_TURN = sa.text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Holding:
    """A mail server that takes a mail and holds its answer back."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.answers = threading.Event()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.kept.append(envelope.content)
        await asyncio.to_thread(self.answers.wait)
        return "250 OK"

    def has_kept(self, number: int) -> bool:
        return len(self.kept) == number

    def ids(self) -> list[str]:
        mails = [message_from_bytes(raw, policy=policy.default) for raw in self.kept]
        return [str(mail["Message-ID"]) for mail in mails]


@pytest.fixture
def environment(plan_51_settings: Settings) -> dict[str, str]:
    assert plan_51_settings.database_url is not None
    return {
        **os.environ,
        "DONDOC_DATABASE_URL": plan_51_settings.database_url.get_secret_value(),
        "DONDOC_SEAL_KEYS": SEAL_KEYS,
        "DONDOC_SMTP_SECURITY": "plain",
        "DONDOC_MAIL_FROM": "nhacviec@quangngai.example",
    }


@pytest.fixture
def october(plan_51: Engine) -> Engine:
    engine = plan_51.at(MORNING)
    engine.sweeps.run()
    return engine


@contextmanager
def a_worker(
    environment: dict[str, str], moment: datetime = MORNING
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that plans and sends what is due at a moment; killed at the end."""
    process = subprocess.Popen(
        [DONDOC, "deliver", "--as-of", moment.isoformat()],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def until(happened: Callable[[], object]) -> None:
    limit = time.monotonic() + TAKEN_SECONDS
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.02)


def only(engine: Engine, login: str) -> None:
    """Leave one person who can be told anything."""
    with engine.database.begin() as connection:
        connection.execute(
            sa.text("UPDATE person SET active = false WHERE login <> :login"), {"login": login}
        )


def sending(engine: Engine) -> int:
    """The delivery a worker has begun and not marked."""
    with engine.database.connect() as connection:
        return int(
            connection.execute(
                sa.text("SELECT id FROM delivery WHERE submitted_at IS NOT NULL")
            ).scalar_one()
        )


def test_a_mail_whose_worker_was_killed_is_unknown_and_comes_again_under_the_same_id(
    october: Engine, environment: dict[str, str]
) -> None:
    holding = Holding()
    smtp = LocalSmtp(holding)
    smtp.start()
    settings = Settings(
        smtp_port=smtp.port, smtp_security="plain", mail_from="nhacviec@quangngai.example"
    )
    try:
        with a_worker(environment | {"DONDOC_SMTP_PORT": str(smtp.port)}):
            until(lambda: holding.kept)
        lost = sending(october)
        early = october.deliveries.reap(ways(settings))
        later = october.at(MORNING + timedelta(minutes=2))
        reaped = later.deliveries.reap(ways(settings))
        holding.answers.set()
        after = october.at(MORNING + timedelta(minutes=10))
        deliver(after, settings, Sender(after, settings))
    finally:
        holding.answers.set()
        smtp.stop()

    shown = october.deliveries.show(lost)
    copies = Counter(holding.ids())
    assert (early["unknown"], reaped["unknown"]) == (0, 1)  # its lease is kept to the end
    assert [(t["outcome"], t["code"]) for t in shown["tries"]] == [
        ("unknown", "lease"),
        ("accepted", "250"),
    ]
    assert copies.pop(shown["rfc_message_id"]) == 2
    assert set(copies.values()) == {1}
    assert len(copies) > 20  # what it had leased and not begun was sent by the next


def test_a_mail_whose_every_worker_is_killed_is_sent_again_twice_and_then_left_unknown(
    october: Engine, environment: dict[str, str]
) -> None:
    only(october, "cv.so-tai-chinh")
    resends = RULES["email"].resends
    holding = Holding()
    smtp = LocalSmtp(holding)
    smtp.start()
    settings = Settings(
        smtp_port=smtp.port, smtp_security="plain", mail_from="nhacviec@quangngai.example"
    )
    moment = MORNING
    try:
        for times in range(1, 2 + resends):
            with a_worker(environment | {"DONDOC_SMTP_PORT": str(smtp.port)}, moment):
                until(partial(holding.has_kept, times))
            later = october.at(moment + timedelta(minutes=2))
            assert later.deliveries.reap(ways(settings))["unknown"] == 1
            moment += timedelta(minutes=40)  # longer than any delay before it is tried again
        holding.answers.set()
        after = october.at(moment)
        deliver(after, settings, Sender(after, settings))
    finally:
        holding.answers.set()
        smtp.stop()

    (row,) = october.deliveries.listed()
    shown = october.deliveries.show(row["id"])
    assert (shown["state"], shown["last_code"]) == ("unknown", "lease")
    assert [t["code"] for t in shown["tries"]] == ["lease"] * (1 + resends)
    assert Counter(holding.ids()) == {shown["rfc_message_id"]: 1 + resends}


def test_a_zalo_text_whose_worker_was_killed_is_never_sent_again(
    october: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        Mailbox(tmp_path / "mail") as mailbox,
        ZaloStandIn(frozenset({TOKEN})) as zalo,
    ):
        zalo.fail_next("accept_then_hang", hang_seconds=3)
        outside = {
            "DONDOC_SMTP_PORT": str(mailbox.smtp_port),
            "DONDOC_ZALO_BOT_TOKEN": TOKEN,
            "DONDOC_ZALO_BOT_URL": zalo.url,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (environment | outside).items():
                patch.setenv(name, value)
            settings = Settings()
        with a_worker(environment | outside):
            until(lambda: zalo.messages)
        lost = sending(october)
        after = october.at(MORNING + timedelta(minutes=10))
        deliver(after, settings, Sender(after, settings))
        deliver(after, settings, Sender(after, settings))
        texts = Counter(message.chat_id for message in zalo.messages)

    shown = october.deliveries.show(lost)
    assert (shown["state"], [t["code"] for t in shown["tries"]]) == ("unknown", ["lease"])
    assert set(texts.values()) == {1}


def test_an_escalation_whose_zalo_worker_was_killed_is_told_by_mail_where_it_was_not(
    october: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    only(october, "pct.ubnd-tinh")
    person_id = october.people.find("pct.ubnd-tinh").id
    (address,) = [
        c.address for c in october.contacts.listed(person_id, whole=True) if c.channel == "email"
    ]
    assert address is not None
    october.contacts.withdraw(person_id, ["email"])
    with Mailbox(tmp_path / "mail") as mailbox, ZaloStandIn(frozenset({TOKEN})) as zalo:
        zalo.fail_next("accept_then_hang", hang_seconds=3)
        settings = Settings(
            smtp_port=mailbox.smtp_port,
            smtp_security="plain",
            mail_from="nhacviec@quangngai.example",
            zalo_bot_token=SecretStr(TOKEN),
            zalo_bot_url=zalo.url,
        )
        outside = {
            "DONDOC_SMTP_PORT": str(mailbox.smtp_port),
            "DONDOC_ZALO_BOT_TOKEN": TOKEN,
            "DONDOC_ZALO_BOT_URL": zalo.url,
        }
        with a_worker(environment | outside):
            until(lambda: zalo.messages)
        lost = sending(october)
        october.contacts.set(person_id, "email", address)
        after = october.at(MORNING + timedelta(minutes=10))
        deliver(after, settings, Sender(after, settings))
        deliver(after, settings, Sender(after, settings))
        mails = mailbox.messages()
        texts = len(zalo.messages)

    shown = october.deliveries.show(lost)
    (beside,) = shown["beside"]
    assert (shown["channel"], shown["state"], texts) == ("zalo_bot", "unknown", 1)
    assert (beside["channel"], beside["state"], len(mails)) == ("email", "accepted", 1)
    assert beside["fallback_of"] == lost


def test_eight_processes_at_once_send_everything_once(
    october: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    october.people.save(
        [
            NewPerson(
                f"them.{number}",
                f"Chuyên viên {number}",
                [("officer", "so-tai-chinh", ISSUED, None)],
                {"email": f"them.{number}@quangngai.example"},
            )
            for number in range(180)
        ]
    )
    with Mailbox(tmp_path / "mail") as mailbox:
        outside = {"DONDOC_SMTP_PORT": str(mailbox.smtp_port), "DONDOC_SMTP_WORKERS": "8"}
        command = [DONDOC, "deliver", "--as-of", "2025-10-01"]
        with october.database.connect() as holder, holder.begin():
            take_turns(holder, "plan messages")  # until all of them stand at the start
            workers = [
                subprocess.Popen(command, env=environment | outside, stdout=subprocess.DEVNULL)
                for _ in range(8)
            ]
            until(lambda: holder.execute(WAITING_THEIR_TURN).scalar_one() == len(workers))
        assert [worker.wait(timeout=120) for worker in workers] == [0] * 8
        ids = [str(mail["Message-ID"]) for mail in mailbox.messages()]

    rows = october.deliveries.listed(limit=500)
    mails = [row for row in rows if row["channel"] == "email"]
    assert len(ids) == len(set(ids)) == len(mails) >= 200
    assert {row["state"] for row in mails} == {"accepted"}
    assert {row["attempts"] for row in mails} == {1}
    by = {t["worker"] for row in mails for t in october.deliveries.show(row["id"])["tries"]}
    assert len(by) > 1
