"""Statements on the path of every transition, compiled once and run on the driver itself.

SQLAlchemy writes them; at a thousand transitions a second its own bookkeeping of each execution
would cost more than the statements do (docs/performance.md).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import ClauseElement, Connection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg


class Prepared:
    """A statement with named parameters, prepared by the server on first use."""

    def __init__(self, statement: ClauseElement) -> None:
        self._sql = str(statement.compile(dialect=PGDialect_psycopg()))  # type: ignore[no-untyped-call]

    def send(self, connection: Connection, values: Mapping[str, Any]) -> "Answer":
        """Run the statement; inside `pipelined` it is only sent, until its rows are asked for."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)  # noqa: S101  the only driver there is
        cursor = driver.cursor()
        with _noticed(connection, driver):
            cursor.execute(self._sql, values, prepare=True)
        return Answer(connection, driver, cursor)


class Answer:
    """The rows of a statement that was sent."""

    def __init__(
        self, connection: Connection, driver: psycopg.Connection[Any], cursor: psycopg.Cursor[Any]
    ) -> None:
        self._connection = connection
        self._driver = driver
        self._cursor = cursor

    def rows(self) -> list[tuple[Any, ...]]:
        """Return every row."""
        with _noticed(self._connection, self._driver):
            return self._cursor.fetchall()


@contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Send the statements inside in one go; the server still runs them one after the other."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101
    with _noticed(connection, driver), driver.pipeline():
        yield


@contextmanager
def _noticed(connection: Connection, driver: psycopg.Connection[Any]) -> Iterator[None]:
    """Let the pool know when the connection was lost, so that nobody is given it again."""
    try:
        yield
    except psycopg.OperationalError:
        if driver.closed:
            connection.invalidate()
        raise
