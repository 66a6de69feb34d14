"""Mail by real SMTP: what arrives, what is certain, and what nobody can know."""

import email
import email.policy
import socketserver
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult, Envelope

from engine.channels import OutcomeState
from notifications.channels import mail as mail_channel
from notifications.channels.mail import Attachment
from notifications.standin.mailbox import LocalSmtp, Mailbox
from tests.notifications.mails import (
    SUBJECT,
    a_mail,
    dialogue,
    running,
    scripted,
    sent,
    session,
)

UNKNOWN, RETRY, FAILED = OutcomeState.UNKNOWN, OutcomeState.RETRY, OutcomeState.FAILED
PARKED, REJECTED, ACCEPTED = OutcomeState.PARKED, OutcomeState.REJECTED, OutcomeState.ACCEPTED
Connection = socketserver.StreamRequestHandler


def nothing(_: Connection) -> None:
    """Accept the text, and not say a word."""


def test_a_long_vietnamese_subject_arrives_letter_by_letter(mailbox: Mailbox) -> None:
    own = session(mailbox.smtp_port)
    long = "Đôn đốc thực hiện nhiệm vụ được giao tại Kế hoạch 51/KH-UBND – " * 6
    outcomes = [sent(own), sent(own, subject=long.strip())]

    mails = mailbox.messages()
    raw = (mailbox.folder / "000002.eml").read_bytes()
    assert [o.state for o in outcomes] == [ACCEPTED] * 2
    assert [str(m["Subject"]) for m in mails] == [SUBJECT, long.strip()]
    assert {str(m["Message-ID"]) for m in mails} == {"<stable@x.example>"}
    assert "Nguyễn Văn Ước" in str(mails[0]["To"])
    assert "+0700" in str(mails[0]["Date"])
    assert mails[0]["Auto-Submitted"] == "auto-generated"
    assert max(map(len, raw.split(b"\r\n"))) <= 78


def test_a_file_keeps_its_vietnamese_name_in_two_readers(mailbox: Mailbox, tmp_path: Path) -> None:
    name = "Tổng hợp quá hạn quý III-2025.xlsx"
    content = bytes(range(256)) * 40
    sent(
        session(mailbox.smtp_port),
        attachments=(Attachment(name, content, "application/vnd.ms-excel"),),
    )

    raw = (mailbox.folder / "000001.eml").read_bytes()
    (modern,) = mailbox.messages()[0].iter_attachments()
    old = next(p for p in email.message_from_bytes(raw).walk() if p.get_param("name"))
    assert modern.get_filename() == name
    assert modern.get_payload(decode=True) == content
    encoded = old.get_param("name")
    assert str(email.header.make_header(email.header.decode_header(str(encoded)))) == name
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    del tmp_path


def test_the_mails_of_one_escalation_make_a_thread(mailbox: Mailbox) -> None:
    sent(session(mailbox.smtp_port), references=("<first@x.example>", "<second@x.example>"))

    (mail,) = mailbox.messages()
    assert mail["In-Reply-To"] == "<first@x.example>"
    assert str(mail["References"]).split() == ["<first@x.example>", "<second@x.example>"]


def test_a_line_beginning_with_a_dot_arrives_with_it() -> None:
    taken: list[bytes] = []

    def keep(connection: Connection) -> None:
        connection.wfile.write(b"250 ok\r\n")

    def handle(connection: Connection) -> None:
        connection.wfile.write(b"220 ready\r\n")
        for line in connection.rfile:
            if line.upper().startswith(b"DATA"):
                connection.wfile.write(b"354 go\r\n")
                for part in connection.rfile:
                    taken.append(part)
                    if part == b".\r\n":
                        break
                keep(connection)
            else:
                connection.wfile.write(b"250 ok\r\n")

    with scripted(handle) as port:
        own = session(port)
        outcome = own.hand_over("a@x.example", "b@x.example", b"Subject: x\r\n\r\n.dot\r\n..\r\n")

    assert outcome.state is ACCEPTED
    assert taken[2:] == [b"..dot\r\n", b"...\r\n", b".\r\n"]


@pytest.mark.parametrize(
    ("answers", "state", "code"),
    [
        ({"RCPT": "550 5.1.1 no such user"}, FAILED, "550"),
        ({"RCPT": "451 later"}, RETRY, "451"),
        ({"RCPT": "554 5.7.1 Relay access denied"}, PARKED, "554"),
        ({"RCPT": "530 5.7.0 authentication required"}, PARKED, "530"),
        ({"MAIL": "550 sender not allowed"}, PARKED, "550"),
        ({"MAIL": "421 too many"}, RETRY, "421"),
        ({"DATA": "554 no"}, REJECTED, "554"),
        ({"DATA": "nonsense"}, RETRY, "-1"),
        ({"EHLO": "500 what", "HELO": "500 what"}, RETRY, "500"),
        ({"EHLO": "what", "HELO": "what"}, RETRY, "SMTPServerDisconnected"),
    ],
)
def test_what_is_refused_before_the_text_is_certain(
    answers: dict[str, str], state: OutcomeState, code: str
) -> None:
    with scripted(dialogue(answers, nothing)) as port:
        outcome = sent(session(port))

    assert (outcome.state, outcome.code) == (state, code)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b"250 ok\r\n", ACCEPTED),
        (b"451 later\r\n", RETRY),
        (b"554 5.6.0 content\r\n", REJECTED),
        (b"552 5.3.4 too big\r\n", REJECTED),
        (b"550 5.1.1 nobody\r\n", FAILED),
        (b"<html>hello</html>\r\n", UNKNOWN),
        (b"", UNKNOWN),
    ],
)
def test_after_the_last_dot_only_the_answer_says_what_became_of_it(
    answer: bytes, state: OutcomeState
) -> None:
    with scripted(dialogue({}, lambda c: c.wfile.write(answer) and None)) as port:
        assert sent(session(port)).state is state


def test_a_server_that_stalls_after_the_text_leaves_it_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail_channel, "TIMEOUT_SECONDS", 0.5)
    with scripted(dialogue({}, lambda _: time.sleep(2))) as port:
        assert sent(session(port)).state is UNKNOWN


def _dribble(connection: Connection) -> None:
    for _ in range(200):
        connection.wfile.write(b"2")
        connection.wfile.flush()
        time.sleep(0.05)


def _endless(connection: Connection) -> None:
    for _ in range(100_000):
        connection.wfile.write(b"220-hello\r\n")


def _binary(connection: Connection) -> None:
    connection.wfile.write(bytes(range(256)) * 64)


def _page(connection: Connection) -> None:
    connection.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n<html></html>")


@pytest.mark.parametrize("server", [nothing, _dribble, _endless, _binary, _page])
def test_a_server_that_speaks_nonsense_is_left_soon_and_took_nothing(
    server: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_channel, "TOTAL_SECONDS", 1.0)
    began = time.monotonic()

    with scripted(server) as port:  # type: ignore[arg-type]
        outcome = sent(session(port))

    assert outcome.state is RETRY
    assert time.monotonic() - began < 5


def test_nobody_listening_is_certain() -> None:
    assert sent(session(9)).state is RETRY


@pytest.mark.parametrize(
    ("parts", "subject", "state"),
    [
        ({}, "Nhắc việc\r\nBcc: x@y.example", REJECTED),
        ({"to_name": "A\nBcc: x@y.example"}, SUBJECT, REJECTED),
        ({"to_address": "a@b.example\nRCPT TO:<x@y.example>"}, SUBJECT, REJECTED),
        ({"reply_to": "a@b.example\r\nX: y"}, SUBJECT, REJECTED),
        ({"references": ("<a@b>\r\nX: y",)}, SUBJECT, REJECTED),
        ({"to_address": "hùng@sở.vn"}, SUBJECT, FAILED),
        ({"to_address": "two words@x.example"}, SUBJECT, FAILED),
    ],
)
def test_a_header_cannot_be_smuggled_in(
    mailbox: Mailbox, parts: dict[str, object], subject: str, state: OutcomeState
) -> None:
    assert sent(session(mailbox.smtp_port), subject=subject, **parts).state is state
    assert mailbox.messages() == []


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Key and certificate of a mail server nobody but us trusts."""
    folder = tmp_path_factory.mktemp("ca")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return key, cert


class TestTls:
    def context(self, authority: tuple[Path, Path]) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(authority[1], authority[0])
        return context

    def test_starttls_is_used_and_an_unknown_authority_parks_the_gateway(
        self, authority: tuple[Path, Path]
    ) -> None:
        class Keeping:
            content: bytes | str | None = None

            async def handle_DATA(self, _s: object, _n: object, envelope: Envelope) -> str:
                self.content = envelope.content
                return "250 OK"

        keeping = Keeping()
        smtp = LocalSmtp(keeping, tls_context=self.context(authority), require_starttls=True)
        with running(smtp) as port:
            trusted = sent(session(port, security="starttls", ca_file=authority[1]))
            unknown = sent(session(port, security="starttls"))

        assert trusted.state is ACCEPTED
        assert keeping.content
        assert (unknown.state, unknown.code) == (PARKED, "SSLCertVerificationError")

    def test_a_server_without_starttls_parks_the_gateway(self, mailbox: Mailbox) -> None:
        outcome = sent(session(mailbox.smtp_port, security="starttls"))

        assert (outcome.state, outcome.code) == (PARKED, "SMTPNotSupportedError")
        assert mailbox.messages() == []

    def test_a_wrong_password_parks_the_gateway(self, authority: tuple[Path, Path]) -> None:
        class Taking:
            async def handle_DATA(self, *_: object) -> str:
                return "250 OK"

        smtp = LocalSmtp(
            Taking(),
            tls_context=self.context(authority),
            auth_required=True,
            authenticator=lambda *_: AuthResult(success=False, handled=False),
        )
        own = {"security": "starttls", "ca_file": authority[1], "user": "u", "password": "p"}
        with running(smtp) as port:
            outcome = sent(session(port, **own))

        assert (outcome.state, outcome.code) == (PARKED, "535")


class TestOneConnection:
    def test_several_mails_go_over_one_connection(self, mailbox: Mailbox) -> None:
        own = session(mailbox.smtp_port)

        outcomes = [sent(own, message_id=f"<{n}@x.example>").state for n in range(5)]

        assert outcomes == [ACCEPTED] * 5
        assert own._used == 5
        assert len(mailbox.messages()) == 5

    def test_a_connection_the_server_ended_is_opened_anew_without_loss_or_double(self) -> None:
        taken: list[bytes] = []

        def two_each(connection: Connection) -> None:
            """Take two mails a connection, then say 421 and close."""
            connection.wfile.write(b"220 ready\r\n")
            mails = 0
            for line in connection.rfile:
                if mails == 2:
                    connection.wfile.write(b"421 too many mails\r\n")
                    return
                if line.upper().startswith(b"DATA"):
                    connection.wfile.write(b"354 go\r\n")
                    for part in connection.rfile:
                        if part.lower().startswith(b"message-id"):
                            taken.append(part.strip())
                        if part == b".\r\n":
                            break
                    mails += 1
                connection.wfile.write(b"250 ok\r\n")

        with scripted(two_each) as port:
            own = session(port)
            states = [sent(own, message_id=f"<{n}@x.example>").state for n in range(7)]

        assert states == [ACCEPTED] * 7
        assert len(taken) == len(set(taken)) == 7

    def test_after_a_doubtful_mail_the_connection_is_not_used_again(self) -> None:
        with scripted(dialogue({}, nothing)) as port:
            own = session(port)
            sent(own)

            assert own._smtp is None

    def test_a_refused_recipient_does_not_end_the_connection(self) -> None:
        answers = iter(["550 5.1.1 nobody", "250 ok"])

        def handle(connection: Connection) -> None:
            connection.wfile.write(b"220 ready\r\n")
            for line in connection.rfile:
                verb = line[:4].upper()
                answer = next(answers) if verb == b"RCPT" else "250 ok"
                if verb == b"DATA":
                    connection.wfile.write(b"354 go\r\n")
                    for part in connection.rfile:
                        if part == b".\r\n":
                            break
                connection.wfile.write(f"{answer}\r\n".encode())

        with scripted(handle) as port:
            own = session(port)
            states = [sent(own).state for _ in range(2)]

        assert states == [FAILED, ACCEPTED]
        assert own._used == 2


def test_neither_password_nor_address_is_in_what_is_printed() -> None:
    shown = repr(session(25, password="geheim")) + repr(a_mail())

    assert "geheim" not in shown
    assert "cv@x.example" not in shown
