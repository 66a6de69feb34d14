"""A local mail server that keeps everything it takes, and a page to look at it."""

import email
import email.policy
import html
import socket
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from notifications.standin.pages import page


class LocalSmtp(Controller):
    """An SMTP server on this machine; on a free port, where 0 is asked for."""

    def __init__(self, handler: object, port: int = 0, **values: Any) -> None:
        if port == 0:  # the controller greets itself on its port, so the port has to be known
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
        super().__init__(handler, hostname="127.0.0.1", port=port, decode_data=False, **values)


class Mailbox:
    """SMTP on one port, a page on another, one .eml file a message in `folder`."""

    def __init__(self, folder: Path, smtp_port: int = 0, http_port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._smtp = LocalSmtp(_Keeper(folder), smtp_port)
        handler = type("Handler", (_Handler,), {"folder": folder})
        self._http = ThreadingHTTPServer(("127.0.0.1", http_port), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    @property
    def smtp_port(self) -> int:
        """Return the port mail is taken on."""
        port: int = self._smtp.port
        return port

    @property
    def url(self) -> str:
        """Return where the page is."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def messages(self) -> list[EmailMessage]:
        """Return every message kept, oldest first."""
        return [read(path) for path in sorted(self.folder.glob("*.eml"))]

    def __enter__(self) -> Self:
        self._smtp.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._smtp.stop()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def read(path: Path) -> EmailMessage:
    """Return a kept message."""
    with path.open("rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    if not isinstance(message, EmailMessage):
        raise TypeError(path)
    return message


class _Keeper:
    """What aiosmtpd asks what to do with a message."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = len(list(folder.glob("*.eml")))

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  name of aiosmtpd
        self._number += 1
        content = envelope.content
        if not isinstance(content, bytes):
            return "554 text expected as bytes"
        target = self._folder / f"{self._number:06}.eml"
        target.with_suffix(".part").write_bytes(content)
        target.with_suffix(".part").rename(target)
        return "250 OK"


class _Handler(BaseHTTPRequestHandler):
    folder: Path

    def do_GET(self) -> None:
        """Show the list, or one message."""
        name = self.path.strip("/")
        path = self.folder / f"{name}.eml"
        if name.isdigit() and path.exists():
            body = page(f"Thư {name}", _one(read(path)))
        elif not name:
            newest = sorted(self.folder.glob("*.eml"), reverse=True)[:200]
            body = page("Hộp thư (bản giả lập)", _list(newest))
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  signature of the library
        """Keep quiet: the messages are kept."""


def _list(paths: list[Path]) -> str:
    rows = ""
    for path in paths:
        mail = read(path)
        rows += (
            f'<tr><td><a href="/{path.stem}">{html.escape(str(mail["Subject"]))}</a></td>'
            f"<td>{html.escape(str(mail['To']))}</td><td>{html.escape(str(mail['Date']))}</td></tr>"
        )
    return f"<table>{rows}</table>" if rows else ""


def _one(mail: EmailMessage) -> str:
    part = mail.get_body(("html", "plain"))
    content = "" if part is None else part.get_content()
    heads = "".join(
        f"<tr><td>{label}</td><td>{html.escape(str(mail[name]))}</td></tr>"
        for label, name in (
            ("Người gửi", "From"),
            ("Người nhận", "To"),
            ("Tiêu đề", "Subject"),
            ("Ngày", "Date"),
            ("Message-ID", "Message-ID"),
        )
    )
    files = ", ".join(html.escape(str(file.get_filename())) for file in mail.iter_attachments())
    if files:
        heads += f"<tr><td>Đính kèm</td><td>{files}</td></tr>"
    # A sandbox without rights: whatever a mail holds, it runs nothing here.
    return (
        f"<table>{heads}</table><iframe sandbox srcdoc='{html.escape(content)}' "
        "style='width:100%;height:40rem;border:1px solid #ccc'></iframe>"
    )
