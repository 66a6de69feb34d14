"""What is in a bounce mailbox: real reports, forged ones, automatic answers and rubbish."""

import imaplib
import mailbox
import socket
import ssl
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from engine.clock import at
from engine.service.engine import Engine
from engine.settings import Settings
from notifications.bounces import (
    SIZE_LIMIT,
    MailboxProblem,
    MaildirMailbox,
    bounce_address,
    opened,
    read_bounce,
    take_in,
)
from tests.databases import SEAL_KEYS
from tests.factories import KEYS, person
from tests.notifications.authority import Authority
from tests.notifications.dovecot import PASSWORD, USER, running_imap
from tests.notifications.sent import ACCEPTED, mine, planned, send

DOMAIN = "quangngai.example"
OFFICER = "cv.so-noi-vu"
TO = bounce_address(f"bounce@{DOMAIN}", 7, KEYS)
OURS = f"<{'0123456789abcdef' * 2}@{DOMAIN}>"


def report(
    block: str, to: str = TO, head: str = "", returned: str = "Subject: x", body: str = "Xin lỗi"
) -> bytes:
    """A mail with a delivery report of RFC 3464, whose block on the recipient is given."""
    text = f"""From: MAILER-DAEMON@mx.{DOMAIN}
To: {to}
Subject: Undelivered Mail Returned to Sender
{head}MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{body}
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.{DOMAIN}

Final-Recipient: rfc822; cv@{DOMAIN}
{block}

--b
Content-Type: text/rfc822-headers

{returned}

--b--
"""
    return text.replace("\n", "\r\n").encode()


NOBODY = "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 <cv@x.example> unknown"


class TestReports:
    @pytest.mark.parametrize(
        ("block", "permanent", "status"),
        [
            (NOBODY, True, "5.1.1"),
            ("Action: failed\nStatus: 5.1.1 (bad mailbox)", True, "5.1.1"),
            ("Action: Failed (nobody)\nStatus: 5.0.0", True, "5.0.0"),
            ("Action: failed\nStatus: rubbish", True, "5.0.0"),
            ("Action: failed", True, "5.0.0"),
            ("Action: failed\nStatus: 4.4.7", False, "4.4.7"),
            ("Action: delayed\nStatus: 4.2.2", False, "4.2.2"),
            ("Action: delayed", False, "4.0.0"),
        ],
    )
    def test_a_report_says_whether_it_is_for_good(
        self, block: str, permanent: bool, status: str
    ) -> None:
        bounce = read_bounce(report(block), KEYS, DOMAIN)

        assert bounce is not None
        assert (bounce.delivery_id, bounce.permanent, bounce.status) == (7, permanent, status)

    @pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", ""])
    def test_a_report_of_success_is_no_bounce(self, action: str) -> None:
        assert read_bounce(report(f"Action: {action}\nStatus: 2.0.0"), KEYS, DOMAIN) is None

    def test_of_several_recipients_the_one_that_failed_counts(self) -> None:
        block = f"Action: relayed\nStatus: 2.0.0\n\nFinal-Recipient: rfc822; b@x\n{NOBODY}"

        bounce = read_bounce(report(block), KEYS, DOMAIN)

        assert bounce is not None
        assert bounce.status == "5.1.1"

    def test_no_address_is_kept_from_what_the_other_side_said(self) -> None:
        bounce = read_bounce(report(NOBODY), KEYS, DOMAIN)

        assert bounce is not None
        assert "550 5.1.1" in bounce.text
        assert "cv@" not in bounce.text

    @pytest.mark.parametrize(
        "diagnostic",
        ["smtp; 550 \x00null", "smtp; không có hộp thư", "=?utf-8?q?h=E1=BB=99p?=", "x" * 9000],
    )
    def test_what_the_other_side_said_fits_into_a_database(self, diagnostic: str) -> None:
        block = f"Action: failed\nStatus: 5.1.1\nDiagnostic-Code: {diagnostic}"

        bounce = read_bounce(report(block), KEYS, DOMAIN)

        assert bounce is not None
        assert len(bounce.text) <= 300
        assert bounce.text.isprintable()
        assert bounce.text.encode()


class TestWhose:
    @pytest.mark.parametrize("header", ["X-Original-To", "Delivered-To", "Envelope-To"])
    def test_the_address_it_came_back_to_names_the_delivery(self, header: str) -> None:
        raw = report(NOBODY, to="undisclosed-recipients:;", head=f"{header}: <{TO}>\n")

        bounce = read_bounce(raw, KEYS, DOMAIN)

        assert bounce is not None
        assert bounce.delivery_id == 7

    def test_without_such_an_address_the_message_that_was_returned_does(self) -> None:
        # A relay of our own domain numbers its reports like we number our mails.
        own = f"Message-ID: <E1abc@{DOMAIN}>\n"
        raw = report(
            NOBODY, to=f"bounce@{DOMAIN}", head=own, returned=f"Subject: x\nMessage-Id: {OURS}"
        )

        bounce = read_bounce(raw, KEYS, DOMAIN)

        assert bounce is not None
        assert (bounce.delivery_id, bounce.rfc_message_id) == (None, OURS)

    @pytest.mark.parametrize(
        "to",
        [
            f"bounce+7-aaaaaaaaaaaaaaaa@{DOMAIN}",
            TO.replace("+7-", "+8-"),
            f"bounce+{'9' * 18}-{TO.partition('-')[2]}",
        ],
    )
    def test_a_forged_bounce_ends_nobodys_address(self, to: str) -> None:
        raw = report(NOBODY, to=to, returned=f"Message-ID: {OURS}")

        assert read_bounce(raw, KEYS, DOMAIN) is None

    def test_a_bounce_of_other_peoples_mail_is_none_of_ours(self) -> None:
        raw = report(NOBODY, to=f"bounce@{DOMAIN}", returned="Message-ID: <1@else.example>")

        assert read_bounce(raw, KEYS, DOMAIN) is None


class TestOtherShapes:
    def test_an_old_qmail_bounce_is_understood(self) -> None:
        raw = f"""From: MAILER-DAEMON@old.example
To: {TO}
Subject: failure notice

Hi. This is the qmail-send program at old.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<cv@old.example>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.
"""
        bounce = read_bounce(raw.encode(), KEYS, DOMAIN)

        assert bounce is not None
        assert (bounce.permanent, bounce.status) == (True, "5.0.0")

    @pytest.mark.parametrize(
        "headers",
        [
            "From: cv@x.example\nSubject: Trả lời tự động\nAuto-Submitted: auto-replied\n",
            "Subject: Out of office\n",
            "From: cv@x.example\nSubject: Re: Nhắc việc\n",
            "From:\n",
        ],
    )
    def test_an_answer_by_a_person_or_a_machine_is_no_bounce(self, headers: str) -> None:
        raw = f"{headers}To: {TO}\n\nTôi nghỉ phép đến hết tuần. Liên hệ: vp@x.example\n"

        assert read_bounce(raw.encode(), KEYS, DOMAIN) is None

    def test_parts_within_parts_do_not_end_the_reader(self) -> None:
        deep = f"To: {TO}\n".encode() + b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000)
        )

        assert read_bounce(deep, KEYS, DOMAIN) is None

    @given(st.binary(max_size=3000))
    def test_rubbish_says_nothing(self, raw: bytes) -> None:
        assert read_bounce(raw, KEYS, DOMAIN) is None

    @given(st.integers(0, 1200), st.binary(min_size=1, max_size=12))
    def test_a_damaged_report_is_read_or_left_and_never_stops_the_rest(
        self, at_byte: int, damage: bytes
    ) -> None:
        whole = report(NOBODY, returned=f"Message-ID: {OURS}")

        bounce = read_bounce(whole[:at_byte] + damage + whole[at_byte:], KEYS, DOMAIN)

        assert bounce is None or bounce.delivery_id in {7, None}
        assert bounce is None or bounce.text.encode().find(b"\0") < 0


def sent_mail(engine: Engine) -> int:
    """A delivery by mail that was taken."""
    own = mine(engine, OFFICER)["email"]["id"]
    send(engine, own, ACCEPTED)
    return int(own)


def mails(engine: Engine) -> list[bytes]:
    """A bounce, rubbish, an automatic answer and a stranger."""
    to = bounce_address(f"bounce@{DOMAIN}", sent_mail(engine), KEYS)
    return [
        b"\0\xff rubbish",
        report(NOBODY, to=f"bounce@{DOMAIN}", returned=f"Message-ID: {OURS}"),
        f"To: {to}\nSubject: Out of office\n\nx\n".encode(),
        report(f"{NOBODY}\0", to=to),
        report(NOBODY, to=to, body="dài " * SIZE_LIMIT),
    ]


class TestTheMailbox:
    def settings(self, **values: Any) -> Settings:
        return Settings(mail_from=f"nhacviec@{DOMAIN}", seal_keys=SEAL_KEYS, **values)

    def test_a_folder_is_taken_in_and_emptied(self, plan_51: Engine, tmp_path: Path) -> None:
        october = planned(plan_51, at(date(2025, 10, 1)))
        box = mailbox.Maildir(tmp_path / "in")
        for raw in mails(october):
            box.add(raw)

        done = take_in(october, self.settings(mail_bounce_maildir=tmp_path / "in"))

        # The report of a mail that is too long is cut before it says anything.
        assert done == {"nothing": 3, "stranger": 1, "bounced": 1}
        assert len(mailbox.Maildir(tmp_path / "in")) == 0

    def test_what_was_not_forgotten_is_known_the_next_time(
        self, plan_51: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        october = planned(plan_51, at(date(2025, 10, 1)))
        to = bounce_address(f"bounce@{DOMAIN}", sent_mail(october), KEYS)
        mailbox.Maildir(tmp_path / "in").add(report(NOBODY, to=to))
        settings = self.settings(mail_bounce_maildir=tmp_path / "in")

        def crash(_: MaildirMailbox, handle: str) -> None:
            raise KeyboardInterrupt(handle)

        with monkeypatch.context() as patch:
            patch.setattr(MaildirMailbox, "done", crash)
            with pytest.raises(KeyboardInterrupt):
                take_in(october, settings)
        state = {c.channel: c.state for c in october.contacts.listed(person(october, OFFICER))}

        assert state["email"] == "bounced"  # taken in, though the crash came before it was deleted
        assert take_in(october, settings) == {"known": 1}
        assert take_in(october, settings) == {}

    def test_no_mailbox_is_nothing_to_do(self, plan_51: Engine) -> None:
        assert take_in(plan_51, self.settings()) == {}

    def test_a_folder_that_is_not_there_is_said(self, plan_51: Engine, tmp_path: Path) -> None:
        with pytest.raises(MailboxProblem, match="NoSuchMailboxError"):
            take_in(plan_51, self.settings(mail_bounce_maildir=tmp_path / "none"))


@pytest.mark.debian("dovecot")
class TestImap:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    @pytest.fixture
    def settings(self, folder: Path, authority: Authority) -> Iterator[Settings]:
        with running_imap(folder, authority.certified()) as port:
            yield Settings(
                mail_from=f"nhacviec@{DOMAIN}",
                seal_keys=SEAL_KEYS,
                smtp_ca_file=authority.file,
                mail_bounce_imap_host="127.0.0.1",
                mail_bounce_imap_port=port,
                mail_bounce_imap_user=USER,
                mail_bounce_imap_password=SecretStr(PASSWORD),
            )

    def put(self, settings: Settings, raw: bytes) -> None:
        context = ssl.create_default_context(cafile=settings.smtp_ca_file)
        with imaplib.IMAP4_SSL(
            "127.0.0.1", settings.mail_bounce_imap_port, ssl_context=context
        ) as connection:
            connection.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
            assert connection.append("INBOX", "", "", raw)[0] == "OK"

    def test_an_account_is_taken_in_and_emptied(self, plan_51: Engine, settings: Settings) -> None:
        october = planned(plan_51, at(date(2025, 10, 1)))
        to = bounce_address(f"bounce@{DOMAIN}", sent_mail(october), KEYS)
        for raw in (report(NOBODY, to=to), b"Subject: rubbish\r\n\r\nx\r\n"):
            self.put(settings, raw)

        first = take_in(october, settings)
        again = take_in(october, settings)

        assert first == {"bounced": 1, "nothing": 1}
        assert again == {}

    def test_a_mail_is_kept_until_it_was_taken_in(self, settings: Settings) -> None:
        for _ in range(2):
            self.put(settings, report(NOBODY))
        with opened(settings) as box:
            (handle, raw), *others = list(box.waiting())
            assert len(others) == 1
            assert read_bounce(raw, KEYS, DOMAIN) is not None
            box.done(handle)

        with opened(settings) as box:
            assert [handle for handle, _ in box.waiting()] == [h for h, _ in others]

    def test_a_wrong_password_and_a_stranger_are_refused(self, settings: Settings) -> None:
        wrong = settings.model_copy(update={"mail_bounce_imap_password": SecretStr("geheim")})
        with pytest.raises(imaplib.IMAP4.error) as refused, opened(wrong):
            pass
        stranger = settings.model_copy(update={"smtp_ca_file": None})
        with pytest.raises(ssl.SSLCertVerificationError), opened(stranger):
            pass
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            nobody = settings.model_copy(update={"mail_bounce_imap_port": free.getsockname()[1]})
            with pytest.raises(ConnectionRefusedError), opened(nobody):
                pass

        assert "geheim" not in str(refused.value)
