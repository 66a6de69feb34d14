"""Mail by SMTP: Vietnamese subjects folded right, a Message-ID of our own, outcomes by phase."""

import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime, formataddr
from pathlib import Path

from engine.channels import Outcome, OutcomeState
from engine.clock import ZONE
from notifications.channels.base import Channel

TIMEOUT_SECONDS = 20.0

_WIRE = compat32.clone(linesep="\r\n")  # smtplib sends bytes as they are


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


class GovMail(Channel):
    """One mail to one address."""

    service_name = "GovMail"
    protocol = "govmail"
    title_maxlen = 1000
    body_maxlen = 10_000_000

    def __init__(  # noqa: PLR0913, PLR0917  a mail has as many parts
        self,
        server: SmtpServer,
        to_address: str,
        to_name: str,
        html: str,
        message_id: str,
        sent_at: datetime,
    ) -> None:
        super().__init__()
        self._server = server
        self._to = (to_name, to_address)
        self._html = html
        self._message_id = message_id
        self._sent_at = sent_at

    def message(self, body: str, title: str) -> Message:
        """Return the mail as it goes out: text and HTML, the same Message-ID every time."""
        mail = MIMEMultipart("alternative")
        # email.policy.SMTP loses spaces between Vietnamese words on Python 3.11 (cpython#92081);
        # Header folds them right: encoded-words of at most 75 characters (RFC 2047).
        mail["Subject"] = Header(title, "utf-8", header_name="Subject").encode()
        mail["From"] = formataddr((self._server.from_name, self._server.from_address))
        mail["To"] = formataddr(self._to)
        mail["Date"] = format_datetime(self._sent_at.astimezone(ZONE))
        mail["Message-ID"] = self._message_id
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        mail.attach(MIMEText(body, "plain", "utf-8"))
        mail.attach(MIMEText(self._html, "html", "utf-8"))
        return mail

    def attempt(self, body: str, title: str) -> Outcome:
        """Hand the mail over. What is certain ends before the text is sent; after it, nothing."""
        mail = self.message(body, title).as_bytes(policy=_WIRE)
        try:
            smtp = self._connect()
        except (OSError, smtplib.SMTPException) as problem:
            return _refused(problem)
        try:
            return self._hand_over(smtp, mail)
        finally:
            smtp.close()

    def _hand_over(self, smtp: smtplib.SMTP, mail: bytes) -> Outcome:
        try:
            code, answer = smtp.mail(self._server.from_address)
            if code == 250:  # noqa: PLR2004  requested action completed (RFC 5321)
                code, answer = smtp.rcpt(self._to[1])
            if code not in {250, 251}:
                return _by_code(code, answer)
        except (OSError, smtplib.SMTPException) as problem:
            return _refused(problem)
        try:
            code, answer = smtp.data(mail)
        except smtplib.SMTPDataError as problem:  # refused before any text was sent
            return _by_code(problem.smtp_code, problem.smtp_error)
        except (OSError, smtplib.SMTPException) as problem:
            # The text is on its way or there: nobody can know whether it was taken.
            return Outcome(OutcomeState.UNKNOWN, type(problem).__name__, str(problem))
        if code == 250:  # noqa: PLR2004
            return Outcome(OutcomeState.ACCEPTED, "250", _text(answer), self._message_id)
        return _by_code(code, answer)

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        context = ssl.create_default_context(cafile=server.ca_file)
        smtp: smtplib.SMTP
        if server.security == "ssl":
            smtp = smtplib.SMTP_SSL(
                server.host, server.port, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
        try:
            smtp.ehlo_or_helo_if_needed()
            if server.security == "starttls":
                smtp.starttls(context=context)
                smtp.ehlo()
            if server.user is not None:
                smtp.login(server.user, server.password or "")
        except BaseException:
            smtp.close()
            raise
        return smtp


def _refused(problem: Exception) -> Outcome:
    """Nothing was handed over: 5xx is for good, the rest may be taken later."""
    code = getattr(problem, "smtp_code", None)
    if isinstance(code, int) and isinstance(problem, smtplib.SMTPResponseException):
        return _by_code(code, problem.smtp_error)
    return Outcome(OutcomeState.RETRY, type(problem).__name__, str(problem))


def _by_code(code: int, answer: bytes | str) -> Outcome:
    for_good = code >= 500  # noqa: PLR2004  permanent negative completion (RFC 5321, 4.2.1)
    state = OutcomeState.FAILED if for_good else OutcomeState.RETRY
    return Outcome(state, str(code), _text(answer))


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
