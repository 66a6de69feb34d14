"""Mail by SMTP: Vietnamese subjects folded right, ids of our own, outcomes by phase.

What is certain ends before the last dot of the text is written; after it, only the server's
answer says whether the mail was taken.
"""

import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.message import Message
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime, formataddr
from io import BufferedReader
from pathlib import Path
from time import monotonic
from urllib.parse import quote

from engine.channels import Outcome, OutcomeState
from engine.clock import ZONE
from notifications.channels.base import Channel

TIMEOUT_SECONDS = 20.0
"""How long a server may be silent."""

TOTAL_SECONDS = 60.0
"""How long one mail may take altogether: a server that dribbles is silent in effect."""

ANSWER_BYTES = 64 * 1024
"""How long one answer of a server may be."""

MAILS_PER_CONNECTION = 10
"""Exim leaves whatever comes after the tenth mail of a connection to its next queue run, half an
hour later on Debian (smtp_accept_queue_per_connection)."""

QUIT_SECONDS = 2.0
IDLE_SECONDS = 30.0

WORD_LETTERS = 75
"""The longest encoded-word (RFC 2047, 2)."""

# The media type of an Excel file does not fit behind `Content-Type: ` in 78 characters, and a
# line with nothing but the name of a header is not for every scanner; 998 are allowed.
_WIRE = compat32.clone(linesep="\r\n", max_line_length=100)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Postfix tells only at RCPT what it has against us (smtpd_delay_reject): the relay, the client,
# its greeting, the sender (X.1.7 and X.1.8 of RFC 3463). A bare 5.7.1 may be about one mailbox
# that refuses strangers, and must not stop everybody's mail.
_OURS = re.compile(
    r"\b5\.1\.[78]\b|relay|client host|helo|sender (?:address|verif|domain|rejected|denied)|"
    r"authenticat|\bspf\b|\bdkim\b|\bdmarc\b|black ?list|block ?list",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"\S+@\S+")  # a mailbox may be called relay@…
_THEIRS = re.compile(r"\b5\.(?:1\.[1236]|2\.\d+)\b")  # RFC 3463: address or mailbox


@dataclass(frozen=True)
class SmtpServer:
    """Where mail is handed over. `security` is plain, starttls or ssl."""

    host: str
    port: int
    security: str
    from_address: str
    from_name: str
    user: str | None = None
    password: str | None = None
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port}, {self.security})"


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a mail; its name may be Vietnamese."""

    name: str
    content: bytes
    media_type: str  # "application/…"


@dataclass(frozen=True)
class Mail:
    """One mail. `references` are the Message-IDs of earlier mails of the same matter."""

    to_address: str
    to_name: str
    html: str
    message_id: str
    sent_at: datetime
    references: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    bounce_address: str | None = None  # envelope sender; None: the address it is from
    reply_to: str | None = None

    def __repr__(self) -> str:
        return f"Mail({self.message_id})"


class GovMail(Channel):
    """One mail to one address."""

    service_name = "GovMail"
    protocol = "govmail"
    title_maxlen = 1000
    body_maxlen = 10_000_000

    def __init__(self, session: "SmtpSession", mail: Mail) -> None:
        super().__init__()
        self._session = session
        self._mail = mail
        server = session.server
        signed = f"\0{server.user or ''}\0{server.password}"  # AUTH PLAIN; servers repeat a line
        self.private = () if server.password is None else (server.password, signed)

    def message(self, body: str, title: str) -> Message:
        """Return the mail as it goes out: text and HTML, the same Message-ID every time."""
        mail, server = self._mail, self._session.server
        texts = MIMEMultipart("alternative")
        texts.attach(MIMEText(body, "plain", "utf-8"))
        texts.attach(MIMEText(mail.html, "html", "utf-8"))
        whole = texts
        if mail.attachments:
            whole = MIMEMultipart("mixed")
            whole.attach(texts)
            for attachment in mail.attachments:
                whole.attach(_part(attachment))
        # email.policy.SMTP loses spaces between Vietnamese words on Python 3.11 (cpython#92081);
        # Header folds them right.
        whole["Subject"] = _folded("Subject", title)
        whole["From"] = _named("From", server.from_name, server.from_address)
        whole["To"] = _named("To", mail.to_name, mail.to_address)
        whole["Date"] = format_datetime(mail.sent_at.astimezone(ZONE))
        whole["Message-ID"] = mail.message_id
        if mail.references:
            whole["In-Reply-To"] = mail.references[0]
            whole["References"] = "\r\n ".join(mail.references)
        if mail.reply_to is not None:
            whole["Reply-To"] = mail.reply_to
        whole["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        whole["X-Auto-Response-Suppress"] = "All"  # the same, for Exchange
        return whole

    def attempt(self, body: str, title: str) -> Outcome:
        """Hand the mail over, and say what is known of it."""
        mail, server = self._mail, self._session.server
        headers = (title, mail.to_address, mail.to_name, mail.message_id, *mail.references)
        ours = (server.from_address, server.from_name, mail.bounce_address or "")
        if any(_CONTROL.search(text) for text in (*headers, *ours, mail.reply_to or "")):
            return Outcome(OutcomeState.REJECTED, "header", "a line break or control in a header")
        if not mail.to_address.isascii() or " " in mail.to_address or "@" not in mail.to_address:
            return Outcome(OutcomeState.FAILED, "address", "the address cannot be used")
        return self._session.hand_over(
            mail.bounce_address or server.from_address,
            mail.to_address,
            self.message(body, title).as_bytes(policy=_WIRE),
        )


@dataclass
class SmtpSession:
    """One connection, used for several mails; opened anew when it is old, full or doubtful."""

    server: SmtpServer
    _smtp: "_Bounded | None" = field(default=None, init=False, repr=False)
    _used: int = field(default=0, init=False, repr=False)
    _last: float = field(default=0.0, init=False, repr=False)

    def hand_over(self, sender: str, recipient: str, mail: bytes) -> Outcome:
        """Send one mail, as it is on the wire, to one recipient; never raises for the server.

        Returns within about `TOTAL_SECONDS`, a second try on a new connection included.
        """
        until = monotonic() + TOTAL_SECONDS
        reused = self._fresh()
        outcome = self._attempt(sender, recipient, mail, until)
        if (
            reused
            and outcome.state is OutcomeState.RETRY
            and outcome.code in _ENDED
            and monotonic() < until
        ):
            # The server had ended the old connection: nothing of this mail was taken.
            self.close()
            outcome = self._attempt(sender, recipient, mail, until)
        self._last = monotonic()
        if outcome.state is OutcomeState.UNKNOWN and self._smtp is not None:
            self._smtp.close()  # whatever it would still say is about a mail nobody knows about
        if outcome.state in {OutcomeState.UNKNOWN, OutcomeState.RETRY, OutcomeState.PARKED}:
            self.close()
        return outcome

    def close(self) -> None:
        """End the connection: with QUIT where it still stands (RFC 5321, 4.1.1.10)."""
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        if smtp.sock is not None:
            with _limited(smtp, monotonic() + QUIT_SECONDS), suppress(OSError):
                smtp.docmd("quit")
        smtp.close()

    def _fresh(self) -> bool:
        """Keep the connection only while it is young; return whether there is one."""
        old = monotonic() - self._last > IDLE_SECONDS or self._used >= MAILS_PER_CONNECTION
        if self._smtp is not None and old:
            self.close()
        return self._smtp is not None

    def _attempt(self, sender: str, recipient: str, mail: bytes, until: float) -> Outcome:
        began = self._smtp is not None
        self._smtp = smtp = self._smtp or _new(self.server)
        with _limited(smtp, until):
            try:
                if began:
                    smtp.rset()
                else:
                    self._used = 0
                    _open(smtp, self.server)
                self._used += 1
                refusal = _envelope(smtp, sender, recipient)
                if refusal is not None:
                    return refusal
                code, answer = smtp.docmd("DATA")
                if code != 354:  # noqa: PLR2004  start mail input (RFC 5321)
                    return _by_code(code, answer, OutcomeState.REJECTED)
                smtp.send(re.sub(rb"(?m)^\.", b"..", mail).rstrip(b"\r\n"))
            except (OSError, UnicodeError, smtplib.SMTPException) as problem:
                return _not_taken(problem)
            try:
                smtp.send(b"\r\n.\r\n")
                code, answer = smtp.getreply()
            except (OSError, smtplib.SMTPException) as problem:
                # The whole text is on its way or there: nobody can know whether it was taken.
                return Outcome(OutcomeState.UNKNOWN, type(problem).__name__, str(problem))
        return _after_text(code, answer)


_ENDED = frozenset(
    {
        "421",
        "SMTPServerDisconnected",
        "BrokenPipeError",
        "ConnectionAbortedError",
        "ConnectionResetError",
        "SSLEOFError",
        "SSLZeroReturnError",
    }
)


class _Bounded(smtplib.SMTP):
    """smtplib, which reads an answer of any number of lines, with an end to it."""

    context: ssl.SSLContext

    def getreply(self) -> tuple[int, bytes]:
        """Read one answer of at most `ANSWER_BYTES`."""
        if self.file is None and self.sock is not None:  # a new connection, or new as TLS
            self.file = _Lines(self.sock.makefile("rb"))
        if self.file is not None:
            self.file.left = ANSWER_BYTES
        return super().getreply()


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""


class _Lines:
    """The lines of a server, until there are too many of them."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self.left = ANSWER_BYTES

    def readline(self, limit: int) -> bytes:
        if self.left <= 0:
            raise ConnectionAbortedError("an answer without end")
        line = self._file.readline(limit)
        self.left -= len(line)
        return line

    def close(self) -> None:
        self._file.close()


def _new(server: SmtpServer) -> _Bounded:
    # The name for EHLO: the machine's own may be no name at all, and finding it may take long.
    local = server.from_address.rpartition("@")[2]
    make = _BoundedTls if server.security == "ssl" else _Bounded
    return make(local_hostname=local, timeout=TIMEOUT_SECONDS)


def _context(server: SmtpServer) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.ca_file)
    except OSError as problem:  # no such file, or no certificates in it
        raise ssl.SSLError(f"smtp_ca_file: {problem.strerror or problem}") from problem


def _open(smtp: _Bounded, server: SmtpServer) -> None:
    # Given to the constructor, a host is connected to at once, out of reach of the time limit;
    # without it, the name the certificate has to bear is not set.
    smtp._host = server.host  # type: ignore[attr-defined]  # noqa: SLF001
    if server.security != "plain":
        smtp.context = _context(server)
    code, banner = smtp.connect(server.host, server.port)
    if code != 220:  # noqa: PLR2004  service ready (RFC 5321)
        raise smtplib.SMTPConnectError(code, banner)
    smtp.ehlo_or_helo_if_needed()
    if server.security == "starttls":
        smtp.starttls(context=smtp.context)
        smtp.ehlo()
    if server.user is not None:
        smtp.login(server.user, server.password or "")


def _envelope(smtp: smtplib.SMTP, sender: str, recipient: str) -> Outcome | None:
    """Name sender and recipient; return the refusal, None when both are taken."""
    code, answer = smtp.mail(sender)
    if code != 250:  # noqa: PLR2004  requested action completed (RFC 5321)
        return _by_code(code, answer, OutcomeState.PARKED)  # whoever it is for
    code, answer = smtp.rcpt(recipient)
    if code in {250, 251}:
        return None
    said = _ADDRESS.sub("", _text(answer))
    ours = code in {530, 534, 535} or (_OURS.search(said) and not _THEIRS.search(said))
    return _by_code(code, answer, OutcomeState.PARKED if ours else OutcomeState.FAILED)


def _not_taken(problem: Exception) -> Outcome:
    """Return what a failure means before the last dot was written: nothing was taken."""
    name = type(problem).__name__
    match problem:
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | smtplib.SMTPServerDisconnected():
            state = OutcomeState.RETRY
        case smtplib.SMTPResponseException():
            # At the greeting and at sign-in no mail is named yet: it would be so for every mail.
            early = isinstance(
                problem,
                (smtplib.SMTPConnectError, smtplib.SMTPHeloError, smtplib.SMTPAuthenticationError),
            )
            for_good = OutcomeState.PARKED if early else OutcomeState.RETRY
            return _by_code(problem.smtp_code, problem.smtp_error, for_good)
        case UnicodeError():  # host, user, password or sender; its words would show a letter
            return Outcome(OutcomeState.PARKED, name, "an SMTP setting has letters beyond ASCII")
        case ssl.SSLError() | smtplib.SMTPException():
            # The certificate, the protocol; no STARTTLS, no way to sign in that both sides know.
            state = OutcomeState.PARKED
        case _:
            state = OutcomeState.RETRY
    return Outcome(state, name, str(problem))


def _after_text(code: int, answer: bytes) -> Outcome:
    """Return what the answer to the last dot says."""
    if code == 250:  # noqa: PLR2004  requested action completed
        return Outcome(OutcomeState.ACCEPTED, "250", _text(answer))
    if not 400 <= code <= 599:  # noqa: PLR2004  not an answer of SMTP: it may have been taken
        return Outcome(OutcomeState.UNKNOWN, str(code), _text(answer))
    nobody = _THEIRS.search(_text(answer)) is not None
    return _by_code(code, answer, OutcomeState.FAILED if nobody else OutcomeState.REJECTED)


def _by_code(code: int, answer: bytes | str, for_good: OutcomeState) -> Outcome:
    # 5xx is for good (permanent negative completion, RFC 5321, 4.2.1); what is no code at all is
    # as good as silence.
    state = for_good if 500 <= code <= 599 else OutcomeState.RETRY  # noqa: PLR2004
    return Outcome(state, str(code), _text(answer))


def _named(header: str, name: str, address: str) -> str:
    # formataddr makes one encoded-word of any length; RFC 2047 allows 75 characters.
    if name.isascii():
        return formataddr((name, address))
    return f"{_folded(header, name)} <{address}>"


def _folded(header: str, text: str) -> str:
    # Header counts one or two letters too few on the lines after the first.
    return Header(text, "utf-8", maxlinelen=WORD_LETTERS - 2, header_name=header).encode()


def _part(attachment: Attachment) -> Message:
    part = MIMEApplication(attachment.content, attachment.media_type.partition("/")[2])
    name = _CONTROL.sub(" ", attachment.name)
    # RFC 2231 for whoever follows it, an encoded-word in `name` for old Outlook.
    part.set_param("name", Header(name, "utf-8").encode().replace("\n ", " "))
    part["Content-Disposition"] = f"attachment;\r\n filename*=utf-8''{quote(name)}"
    return part


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


@contextmanager
def _limited(smtp: smtplib.SMTP, until: float) -> Iterator[None]:
    """Cut the connection when the whole takes too long: reads then end instead of waiting on."""
    over = threading.Event()

    def cut() -> None:
        waits = until - monotonic()
        while not over.wait(max(waits, 0.0)):
            waits = 0.2  # a connection that is still being made is cut as soon as it stands
            if smtp.sock is not None:
                # Of the socket below: SSLSocket.shutdown leaves a moment of plain text.
                with suppress(OSError):  # ended meanwhile by itself
                    socket.socket.shutdown(smtp.sock, socket.SHUT_RDWR)

    watch = threading.Thread(target=cut, daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()
