"""The pool of connections: what every session has, and what a person reads when it fails."""

import os
import signal
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from engine.errors import DatabaseProblem
from engine.settings import Settings
from engine.store import embedded
from engine.store.database import database_url, open_database, translate_database_errors
from tests.databases import Server, postgres_processes


def test_every_session_is_in_utc_and_has_a_name(database: sa.Engine, server: Server) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        name = database.url.database
        admin.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Ho_Chi_Minh'".encode())
    database.dispose()

    with database.connect() as connection:
        found = connection.execute(
            sa.text("SELECT current_setting('timezone'), current_setting('application_name')")
        ).one()

    assert tuple(found) == ("UTC", "dondoc")


def test_json_comes_back_as_it_went_in(database: sa.Engine) -> None:
    value = {"tên": "đôn đốc", "tháng": [3, None, 1.5]}

    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.cast(value, JSONB))) == value


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_addresses_may_be_written_as_usual(scheme: str, empty_settings: Settings) -> None:
    assert empty_settings.database_url is not None
    plain = empty_settings.database_url.get_secret_value()

    database = open_database(Settings(database_url=plain.replace("postgresql", scheme, 1)))

    with database.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
    database.dispose()


@pytest.mark.parametrize(
    "address", ["mysql://a:S3cret@b/c", "S3cret", "postgresql://a:S3cret@b:port/c"]
)
def test_an_address_of_something_else_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(DatabaseProblem, match="not a PostgreSQL address") as refusal:
        database_url(Settings(database_url=address))

    assert "S3cret" not in repr(refusal.value) + refusal.value.sentence.vi
    assert refusal.value.__cause__ is None


def test_an_unreachable_server_is_one_line_without_the_password(tmp_path: Path) -> None:
    settings = Settings(database_url=f"postgresql://dondoc:S3cret@/dondoc?host={tmp_path}")

    with pytest.raises(DatabaseProblem, match="cannot be reached") as refusal:
        open_database(settings)

    for text in (*refusal.value.sentence, str(refusal.value)):
        assert "S3cret" not in text
        assert "\n" not in text


def test_a_database_that_does_not_exist_is_refused(server: Server) -> None:
    with pytest.raises(DatabaseProblem, match="does not exist"):
        open_database(server.settings("nowhere"))


def test_a_database_of_another_encoding_is_refused(server: Server) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
            + (" LOCALE_PROVIDER libc" if admin.info.server_version >= 150000 else "")
        )

    try:
        with pytest.raises(DatabaseProblem, match="UTF8 is needed"):
            open_database(server.settings("latin"))
    finally:
        server.drop("latin")


def test_an_old_server_is_refused(
    empty_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.store.database.OLDEST_SERVER", 99)

    with pytest.raises(DatabaseProblem, match="PostgreSQL 99 or newer"):
        open_database(empty_settings)


def test_a_connection_lost_in_the_pool_fails_once_and_takes_the_others_along(
    database: sa.Engine, server: Server
) -> None:
    with database.connect() as one, database.connect() as two:
        one.execute(sa.text("SELECT 1"))
        two.execute(sa.text("SELECT 1"))
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [database.url.database],
        )

    with pytest.raises(DatabaseProblem), translate_database_errors(), database.connect() as lost:
        lost.execute(sa.text("SELECT 1"))

    for _ in range(3):
        with database.connect() as connection:
            assert connection.scalar(sa.text("SELECT 1")) == 1


def test_the_embedded_server_is_started_again_when_it_was_killed(folder: Path) -> None:
    database = open_database(Settings(data_dir=folder))
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE note AS SELECT 'kept' AS text"))

    for pid in postgres_processes(folder):
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(DatabaseProblem), translate_database_errors(), database.connect() as lost:
        lost.execute(sa.text("SELECT 1"))
    with database.connect() as connection:
        assert connection.scalar(sa.text("SELECT text FROM note")) == "kept"
    database.dispose()
    embedded.stop(folder)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("53100", "disk of the database server is full"),
        ("53300", "takes no more connections"),
        ("57P01", "connection to the database was lost"),
        ("55P03", "holds the data"),
        ("25006", "read-only"),
        ("58030", "damaged data"),
    ],
)
def test_what_nobody_can_mend_is_said_in_words(
    empty_database: sa.Engine, state: str, sentence: str
) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$"

    with (
        pytest.raises(DatabaseProblem, match=sentence),
        translate_database_errors(),
        empty_database.connect() as connection,
    ):
        connection.execute(sa.text(raising))


@pytest.mark.parametrize(
    ("state", "error"),
    [("40001", sa.exc.OperationalError), ("23505", sa.exc.IntegrityError)],
)
def test_errors_of_the_statement_travel_on(
    empty_database: sa.Engine, state: str, error: type[sa.exc.DBAPIError]
) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$"

    with (
        pytest.raises(error),
        translate_database_errors(),
        empty_database.connect() as connection,
    ):
        connection.execute(sa.text(raising))


def test_a_full_pool_says_so(empty_settings: Settings) -> None:
    database = open_database(empty_settings.model_copy(update={"pool_size": 1}))
    database.pool._timeout = 0.1  # type: ignore[attr-defined]

    with (
        database.connect(),
        pytest.raises(DatabaseProblem, match="busy"),
        translate_database_errors(),
        database.connect(),
    ):
        pass

    database.dispose()
