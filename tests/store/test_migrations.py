"""Migrations: complete, repeatable, one at a time, and never on somebody else's database."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from engine.errors import DatabaseProblem
from engine.settings import Settings
from engine.store import agencies, migrations
from engine.store.database import open_database
from engine.store.tables import metadata


def test_migrations_produce_the_declared_tables(database: sa.Engine) -> None:
    with database.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": migrations.VERSION_TABLE, "compare_server_default": True},
        )

        assert compare_metadata(context, metadata) == []


def test_upgrading_an_empty_database_brings_it_to_the_head(
    empty_database: sa.Engine, empty_settings: Settings
) -> None:
    before = migrations.upgrade(empty_database, empty_settings)

    after = migrations.check(empty_database)
    assert before.current is None
    assert before.is_older
    assert after.is_current
    assert (after.is_older, after.is_newer, after.foreign) == (False, False, False)


def test_upgrading_twice_changes_nothing(database: sa.Engine, settings: Settings) -> None:
    before = migrations.upgrade(database, settings)

    assert before.is_current
    assert migrations.check(database) == before


def test_six_servers_upgrading_at_once_take_turns(
    empty_database: sa.Engine, empty_settings: Settings
) -> None:
    script = (
        "from engine.settings import Settings; from engine.store import migrations\n"
        "from engine.store.database import open_database\n"
        "s = Settings(); d = open_database(s); print(migrations.upgrade(d, s).current)\n"
        "d.dispose()"
    )
    assert empty_settings.database_url is not None
    address = empty_settings.database_url.get_secret_value()
    environment = {**os.environ, "DONDOC_DATABASE_URL": address}

    def upgrade(_: int) -> str:
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        ).stdout.strip()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(upgrade, range(6)))

    head = migrations.check(empty_database).head
    assert sorted(found) == sorted(["None", *[head] * 5])


def test_a_newer_schema_is_refused(database: sa.Engine, settings: Settings) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE schema_version SET version_num = '9999'"))

    with pytest.raises(DatabaseProblem, match="newer than this dondoc") as refusal:
        migrations.upgrade(database, settings)

    assert "Cơ sở dữ liệu mới hơn phần mềm" in refusal.value.sentence.vi
    assert migrations.check(database).is_newer


def test_somebody_elses_database_is_refused(
    empty_database: sa.Engine, empty_settings: Settings
) -> None:
    with empty_database.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA shop CREATE TABLE customer (id int)"))
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num text)"))

    with pytest.raises(DatabaseProblem, match="holds tables of something else"):
        migrations.upgrade(empty_database, empty_settings)

    with empty_database.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]


def test_views_of_an_extension_do_not_make_a_database_foreign(
    empty_database: sa.Engine, empty_settings: Settings
) -> None:
    with empty_database.begin() as connection:
        # Debian packs the extensions with the server, the embedded one has them too.
        connection.execute(sa.text("CREATE EXTENSION pg_stat_statements"))

    migrations.upgrade(empty_database, empty_settings)

    assert migrations.check(empty_database).is_current


def test_a_database_that_is_not_current_is_refused_until_it_is_upgraded(
    empty_database: sa.Engine, empty_settings: Settings
) -> None:
    with pytest.raises(DatabaseProblem, match="dondoc db upgrade"):
        migrations.require_current(migrations.check(empty_database))

    migrations.upgrade(empty_database, empty_settings)

    migrations.require_current(migrations.check(empty_database))


def test_a_migration_does_not_wait_long_for_a_table_somebody_holds(settings: Settings) -> None:
    impatient = settings.model_copy(update={"lock_timeout_seconds": 0.2})
    database = open_database(impatient)
    with database.begin() as holder:
        holder.execute(sa.text("LOCK TABLE schema_version"))

        with pytest.raises(DatabaseProblem, match="holds the data"):
            migrations.upgrade(database, impatient)

    assert migrations.upgrade(database, impatient).is_current
    database.dispose()


def test_the_lock_of_a_migration_ends_with_it_even_when_it_fails(
    empty_database: sa.Engine, empty_settings: Settings
) -> None:
    with empty_database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE customer (id int)"))
    with pytest.raises(DatabaseProblem):
        migrations.upgrade(empty_database, empty_settings)

    with empty_database.connect() as connection:
        locks = connection.scalar(
            sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        )
        timeout = connection.scalar(sa.text("SHOW lock_timeout"))

    assert locks == 0
    assert timeout == "0"


def test_the_alembic_command_finds_scripts_and_database(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings.database_url is not None
    monkeypatch.setenv("DONDOC_DATABASE_URL", settings.database_url.get_secret_value())

    command.check(migrations.configuration())


def test_a_database_of_the_first_schema_keeps_its_directory(
    empty_database: sa.Engine, empty_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert empty_settings.database_url is not None
    monkeypatch.setenv("DONDOC_DATABASE_URL", empty_settings.database_url.get_secret_value())
    command.upgrade(migrations.configuration(), "0001")
    with empty_database.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO agency VALUES ('a', 'Sở Y tế', 'SYT', 'department', 'province', "
                "'2025-03-01', NULL, '{}', false)"
            )
        )
        connection.execute(sa.text("INSERT INTO agency_group VALUES ('g', 'Các sở', '{}', true)"))
        connection.execute(
            sa.text(
                "INSERT INTO agency_group_member (group_code, agency_code, valid_from) "
                "VALUES ('g', 'a', '2025-03-01')"
            )
        )

    before = migrations.upgrade(empty_database, empty_settings)

    assert before.current == "0001"
    assert migrations.check(empty_database).is_current
    with empty_database.connect() as connection:
        directory = agencies.read(connection)
    assert directory.expand("@g", date(2025, 3, 7)) == ["a"]
