"""Listening to the bot: updates one by one, who wrote what, and an answer to each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.channels import Outcome
from engine.errors import EngineError, InvalidData, Sentence
from engine.service.engine import Engine
from engine.settings import Settings
from notifications.channels.answers import text_of
from notifications.channels.base import dispatch
from notifications.channels.wire import poll_json
from notifications.channels.zbot import ZaloBot
from notifications.secrets import without

MOST_UPDATES = 100
"""How many updates one visit takes, so that it ends however much is written."""

_NOTHING_NEW = "408"
_TEXT_LIMIT = 2000


class BotProblem(EngineError):
    """The bot platform did not do as asked; `code` is its own, or of the connection."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(
            Sentence(
                f"Zalo Bot không trả lời được ({code} {text}). Kiểm tra DONDOC_ZALO_BOT_TOKEN và "
                "kết nối đến Zalo.",
                f"Zalo Bot did not answer as asked ({code} {text}). Check DONDOC_ZALO_BOT_TOKEN "
                "and the connection to Zalo.",
            )
        )
        self.code = code


@dataclass(frozen=True, slots=True)
class Incoming:
    """What somebody wrote to the bot."""

    chat_id: str = field(repr=False)
    sender_name: str
    text: str
    event_key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered to whoever wrote."""

    chat_id: str
    text: str


class BotClient:
    """Calls of the Bot API; the token is in no error and no `repr`."""

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token

    def __repr__(self) -> str:
        return f"BotClient({self._base_url})"

    def get_me(self) -> Mapping[str, Any]:
        """Return who the bot is.

        Raises:
            BotProblem: As every call here.
        """
        return self._call("getMe", {})

    def updates(self, timeout_seconds: int = 30) -> Iterator[Mapping[str, Any]]:
        """Yield what is new, one object a call, until nothing is or enough was taken.

        The platform hands each out once and has no acknowledgement: an update that was yielded
        and not taken in is lost. Only the first call waits.
        """
        wait = timeout_seconds
        for _ in range(MOST_UPDATES):
            try:
                update = self._call("getUpdates", {"timeout": str(wait)}, wait)
            except BotProblem as problem:
                if problem.code == _NOTHING_NEW:
                    return
                raise
            yield update
            wait = 1

    def set_webhook(self, url: str, secret: str) -> None:
        """Let updates come to an address, with a secret of 8 to 256 characters; polling ends."""
        self._call("setWebhook", {"url": url, "secret_token": secret})

    def delete_webhook(self) -> None:
        """Let updates be polled again."""
        self._call("deleteWebhook", {})

    def send(self, answer: Answer) -> Outcome:
        """Send an answer to its chat, through the channel that sends reminders."""
        return dispatch(ZaloBot(self._base_url, self._token, answer.chat_id), answer.text, "")

    def _call(
        self, method: str, data: Mapping[str, Any], wait_seconds: float = 0.0
    ) -> Mapping[str, Any]:
        answer = poll_json(f"{self._base_url}/bot{self._token}/{method}", data, wait_seconds)
        if isinstance(answer, Outcome):
            raise BotProblem(answer.code, answer.text)
        envelope = answer.envelope or {}
        if envelope.get("ok") is not True:
            code = str(envelope.get("error_code") or answer.status)
            text = text_of(envelope.get("description"))
            private = (self._token, data.get("secret_token"))
            raise BotProblem(without(code, *private), without(text, *private))
        result = envelope.get("result")
        return result if isinstance(result, dict) else {}


def parse_update(update: Mapping[str, Any]) -> Incoming | None:
    """Return a text somebody wrote to the bot alone; None for anything else.

    A group is no person: whoever sent a code there would bind the group to one.
    """
    message = update.get("message")
    if not isinstance(message, dict):
        return None
    chat, sender = message.get("chat"), message.get("from")
    text, message_id = message.get("text"), message.get("message_id")
    chat_id = chat.get("id") if isinstance(chat, dict) else None
    if not all(isinstance(v, str) and v for v in (text, message_id, chat_id)):
        return None
    if isinstance(chat, dict) and chat.get("chat_type", "PRIVATE") != "PRIVATE":
        return None
    name = sender.get("display_name") if isinstance(sender, dict) else ""
    return Incoming(str(chat_id), text_of(name), str(text)[:_TEXT_LIMIT], str(message_id))


def take_in(engine: Engine, update: Mapping[str, Any]) -> Answer | None:
    """Do what an update asks; return what is to be answered, None: it is not new or not for us."""
    incoming = parse_update(update)
    if incoming is None:
        return None
    said = engine.inbox.written(incoming.event_key, incoming.chat_id, incoming.text)
    return None if said is None else Answer(incoming.chat_id, said.vi)


def listen(engine: Engine, client: BotClient, timeout_seconds: int = 30) -> int:
    """Take in and answer what was written to the bot; return how many texts were new."""
    new = 0
    for update in client.updates(timeout_seconds):
        answer = take_in(engine, update)
        if answer is not None:
            client.send(answer)
            new += 1
    return new


def client_of(settings: Settings) -> BotClient:
    """Return the bot of the settings.

    Raises:
        InvalidData: None is set.
    """
    if settings.zalo_bot_token is None:
        problem = Sentence("chưa đặt; xem tài liệu Zalo Bot", "is not set")
        raise InvalidData({"DONDOC_ZALO_BOT_TOKEN": problem})
    return BotClient(settings.zalo_bot_url, settings.zalo_bot_token.get_secret_value())


def is_polled(settings: Settings) -> bool:
    """Return whether there is a bot whose updates are fetched, not called in by webhook."""
    return settings.zalo_bot_token is not None and settings.zalo_bot_webhook_secret is None
