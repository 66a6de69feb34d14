"""Mails that came back: which delivery, for good or for now (RFC 3464, RFC 3463)."""

import email
import email.policy
import hashlib
import imaplib
import mailbox
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Protocol

from flufl.bounce import all_failures

from engine.addresses import mask_text
from engine.sealing import KeyRing
from engine.service.inbox import Bounce

_VERP = re.compile(r"\+(\d{1,18})-([a-z2-7]{16})@", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"^Message-ID:\s*(<[^>\s]+>)", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
IMAP_SECONDS = 30.0
TEXT_LIMIT = 300


def bounce_address(base: str, delivery_id: int, ring: KeyRing) -> str:
    """Return the envelope sender of a delivery: `bounce+<id>-<tag>@domain` (VERP).

    The tag keeps strangers from ending other people's addresses with a forged bounce.
    """
    local, _, domain = base.rpartition("@")
    return f"{local}+{delivery_id}-{ring.sign(_about(delivery_id))}@{domain}"


def read_bounce(raw: bytes, ring: KeyRing, domain: str) -> Bounce | None:
    """Return what a mail in the bounce mailbox says of a delivery of ours; None: nothing.

    Delays, successful deliveries, automatic answers and mails that are none of ours say nothing.

    Args:
        raw: The mail as it was received.
        ring: Checks that the address it came back to was ours to give.
        domain: Our part of a Message-ID.
    """
    whole = email.message_from_bytes(raw, policy=email.policy.compat32)
    delivery_id = _by_address(whole, ring)
    message_id = None if delivery_id is not None else _by_message_id(raw, domain)
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
        text=mask_text(" ".join(text.split()))[:TEXT_LIMIT],
    )


def _about(delivery_id: int) -> str:
    return f"bounce {delivery_id}"


def _by_address(whole: Message, ring: KeyRing) -> int | None:
    for name in ("X-Original-To", "Delivered-To", "Envelope-To", "To"):
        for value in whole.get_all(name, []):
            found = _VERP.search(str(value))
            if found is not None and ring.signed(_about(int(found[1])), found[2]):
                return int(found[1])
    return None


def _by_message_id(raw: bytes, domain: str) -> str | None:
    # Among the headers that were returned; the bounce's own Message-ID is of the other side.
    for found in _MESSAGE_ID.finditer(raw.decode("latin-1").replace("\r\n", "\n")):
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
            action = str(block.get("Action", "")).strip().lower()
            status = _STATUS.search(str(block.get("Status", "")))
            text = str(block.get("Diagnostic-Code", ""))
            if action == "failed" and status is not None:
                return status[1].startswith("5"), status[1], text
            if action == "delayed" and status is not None:
                return False, status[1], text
    return None


def _by_shape(whole: Message) -> tuple[bool, str, str] | None:
    """Return what a bounce that is not of RFC 3464 says, by the shapes flufl.bounce knows."""
    if any(part.get_content_type() == "message/delivery-status" for part in whole.walk()):
        return None  # read already: it reports no failure
    temporary, permanent = all_failures(whole)
    if permanent:
        return True, "5.0.0", str(whole.get("Subject", ""))
    if temporary:
        return False, "4.0.0", str(whole.get("Subject", ""))
    return None


class BounceMailbox(Protocol):
    """Where bounces arrive."""

    def waiting(self) -> Iterator[tuple[str, bytes]]:
        """Yield (handle, mail) of everything there."""

    def done(self, handle: str) -> None:
        """Forget a mail: it was taken in."""


class MaildirMailbox:
    """A Maildir folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self._maildir = mailbox.Maildir(folder, create=False)

    def waiting(self) -> Iterator[tuple[str, bytes]]:
        """Yield (handle, mail) of everything there."""
        for key in list(self._maildir.keys()):
            yield key, self._maildir.get_bytes(key)

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
            connection.login(server.user, server.password)
            connection.select("INBOX")
            yield cls(connection)
            connection.expunge()

    def waiting(self) -> Iterator[tuple[str, bytes]]:
        """Yield (handle, mail) of everything there."""
        _, found = self._connection.uid("SEARCH", "UNDELETED")
        for uid in (found[0] or b"").split():
            _, data = self._connection.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
            for part in data:
                if isinstance(part, tuple):
                    yield uid.decode(), part[1]

    def done(self, handle: str) -> None:
        """Mark a mail to be deleted."""
        self._connection.uid("STORE", handle, "+FLAGS.SILENT", r"(\Deleted)")
