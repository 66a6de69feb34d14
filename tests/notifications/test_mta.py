"""Mail through Debian's own mail server: what arrives, what waits, what comes back."""

import mailbox as mailboxes
from collections.abc import Iterator
from datetime import date
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from engine.channels import OutcomeState
from engine.clock import at
from engine.sealing import KeyRing
from engine.service.engine import Engine
from engine.service.people import NewPerson
from engine.settings import Settings
from notifications.bounces import MaildirMailbox, bounce_address, read_bounce, take_in
from notifications.channels.mail import Attachment
from notifications.sending import Sender, deliver
from tests.databases import SEAL_KEYS
from tests.factories import KEYS, people, person
from tests.notifications.authority import Authority
from tests.notifications.exim import Mta, running_mta
from tests.notifications.mails import close_all, sent, session

pytestmark = pytest.mark.debian("exim4")

DOMAIN = "quangngai.example"
BOUNCE = f"bounce@{DOMAIN}"
GONE = "cv.so-noi-vu"
"""Who is in the directory and has no mailbox any more."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def mta(folder: Path, authority: Authority) -> Iterator[Mta]:
    known = [address_of(somebody).partition("@")[0] for somebody in people()]
    with running_mta(
        folder, [name for name in known if name != GONE] + ["busy"], authority.certified()
    ) as server:
        yield server
        close_all()


def address_of(somebody: NewPerson) -> str:
    return somebody.contacts["email"]


def test_a_long_vietnamese_mail_with_a_file_arrives_letter_by_letter(
    mta: Mta, authority: Authority
) -> None:
    subject = ("Đôn đốc nhiệm vụ được giao tại Kế hoạch 51/KH-UBND, quá hạn – " * 7)[:400].strip()
    text = "Kính gửi: Sở Khoa học và Công nghệ.\n.\n. Dòng bắt đầu bằng dấu chấm\n" * 20
    file = Attachment("Tổng hợp quá hạn quý III-2025.xlsx", bytes(range(256)) * 500, "a/vnd.ms-x")
    own = session(
        mta.port,
        security="starttls",
        ca_file=authority.file,
        from_address=f"nhacviec@{DOMAIN}",
    )

    outcome = sent(
        own,
        text,
        subject,
        to_address=f"cv.skhcn@{DOMAIN}",
        message_id=f"<first@{DOMAIN}>",
        attachments=(file,),
        bounce_address=bounce_address(BOUNCE, 7, KEYS),
    )

    (raw,) = mta.arrived("cv.skhcn")
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    body = mail.get_body(("plain",))
    (attached,) = mail.iter_attachments()
    assert outcome.state is OutcomeState.ACCEPTED
    assert len(subject) > 395
    assert mail["Subject"] == subject
    assert isinstance(body, EmailMessage)
    assert body.get_content().split() == text.split()
    assert attached.get_filename() == file.name
    assert attached.get_payload(decode=True) == file.content
    assert mail["Return-Path"] == f"<{bounce_address(BOUNCE, 7, KEYS)}>"
    assert "X=TLS1." in mta.log()


def test_a_mail_to_nobody_comes_back_and_names_its_delivery(mta: Mta, authority: Authority) -> None:
    own = session(
        mta.port, security="starttls", ca_file=authority.file, from_address=f"nhacviec@{DOMAIN}"
    )
    parts = {"to_address": f"{GONE}@{DOMAIN}", "message_id": f"<{'a' * 32}@{DOMAIN}>"}

    verp = sent(own, bounce_address=bounce_address(BOUNCE, 4711, KEYS), **parts)
    mta.arrived("bounce")
    plain = sent(own, bounce_address=f"bounce+x@{DOMAIN}", **parts)
    first, second = mta.arrived("bounce", 2)

    assert {verp.state, plain.state} == {OutcomeState.ACCEPTED}
    named = read_bounce(first, KEYS, DOMAIN)
    by_id = read_bounce(second, KEYS, DOMAIN)
    stranger = read_bounce(first, KeyRing({"other": b"x" * 32}), DOMAIN)
    assert named is not None
    assert (named.delivery_id, named.permanent, named.status[0]) == (4711, True, "5")
    assert by_id is not None
    assert (by_id.delivery_id, by_id.rfc_message_id) == (None, parts["message_id"])
    assert stranger is None


def test_a_mail_that_is_put_off_arrives_once_when_it_is_sent_again(mta: Mta) -> None:
    own = session(mta.port, from_address=f"nhacviec@{DOMAIN}")

    later = sent(own, to_address=f"busy@{DOMAIN}")
    (mta.folder / "free").touch()
    now = sent(own, to_address=f"busy@{DOMAIN}")

    assert (later.state, later.code) == (OutcomeState.RETRY, "451")
    assert now.state is OutcomeState.ACCEPTED
    assert len(mta.arrived("busy")) == 1


def test_mail_for_elsewhere_parks_the_gateway(mta: Mta) -> None:
    outcome = sent(session(mta.port), to_address="cv@elsewhere.example")

    assert (outcome.state, outcome.code) == (OutcomeState.PARKED, "550")


def test_a_bounce_ends_the_address_and_is_taken_in_once(
    plan_51: Engine, mta: Mta, authority: Authority
) -> None:
    settings = Settings(
        smtp_port=mta.port,
        smtp_ca_file=authority.file,
        mail_from=f"nhacviec@{DOMAIN}",
        mail_bounce_address=BOUNCE,
        mail_bounce_maildir=mta.maildir("bounce"),
        seal_keys=SEAL_KEYS,
    )
    october = plan_51.at(at(date(2025, 10, 1)))
    october.sweeps.run()

    counts = deliver(october, settings, Sender(october, settings))
    (raw,) = mta.arrived("bounce")
    copy = mailboxes.Maildir(mta.maildir("bounce")).add(raw)
    first = take_in(october, settings)
    mailboxes.Maildir(mta.maildir("bounce")).add(raw)
    again = take_in(october, settings)

    states = {c.channel: c.state for c in october.contacts.listed(person(october, GONE))}
    assert copy
    assert counts["accepted"] == counts["planned"] > 20
    assert "no immediate delivery" not in mta.log()  # too many mails on one connection
    assert "non-properly terminated" not in mta.log()
    assert first == {"bounced": 1, "known": 1}
    assert again == {"known": 1}
    assert states["email"] == "bounced"
    assert list(MaildirMailbox(mta.maildir("bounce")).waiting()) == []
