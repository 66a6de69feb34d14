"""Mails that came back: which delivery, for good or for now (RFC 3464, RFC 3463).

Anybody can write to the bounce mailbox. Whatever is in a mail there, it is read or put aside,
and never stops those behind it.
"""

import email
import email.policy
import hashlib
import imaplib
import mailbox
import re
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Protocol

from flufl.bounce import all_failures

from engine.addresses import mask_text
from engine.errors import EngineError, Sentence
from engine.sealing import KeyRing
from engine.service.engine import Engine
from engine.service.inbox import Bounce
from engine.settings import Settings
from notifications.secrets import without
from notifications.ways import ways

_VERP = re.compile(r"\+(\d{1,18})-([a-z2-7]{16})@", re.IGNORECASE | re.ASCII)
_MESSAGE_ID = re.compile(r"^Message-ID:\s*(<[!-=?-~]{1,200}>)", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]+")  # a database takes no NUL
IMAP_SECONDS = 30.0
TEXT_LIMIT = 300
SIZE_LIMIT = 1024 * 1024
"""So many bytes of a mail are read: the report is at its beginning, what came back behind it."""


class MailboxProblem(EngineError):
    """The bounce mailbox cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            Sentence(
                f"Không đọc được hộp thư trả lại ({reason}). Kiểm tra các biến "
                "DONDOC_MAIL_BOUNCE_*.",
                f"The bounce mailbox cannot be read ({reason}). Check the variables "
                "DONDOC_MAIL_BOUNCE_*.",
            )
        )


def bounce_address(base: str, delivery_id: int, ring: KeyRing) -> str:
    """Return the envelope sender of a delivery: `bounce+<id>-<tag>@domain` (VERP).

    The tag keeps strangers from ending other people's addresses with a forged bounce.
    """
    local, _, domain = base.rpartition("@")
    return f"{local}+{delivery_id}-{ring.sign(_about(delivery_id))}@{domain}"


def read_bounce(raw: bytes, ring: KeyRing, domain: str) -> Bounce | None:
    """Return what a mail in the bounce mailbox says of a delivery of ours; None: nothing.

    A delay is a temporary bounce. Successful deliveries, automatic answers and mails that are
    none of ours say nothing.

    Args:
        raw: The mail as it was received; anything.
        ring: Checks that the address it came back to was ours to give.
        domain: Our part of a Message-ID.
    """
    try:
        return _read(raw, ring, domain)
    except RecursionError:  # parts within parts, deeper than any report
        return None


def _read(raw: bytes, ring: KeyRing, domain: str) -> Bounce | None:
    whole = email.message_from_bytes(raw, policy=email.policy.compat32)
    addressed, delivery_id = _by_address(whole, ring)
    message_id = None if addressed else _by_message_id(raw, domain)
    if delivery_id is None and message_id is None:
        return None
    verdict = _by_status(whole) or _by_shape(whole)
    if verdict is None:
        return None
    permanent, status, text = verdict
    return Bounce(
        event_key=hashlib.sha256(raw).hexdigest(),
        delivery_id=delivery_id,
        rfc_message_id=message_id,
        permanent=permanent,
        status=status,
        text=mask_text(_UNPRINTABLE.sub(" ", text).strip())[:TEXT_LIMIT],
    )


def _about(delivery_id: int) -> str:
    return f"bounce {delivery_id}"


def _by_address(whole: Message, ring: KeyRing) -> tuple[bool, int | None]:
    """Return whether it came to an address of a delivery, and the delivery if we gave it."""
    addressed = False
    for name in ("X-Original-To", "Delivered-To", "Envelope-To", "To"):
        for value in whole.get_all(name, []):
            found = _VERP.search(str(value))
            if found is not None and ring.signed(_about(int(found[1])), found[2]):
                return True, int(found[1])
            addressed = addressed or found is not None
    return addressed, None  # made up: its Message-ID is as well


def _by_message_id(raw: bytes, domain: str) -> str | None:
    # Among the headers that were returned, so behind those of the bounce itself: a relay of our
    # own domain gives it a Message-ID that looks like ours.
    _, _, returned = raw.decode("latin-1").replace("\r\n", "\n").partition("\n\n")
    for found in _MESSAGE_ID.finditer(returned):
        if found[1].lower().endswith(f"@{domain.lower()}>"):
            return found[1]
    return None


def _by_status(whole: Message) -> tuple[bool, str, str] | None:
    """Return what a delivery-status part says; the first failed recipient counts."""
    for part in whole.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        blocks = part.get_payload()
        for block in blocks if isinstance(blocks, list) else []:
            if not isinstance(block, Message):
                continue
            action = str(block.get("Action", "")).strip().lower().partition(" ")[0]
            text = str(block.get("Diagnostic-Code", ""))
            found = _STATUS.search(str(block.get("Status", "")))
            if action == "failed":
                status = "5.0.0" if found is None else found[1]
                return not status.startswith("4"), status, text
            if action == "delayed":
                return False, "4.0.0" if found is None else found[1], text
    return None


def _by_shape(whole: Message) -> tuple[bool, str, str] | None:
    """Return what a bounce that is not of RFC 3464 says, by the shapes flufl.bounce knows."""
    if any(part.get_content_type() == "message/delivery-status" for part in whole.walk()):
        return None  # read already: it reports no failure
    try:
        temporary, permanent = all_failures(whole)
    except (LookupError, ValueError, TypeError, AttributeError):
        return None  # its detectors stumble over mails that are no bounces at all
    if permanent:
        return True, "5.0.0", str(whole.get("Subject", ""))
    if temporary:
        return False, "4.0.0", str(whole.get("Subject", ""))
    return None


def take_in(engine: Engine, settings: Settings) -> dict[str, int]:
    """Take in what is in the bounce mailbox; a mail is forgotten once the database has it.

    What was taken in and not forgotten, since the process died in between, is known next time.

    Returns:
        How many mails did what: `known`, `stranger`, `temporary`, `bounced`, and `nothing` for
        those that are no bounce of ours. Empty when no mailbox is set.

    Raises:
        MailboxProblem: It cannot be reached, refuses us, or is not there.
    """
    out = ways(settings)
    done: Counter[str] = Counter()
    try:
        with opened(settings) as box:
            for handle, raw in box.waiting():
                bounce = read_bounce(raw, engine.keyring, out.domain)
                done["nothing" if bounce is None else engine.inbox.bounce(bounce, out)] += 1
                box.done(handle)
    except (OSError, imaplib.IMAP4.error, mailbox.NoSuchMailboxError) as problem:
        raise MailboxProblem(f"{type(problem).__name__}: {problem}"[:TEXT_LIMIT]) from problem
    return dict(done)


@contextmanager
def opened(settings: Settings) -> Iterator["BounceMailbox"]:
    """Yield the mailbox of the settings, the folder before the IMAP account; empty when unset."""
    if settings.mail_bounce_maildir is not None:
        yield MaildirMailbox(settings.mail_bounce_maildir)
    elif settings.mail_bounce_imap_host is not None:
        server = ImapServer(
            settings.mail_bounce_imap_host,
            settings.mail_bounce_imap_port,
            settings.mail_bounce_imap_user,
            settings.mail_bounce_imap_password.get_secret_value(),
            settings.smtp_ca_file,
        )
        with ImapMailbox.opened(server) as box:
            yield box
    else:
        yield NoMailbox()


class BounceMailbox(Protocol):
    """Where bounces arrive."""

    def waiting(self) -> Iterator[tuple[str, bytes]]:
        """Yield (handle, mail) of everything there."""

    def done(self, handle: str) -> None:
        """Forget a mail: it was taken in."""


class NoMailbox:
    """No mailbox is set: bounces are not taken in."""

    def waiting(self) -> Iterator[tuple[str, bytes]]:
        """Yield nothing."""
        return iter(())

    def done(self, handle: str) -> None:
        """Nothing was yielded that could be done with."""


class MaildirMailbox:
    """A Maildir folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self._maildir = mailbox.Maildir(folder, create=False)

    def waiting(self) -> Iterator[tuple[str, bytes]]:
        """Yield (handle, mail) of everything there."""
        for key in list(self._maildir.keys()):
            with self._maildir.get_file(key) as file:
                yield key, file.read(SIZE_LIMIT)

    def done(self, handle: str) -> None:
        """Delete a mail."""
        self._maildir.discard(handle)


@dataclass(frozen=True)
class ImapServer:
    """Where the mailbox is; TLS from the first byte. `port` is 993 as a rule."""

    host: str
    port: int
    user: str
    password: str
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"ImapServer({self.host}:{self.port})"


class ImapMailbox:
    """The INBOX of an IMAP account."""

    def __init__(self, connection: imaplib.IMAP4) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def opened(cls, server: ImapServer) -> Iterator["ImapMailbox"]:
        """Yield the mailbox, signed in; what was done with is deleted at the end.

        Raises:
            OSError, imaplib.IMAP4.error: The server cannot be used.
        """
        context = ssl.create_default_context(cafile=server.ca_file)
        with imaplib.IMAP4_SSL(
            server.host, server.port, ssl_context=context, timeout=IMAP_SECONDS
        ) as connection:
            # Not LOGIN, which imaplib sends in ASCII: passwords may be Vietnamese.
            signed = f"\0{server.user}\0{server.password}"
            try:
                connection.authenticate("PLAIN", lambda _: signed.encode())
            except imaplib.IMAP4.error as refused:
                # Without its cause: servers repeat the line they refuse.
                said = without(str(refused), signed, server.password)
                raise type(refused)(said) from None
            connection.select("INBOX")
            yield cls(connection)
            connection.expunge()

    def waiting(self) -> Iterator[tuple[str, bytes]]:
        """Yield (handle, mail) of everything there."""
        _, found = self._connection.uid("SEARCH", "UNDELETED")
        for uid in (found[0] or b"").split():
            _, data = self._connection.uid("FETCH", uid.decode(), f"(BODY.PEEK[]<0.{SIZE_LIMIT}>)")
            for part in data:
                if isinstance(part, tuple):
                    yield uid.decode(), part[1]

    def done(self, handle: str) -> None:
        """Mark a mail to be deleted."""
        self._connection.uid("STORE", handle, "+FLAGS.SILENT", r"(\Deleted)")
