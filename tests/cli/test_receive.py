"""What comes back, at the command line: bounces, texts to the bot, and where Zalo calls."""

import mailbox
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.service.engine import Engine
from engine.settings import Settings
from engine.store.database import open_database
from notifications.standin.zalo import ZaloStandIn
from tests.cli.test_commands import Cli
from tests.databases import SEAL_KEYS
from tests.factories import KEYS, person
from tests.notifications.sent import TOKEN


@pytest.fixture
def zalo() -> Iterator[ZaloStandIn]:
    with ZaloStandIn(frozenset({TOKEN})) as running:
        yield running


@pytest.fixture
def cli(plan_51_settings: Settings, zalo: ZaloStandIn) -> Cli:
    cli = Cli(plan_51_settings)
    cli.environment |= {
        "DONDOC_SEAL_KEYS": SEAL_KEYS,
        "DONDOC_ZALO_BOT_URL": zalo.url,
        "DONDOC_ZALO_BOT_TOKEN": TOKEN,
    }
    return cli


def test_bounces_and_texts_are_taken_in_by_one_command(
    cli: Cli, plan_51_settings: Settings, zalo: ZaloStandIn, tmp_path: Path
) -> None:
    mailbox.Maildir(tmp_path / "in").add(b"no bounce of ours")
    cli.environment["DONDOC_MAIL_BOUNCE_MAILDIR"] = str(tmp_path / "in")
    database = open_database(plan_51_settings)
    engine = Engine(database, SystemClock(), keyring=KEYS)
    code, _ = engine.contacts.link_code(person(engine, "cv.so-noi-vu"))
    message = {"chat": {"id": "c9"}, "from": {"id": "u"}, "text": code, "message_id": "m1"}
    zalo.receive({"event_name": "message.text.received", "message": message})

    first = cli.data("receive")
    again = cli.data("receive")
    database.dispose()

    assert first == {"bounces": {"nothing": 1}, "texts": 1}
    assert again == {"bounces": {}, "texts": 0}
    assert [m.chat_id for m in zalo.messages] == ["c9"]


def test_a_mailbox_that_is_not_there_is_said_in_both_languages(cli: Cli, tmp_path: Path) -> None:
    cli.environment["DONDOC_MAIL_BOUNCE_MAILDIR"] = str(tmp_path / "none")

    said = [cli.run(*language, "receive") for language in ((), ("--lang", "en"))]

    assert [s.returncode for s in said] == [1, 1]
    assert "Không đọc được hộp thư trả lại" in said[0].stderr
    assert "The bounce mailbox cannot be read" in said[1].stderr
    assert all("Traceback" not in s.stderr for s in said)


def test_the_bot_is_asked_who_it_is_and_told_where_to_call(cli: Cli, zalo: ZaloStandIn) -> None:
    polled = cli.ok("bot", "status")
    refused = cli.run("bot", "webhook")
    cli.environment |= {
        "DONDOC_ZALO_BOT_WEBHOOK_SECRET": "a-secret-of-the-bot",
        "DONDOC_BASE_URL": "https://dondoc.quangngai.example/",
    }
    told = cli.ok("bot", "webhook")
    called = cli.ok("bot", "status")
    cli.ok("bot", "webhook", "--off")

    bodies = [body for path, body in zalo.requests if path.endswith("setWebhook")]
    assert (polled, called) == ("Bot dondoc: getUpdates\n", "Bot dondoc: webhook\n")
    assert refused.returncode == 1
    assert "DONDOC_ZALO_BOT_WEBHOOK_SECRET" in refused.stderr
    assert len(bodies) == 1
    assert b"https://dondoc.quangngai.example/api/v1/webhooks/zalo-bot" in bodies[0]
    assert "a-secret-of-the-bot" not in told + called
    assert zalo.requests[-1][0].endswith("deleteWebhook")


def test_a_bot_that_is_not_set_up_or_not_known_is_said(cli: Cli) -> None:
    cli.environment["DONDOC_ZALO_BOT_TOKEN"] = "999:unknown"
    unknown = cli.run("bot", "status")
    del cli.environment["DONDOC_ZALO_BOT_TOKEN"]
    unset = cli.run("bot", "status")

    assert (unknown.returncode, unset.returncode) == (1, 1)
    assert "Zalo Bot" in unknown.stderr
    assert "DONDOC_ZALO_BOT_TOKEN" in unset.stderr
    assert "999:unknown" not in unknown.stderr
