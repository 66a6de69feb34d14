"""The outside world of a test: a mailbox that keeps what it takes, and Zalo's stand-in."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from engine.settings import Settings
from notifications.standin.mailbox import Mailbox
from notifications.standin.zalo import ZaloStandIn
from tests.notifications.mails import close_all
from tests.notifications.sent import TOKEN
from tests.notifications.webs import Web


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a program of Debian's that is not here; CI has them all, or fails."""
    if os.environ.get("CI"):
        return
    left_out = [item for item in items if _missing(item)]
    if left_out:
        items[:] = [item for item in items if not _missing(item)]
        config.hook.pytest_deselected(items=left_out)
        programs = sorted({program for item in left_out for program in _missing(item)})
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(
                f"{len(left_out)} tests are left out, no {', '.join(programs)} here: "
                "apt-get install exim4-daemon-light dovecot-imapd ripmime"
            )


def _missing(item: pytest.Item) -> set[str]:
    needed = {str(marker.args[0]) for marker in item.iter_markers("debian")}
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    return {program for program in needed if shutil.which(program, path=path) is None}


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    with Mailbox(tmp_path / "mail") as running:
        yield running
        close_all()  # before the loop ends that would see them end


@pytest.fixture
def zalo() -> Iterator[ZaloStandIn]:
    with ZaloStandIn(frozenset({TOKEN})) as running:
        yield running


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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
    close_all()
