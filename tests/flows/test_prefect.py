"""The flows through a real Prefect server on PostgreSQL, beside the same command."""

import mailbox
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from engine.clock import at
from engine.settings import Settings
from engine.store import embedded
from engine.store.database import open_database
from flows.credentials import rotate_credentials
from flows.processes import Parts, everything
from flows.receive import listen_to_bot, take_in_bounces
from flows.schedule import DEPLOYMENTS, idle
from flows.sweep import is_first_working_day, table
from notifications.standin.mailbox import Mailbox
from tests.databases import SEAL_KEYS
from tests.factories import with_plan_51

OCTOBER = at(date(2025, 10, 1))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Parts, Settings, Mailbox]]:
    """Everything `dondoc up` starts, with plan 51 assigned and a mailbox."""
    from tests.databases import temporary_folder

    with temporary_folder() as folder, pytest.MonkeyPatch.context() as patch:
        with Mailbox(tmp_path_factory.mktemp("mail")) as outside:
            patch.setenv("DONDOC_DATA_DIR", str(folder / "data"))
            patch.setenv("DONDOC_SEAL_KEYS", SEAL_KEYS)
            patch.setenv("DONDOC_SMTP_PORT", str(outside.smtp_port))
            patch.setenv("DONDOC_SMTP_SECURITY", "plain")
            patch.setenv("DONDOC_MAIL_BOUNCE_MAILDIR", str(folder / "bounces"))
            patch.setenv("PYTHONPATH", str(Path.cwd()))
            settings = Settings(database_url=None)
            with everything(settings, prefect_port=_free_port()) as parts:
                with_plan_51(parts.engine.database)
                yield parts, settings, outside
        embedded.stop(folder / "data")


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def test_a_command_and_a_prefect_run_at_once_make_the_rows_of_one(
    running: tuple[Parts, Settings, Mailbox],
) -> None:
    parts, settings, outside = running
    command = [str(Path(sys.executable).with_name("dondoc")), "sweep", "--as-of", "2025-10-01"]
    beside = threading.Thread(
        target=lambda: subprocess.run(command, check=True, capture_output=True)
    )
    beside.start()
    parts.run_flows("sweep-due", parameters={"as_of": "2025-10-01"})
    beside.join()
    parts.run_flows("deliver-outbox", parameters={"as_of": "2025-10-01"})

    database = open_database(settings)
    with database.connect() as connection:
        rows = connection.execute(sa.text("SELECT count(*) FROM escalation")).scalar_one()
    database.dispose()
    assert rows > 0
    assert parts.engine.at(OCTOBER).sweeps.run().rows == 0
    assert len(outside.messages()) > 20


def test_every_deployment_is_registered_with_its_schedule(
    running: tuple[Parts, Settings, Mailbox],
) -> None:
    parts, _, _ = running
    said = subprocess.run(
        [sys.executable, "-m", "prefect", "deployment", "ls"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PREFECT_API_URL": parts.prefect_url, "COLUMNS": "200"},
    ).stdout

    for flow, _, _ in DEPLOYMENTS:
        assert f"{flow.name}/dondoc" in said


def test_what_comes_back_is_fetched_through_prefect(
    running: tuple[Parts, Settings, Mailbox],
) -> None:
    parts, settings, _ = running
    assert settings.mail_bounce_maildir is not None
    mailbox.Maildir(settings.mail_bounce_maildir).add(b"no bounce of ours")

    parts.run_flows("take-in-bounces", "listen-to-bot", "rotate-credentials")

    assert len(mailbox.Maildir(settings.mail_bounce_maildir)) == 0


def test_a_schedule_rests_while_there_is_nothing_to_fetch() -> None:
    bot = SecretStr("1:x")
    called = Settings(
        zalo_bot_token=bot, zalo_bot_webhook_secret=SecretStr("12345678"), mail_bounce_maildir=None
    )
    all_set = Settings(
        zalo_bot_token=bot, zalo_oa_id="1", mail_bounce_maildir=Path("/in"), zalo_app_secret=bot
    )

    assert idle(Settings(mail_bounce_maildir=None)) == {
        take_in_bounces,
        listen_to_bot,
        rotate_credentials,
    }
    assert idle(called) == {take_in_bounces, listen_to_bot, rotate_credentials}
    assert idle(all_set) == set()


def test_the_first_working_day_of_a_quarter_comes_from_the_calendar(
    running: tuple[Parts, Settings, Mailbox],
) -> None:
    engine = running[0].engine

    assert is_first_working_day(engine, date(2025, 10, 1))
    assert not is_first_working_day(engine, date(2025, 10, 2))
    assert is_first_working_day(engine, date(2026, 1, 5))  # 01–04/01/2026 are holidays
    assert not is_first_working_day(engine, date(2026, 1, 1))


def test_the_result_table_says_how_many_by_rule_and_level() -> None:
    from engine.service.sweep import SweepResult

    (row,) = table(SweepResult(date(2025, 10, 1), 2, 3, {("overdue", 1): [4, 5]}))

    assert (row["quy tắc"], row["cấp"], row["phần việc"]) == ("overdue", 1, 2)
