"""From the ledger to a mail and a Zalo text, through real servers."""

import logging
import os
import threading
from datetime import date, timedelta
from email.message import EmailMessage

import pytest

from engine.channels import Outcome, OutcomeState, retry_at
from engine.clock import at
from engine.service.engine import Engine
from engine.settings import Settings
from notifications.channels.base import Channel, dispatch
from notifications.channels.zbot import ZaloBot
from notifications.secrets import protect_logs
from notifications.sending import Sender, deliver, plan_digests
from notifications.standin.mailbox import Mailbox
from notifications.standin.zalo import ZaloStandIn
from tests.factories import assignment, person
from tests.notifications.mails import sent, session
from tests.notifications.sent import TOKEN

OCTOBER = date(2025, 10, 1)
SENT_AT = at(OCTOBER)


def test_a_digest_reaches_mail_and_zalo_once_a_day(
    plan_51: Engine, mailbox: Mailbox, zalo: ZaloStandIn, outside: Settings
) -> None:
    october = plan_51.at(at(OCTOBER))
    october.sweeps.run()

    first = deliver(october, outside, Sender(plan_51, outside))
    again = deliver(october, outside, Sender(plan_51, outside))

    mails = mailbox.messages()
    recipients = [str(m["To"]) for m in mails]
    assert len(recipients) == len(set(recipients)) == first["planned"] > 20
    assert again == {"planned": 0, "released": 0, "unknown": 0, "waited_out": 0, "expired": 0}
    officer = next(m for m in mails if "cv.skhcn@" in str(m["To"]))
    assert str(officer["Subject"]).startswith("28 việc quá hạn – Sở Khoa học")
    assert officer["Auto-Submitted"] == "auto-generated"
    assert "+0700" in str(officer["Date"])
    html, text = (officer.get_body((kind,)) for kind in ("html", "plain"))
    assert isinstance(html, EmailMessage)
    assert isinstance(text, EmailMessage)
    assert "nhiệm vụ 47" in text.get_content()
    assert "Quá hạn" in html.get_content() or "quá hạn" in html.get_content()
    assert {m.chat_id for m in zalo.messages} >= {"demo-cv-skhcn", "demo-pct-ubnd-tinh"}
    assert all(len(m.text) < 2000 for m in zalo.messages)


def test_news_waits_for_the_digest_and_what_was_settled_is_not_told(
    plan_51: Engine, mailbox: Mailbox, outside: Settings
) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    then = plan_51.at(at(date(2025, 3, 10)))
    then.fire(number, "decline", person(plan_51, "cv.so-noi-vu"), data={"reason": "Không thuộc"})

    deliver(then, outside, Sender(plan_51, outside))

    (mail,) = mailbox.messages()
    body = mail.get_body(("plain",))
    assert "dp.skhcn@" in str(mail["To"])
    assert isinstance(body, EmailMessage)
    assert "Cơ quan chủ trì từ chối nhiệm vụ" in body.get_content()


def test_nothing_is_planned_before_the_digest_time_or_on_a_day_of_rest(
    plan_51: Engine, outside: Settings
) -> None:
    plan_51.at(at(OCTOBER)).sweeps.run()

    early = deliver(plan_51.at(at(OCTOBER, 7, 30)), outside, Sender(plan_51, outside))
    sunday = deliver(plan_51.at(at(date(2025, 10, 5))), outside, Sender(plan_51, outside))

    assert (early["planned"], sunday["planned"]) == (0, 0)


def test_two_planners_at_once_make_one_digest_each(plan_51: Engine, outside: Settings) -> None:
    october = plan_51.at(at(OCTOBER))
    october.sweeps.run()
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda: made.append(plan_digests(october, outside).messages))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(made)[:3] == [0, 0, 0]
    assert sorted(made)[3] > 0


def test_a_refused_mail_is_tried_again_and_in_the_end_given_up(
    plan_51: Engine,
) -> None:
    settings = Settings(smtp_port=9, smtp_security="plain")  # nobody listens there
    october = plan_51.at(at(OCTOBER))
    october.sweeps.run()

    first = deliver(october, settings, Sender(plan_51, settings))
    moment = at(OCTOBER)
    for _ in range(9):
        moment += timedelta(minutes=31)
        deliver(plan_51.at(moment), settings, Sender(plan_51, settings))

    states, _ = october.deliveries.counts()
    assert first["retry"] == first["planned"]
    assert states == {("email", "dead"): first["planned"]}


def test_the_delay_doubles_up_to_half_an_hour_with_jitter() -> None:
    delays = [max(retry_at(n, SENT_AT, None) - SENT_AT for _ in range(200)) for n in (1, 3, 8)]

    assert timedelta(seconds=20) < delays[0] <= timedelta(seconds=30)
    assert timedelta(seconds=90) < delays[1] <= timedelta(seconds=120)
    assert delays[2] <= timedelta(minutes=30)
    assert retry_at(1, SENT_AT, 7) == SENT_AT + timedelta(seconds=7)


def test_a_channel_that_raises_or_says_nothing_is_unknown() -> None:
    class Broken(Channel):
        protocol = "broken"

        def attempt(self, body: str, title: str) -> Outcome:
            raise ZeroDivisionError(body, title)

    assert dispatch(Broken(), "x", "y").state is OutcomeState.UNKNOWN


def test_no_secret_is_ever_logged(
    plan_51: Engine,
    zalo: ZaloStandIn,
    mailbox: Mailbox,
    outside: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    protect_logs()
    password = os.urandom(8).hex()
    sender = Sender(plan_51, outside)

    zalo.fail_next("500")
    dispatch(ZaloBot(zalo.url, TOKEN, "c"), "x", "")
    dispatch(ZaloBot("http://127.0.0.1:9", TOKEN, "c"), "x", "")
    sent(session(mailbox.smtp_port, password=password))
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    dispatch(ZaloBot(zalo.url, TOKEN, "c"), "x", "")

    said = caplog.text + repr(sender) + repr(session(1, password=password))
    assert caplog.records
    assert TOKEN not in said
    assert password not in said
