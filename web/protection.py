"""What every page needs against the outside: headers, and no writing from foreign pages."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OWN = frozenset({"same-origin", "none"})


class Protection:
    """Add the headers, and refuse a form another site sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "POST" and not _from_our_pages(Headers(scope=scope)):
            refused = PlainTextResponse("Yêu cầu đến từ trang khác, đã bị từ chối.", 403)
            await refused(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, guarded)


def _from_our_pages(headers: Headers) -> bool:
    """Tell whether a form was sent from our own pages, as the browser says.

    `Sec-Fetch-Site` where the browser sends it (Fetch Metadata), else `Origin` (RFC 6454).
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] == headers.get("host")
