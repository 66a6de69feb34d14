"""A limit on request bodies, kept while they arrive: a declared length may be a lie."""

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem
from engine.errors import Sentence


class _TooLarge(Exception):
    pass


class BodyLimit:
    """Answer 413 to a body of more than `limit_bytes`."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            await self._refuse(scope, receive, send)
            return
        seen = 0
        over = False

        async def counted() -> Message:
            nonlocal seen, over
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                over = True
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            # What the application makes of a body cut short is not its answer.
            if not over:
                await send(message)

        try:
            await self._app(scope, counted, watched)
        except _TooLarge:
            over = True
        if over:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = Sentence(
            f"Nội dung gửi lên vượt {self._limit} byte. Rút gọn rồi gửi lại.",
            f"The body is larger than {self._limit} bytes. Send less.",
        )
        answer = problem(Request(scope), 413, "body-too-large", detail)
        await answer(scope, receive, send)
