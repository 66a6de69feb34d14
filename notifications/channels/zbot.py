"""The Zalo Bot Platform: one text to one chat.

The wire format follows the Bot API reference as quoted by its users; the real service was not
called. At most once: the platform has no idempotency and no receipts.
"""

import json
from typing import Any

import requests

from engine.channels import Outcome, OutcomeState
from notifications.channels.base import Channel

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0

_LATER = frozenset({429})
_RECIPIENT = frozenset({400, 403, 404})
_TOKEN = frozenset({401})


class ZaloBot(Channel):
    """One text to one chat."""

    service_name = "ZaloBot"
    protocol = "zbot"
    title_maxlen = 0
    body_maxlen = 2000

    def __init__(self, base_url: str, token: str, chat_id: str) -> None:
        super().__init__()
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._chat_id = chat_id

    def __repr__(self) -> str:
        return f"ZaloBot({self._base_url})"

    def attempt(self, body: str, title: str) -> Outcome:  # noqa: ARG002  Zalo has no titles
        """Post the text, and read what the answer makes certain."""
        try:
            response = requests.post(
                f"{self._base_url}/bot{self._token}/sendMessage",
                data=json.dumps({"text": body, "chat_id": self._chat_id}),
                headers={"Content-Type": "application/json; charset=utf-8"},
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
            )
        except requests.ConnectTimeout:
            return Outcome(OutcomeState.RETRY, "connect-timeout", "no connection in time")
        except requests.ConnectionError as problem:
            return _connection(problem)
        except requests.RequestException as problem:
            # Without the message: it repeats the address, and with it the token.
            return Outcome(OutcomeState.UNKNOWN, type(problem).__name__, "no whole answer")
        return _outcome(response)


def _connection(problem: requests.ConnectionError) -> Outcome:
    """Tell a connection never made from one lost after the text had been written."""
    cause: BaseException | None = problem
    while cause is not None:
        if type(cause).__name__ in {"NewConnectionError", "NameResolutionError", "SSLError"}:
            return Outcome(OutcomeState.RETRY, type(cause).__name__, "no connection")
        reason = getattr(cause, "reason", None)
        inner = cause.args[0] if cause.args and isinstance(cause.args[0], BaseException) else None
        cause = reason if isinstance(reason, BaseException) else inner
    return Outcome(OutcomeState.UNKNOWN, "connection-lost", "lost after the text was written")


def _outcome(response: requests.Response) -> Outcome:
    answer = _envelope(response)
    if answer is None:
        refused = response.status_code in _LATER
        state = OutcomeState.RETRY if refused else OutcomeState.UNKNOWN
        http = f"http-{response.status_code}"
        return Outcome(state, http, "no answer of the API", None, _retry_after(response))
    if answer.get("ok") is True:
        result = answer.get("result")
        message_id = result.get("message_id") if isinstance(result, dict) else None
        if not message_id:
            return Outcome(OutcomeState.UNKNOWN, "no-message-id", "accepted without an id")
        return Outcome(OutcomeState.ACCEPTED, "ok", "", str(message_id))
    code: Any = answer.get("error_code") or response.status_code
    text = str(answer.get("description", ""))
    if code in _LATER:
        return Outcome(OutcomeState.RETRY, str(code), text, None, _retry_after(response))
    if code in _RECIPIENT | _TOKEN:
        return Outcome(OutcomeState.FAILED, str(code), text)
    return Outcome(OutcomeState.UNKNOWN, str(code), text)


def _envelope(response: requests.Response) -> dict[str, Any] | None:
    """Return the API's JSON; None for a page of something in between, or a server error."""
    if response.status_code >= 500:  # noqa: PLR2004  server error: may have been taken
        return None
    try:
        answer = response.json()
    except requests.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) and "ok" in answer else None


def _retry_after(response: requests.Response) -> float | None:
    raw = response.headers.get("Retry-After", "")
    return float(raw) if raw.isdigit() else None
