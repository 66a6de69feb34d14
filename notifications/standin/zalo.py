"""A stand-in of the Zalo Bot Platform.

It behaves as the platform's users describe it, not as it was seen to behave: what is guessed is
marked. Messages accepted are kept and shown on a page.
"""

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from notifications.standin.pages import page, paragraphs

TEXT_LIMIT = 2000
HANG_SECONDS = 30.0


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
    messages: list[Accepted] = field(default_factory=list)
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    faults: deque[str] = field(default_factory=deque)
    updates: deque[dict[str, Any]] = field(default_factory=deque)
    webhook: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    hang_seconds: float = HANG_SECONDS


class ZaloStandIn:
    """The server, from `with` to its end.

    Faults are used up one a request: 500, 429, html200, empty200, no_message_id,
    accept_then_hang, accept_then_reset, 307.
    """

    def __init__(
        self,
        tokens: frozenset[str] = frozenset({"1:demo"}),
        chats: frozenset[str] | None = None,
        port: int = 0,
    ) -> None:
        self._state = _State(tokens, chats)
        handler = type("Handler", (_Handler,), {"state": self._state})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Return where the stand-in listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def messages(self) -> list[Accepted]:
        """Return what was accepted, in order."""
        with self._state.lock:
            return list(self._state.messages)

    @property
    def requests(self) -> list[tuple[str, bytes]]:
        """Return (path, body) of every call, in order."""
        with self._state.lock:
            return list(self._state.requests)

    def fail_next(self, *faults: str, hang_seconds: float = HANG_SECONDS) -> None:
        """Answer the next calls with these faults."""
        self._state.hang_seconds = hang_seconds
        self._state.faults.extend(faults)

    def receive(self, update: dict[str, Any]) -> None:
        """Let somebody write to the bot: `getUpdates` hands it out once."""
        self._state.updates.append(update)

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
        """Show what was received, for people."""
        with self.state.lock:
            rows = [(m.chat_id, m.text) for m in reversed(self.state.messages)]
        body = "".join(f"<section><h2>{h}</h2>{t}</section>" for h, t in paragraphs(rows))
        self._answer(200, page("Zalo (bản giả lập)", body), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Answer a call of the Bot API."""
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        with self.state.lock:
            self.state.requests.append((self.path, body))
        _, _, rest = self.path.partition("/bot")
        token, _, method = rest.partition("/")
        if token not in self.state.tokens:
            self._refuse(401, "Unauthorized")
            return
        try:
            fault = self.state.faults.popleft()
        except IndexError:
            self._call(method, body)
        else:
            self._fail(fault, body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  signature of the library
        """Keep quiet: the requests are kept."""

    def _call(self, method: str, body: bytes) -> None:
        match method:
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

    def _send_message(self, body: bytes) -> None:
        try:
            asked = json.loads(body)
            chat, text = asked["chat_id"], asked["text"]
        except (ValueError, KeyError, TypeError):
            self._refuse(400, "Bad Request")
            return
        if not isinstance(text, str) or not 1 <= len(text) <= TEXT_LIMIT:
            self._refuse(400, "text has to have 1 to 2000 characters")
        elif self.state.chats is not None and chat not in self.state.chats:
            self._refuse(404, "chat not found")  # guess: code of an unknown chat
        else:
            accepted = self._accept(chat, text)
            self._ok({"message_id": accepted.message_id, "date": int(time.monotonic() * 1000)})

    def _accept(self, chat: str, text: str) -> Accepted:
        with self.state.lock:
            accepted = Accepted(chat, text, f"m{len(self.state.messages) + 1}")
            self.state.messages.append(accepted)
        return accepted

    def _fail(self, fault: str, body: bytes) -> None:
        match fault:
            case "500":
                self._answer(500, b"Internal Server Error", "text/plain")
            case "429":
                self._refuse(429, "Quota exceeded", {"Retry-After": "7"})
            case "html200":
                self._answer(200, b"<html>proxy</html>", "text/html")
            case "empty200":
                self._answer(200, b"", "application/json")
            case "no_message_id":
                self._ok({})
            case "307":
                self._answer(307, b"", "text/plain", {"Location": f"{self.path}"})
            case "accept_then_hang" | "accept_then_reset":
                asked = json.loads(body)
                self._accept(asked["chat_id"], asked["text"])
                if fault == "accept_then_hang":
                    time.sleep(self.state.hang_seconds)
                self.close_connection = True
            case _:
                raise ValueError(fault)

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
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
