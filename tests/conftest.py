"""What every test may ask for: settings that nothing outside reaches, and a PostgreSQL.

`DONDOC_TEST_POSTGRES=15` runs the suite on the PostgreSQL 15 installed by Debian's package
instead of the embedded one.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.service.engine import Engine
from engine.settings import Settings
from engine.store.database import open_database
from tests.databases import (
    PLAN_51_TEMPLATE,
    TEMPLATE,
    Server,
    embedded_server,
    installed_server,
    temporary_folder,
)
from tests.factories import with_plan_51


@pytest.fixture(scope="session", autouse=True)
def _nothing_from_outside() -> Iterator[None]:
    """Hide the settings of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("DONDOC_", "PG")) and not name.startswith("DONDOC_TEST_"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def server(_nothing_from_outside: None) -> Iterator[Server]:
    """One PostgreSQL for the whole run."""
    major = os.environ.get("DONDOC_TEST_POSTGRES")
    running = (
        installed_server(Path(f"/usr/lib/postgresql/{major}/bin")) if major else embedded_server()
    )
    with running as server:
        yield server


@pytest.fixture(scope="session")
def migrated_server(server: Server) -> Server:
    """The same PostgreSQL, with the migrated template."""
    server.make_template()
    return server


@pytest.fixture
def settings(migrated_server: Server) -> Iterator[Settings]:
    """Settings that use a migrated database of the test's own."""
    with migrated_server.new_database() as name:
        yield migrated_server.settings(name)


@pytest.fixture
def database(settings: Settings) -> Iterator[sa.Engine]:
    """A migrated database of the test's own; what it commits nobody else sees."""
    database = open_database(settings)
    yield database
    database.dispose()


@pytest.fixture
def empty_settings(server: Server) -> Iterator[Settings]:
    """Settings that use an empty database of the test's own."""
    with server.new_database("template1") as name:
        yield server.settings(name)


@pytest.fixture
def empty_database(empty_settings: Settings) -> Iterator[sa.Engine]:
    """An empty database of the test's own."""
    database = open_database(empty_settings)
    yield database
    database.dispose()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A new folder, under a short path, that the server's account can pass through."""
    with temporary_folder() as made:
        yield made


@pytest.fixture(scope="session")
def plan_51_server(migrated_server: Server) -> Server:
    """The same PostgreSQL, with a template in which plan 51 is assigned."""
    migrated_server.create(PLAN_51_TEMPLATE, TEMPLATE)
    database = open_database(migrated_server.settings(PLAN_51_TEMPLATE))
    with_plan_51(database)
    database.dispose()
    return migrated_server


@pytest.fixture
def plan_51_settings(plan_51_server: Server) -> Iterator[Settings]:
    """Settings that use a database of the test's own, with plan 51 assigned."""
    with plan_51_server.new_database(PLAN_51_TEMPLATE) as name:
        yield plan_51_server.settings(name)


@pytest.fixture
def plan_51(plan_51_settings: Settings) -> Iterator[Engine]:
    """An engine on the day plan 51 was issued, with every task assigned."""
    database = open_database(plan_51_settings)
    yield with_plan_51(database)
    database.dispose()
