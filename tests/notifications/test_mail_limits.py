"""Mail against servers and settings at their worst: time, memory, and what parks the gateway."""

import logging
import re
import socketserver
import ssl
import subprocess
import time
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.channels import OutcomeState
from notifications.channels import mail as mail_channel
from notifications.channels.mail import Attachment, GovMail, SmtpServer, SmtpSession
from notifications.standin.mailbox import LocalSmtp, Mailbox
from tests.notifications.authority import Authority
from tests.notifications.mails import a_mail, dialogue, running, scripted, sent, session

UNKNOWN, RETRY, FAILED = OutcomeState.UNKNOWN, OutcomeState.RETRY, OutcomeState.FAILED
PARKED, REJECTED, ACCEPTED = OutcomeState.PARKED, OutcomeState.REJECTED, OutcomeState.ACCEPTED
Connection = socketserver.StreamRequestHandler


def dribble(connection: Connection) -> None:
    """Write one letter at a time, so that no single read ever takes long."""
    for _ in range(100):
        connection.wfile.write(b"2")
        time.sleep(0.05)


def talk(connection: Connection) -> None:
    """Say one answer without end."""
    line = b"220-" + b"x" * 500 + b"\r\n"
    while True:
        connection.wfile.write(line * 100)


def after(mails: int, then: Callable[[Connection], None]) -> Callable[[Connection], None]:
    """A server that takes so many mails on a connection and then does something else."""

    def handle(connection: Connection) -> None:
        connection.wfile.write(b"220 ready\r\n")
        taken = 0
        for line in connection.rfile:
            if line.upper().startswith(b"DATA"):
                connection.wfile.write(b"354 go\r\n")
                while connection.rfile.readline() not in {b".\r\n", b""}:
                    pass
                taken += 1
            elif taken == mails:
                then(connection)
                return
            connection.wfile.write(b"250 ok\r\n")

    return handle


class TestTime:
    def test_a_reused_connection_that_dribbles_gets_no_second_time_limit(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mail_channel, "TOTAL_SECONDS", 2.0)
        with scripted(after(1, dribble)) as port:
            own = session(port)
            first = sent(own)
            began = time.monotonic()
            second = sent(own)

        assert (first.state, second.state) == (ACCEPTED, RETRY)
        assert time.monotonic() - began < 4

    def test_a_server_that_dribbles_after_the_text_leaves_it_unknown_in_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mail_channel, "TOTAL_SECONDS", 1.0)
        began = time.monotonic()
        with scripted(dialogue({}, dribble)) as port:
            outcome = sent(session(port))

        assert outcome.state is UNKNOWN
        assert time.monotonic() - began < 3

    @pytest.mark.parametrize(("handle", "state"), [(talk, RETRY), (dialogue({}, talk), UNKNOWN)])
    def test_an_answer_without_end_is_not_listened_to(
        self, handle: Callable[[Connection], None], state: OutcomeState
    ) -> None:
        began = time.monotonic()
        with scripted(handle) as port:
            outcome = sent(session(port))

        assert outcome.state is state
        assert "without end" in outcome.text
        assert time.monotonic() - began < 5

    @pytest.mark.parametrize("limit", ["MAILS_PER_CONNECTION", "IDLE_SECONDS"])
    def test_a_connection_that_is_full_or_was_idle_is_left_for_a_new_one(
        self, limit: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mail_channel, limit, {"MAILS_PER_CONNECTION": 2}.get(limit, -1))
        opened: list[int] = []

        def handle(connection: Connection) -> None:
            opened.append(1)
            after(99, dribble)(connection)

        with scripted(handle) as port:
            own = session(port)
            states = {sent(own).state for _ in range(4)}

        assert states == {ACCEPTED}
        assert len(opened) == {"MAILS_PER_CONNECTION": 2}.get(limit, 4)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("554 5.7.1 <cv@x.example>: Relay access denied", PARKED),
        ("550 relay not permitted", PARKED),
        ("550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", PARKED),
        ("553 5.7.1 <a@x.example>: Sender address rejected: not owned by user u", PARKED),
        ("550 5.1.8 <a@x.example>: Sender address rejected: Domain not found", PARKED),
        ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked", PARKED),
        ("504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname", PARKED),
        ("530 5.7.0 Must issue a STARTTLS command first", PARKED),
        ("550 5.1.1 <relay@x.example>: Recipient address rejected: User unknown", FAILED),
        ("550 5.7.1 <cv@x.example>: Recipient address rejected: Access denied", FAILED),
        ("550 5.2.1 The email account is disabled; see the sender rejected page", FAILED),
        ("452 4.2.2 mailbox full", RETRY),
    ],
)
def test_one_mailbox_that_refuses_does_not_stop_everybodys_mail_and_a_wrong_setup_does(
    answer: str, state: OutcomeState
) -> None:
    with scripted(dialogue({"RCPT": answer}, dribble)) as port:
        assert sent(session(port)).state is state


@pytest.mark.parametrize(
    ("banner", "state"),
    [(b"554 5.7.1 blocked", PARKED), (b"421 busy", RETRY), (b"250 wrong number", RETRY)],
)
def test_a_server_that_wants_no_mail_of_ours_parks_the_gateway(
    banner: bytes, state: OutcomeState
) -> None:
    def handle(connection: Connection) -> None:
        connection.wfile.write(banner + b"\r\n")

    with scripted(handle) as port:
        assert sent(session(port)).state is state


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


class Taking:
    async def handle_DATA(self, *_: object) -> str:
        return "250 OK"


def taking(security: str, context: ssl.SSLContext) -> LocalSmtp:
    """A server that takes every mail, by STARTTLS or with TLS from the first byte."""
    if security == "ssl":
        return LocalSmtp(Taking(), ssl_context=context)
    return LocalSmtp(Taking(), tls_context=context)


class TestSetup:
    @pytest.mark.parametrize(
        ("host", "days", "state"),
        [
            ("127.0.0.1", (-1, 1), ACCEPTED),
            ("127.0.0.1", (-3, -2), PARKED),
            ("127.0.0.1", (2, 3), PARKED),
            ("other.example", (-1, 1), PARKED),
        ],
    )
    @pytest.mark.parametrize("security", ["starttls", "ssl"])
    def test_a_certificate_has_to_be_ours_for_this_host_and_today(
        self,
        authority: Authority,
        security: str,
        host: str,
        days: tuple[int, int],
        state: OutcomeState,
    ) -> None:
        context = authority.context(host=host, days=days)
        with running(taking(security, context)) as port:
            outcome = sent(session(port, security=security, ca_file=authority.file))

        assert outcome.state is state

    def test_plain_text_where_tls_is_expected_parks_the_gateway(self, mailbox: Mailbox) -> None:
        outcome = sent(session(mailbox.smtp_port, security="ssl"))

        assert (outcome.state, outcome.code) == (PARKED, "SSLError")

    @pytest.mark.parametrize("security", ["starttls", "ssl"])
    def test_an_authority_that_is_no_file_parks_the_gateway(
        self, authority: Authority, tmp_path: Path, security: str
    ) -> None:
        with running(taking(security, authority.context())) as port:
            outcome = sent(session(port, security=security, ca_file=tmp_path / "none.pem"))

        assert (outcome.state, outcome.code) == (PARKED, "SSLError")
        assert "smtp_ca_file" in outcome.text

    @pytest.mark.parametrize(
        "greeting", ["250 ok", "250 AUTH GSSAPI"], ids=["no sign-in", "no known way"]
    )
    def test_a_server_that_takes_no_password_parks_the_gateway(self, greeting: str) -> None:
        answers = {"EHLO": f"250-hello\r\n{greeting}"}
        with scripted(dialogue(answers, dribble)) as port:
            assert sent(session(port, user="u", password="p")).state is PARKED

    def test_a_password_beyond_ascii_parks_the_gateway_and_is_not_told(self) -> None:
        with scripted(dialogue({"EHLO": "250-hello\r\n250 AUTH PLAIN"}, dribble)) as port:
            outcome = sent(session(port, user="u", password="mật khẩu"))

        assert outcome.state is PARKED
        assert "\\u" not in outcome.text
        assert "ậ" not in outcome.text

    def test_a_host_that_is_no_name_parks_the_gateway_and_one_nobody_knows_waits(self) -> None:
        states = []
        for host in ("a..b", "mail.invalid"):
            server = SmtpServer(host, 25, "plain", "a@x.example", "A")
            states.append(sent(SmtpSession(server)).state)

        assert states == [PARKED, RETRY]


class TestWhatArrives:
    @given(
        st.text(
            st.characters(exclude_categories=["C", "Zl", "Zp"], max_codepoint=0x2FFFF),
            min_size=1,
            max_size=450,
        ).map(str.strip)
    )
    def test_any_subject_reads_back_and_is_folded_as_rfc_2047_asks(self, subject: str) -> None:
        server = SmtpServer("127.0.0.1", 25, "plain", "a@x.example", "Hệ thống")
        whole = GovMail(SmtpSession(server), a_mail()).message("x", subject)

        raw = whole.as_bytes()
        value = str(message_from_bytes(raw)["Subject"])

        assert str(make_header(decode_header(value.replace("\n", "")))) == subject
        assert max(map(len, raw.splitlines())) <= 998
        assert all(len(word) <= 75 for word in re.findall(r"=\?utf-8\?\S+\?=", value))

    def test_long_names_are_folded_and_read_back(self, mailbox: Mailbox) -> None:
        name = "Văn phòng Ủy ban nhân dân tỉnh Quảng Ngãi, Phòng Tổng hợp – ông Nguyễn Văn Ước " * 2
        sent(session(mailbox.smtp_port, from_name=name.strip()), to_name=name.strip())

        raw = (mailbox.folder / "000001.eml").read_bytes()
        # Not email.policy.default: on Python 3.11 it puts a space between two encoded-words of a
        # name, which RFC 2047 (6.2) forbids.
        old = message_from_bytes(raw)
        shown = [str(make_header(decode_header(str(old[h])))) for h in ("From", "To")]
        assert shown[1] == f"{name.strip()} <cv@x.example>"
        assert shown[0] == f"{name.strip()} <a@x.example>"
        assert max(map(len, raw.split(b"\r\n"))) <= 100

    def test_an_ascii_name_with_a_comma_stays_one_name(self, mailbox: Mailbox) -> None:
        sent(session(mailbox.smtp_port), to_name="Nguyen, Van Uoc")

        (mail,) = mailbox.messages()
        assert [a.display_name for a in mail["To"].addresses] == ["Nguyen, Van Uoc"]

    def test_the_envelope_and_the_header_may_name_different_senders(self) -> None:
        said: list[bytes] = []

        def handle(connection: Connection) -> None:
            connection.wfile.write(b"220 ready\r\n")
            for line in connection.rfile:
                said.append(line.strip())
                connection.wfile.write(b"354 go\r\n" if line[:4] == b"data" else b"250 ok\r\n")
                if line[:4] == b"data":
                    while connection.rfile.readline() not in {b".\r\n", b""}:
                        pass
                    connection.wfile.write(b"250 ok\r\n")

        with scripted(handle) as port:
            sent(
                session(port, from_address="nhacviec@quangngai.example"),
                bounce_address="bounce+7-abc@quangngai.example",
                reply_to="phongth@quangngai.example",
            )

        assert said[0] == b"ehlo quangngai.example"
        assert b"mail FROM:<bounce+7-abc@quangngai.example>" in said


@pytest.mark.debian("ripmime")
def test_another_parser_reads_the_vietnamese_file_name_too(
    mailbox: Mailbox, tmp_path: Path
) -> None:
    name, content = "Tổng hợp quá hạn quý III-2025.xlsx", bytes(range(256)) * 40
    attachment = Attachment(name, content, "application/vnd.ms-excel")
    sent(session(mailbox.smtp_port), attachments=(attachment,))

    eml = mailbox.folder / "000001.eml"
    subprocess.run(["ripmime", "-i", eml, "-d", tmp_path / "out"], check=True)

    assert (tmp_path / "out" / name).read_bytes() == content


def test_no_address_and_no_password_is_logged_even_when_everything_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("", "apprise"):
        caplog.set_level(logging.DEBUG, name)
    answers = {
        "EHLO": "250-hello\r\n250 AUTH PLAIN",
        "AUTH": "235 ok",
        "RCPT": "550 5.1.1 <cv@x.example> unknown",
    }
    with scripted(dialogue(answers, dribble)) as port:
        refused = sent(session(port, user="nhacviec", password="rất-bí-mật".encode().hex()))
    sent(session(9, user="nhacviec", password="geheim"))

    assert refused.state is FAILED
    assert caplog.records
    for secret in ("cv@x.example", "geheim", "rất-bí-mật".encode().hex()):
        assert secret not in caplog.text
