"""Backup and restore: everything or nothing, into an empty database only."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.errors import DatabaseProblem
from engine.settings import Settings
from engine.store import embedded, migrations
from engine.store.database import open_database
from tests.databases import Server

CONTENT = """
CREATE TABLE note (id int PRIMARY KEY, text text NOT NULL);
INSERT INTO note VALUES (1, 'Đôn đốc thực hiện Kế hoạch 51/KH-UBND')
"""


def read(settings: Settings) -> list[str]:
    database = open_database(settings)
    try:
        with database.connect() as connection:
            return list(connection.scalars(sa.text("SELECT text FROM note ORDER BY id")))
    finally:
        database.dispose()


@pytest.fixture
def filled(database: sa.Engine, settings: Settings) -> Settings:
    with database.begin() as connection:
        connection.execute(sa.text(CONTENT))
    return settings


def test_a_backup_restores_into_an_empty_database(
    filled: Settings, empty_settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "bản sao lưu.dump"

    migrations.backup(filled, file)
    state = migrations.restore(empty_settings, file)

    assert state.is_current
    assert read(empty_settings) == ["Đôn đốc thực hiện Kế hoạch 51/KH-UBND"]
    assert [path.name for path in tmp_path.iterdir()] == ["bản sao lưu.dump"]
    assert file.stat().st_mode & 0o077 == 0


def test_the_embedded_server_is_backed_up_with_its_own_programs(
    filled: Settings, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    migrations.backup(filled, tmp_path / "first")
    home = Settings(data_dir=folder)

    migrations.restore(home, tmp_path / "first")
    migrations.backup(home, tmp_path / "second")

    assert read(home) == ["Đôn đốc thực hiện Kế hoạch 51/KH-UBND"]
    assert (tmp_path / "second").stat().st_size > 0
    embedded.stop(folder)


def test_a_backup_replaces_the_former_one_only_when_it_is_complete(
    filled: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup"
    file.write_text("the former one")
    a_program(tmp_path / "bin", "pg_dump", "echo 'pg_dump: error: out of luck' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    with pytest.raises(DatabaseProblem, match="out of luck"):
        migrations.backup(filled, file)

    assert file.read_text() == "the former one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "bin"]


def test_a_database_that_is_not_empty_is_not_restored_into(
    filled: Settings, tmp_path: Path
) -> None:
    migrations.backup(filled, tmp_path / "backup")

    with pytest.raises(DatabaseProblem, match="empty database only"):
        migrations.restore(filled, tmp_path / "backup")


def test_an_empty_database_is_not_backed_up(empty_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DatabaseProblem, match="nothing to back up"):
        migrations.backup(empty_settings, tmp_path / "backup")

    assert list(tmp_path.iterdir()) == []


def test_a_newer_schema_is_neither_backed_up_nor_restored(
    database: sa.Engine,
    settings: Settings,
    empty_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE schema_version SET version_num = '9999'"))

    with pytest.raises(DatabaseProblem, match="newer than this dondoc"):
        migrations.backup(settings, tmp_path / "backup")

    with monkeypatch.context() as patch:  # what the newer dondoc itself would have written
        patch.setattr(migrations, "refuse_unusable", lambda _: None)
        migrations.backup(settings, tmp_path / "backup")
    with pytest.raises(DatabaseProblem, match="revision 9999"):
        migrations.restore(empty_settings, tmp_path / "backup")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def overwrite(file: Path) -> None:
    file.write_text("not a backup\n" * 100)


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [cut, overwrite, remove])
def test_a_damaged_backup_leaves_the_database_empty(
    filled: Settings,
    empty_settings: Settings,
    empty_database: sa.Engine,
    tmp_path: Path,
    damage: Callable[[Path], None],
) -> None:
    migrations.backup(filled, tmp_path / "backup")
    damage(tmp_path / "backup")

    with pytest.raises(DatabaseProblem):
        migrations.restore(empty_settings, tmp_path / "backup")

    with empty_database.connect() as connection:
        assert sa.inspect(connection).get_table_names() == []


def test_a_folder_that_cannot_be_written_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DatabaseProblem, match="cannot be written"):
        migrations.backup(settings, tmp_path / "missing" / "backup")


def test_the_password_never_stands_on_a_command_line(
    server: Server, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.database_url is not None
    address = settings.database_url.get_secret_value().replace("@/", ":S3cret@/")
    a_program(
        tmp_path / "bin",
        "pg_dump",
        'case "$1" in --version) echo "pg_dump (PostgreSQL) 99.0";; '
        f'*) echo "$PGPASSWORD $*" >{tmp_path}/seen;; esac',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    migrations.backup(Settings(database_url=address), tmp_path / "backup")

    password, line = (tmp_path / "seen").read_text().split(" ", 1)
    assert password == "S3cret"
    assert "S3cret" not in line
    assert str(server.socket) in line.replace("%2F", "/")


def a_program(folder: Path, name: str, body: str) -> None:
    folder.mkdir()
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)
