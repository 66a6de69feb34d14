"""The Zalo Bot Platform: one text to one chat.

The wire format follows the Bot API reference as quoted by its users; the real service was not
called. At most once: the platform has no idempotency and no receipts.
"""

from datetime import UTC, datetime
from http import HTTPStatus

from engine.channels import Outcome, OutcomeState
from notifications.channels.answers import Api, refusal, text_of
from notifications.channels.base import Channel
from notifications.channels.wire import Answer, no_envelope, post_json

# The platform has no codes that wait for an hour of the day, so no moment matters here.
_ANY_MOMENT = datetime.min.replace(tzinfo=UTC)


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
        self.private = (token, chat_id)

    def __repr__(self) -> str:
        return f"ZaloBot({self._base_url})"

    def attempt(self, body: str, title: str) -> Outcome:  # noqa: ARG002  Zalo has no titles
        """Post the text, and read what the answer makes certain."""
        answer = post_json(
            f"{self._base_url}/bot{self._token}/sendMessage",
            {},
            {"text": body, "chat_id": self._chat_id},
        )
        return answer if isinstance(answer, Outcome) else _outcome(answer)


def _outcome(answer: Answer) -> Outcome:
    envelope = answer.envelope
    if (
        envelope is None
        or "ok" not in envelope
        or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        return no_envelope(answer)
    if envelope["ok"] is True:
        result = envelope.get("result")
        message_id = result.get("message_id") if isinstance(result, dict) else None
        if not message_id:
            return Outcome(OutcomeState.UNKNOWN, "no-message-id", "accepted without an id")
        return Outcome(OutcomeState.ACCEPTED, "ok", "", str(message_id))
    code = envelope.get("error_code") or answer.status
    text = text_of(envelope.get("description"))
    return refusal(Api.BOT, code, text, _ANY_MOMENT, answer.retry_after_seconds)
