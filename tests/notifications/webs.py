"""A web server that keeps what it is sent."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web(ThreadingHTTPServer):
    """A web server that keeps what it is sent and answers what it is told."""

    allow_reuse_address = True
    status, kind, content = 200, "application/json", b"{}"
    wait: threading.Event | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.taken: list[bytes] = []

    @property
    def address(self) -> str:
        return f"json://user:geheim@127.0.0.1:{self.server_address[1]}/hook-4f1d"


class Handler(BaseHTTPRequestHandler):
    server: Web

    def do_POST(self) -> None:
        web = self.server
        web.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        if web.wait is not None:
            web.wait.wait(10)
        self.send_response(web.status)
        if web.status == 307:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Type", web.kind)
        self.send_header("Content-Length", str(len(web.content)))
        self.end_headers()
        self.wfile.write(web.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  of the library
        """Keep quiet."""
