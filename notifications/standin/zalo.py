"""A stand-in of Zalo: the Bot Platform, and an Official Account with its templates.

It behaves as the platform's users describe it, not as it was seen to behave: what is guessed is
marked. Messages accepted are kept and shown on a page.
"""

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from engine.clock import SystemClock
from notifications.standin.pages import page, paragraphs
from notifications.standin.zalo_oa import Account, Sent
from notifications.standin.zalo_receipts import Webhook

TEXT_LIMIT = 2000
HANG_SECONDS = 30.0

_CODE = re.compile(r"(-\d+)(s?)")
_HTML = b"<html><body>proxy</body></html>"
_PLAIN = {
    "500": (500, b"Internal Server Error", "text/plain"),
    "html200": (200, _HTML, "text/html"),
    "html504": (504, _HTML, "text/html"),
    "empty200": (200, b"", "application/json"),
}
_HANGS = {"slow_headers", "accept_then_hang", "accept_then_reset", "accept_then_504"}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message the stand-in took."""

    chat_id: str
    text: str
    message_id: str


@dataclass
class _State:
    tokens: frozenset[str]
    chats: frozenset[str] | None  # None: every chat is known
    account: Account
    clock: Callable[[], datetime]
    messages: list[Accepted] = field(default_factory=list)
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    faults: deque[str] = field(default_factory=deque)
    token_faults: deque[str] = field(default_factory=deque)
    updates: deque[dict[str, Any]] = field(default_factory=deque)
    webhook: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    account_lock: threading.Lock = field(default_factory=threading.Lock)
    hang_seconds: float = HANG_SECONDS


class ZaloStandIn:
    """The server, from `with` to its end.

    Faults are used up one a request: 500, 429, 429_date, html200, html504, empty200,
    no_message_id, slow_headers, accept_then_hang, accept_then_reset, accept_then_504, 302, 307,
    or an error code such as -118 (-118s: as a text).

    Args:
        tokens: The bots it knows.
        chats: The chats it knows; None: every chat.
        port: Where to listen; 0: anywhere.
        account: The Official Account.
        clock: Tells the moment, for codes of the night and tokens that run out.
    """

    def __init__(
        self,
        tokens: frozenset[str] = frozenset({"1:demo"}),
        chats: frozenset[str] | None = None,
        port: int = 0,
        *,
        account: Account | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        now = clock or SystemClock().now
        self._state = _State(tokens, chats, account or Account(), now)
        handler = type("Handler", (_Handler,), {"state": self._state})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """Return where the stand-in listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def account(self) -> Account:
        """Return the Official Account."""
        return self._state.account

    @property
    def messages(self) -> list[Accepted]:
        """Return what the bots sent, in order."""
        with self._state.lock:
            return list(self._state.messages)

    @property
    def templates(self) -> list[Sent]:
        """Return what the Official Account sent, in order."""
        with self._state.account_lock:
            return list(self._state.account.sent)

    @property
    def requests(self) -> list[tuple[str, bytes]]:
        """Return (path, body) of every call, in order."""
        with self._state.lock:
            return list(self._state.requests)

    def fail_next(self, *faults: str, hang_seconds: float = HANG_SECONDS) -> None:
        """Answer the next calls with these faults; "" is none."""
        self._state.hang_seconds = hang_seconds
        self._state.faults.extend(faults)

    def fail_next_renewal(self, *faults: str, hang_seconds: float = HANG_SECONDS) -> None:
        """Answer the next renewals of tokens with these faults; "" is none."""
        self._state.hang_seconds = hang_seconds
        self._state.token_faults.extend(faults)

    def receive(self, update: dict[str, Any]) -> None:
        """Let somebody write to the bot: `getUpdates` hands it out once."""
        self._state.updates.append(update)

    def webhook(self, url: str, first_term: str, secret: str) -> Webhook:
        """Return what sends receipts of the Official Account to an address."""
        return Webhook(url, first_term, secret, self._state.clock)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: _State
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a question of the Official Account, or show what was received, for people."""
        parts = urlsplit(self.path)
        if parts.path != "/":
            self._official_account(parts.path, b"", dict(parse_qsl(parts.query)))
            return
        with self.state.lock:
            rows = [(m.chat_id, m.text) for m in reversed(self.state.messages)]
        with self.state.account_lock:
            sent = list(reversed(self.state.account.sent))
        rows += [(f"{m.to} · mẫu {m.template_id}", m.text) for m in sent]
        body = "".join(f"<section><h2>{h}</h2>{t}</section>" for h, t in paragraphs(rows))
        self._answer(200, page("Zalo (bản giả lập)", body), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Answer a call of the Bot API, or of the Official Account."""
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        with self.state.lock:
            self.state.requests.append((self.path, body))
        path = urlsplit(self.path).path
        if not path.startswith("/bot"):
            self._official_account(path, body, _json(body))
            return
        token, _, method = path.removeprefix("/bot").partition("/")
        if token not in self.state.tokens:
            self._refuse(401, "Unauthorized")
            return
        fault = _next(self.state.faults)
        if not self._fail(fault, lambda: self._send_message(body, quiet=True)):
            self._call(method, body, fault)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  signature of the library
        """Keep quiet: the requests are kept."""

    # --- the Official Account ---------------------------------------------------------------------

    def _official_account(self, path: str, body: bytes, asked: Any) -> None:
        renewal = path == "/v4/oa/access_token"
        fault = _next(self.state.token_faults if renewal else self.state.faults)

        def take() -> Any:
            # One at a time: of two renewals with one refresh token the second finds it used up.
            with self.state.account_lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                return self.state.account.answer(path, headers, body, asked, self.state.clock)

        code = _CODE.fullmatch(fault)
        if code is not None:
            number: int | str = code[1] if code[2] else int(code[1])
            self._json(200, {"error": number, "message": "refused", "access_token": ""})
        elif not self._fail(fault, take):
            answer = take()
            if answer is None:
                self._answer(200, b"", "application/json")
                return
            if fault == "no_message_id":
                answer = {**answer, "data": {}}
            self._json(200, answer)

    # --- the bot ----------------------------------------------------------------------------------

    def _call(self, method: str, body: bytes, fault: str) -> None:
        match method:
            case "sendMessage" if fault == "no_message_id":
                self._ok({})
            case "sendMessage":
                self._send_message(body)
            case "getMe":
                self._ok({"id": "1", "account_name": "Bot dondoc", "account_type": "BASIC"})
            case "getUpdates" if self.state.webhook is not None:
                self._refuse(400, "webhook is set")  # guess: text of the error
            case "getUpdates" if self.state.updates:
                self._ok(self.state.updates.popleft())
            case "getUpdates":
                self._refuse(408, "Request timeout")
            case "setWebhook":
                self.state.webhook = json.loads(body or b"{}").get("url")
                self._ok({"url": self.state.webhook})
            case "deleteWebhook":
                self.state.webhook = None
                self._ok({"url": ""})
            case "getWebhookInfo":
                self._ok({"url": self.state.webhook or ""})
            case _:
                self._refuse(404, "Not Found")

    def _send_message(self, body: bytes, *, quiet: bool = False) -> None:
        """Take a text and, unless `quiet`, say so."""
        asked = _json(body)
        asked = asked if isinstance(asked, dict) else {}
        chat, text = asked.get("chat_id"), asked.get("text")
        if not isinstance(chat, str):
            self._refuse(400, "Bad Request")
        elif not isinstance(text, str) or not 1 <= len(text) <= TEXT_LIMIT:
            self._refuse(400, "text has to have 1 to 2000 characters")
        elif self.state.chats is not None and chat not in self.state.chats:
            self._refuse(404, "chat not found")  # guess: code of an unknown chat
        else:
            accepted = self._accept(chat, text)
            if not quiet:
                now = int(self.state.clock().timestamp() * 1000)
                self._ok({"message_id": accepted.message_id, "date": now})

    def _accept(self, chat: str, text: str) -> Accepted:
        with self.state.lock:
            accepted = Accepted(chat, text, f"m{len(self.state.messages) + 1}")
            self.state.messages.append(accepted)
        return accepted

    # --- both -------------------------------------------------------------------------------------

    def _fail(self, fault: str, take: Callable[[], Any]) -> bool:
        """Do what a fault asks; False where it asks for nothing. `take` takes the message."""
        if fault in {"", "no_message_id"}:
            return False
        plain = _PLAIN.get(fault)
        if plain is not None:
            self._answer(*plain)
        elif fault.startswith("429"):
            self._slow_down(fault)
        elif fault in {"302", "307"}:
            self._answer(int(fault), b"", "text/plain", {"Location": f"{self.path}"})
        else:
            self._hang_up(fault, take)
        return True

    def _slow_down(self, fault: str) -> None:
        if fault == "429" and self.path.startswith("/bot"):
            self._refuse(429, "Quota exceeded", {"Retry-After": "7"})
            return
        later = format_datetime(self.state.clock() + timedelta(seconds=90), usegmt=True)
        wish = "7" if fault == "429" else later
        self._answer(429, b"", "text/plain", {"Retry-After": wish})

    def _hang_up(self, fault: str, take: Callable[[], Any]) -> None:
        """Take the message, or not, and answer late or never."""
        if fault not in _HANGS:
            raise ValueError(fault)
        if fault.startswith("accept"):
            take()
        if fault == "accept_then_504":
            self._answer(504, _HTML, "text/html")
            return
        if fault != "accept_then_reset":
            time.sleep(self.state.hang_seconds)
        self.close_connection = True

    def _ok(self, result: dict[str, Any]) -> None:
        self._json(200, {"ok": True, "result": result})

    def _refuse(self, code: int, text: str, headers: dict[str, str] | None = None) -> None:
        # Guess: an application error comes with HTTP 200 and the code inside.
        self._json(200, {"ok": False, "error_code": code, "description": text}, headers)

    def _json(self, status: int, data: Any, headers: dict[str, str] | None = None) -> None:
        self._answer(status, json.dumps(data).encode(), "application/json", headers)

    def _answer(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response_only(status)
        self.send_header("Date", format_datetime(self.state.clock(), usegmt=True))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _next(faults: deque[str]) -> str:
    try:
        return faults.popleft()
    except IndexError:
        return ""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
