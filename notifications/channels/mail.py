"""Mail by SMTP: Vietnamese subjects folded right, ids of our own, outcomes by phase.

What is certain ends before the last dot of the text is written; after it, only the server's
answer says whether the mail was taken.
"""

import re
import smtplib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.message import Message
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime, formataddr
from pathlib import Path
from socket import SHUT_RDWR
from time import monotonic
from urllib.parse import quote

from engine.channels import Outcome, OutcomeState
from engine.clock import ZONE
from notifications.channels.base import Channel

TIMEOUT_SECONDS = 20.0
"""How long a server may be silent."""

TOTAL_SECONDS = 60.0
"""How long one mail may take altogether: a server that dribbles is silent in effect."""

MAILS_PER_CONNECTION = 50
IDLE_SECONDS = 30.0

_WIRE = compat32.clone(linesep="\r\n")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RELAY = re.compile(r"relay|\b5\.7\.", re.IGNORECASE)
_UNKNOWN_USER = re.compile(r"\b5\.1\.")


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
        # Header folds them right: encoded-words of at most 75 characters (RFC 2047).
        whole["Subject"] = Header(title, "utf-8", header_name="Subject").encode()
        whole["From"] = formataddr((server.from_name, server.from_address))
        whole["To"] = formataddr((mail.to_name, mail.to_address))
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
    _smtp: smtplib.SMTP | None = field(default=None, init=False, repr=False)
    _used: int = field(default=0, init=False, repr=False)
    _last: float = field(default=0.0, init=False, repr=False)

    def hand_over(self, sender: str, recipient: str, mail: bytes) -> Outcome:
        """Send one mail, as it is on the wire, to one recipient; never raises for the server."""
        reused = self._fresh()
        outcome = self._attempt(sender, recipient, mail)
        if reused and outcome.state is OutcomeState.RETRY and outcome.code in _ENDED:
            # The server had ended the old connection: nothing of this mail was taken.
            self.close()
            outcome = self._attempt(sender, recipient, mail)
        self._last = monotonic()
        if outcome.state in {OutcomeState.UNKNOWN, OutcomeState.RETRY, OutcomeState.PARKED}:
            self.close()
        return outcome

    def close(self) -> None:
        """End the connection without a word: nothing more is owed on it."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    def _fresh(self) -> bool:
        """Keep the connection only while it is young; return whether there is one."""
        old = monotonic() - self._last > IDLE_SECONDS or self._used >= MAILS_PER_CONNECTION
        if self._smtp is not None and old:
            self.close()
        return self._smtp is not None

    def _attempt(self, sender: str, recipient: str, mail: bytes) -> Outcome:
        smtp = self._smtp or _new(self.server)
        began = self._smtp is not None
        self._smtp = smtp
        with _limited(smtp):
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
            except (OSError, smtplib.SMTPException) as problem:
                return _not_taken(problem)
            try:
                smtp.send(b"\r\n.\r\n")
                code, answer = smtp.getreply()
            except (OSError, smtplib.SMTPException) as problem:
                # The whole text is on its way or there: nobody can know whether it was taken.
                return Outcome(OutcomeState.UNKNOWN, type(problem).__name__, str(problem))
        return _after_text(code, answer)


_ENDED = frozenset({"SMTPServerDisconnected", "421", "BrokenPipeError", "ConnectionResetError"})


def _new(server: SmtpServer) -> smtplib.SMTP:
    if server.security == "ssl":
        return smtplib.SMTP_SSL(timeout=TIMEOUT_SECONDS, context=_context(server))
    return smtplib.SMTP(timeout=TIMEOUT_SECONDS)


def _context(server: SmtpServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca_file)


def _open(smtp: smtplib.SMTP, server: SmtpServer) -> None:
    # Given to the constructor, a host is connected to at once, out of reach of the time limit;
    # without it, the name the certificate has to bear is not set.
    smtp._host = server.host  # type: ignore[attr-defined]  # noqa: SLF001
    code, banner = smtp.connect(server.host, server.port)
    if code != 220:  # noqa: PLR2004  service ready (RFC 5321)
        raise smtplib.SMTPConnectError(code, banner)
    smtp.ehlo_or_helo_if_needed()
    if server.security == "starttls":
        smtp.starttls(context=_context(server))
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
    ours = code == 530 or _RELAY.search(_text(answer)) is not None  # noqa: PLR2004  sign in first
    return _by_code(code, answer, OutcomeState.PARKED if ours else OutcomeState.FAILED)


def _not_taken(problem: Exception) -> Outcome:
    """Return what a failure means before the last dot was written: nothing was taken."""
    name = type(problem).__name__
    match problem:
        case ssl.SSLCertVerificationError() | smtplib.SMTPNotSupportedError():
            return Outcome(OutcomeState.PARKED, name, str(problem))
        case smtplib.SMTPAuthenticationError():
            return _by_code(problem.smtp_code, problem.smtp_error, OutcomeState.PARKED)
        case smtplib.SMTPResponseException():
            return _by_code(problem.smtp_code, problem.smtp_error, OutcomeState.RETRY)
        case _:
            return Outcome(OutcomeState.RETRY, name, str(problem))


def _after_text(code: int, answer: bytes) -> Outcome:
    """Return what the answer to the last dot says."""
    if code == 250:  # noqa: PLR2004  requested action completed
        return Outcome(OutcomeState.ACCEPTED, "250", _text(answer))
    if not 400 <= code <= 599:  # noqa: PLR2004  not an answer of SMTP: it may have been taken
        return Outcome(OutcomeState.UNKNOWN, str(code), _text(answer))
    nobody = _UNKNOWN_USER.search(_text(answer)) is not None
    return _by_code(code, answer, OutcomeState.FAILED if nobody else OutcomeState.REJECTED)


def _by_code(code: int, answer: bytes | str, for_good: OutcomeState) -> Outcome:
    # 5xx is for good (permanent negative completion, RFC 5321, 4.2.1); what is no code at all is
    # as good as silence.
    state = for_good if 500 <= code <= 599 else OutcomeState.RETRY  # noqa: PLR2004
    return Outcome(state, str(code), _text(answer))


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
def _limited(smtp: smtplib.SMTP) -> Iterator[None]:
    """Cut the connection when the whole takes too long: reads then end instead of waiting on."""

    def cut() -> None:
        if smtp.sock is not None:
            try:
                smtp.sock.shutdown(SHUT_RDWR)
            except OSError:  # ended meanwhile by itself
                return

    timer = threading.Timer(TOTAL_SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
