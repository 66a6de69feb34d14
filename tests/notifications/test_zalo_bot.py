"""The bot: its channel against the stand-in, and listening to what people write to it."""

import logging
from typing import Any

import pytest

from engine.channels import Outcome, OutcomeState
from engine.clock import at
from engine.service.engine import Engine
from notifications.bot import (
    MOST_UPDATES,
    Answer,
    BotClient,
    BotProblem,
    Incoming,
    listen,
    parse_update,
)
from notifications.channels.base import dispatch
from notifications.channels.zbot import ZaloBot
from notifications.secrets import protect_logs
from notifications.standin.zalo import ZaloStandIn
from tests.factories import person
from tests.notifications.sent import OCTOBER, TOKEN


def an_update(
    text: str, message_id: str = "u1", chat_id: str = "c9", **chat: str
) -> dict[str, Any]:
    return {
        "event_name": "message.text.received",
        "message": {
            "message_id": message_id,
            "text": text,
            "chat": {"id": chat_id, "chat_type": "PRIVATE", **chat},
            "from": {"id": chat_id, "display_name": "Bé", "is_bot": False},
        },
    }


class TestSending:
    def test_the_request_is_the_one_the_platform_documents(self, zalo: ZaloStandIn) -> None:
        outcome = dispatch(ZaloBot(zalo.url, TOKEN, "6ede9afa66b88fe6d6a9"), "Nhắc việc", "")

        assert outcome == Outcome(OutcomeState.ACCEPTED, "ok", "", "m1")
        assert zalo.requests == [
            (
                f"/bot{TOKEN}/sendMessage",
                b'{"text": "Nh\\u1eafc vi\\u1ec7c", "chat_id": "6ede9afa66b88fe6d6a9"}',
            )
        ]

    @pytest.mark.parametrize(
        ("fault", "state"),
        [
            ("500", OutcomeState.UNKNOWN),
            ("429", OutcomeState.RETRY),
            ("429_date", OutcomeState.RETRY),
            ("html200", OutcomeState.UNKNOWN),
            ("empty200", OutcomeState.UNKNOWN),
            ("no_message_id", OutcomeState.UNKNOWN),
            ("accept_then_reset", OutcomeState.UNKNOWN),
            ("302", OutcomeState.UNKNOWN),
            ("307", OutcomeState.PARKED),  # done nowhere, and the same for every message
        ],
    )
    def test_only_what_is_certain_is_taken_for_certain(
        self, zalo: ZaloStandIn, fault: str, state: OutcomeState
    ) -> None:
        zalo.fail_next(fault)

        outcome = dispatch(ZaloBot(zalo.url, TOKEN, "c"), "Nhắc việc", "")

        assert outcome.state is state
        assert len(zalo.requests) == 1
        wishes = {"429": 7, "429_date": 90}
        assert outcome.retry_after_seconds == wishes.get(fault)

    def test_nobody_listening_and_a_wrong_token_are_certain(self, zalo: ZaloStandIn) -> None:
        nobody = dispatch(ZaloBot("http://127.0.0.1:9", TOKEN, "c"), "x", "")
        nowhere = dispatch(ZaloBot("http://zalo.invalid", TOKEN, "c"), "x", "")
        stranger = dispatch(ZaloBot(zalo.url, "1:wrong-token-here", "c"), "x", "")
        malformed = dispatch(ZaloBot("zalo", TOKEN, "c"), "x", "")

        assert nobody.state is nowhere.state is OutcomeState.RETRY
        assert (stranger.state, stranger.code) == (OutcomeState.PARKED, "401")
        assert (malformed.state, malformed.code) == (OutcomeState.PARKED, "address")

    def test_an_unknown_chat_fails_alone(self) -> None:
        with ZaloStandIn(frozenset({TOKEN}), frozenset({"known"})) as zalo:
            unknown = dispatch(ZaloBot(zalo.url, TOKEN, "stranger"), "x", "")

        assert unknown.state is OutcomeState.FAILED


class TestListening:
    def test_updates_come_one_a_call_until_there_is_none(self, zalo: ZaloStandIn) -> None:
        for number in range(3):
            zalo.receive(an_update(str(number), f"u{number}"))

        found = list(BotClient(zalo.url, TOKEN).updates(0))

        assert [u["message"]["text"] for u in found] == ["0", "1", "2"]
        assert zalo.requests[0][1] == b'{"timeout": "0"}'  # a text, as the platform wants it
        assert len(zalo.requests) == 4

    def test_one_visit_ends_however_much_is_written(self, zalo: ZaloStandIn) -> None:
        for number in range(MOST_UPDATES + 5):
            zalo.receive(an_update("x", f"u{number}"))

        assert len(list(BotClient(zalo.url, TOKEN).updates(0))) == MOST_UPDATES

    def test_a_webhook_ends_polling_until_it_is_deleted(self, zalo: ZaloStandIn) -> None:
        bot = BotClient(zalo.url, TOKEN)
        bot.set_webhook("https://quangngai.example/hook", "s" * 8)
        with pytest.raises(BotProblem) as refused:
            list(bot.updates(0))

        bot.delete_webhook()

        assert refused.value.code == "400"
        assert list(bot.updates(0)) == []
        assert bot.get_me()["account_name"] == "Bot dondoc"

    def test_an_update_says_who_wrote_what_where(self) -> None:
        assert parse_update(an_update("123456")) == Incoming("c9", "Bé", "123456", "u1")

    @pytest.mark.parametrize(
        "update",
        [
            {},
            {"message": "x"},
            {"message": {"chat": {"id": "c"}, "message_id": "1"}},
            {"message": {"chat": {"id": 7}, "message_id": "1", "text": "x"}},
            {"message": {"chat": None, "from": None, "message_id": "1", "text": "x"}},
            an_update("123456", chat_type="GROUP"),
        ],
    )
    def test_what_is_no_text_of_one_person_is_left_alone(self, update: dict[str, Any]) -> None:
        assert parse_update(update) is None

    def test_a_code_written_to_the_bot_links_the_chat_once(
        self, plan_51: Engine, zalo: ZaloStandIn
    ) -> None:
        engine = plan_51.at(at(OCTOBER))
        own = person(engine, "cv.so-noi-vu")
        said, _ = engine.contacts.link_code(own)
        bot = BotClient(zalo.url, TOKEN)
        zalo.receive(an_update(f"Mã của tôi {said}"))
        zalo.receive(an_update(f"Mã của tôi {said}"))  # the same update again

        new = listen(engine, bot, 0)

        assert new == 1
        assert [(m.chat_id, m.text[:12]) for m in zalo.messages] == [("c9", "Đã liên kết.")]


def test_the_token_is_in_no_log_error_or_name(
    zalo: ZaloStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    protect_logs()
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    said = []

    for url in (zalo.url, "http://127.0.0.1:9", "zalo"):
        bot = BotClient(url, TOKEN)
        said += [repr(bot), repr(ZaloBot(url, TOKEN, "c")), repr(bot.send(Answer("c", "x")))]
        zalo.fail_next("500")
        with pytest.raises(BotProblem) as problem:
            bot.get_me()
        said += [str(problem.value), problem.value.sentence.vi]

    assert "sendMessage" in caplog.text
    assert TOKEN not in caplog.text + "".join(said)
