"""The outside world of a test: a mailbox that keeps what it takes, and Zalo's stand-in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from engine.settings import Settings
from notifications.standin.mailbox import Mailbox
from notifications.standin.zalo import ZaloStandIn
from tests.notifications.mails import OPENED
from tests.notifications.sent import TOKEN


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    with Mailbox(tmp_path / "mail") as running:
        yield running


@pytest.fixture
def zalo() -> Iterator[ZaloStandIn]:
    with ZaloStandIn(frozenset({TOKEN})) as running:
        yield running


@pytest.fixture
def outside(mailbox: Mailbox, zalo: ZaloStandIn) -> Settings:
    """Settings whose ways out lead to the mailbox and the stand-in."""
    return Settings(
        smtp_port=mailbox.smtp_port,
        smtp_security="plain",
        mail_from="nhacviec@quangngai.example",
        zalo_bot_token=SecretStr(TOKEN),
        zalo_bot_url=zalo.url,
    )


@pytest.fixture(autouse=True)
def _sessions_closed() -> Iterator[None]:
    """Close the connections a test opened to mail servers."""
    yield
    while OPENED:
        OPENED.pop().close()
