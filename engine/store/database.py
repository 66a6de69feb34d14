"""From settings to a pool of connections: a server by URL, or the embedded one."""

import contextlib
import functools
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url

from engine.errors import DatabaseProblem, InvalidData, Sentence
from engine.settings import Settings
from engine.store import embedded

OLDEST_SERVER = 15

_TRANSIENT = {"40001", "40P01"}  # serialization failure, deadlock: to be tried again, not reported


def open_database(settings: Settings) -> sa.Engine:
    """Return the pool of connections, after one connection has shown that the server will do.

    A connection lost while it rests in the pool fails once, with `DatabaseProblem` under
    `translate_database_errors`, and takes the others with it; the next use connects anew. The
    embedded server is started again when it has died.

    Raises:
        DatabaseProblem: The server cannot be reached or will not do.
    """
    database = sa.create_engine(
        database_url(settings),
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=30,
        connect_args={"application_name": "dondoc", "connect_timeout": 10},
        json_serializer=functools.partial(json.dumps, ensure_ascii=False, separators=(",", ":")),
    )
    event.listen(database, "connect", _prepare)
    if settings.database_url is None:
        event.listen(database, "do_connect", functools.partial(_connect_embedded, settings))
    try:
        with translate_database_errors(), database.connect() as connection:
            _check_server(connection)
    except BaseException:
        database.dispose()
        raise
    return database


def database_url(settings: Settings) -> URL:
    """Return the URL SQLAlchemy connects to; the embedded server is started for it.

    Raises:
        DatabaseProblem: The URL is not one of PostgreSQL, or the embedded server does not start.
    """
    if settings.database_url is None:
        url = make_url(embedded.start(settings.data_dir))
    else:
        try:
            url = make_url(settings.database_url.get_secret_value())
        except (sa.exc.ArgumentError, ValueError):
            # Without a cause: its message may hold the password.
            raise _bad_url() from None
        if url.drivername not in {"postgres", "postgresql", "postgresql+psycopg"}:
            raise _bad_url()
    return url.set(drivername="postgresql+psycopg")


@contextlib.contextmanager
def translate_database_errors() -> Iterator[None]:
    """Turn what no caller can mend (server gone, disk full, …) into `DatabaseProblem`.

    Errors of the statement itself, deadlocks and serialization failures travel on.
    """
    try:
        yield
    except sa.exc.DataError as error:
        raise _unholdable(error.orig) from error
    except psycopg.DataError as error:
        raise _unholdable(error) from error
    except sa.exc.DBAPIError as error:
        problem = _problem(error.orig, lost=error.connection_invalidated)
        if problem is None:
            raise
        raise problem from error
    except psycopg.Error as error:
        problem = _problem(error, lost=False)
        if problem is None:
            raise
        raise problem from error
    except sa.exc.TimeoutError as error:
        raise DatabaseProblem(
            Sentence(
                "Hệ thống đang quá tải: mọi kết nối cơ sở dữ liệu đều bận. Thử lại sau ít phút.",
                "All database connections are busy. Try again in a moment.",
            )
        ) from error


def _unholdable(error: BaseException | None) -> InvalidData:
    """Return the answer to a value no column can hold: a NUL in a text, a number out of range."""
    reason = _one_line(error) if isinstance(error, psycopg.Error) else "?"
    return InvalidData(
        {
            "value": Sentence(
                f"cơ sở dữ liệu không nhận giá trị này ({reason}); sửa lại rồi gửi",
                f"the database cannot hold this value ({reason}); correct it and send again",
            )
        }
    )


def _prepare(connection: psycopg.Connection[Any], _record: object) -> None:
    """Fix what every session relies on; nothing here may depend on the server's configuration."""
    connection.autocommit = True
    connection.execute("SET timezone TO 'UTC'")
    connection.autocommit = False


def _connect_embedded(
    settings: Settings,
    _dialect: object,
    _record: object,
    _arguments: object,
    parameters: dict[str, Any],
) -> psycopg.Connection[Any]:
    """Connect to the embedded server, started again if somebody killed it."""
    try:
        return psycopg.connect(**parameters)
    except psycopg.OperationalError:
        url = make_url(embedded.start(settings.data_dir))
        # A start may move the socket, when the old folder was swept away.
        return psycopg.connect(**{**parameters, "host": url.query["host"]})


def _check_server(connection: sa.Connection) -> None:
    information = connection.connection.driver_connection
    assert isinstance(information, psycopg.Connection)  # noqa: S101
    major = information.info.server_version // 10_000
    if major < OLDEST_SERVER:
        raise DatabaseProblem(
            Sentence(
                f"Máy chủ là PostgreSQL {major}; cần PostgreSQL {OLDEST_SERVER} trở lên.",
                f"The server is PostgreSQL {major}; PostgreSQL {OLDEST_SERVER} or newer is needed.",
            )
        )
    encoding = information.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise DatabaseProblem(
            Sentence(
                f"Cơ sở dữ liệu dùng bảng mã {encoding}; cần UTF8. Tạo cơ sở dữ liệu mới với "
                "ENCODING 'UTF8'.",
                f"The database has the encoding {encoding}; UTF8 is needed. Create a database with "
                "ENCODING 'UTF8'.",
            )
        )


def _problem(error: BaseException | None, *, lost: bool) -> DatabaseProblem | None:
    """Return the problem behind an error of the driver, or None if it is the statement's own."""
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate or ""
    if state in _TRANSIENT:
        return None
    sentence = _SENTENCES.get(state) or _SENTENCES.get(state[:2])
    if sentence is None and (lost or (isinstance(error, psycopg.OperationalError) and not state)):
        reason = _one_line(error)
        sentence = Sentence(
            f"Không kết nối được cơ sở dữ liệu: {reason}. Kiểm tra máy chủ rồi thử lại.",
            f"The database cannot be reached: {reason}. Check the server, then try again.",
        )
    return None if sentence is None else DatabaseProblem(sentence)


def _one_line(error: psycopg.Error) -> str:
    """Return the first thing libpq says that tells something; it never repeats a password."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Multiple connection", "- host"))]
    return (telling or lines or [type(error).__name__])[0].removeprefix("connection failed: ")


def _bad_url() -> DatabaseProblem:
    return DatabaseProblem(
        Sentence(
            "DONDOC_DATABASE_URL không đúng dạng. Cần postgresql://người_dùng:mật_khẩu@máy/cơ_sở; "
            "ký tự đặc biệt trong mật khẩu viết theo %XX.",
            "DONDOC_DATABASE_URL is not a PostgreSQL address. Write "
            "postgresql://user:password@host/database, special characters of the password as %XX.",
        )
    )


_DISK_FULL = Sentence(
    "Máy chủ cơ sở dữ liệu hết dung lượng đĩa; chưa có gì được lưu. Giải phóng đĩa rồi thử lại.",
    "The disk of the database server is full; nothing was saved. Free some space, then try again.",
)
_LOST = Sentence(
    "Mất kết nối với cơ sở dữ liệu. Xem thao tác vừa rồi đã được lưu chưa rồi thử lại.",
    "The connection to the database was lost. See whether the last action was saved, then try "
    "again.",
)
_BUSY = Sentence(
    "Máy chủ cơ sở dữ liệu không nhận thêm kết nối hoặc hết bộ nhớ. Thử lại sau ít phút.",
    "The database server takes no more connections or is out of memory. Try again in a moment.",
)
_LOCKED = Sentence(
    "Dữ liệu đang bị một thao tác khác giữ. Thử lại sau ít phút.",
    "Another operation holds the data. Try again in a moment.",
)
_READ_ONLY = Sentence(
    "Máy chủ cơ sở dữ liệu chỉ cho đọc (có thể là máy dự phòng). Trỏ DONDOC_DATABASE_URL tới máy "
    "chính.",
    "The database server is read-only (perhaps a standby). Point DONDOC_DATABASE_URL to the "
    "primary.",
)
_SIGN_IN = Sentence(
    "Máy chủ cơ sở dữ liệu từ chối đăng nhập. Kiểm tra tên và mật khẩu trong DONDOC_DATABASE_URL.",
    "The database server refused the login. Check user and password in DONDOC_DATABASE_URL.",
)
_NO_DATABASE = Sentence(
    "Máy chủ không có cơ sở dữ liệu này. Tạo nó hoặc sửa DONDOC_DATABASE_URL.",
    "The server has no database of this name. Create it or correct DONDOC_DATABASE_URL.",
)
_DAMAGED = Sentence(
    "Máy chủ báo lỗi đọc ghi hoặc dữ liệu hỏng. Ngừng sử dụng và khôi phục từ bản sao lưu.",
    "The server reports an I/O error or damaged data. Stop using it and restore from a backup.",
)
_SENTENCES = {  # by SQLSTATE, or by its class
    "08": _LOST,
    "25006": _READ_ONLY,
    "28": _SIGN_IN,
    "3D000": _NO_DATABASE,
    "53": _BUSY,
    "53100": _DISK_FULL,
    "55P03": _LOCKED,
    "57P01": _LOST,
    "57P02": _LOST,
    "57P03": _LOST,
    "57P05": _LOST,
    "58": _DAMAGED,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}


def ensure_database(database: sa.Engine, name: str) -> None:
    """Create a database of this name on the same server, where there is none."""
    with (
        translate_database_errors(),
        database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        known = connection.execute(
            sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}
        ).first()
        if known is None:
            quoted = database.dialect.identifier_preparer.quote(name)
            connection.execute(sa.text(f"CREATE DATABASE {quoted}"))
