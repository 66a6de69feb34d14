"""Find and run the migration scripts, say where a database stands, copy it out and back in."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from engine.errors import DatabaseProblem, Sentence
from engine.settings import Settings
from engine.store import embedded
from engine.store.database import database_url, open_database, translate_database_errors

# A name of our own: a database with another program's `alembic_version` is not ours.
VERSION_TABLE = "schema_version"

_TURN = 0x646F_6E64_6F63  # "dondoc"; the key of the advisory lock


@dataclass(frozen=True)
class SchemaState:
    """Where the schema of a database stands against the migrations of this dondoc.

    Attributes:
        current: Revision of the database; None while it is empty.
        head: Newest revision this dondoc knows.
        known: Whether this dondoc knows `current`; if not, the database is newer.
        foreign: Whether the database holds tables, but not of dondoc.
    """

    current: str | None
    head: str
    known: bool = True
    foreign: bool = False

    @property
    def is_current(self) -> bool:
        """Whether the database has exactly the schema this dondoc needs."""
        return self.current == self.head

    @property
    def is_newer(self) -> bool:
        """Whether a newer dondoc has changed the schema."""
        return not self.known

    @property
    def is_older(self) -> bool:
        """Whether `upgrade` has something to do."""
        return self.known and not self.foreign and self.current != self.head


def scripts() -> Path:
    """Return the folder of the migration scripts: in the wheel, else in the checkout."""
    packaged = Path(__file__).parent / "_alembic"
    return packaged if packaged.exists() else Path(__file__).parents[2] / "alembic"


def configuration() -> Config:
    """Return Alembic's configuration of our scripts."""
    return Config(scripts() / "alembic.ini")


def check(database: sa.Engine) -> SchemaState:
    """Return where the schema of `database` stands; nothing is changed or refused.

    Raises:
        DatabaseProblem: The database cannot be read.
    """
    with translate_database_errors(), database.connect() as connection:
        return _state(connection)


def upgrade(database: sa.Engine, settings: Settings) -> SchemaState:
    """Bring the schema of `database` to the newest revision; return where it stood before.

    Servers that start together take turns; those that come later find nothing to do.

    Raises:
        DatabaseProblem: The schema is newer than this dondoc, the database belongs to something
            else, or another session holds a table for longer than `lock_timeout_seconds`.
    """
    with (
        translate_database_errors(),
        turn(database, settings.lock_timeout_seconds) as connection,
    ):
        state = _state(connection)
        refuse_unusable(state)
        connection.rollback()
        if not state.is_current:
            config = configuration()
            config.attributes["connection"] = connection
            config.attributes["settings"] = settings
            command.upgrade(config, "head")
    return state


def refuse_unusable(state: SchemaState) -> None:
    """Raise `DatabaseProblem` if no `upgrade` could make the database ours."""
    if state.is_newer:
        raise _newer(state.current or "?", state.head)
    if state.foreign:
        raise DatabaseProblem(
            Sentence(
                "Cơ sở dữ liệu này đang chứa bảng của phần mềm khác. Tạo một cơ sở dữ liệu trống "
                "cho dondoc.",
                "This database holds tables of something else. Create an empty database for "
                "dondoc.",
            )
        )


def require_current(state: SchemaState) -> None:
    """Raise `DatabaseProblem` unless the schema is exactly the one this dondoc needs."""
    refuse_unusable(state)
    if not state.is_current:
        raise DatabaseProblem(
            Sentence(
                f"Cơ sở dữ liệu cũ hơn phần mềm ({state.current or 'trống'}, cần {state.head}). "
                "Chạy: dondoc db upgrade.",
                f"The database is older than this dondoc ({state.current or 'empty'}, "
                f"{state.head} is needed). Run: dondoc db upgrade.",
            )
        )


@contextlib.contextmanager
def turn(database: sa.Engine, lock_timeout_seconds: float) -> Iterator[sa.Connection]:
    """Yield a connection that alone may migrate; its statements do not wait long for locks."""
    with database.connect() as connection:
        # Never back into the pool: lock and setting end with the session.
        connection.detach()
        # The advisory lock first, without a limit: migrations of others may take their time.
        connection.execute(sa.select(sa.func.pg_advisory_lock(_TURN)))
        # A migration that waits for a table makes every later query wait behind it.
        milliseconds = f"{lock_timeout_seconds * 1000:.0f}"
        connection.execute(sa.select(sa.func.set_config("lock_timeout", milliseconds, sa.false())))
        connection.commit()
        yield connection


def backup(settings: Settings, file: Path) -> None:
    """Write everything in the database to `file`, which appears only when it is complete.

    Raises:
        DatabaseProblem: The database cannot be read, or the file cannot be written.
    """
    with _opened(settings) as database:
        require_current_or_older(check(database))
        with _writing(file) as temporary:
            _run(settings, database, "pg_dump", ["--format=custom", "--no-owner"], temporary)


def restore(settings: Settings, file: Path) -> SchemaState:
    """Read a backup into an empty database, all of it or nothing; return where it then stands.

    Raises:
        DatabaseProblem: The database is not empty, or the file is not a backup of a dondoc that
            is no newer than this one.
    """
    if not file.is_file():
        raise DatabaseProblem(
            Sentence(f"Không có tệp {file}. Kiểm tra đường dẫn.", f"There is no file {file}.")
        )
    with _opened(settings) as database:
        with translate_database_errors(), database.connect() as connection:
            if _has_tables(connection):
                raise DatabaseProblem(
                    Sentence(
                        "Chỉ khôi phục vào cơ sở dữ liệu trống. Đặt DONDOC_DATA_DIR là một thư mục "
                        "mới, hoặc DONDOC_DATABASE_URL trỏ tới một cơ sở dữ liệu mới.",
                        "A backup is restored into an empty database only. Set DONDOC_DATA_DIR to "
                        "a new folder, or DONDOC_DATABASE_URL to a new database.",
                    )
                )
        _refuse_backup(settings, database, file)
        options = ["--no-owner", "--single-transaction", "--exit-on-error"]
        _run(settings, database, "pg_restore", options, file)
        return check(database)


def require_current_or_older(state: SchemaState) -> None:
    """Raise `DatabaseProblem` unless the database is one of dondoc that this dondoc knows."""
    refuse_unusable(state)
    if state.current is None:
        raise DatabaseProblem(
            Sentence(
                "Cơ sở dữ liệu còn trống, chưa có gì để sao lưu.",
                "The database is empty: there is nothing to back up.",
            )
        )


def _newer(current: str, head: str) -> DatabaseProblem:
    return DatabaseProblem(
        Sentence(
            f"Cơ sở dữ liệu mới hơn phần mềm (phiên bản {current}, phần mềm chỉ biết tới {head}). "
            "Cập nhật dondoc rồi chạy lại.",
            f"The database is newer than this dondoc (revision {current}, this dondoc knows "
            f"{head} at most). Update dondoc, then run it again.",
        )
    )


def _state(connection: sa.Connection) -> SchemaState:
    directory = ScriptDirectory.from_config(configuration())
    head = directory.get_current_head()
    if head is None:
        raise DatabaseProblem(
            Sentence(
                f"Không thấy tệp nâng cấp cơ sở dữ liệu trong {scripts()}. Cài lại phần mềm.",
                f"No migrations were found in {scripts()}. Install dondoc again.",
            )
        )
    if not connection.scalar(sa.select(sa.func.to_regclass(VERSION_TABLE).is_not(None))):
        return SchemaState(None, head, foreign=_has_tables(connection))
    version = sa.table(VERSION_TABLE, sa.column("version_num", sa.Text))
    current = connection.scalar(sa.select(version.c.version_num))
    return SchemaState(current, head, known=current is None or current in _known(directory))


def _known(directory: ScriptDirectory) -> set[str]:
    return {script.revision for script in directory.walk_revisions()}


def _has_tables(connection: sa.Connection) -> bool:
    """Whether there is any table, view or sequence that no extension brought."""
    return bool(
        connection.scalar(
            sa.text(
                "SELECT EXISTS (SELECT FROM pg_class c"
                " JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'"
                " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass"
                " AND d.objid = c.oid AND d.deptype = 'e'))"
            )
        )
    )


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[sa.Engine]:
    database = open_database(settings)
    try:
        yield database
    finally:
        database.dispose()


@contextlib.contextmanager
def _writing(file: Path) -> Iterator[Path]:
    """Yield a temporary file beside `file` that takes its name if all goes well."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            yield temporary
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DatabaseProblem(
            Sentence(
                f"Không ghi được {file}: {error.strerror}.",
                f"{file} cannot be written: {error.strerror}.",
            )
        ) from error


def _refuse_backup(settings: Settings, database: sa.Engine, file: Path) -> None:
    """Look into a backup for the revision it was made at, before anything is restored."""
    listed = ["--data-only", "--table", VERSION_TABLE, "--file=-", str(file)]
    text = _output(_program(settings, database, "pg_restore"), listed, {})
    found = re.search(rf"^COPY \S*{VERSION_TABLE} .*\n(\S+)\n", text, re.MULTILINE)
    if found is None:
        raise DatabaseProblem(
            Sentence(
                f"{file} không phải bản sao lưu của dondoc.", f"{file} is not a backup of dondoc."
            )
        )
    directory = ScriptDirectory.from_config(configuration())
    if found[1] not in _known(directory):
        raise _newer(found[1], str(directory.get_current_head()))


def _run(
    settings: Settings, database: sa.Engine, name: str, options: Sequence[str], file: Path
) -> None:
    """Run pg_dump or pg_restore between the database and `file`."""
    # The password goes by the environment: everybody can read a command line.
    url = database_url(settings).set(drivername="postgresql")
    query = dict(url.query)
    password = query.pop("password", None) or url.password
    address = url.set(query=query, password=None).render_as_string()
    arguments = [*options, f"--dbname={address}"]
    arguments += [f"--file={file}"] if name == "pg_dump" else [str(file)]
    secret = {"PGPASSWORD": str(password)} if password else {}
    _output(_program(settings, database, name), arguments, secret)


def _output(program: str, arguments: Sequence[str], secret: Mapping[str, str]) -> str:
    result = subprocess.run(  # noqa: S603
        [program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **secret, "LC_ALL": "C"},
    )
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "error:" in line]
        reason = (lines or result.stderr.splitlines() or [f"exit {result.returncode}"])[0]
        raise DatabaseProblem(
            Sentence(
                f"Không chạy xong {Path(program).name}: {reason}. Chưa có gì thay đổi.",
                f"{Path(program).name} failed: {reason}. Nothing was changed.",
            )
        )
    return result.stdout


def _program(settings: Settings, database: sa.Engine, name: str) -> str:
    """Return the path of a program of PostgreSQL that is no older than the server.

    The ones that come with dondoc know no TLS: for a server by URL the machine's come first.
    """
    with translate_database_errors(), database.connect():
        server = int((database.dialect.server_version_info or (0,))[0])
    ours = str(embedded.programs() / name)
    installed = shutil.which(name)
    candidates = [ours] if settings.database_url is None else [installed, ours]
    for program in candidates:
        if program is not None and Path(program).exists():
            version = re.search(r"\) (\d+)", _output(program, ["--version"], {}))
            if version is not None and int(version[1]) >= server:
                return program
    raise DatabaseProblem(
        Sentence(
            f"Cần {name} của PostgreSQL {server} trở lên. Cài postgresql-client-{server}.",
            f"{name} of PostgreSQL {server} or newer is needed. Install "
            f"postgresql-client-{server}.",
        )
    )
