"""A database of its own with as many assignments as a measurement wants, by COPY.

The rows are what the engine would have written: every assignment with its opening event and a
true hash, so that transitions, sweep and `dondoc verify` work on them.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from bench import rehearsal
from engine.clock import FixedClock, at
from engine.decide import opened
from engine.model import Decision
from engine.service.engine import Engine
from engine.settings import Settings, keyring
from engine.store import embedded, migrations
from engine.store.database import open_database

OPENED = date(2025, 3, 7)
AGENCIES = (
    "so-nnmt",
    "so-tai-chinh",
    "so-xay-dung",
    "so-noi-vu",
    "vp-ubnd",
    "so-vhttdl",
    "skhcn",
    "thanh-tra",
    "so-gddt",
    "so-y-te",
    "so-cong-thuong",
    "so-dttg",
    "so-tu-phap",
    "so-ngoai-vu",
)
PLAN_NUMBER = "BENCH/KH-UBND"


@contextmanager
def scratch(pool_size: int = 2) -> Iterator[tuple[Engine, Settings]]:
    """Yield an engine on a new embedded server, on disk and durable, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="dondoc-bench-") as folder:
        data = Path(folder)
        data.chmod(0o755)  # the server's account has to pass through
        settings = Settings(data_dir=data / "data", database_url=None, pool_size=pool_size)
        database = open_database(settings)
        try:
            migrations.upgrade(database, settings)
            engine = Engine(database, FixedClock(at(OPENED)), keyring=keyring(settings))
            rehearsal.load_reference(engine)
            yield engine, settings
        finally:
            database.dispose()
            embedded.stop(settings.data_dir)


def load(
    engine: Engine, number: int, workflow: str, due_on: Callable[[int], date | None]
) -> list[int]:
    """Add `number` assignments of a workflow; `due_on` gives each its date. Return their ids."""
    definition = engine.definitions.show(workflow)
    calendar = engine.calendars.read()
    now = at(OPENED)
    tasks = -(-number // len(AGENCIES))
    with engine.database.begin() as connection:
        first_task = _tasks(connection, tasks)
        first = connection.execute(
            sa.text("SELECT coalesce(max(id), 0) + 1 FROM assignment")
        ).scalar_one()

        def decisions() -> Iterator[Decision]:
            for i in range(number):
                yield opened(
                    definition,
                    assignment_id=first + i,
                    task_id=first_task + i // len(AGENCIES),
                    agency=AGENCIES[i % len(AGENCIES)],
                    now=now,
                    calendar=calendar,
                    due_on=due_on(i),
                )

        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)  # noqa: S101
        _copy(driver, decisions())
        connection.execute(
            sa.text("SELECT setval(pg_get_serial_sequence('assignment', 'id'), :last)"),
            {"last": first + number},
        )
    with engine.database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
        connection.execute(sa.text("CHECKPOINT"))
    return list(range(first, first + number))


def _tasks(connection: sa.Connection, number: int) -> int:
    """Insert a plan of this many tasks; return the id of the first."""
    known = connection.execute(sa.text("SELECT count(*) FROM plan")).scalar_one()
    plan = connection.execute(
        sa.text(
            "INSERT INTO plan (number, issued_on, issuer, title, issuer_agency, monitor_agency, "
            "oversight_agency, imported_at) VALUES (:number, '2025-03-07', 'UBND', 'Bench', "
            "'ubnd-tinh', 'skhcn', 'vp-ubnd', '2025-03-07Z') RETURNING id"
        ),
        {"number": f"{PLAN_NUMBER}-{known}"},
    ).scalar_one()
    first: int = connection.execute(
        sa.text(
            "WITH made AS (INSERT INTO task (plan_id, position, number, number_text, section, "
            "section_title, title, deadline_kind, flag, reasons) SELECT :plan, n, n, n || '.', "
            "'I', 'Mục I', 'Nhiệm vụ ' || n, 'day', 'ok', '{}' FROM generate_series(1, :n) n "
            "RETURNING id) SELECT min(id) FROM made"
        ),
        {"plan": plan, "n": number},
    ).scalar_one()
    return first


_ASSIGNMENT = (
    "id, task_id, agency_code, definition_name, definition_version, state, phase, version, round, "
    "head, due_on, original_due_on, authors, extension_open, extensions, next_check_on, facts"
)
_EVENT = "assignment_id, seq, at, transition, to_state, data, changes, previous_hash, hash"
_CHUNK = 50_000


def _copy(driver: psycopg.Connection[Any], decisions: Iterator[Decision]) -> None:
    chunk: list[Decision] = []
    for decision in decisions:
        chunk.append(decision)
        if len(chunk) == _CHUNK:
            _copy_chunk(driver, chunk)
            chunk = []
    _copy_chunk(driver, chunk)


def _copy_chunk(driver: psycopg.Connection[Any], chunk: list[Decision]) -> None:
    with driver.cursor().copy(f"COPY assignment ({_ASSIGNMENT}) FROM STDIN") as copy:
        for decision in chunk:
            a = decision.assignment
            copy.write_row(
                (
                    a.id,
                    a.task_id,
                    a.agency,
                    a.definition.name,
                    a.definition.version,
                    a.state,
                    a.phase.value,
                    a.version,
                    a.round,
                    a.head,
                    a.due_on,
                    a.original_due_on,
                    "{}",
                    a.extension_open,
                    a.extensions,
                    a.next_check_on,
                    "{}",
                )
            )
    with driver.cursor().copy(f"COPY event ({_EVENT}) FROM STDIN") as copy:
        for decision in chunk:
            e = decision.event
            copy.write_row(
                (
                    e.assignment_id,
                    e.seq,
                    e.at,
                    e.transition,
                    e.to_state,
                    "{}",
                    json.dumps(e.changes),
                    e.previous_hash,
                    e.hash,
                )
            )
