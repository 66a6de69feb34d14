"""Mails to hand over, and servers that answer as they are told."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from engine.channels import Outcome
from engine.clock import at
from notifications.channels.base import dispatch
from notifications.channels.mail import GovMail, Mail, SmtpServer, SmtpSession
from notifications.standin.mailbox import LocalSmtp
from tests.notifications.sent import OCTOBER

SUBJECT = (
    "Nhắc việc: 5 nhiệm vụ quá hạn – Sở Nông nghiệp và Môi trường tỉnh Quảng Ngãi (01/10/2025)"
)

OPENED: list[SmtpSession] = []
"""What the test opened; closed at its end."""


def session(port: int, **server: Any) -> SmtpSession:
    values = {"security": "plain", "from_address": "a@x.example", "from_name": "Hệ thống", **server}
    own = SmtpSession(SmtpServer("127.0.0.1", port, **values))
    OPENED.append(own)
    return own


def a_mail(**parts: Any) -> Mail:
    values = {
        "to_address": "cv@x.example",
        "to_name": "Nguyễn Văn Ước",
        "html": "<p>Kính gửi</p>",
        "message_id": "<stable@x.example>",
        "sent_at": at(OCTOBER),
        **parts,
    }
    return Mail(**values)


def sent(own: SmtpSession, text: str = "Kính gửi", subject: str = SUBJECT, **parts: Any) -> Outcome:
    return dispatch(GovMail(own, a_mail(**parts)), text, subject)


@contextmanager
def running(smtp: LocalSmtp) -> Iterator[int]:
    smtp.start()
    port: int = smtp.port
    try:
        yield port
    finally:
        smtp.stop()


@contextmanager
def scripted(handle: Callable[[socketserver.StreamRequestHandler], None]) -> Iterator[int]:
    """A TCP server whose every connection is handled by `handle`."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            handle(self)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Keep quiet: the client went away, as is tested."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def dialogue(
    answers: dict[str, str], after_text: Callable[[socketserver.StreamRequestHandler], None]
) -> Callable[[socketserver.StreamRequestHandler], None]:
    """An SMTP server with these answers by verb (else 250), and `after_text` at the dot."""

    def handle(connection: socketserver.StreamRequestHandler) -> None:
        connection.wfile.write(b"220 ready\r\n")
        for line in connection.rfile:
            verb = line.split()[0].upper().decode("latin-1") if line.split() else ""
            if verb == "DATA" and "DATA" not in answers:
                connection.wfile.write(b"354 go\r\n")
                for part in connection.rfile:
                    if part == b".\r\n":
                        break
                after_text(connection)
                return
            connection.wfile.write(f"{answers.get(verb, '250 ok')}\r\n".encode())

    return handle
