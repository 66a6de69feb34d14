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
        driver = _driver(connection)
        cursor = driver.cursor()
        try:
            cursor.execute(self._sql, values, prepare=True)
        except psycopg.OperationalError:
            _give_up_lost(connection, driver)
            raise
        return Answer(connection, driver, cursor)


class Answer:
    """The rows of a statement that was sent."""

    __slots__ = ("_connection", "_cursor", "_driver")

    def __init__(
        self, connection: Connection, driver: psycopg.Connection[Any], cursor: psycopg.Cursor[Any]
    ) -> None:
        self._connection = connection
        self._driver = driver
        self._cursor = cursor

    def rows(self) -> list[tuple[Any, ...]]:
        """Return every row."""
        try:
            return self._cursor.fetchall()
        except psycopg.OperationalError:
            _give_up_lost(self._connection, self._driver)
            raise


@contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Send the statements inside in one go; the server still runs them one after the other."""
    driver = _driver(connection)
    try:
        with driver.pipeline():
            yield
    except psycopg.OperationalError:
        _give_up_lost(connection, driver)
        raise


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101  the only driver there is
    return driver


def _give_up_lost(connection: Connection, driver: psycopg.Connection[Any]) -> None:
    """Let the pool know when the connection was lost, so that nobody is given it again."""
    if driver.closed and not connection.invalidated:
        connection.invalidate()
