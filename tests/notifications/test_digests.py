"""From the ledger to a mail and a Zalo text, through real servers."""

import logging
import os
import socketserver
import ssl
import subprocess
import threading
from datetime import date, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.smtp import Envelope

from engine.channels import Outcome, OutcomeState, retry_at
from engine.clock import at
from engine.service.engine import Engine
from engine.settings import Settings
from notifications.channels.base import Channel, dispatch
from notifications.channels.mail import GovMail, SmtpServer
from notifications.channels.zbot import ZaloBot
from notifications.secrets import MaskSecrets
from notifications.sending import Sender, deliver, plan_digests
from notifications.standin.mailbox import LocalSmtp, Mailbox
from notifications.standin.zalo import ZaloStandIn
from tests.factories import assignment, person
from tests.notifications.sent import TOKEN

OCTOBER = date(2025, 10, 1)
SENT_AT = at(OCTOBER)
SUBJECT = (
    "Nhắc việc: 5 nhiệm vụ quá hạn – Sở Nông nghiệp và Môi trường tỉnh Quảng Ngãi (01/10/2025)"
)


def a_mail(port: int, **server: object) -> GovMail:
    values = {"security": "plain", "from_address": "a@x.example", "from_name": "Hệ thống", **server}
    return GovMail(
        SmtpServer("127.0.0.1", port, **values),  # type: ignore[arg-type]
        "cv@x.example",
        "Nguyễn Văn Ước",
        "<p>Kính gửi</p>",
        "<stable@x.example>",
        SENT_AT,
    )


def test_a_digest_reaches_mail_and_zalo_once_a_day(
    plan_51: Engine, mailbox: Mailbox, zalo: ZaloStandIn, outside: Settings
) -> None:
    october = plan_51.at(at(OCTOBER))
    october.sweeps.run()

    first = deliver(october, outside, Sender(outside))
    again = deliver(october, outside, Sender(outside))

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

    deliver(then, outside, Sender(outside))

    (mail,) = mailbox.messages()
    body = mail.get_body(("plain",))
    assert "dp.skhcn@" in str(mail["To"])
    assert isinstance(body, EmailMessage)
    assert "Cơ quan chủ trì từ chối nhiệm vụ" in body.get_content()


def test_nothing_is_planned_before_the_digest_time_or_on_a_day_of_rest(
    plan_51: Engine, outside: Settings
) -> None:
    plan_51.at(at(OCTOBER)).sweeps.run()

    early = deliver(plan_51.at(at(OCTOBER, 7, 30)), outside, Sender(outside))
    sunday = deliver(plan_51.at(at(date(2025, 10, 5))), outside, Sender(outside))

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

    first = deliver(october, settings, Sender(settings))
    moment = at(OCTOBER)
    for _ in range(9):
        moment += timedelta(minutes=31)
        deliver(plan_51.at(moment), settings, Sender(settings))

    states, _ = october.deliveries.counts()
    assert first["retry"] == first["planned"]
    assert states == {("email", "dead"): first["planned"]}


def test_the_delay_doubles_up_to_half_an_hour_with_jitter() -> None:
    delays = [max(retry_at(n, SENT_AT, None) - SENT_AT for _ in range(200)) for n in (1, 3, 8)]

    assert timedelta(seconds=20) < delays[0] <= timedelta(seconds=30)
    assert timedelta(seconds=90) < delays[1] <= timedelta(seconds=120)
    assert delays[2] <= timedelta(minutes=30)
    assert retry_at(1, SENT_AT, 7) == SENT_AT + timedelta(seconds=7)


class TestMail:
    def test_a_long_vietnamese_subject_arrives_letter_by_letter(self, mailbox: Mailbox) -> None:
        outcomes = [dispatch(a_mail(mailbox.smtp_port), "Kính gửi", SUBJECT) for _ in range(2)]

        mails = mailbox.messages()
        raw = (mailbox.folder / "000001.eml").read_bytes()
        assert [o.state for o in outcomes] == [OutcomeState.ACCEPTED] * 2
        assert [str(m["Subject"]) for m in mails] == [SUBJECT] * 2
        assert {str(m["Message-ID"]) for m in mails} == {"<stable@x.example>"}
        assert "Nguyễn Văn Ước" in str(mails[0]["To"])
        assert max(map(len, raw.split(b"\r\n"))) <= 78

    @pytest.mark.parametrize(
        ("answer", "state"),
        [("550 no such user", OutcomeState.FAILED), ("451 later", OutcomeState.RETRY)],
    )
    def test_a_refusal_by_code_is_certain(self, answer: str, state: OutcomeState) -> None:
        class Refusing:
            async def handle_RCPT(self, *_: object) -> str:
                return answer

        smtp = LocalSmtp(Refusing())
        with _running(smtp) as port:
            outcome = dispatch(a_mail(port), "x", "y")

        assert (outcome.state, outcome.code) == (state, answer[:3])

    def test_silence_after_the_text_leaves_it_unknown(self) -> None:
        taken: list[bytes] = []

        class Closing(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 hi\r\n")
                for line in self.rfile:
                    if line.upper().startswith(b"DATA"):
                        self.wfile.write(b"354 go\r\n")
                        for part in self.rfile:
                            taken.append(part)
                            if part == b".\r\n":
                                return  # accepted, and not a word
                    else:
                        self.wfile.write(b"250 ok\r\n")

        with socketserver.TCPServer(("127.0.0.1", 0), Closing) as server:
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            outcome = dispatch(a_mail(server.server_address[1]), "x", "y")
            thread.join()

        assert outcome.state is OutcomeState.UNKNOWN
        assert taken

    def test_starttls_is_used_and_an_unknown_authority_refused(self, tmp_path: Path) -> None:
        key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
        command = (
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
            f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
        )
        subprocess.run(command.split(), check=True, capture_output=True)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)

        class Keeping:
            content: bytes | str | None = None

            async def handle_DATA(self, _s: object, _n: object, envelope: Envelope) -> str:
                self.content = envelope.content
                return "250 OK"

        keeping = Keeping()
        smtp = LocalSmtp(keeping, tls_context=context, require_starttls=True)
        with _running(smtp) as port:
            trusted = dispatch(a_mail(port, security="starttls", ca_file=cert), "x", SUBJECT)
            unknown = dispatch(a_mail(port, security="starttls"), "x", SUBJECT)

        assert trusted.state is OutcomeState.ACCEPTED
        assert keeping.content
        assert (unknown.state, unknown.code) == (OutcomeState.RETRY, "SSLCertVerificationError")


class _running:  # noqa: N801  reads like a function
    def __init__(self, smtp: LocalSmtp) -> None:
        self.smtp = smtp

    def __enter__(self) -> int:
        self.smtp.start()
        port: int = self.smtp.port
        return port

    def __exit__(self, *_: object) -> None:
        self.smtp.stop()


def test_a_channel_that_raises_or_says_nothing_is_unknown() -> None:
    class Broken(Channel):
        protocol = "broken"

        def attempt(self, body: str, title: str) -> Outcome:
            raise ZeroDivisionError(body, title)

    assert dispatch(Broken(), "x", "y").state is OutcomeState.UNKNOWN


def test_no_secret_is_ever_logged(
    zalo: ZaloStandIn, mailbox: Mailbox, outside: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.handler.addFilter(MaskSecrets())
    password = os.urandom(8).hex()
    sender = Sender(outside)

    zalo.fail_next("500")
    dispatch(ZaloBot(zalo.url, TOKEN, "c"), "x", "")
    dispatch(ZaloBot("http://127.0.0.1:9", TOKEN, "c"), "x", "")
    dispatch(a_mail(mailbox.smtp_port, password=password), "x", "y")
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    dispatch(ZaloBot(zalo.url, TOKEN, "c"), "x", "")

    said = caplog.text + repr(sender) + repr(a_mail(1, password=password)._server)
    assert caplog.records
    assert TOKEN not in said
    assert password not in said
