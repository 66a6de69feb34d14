"""The PostgreSQL of a test run: one server, one migrated template, one database per test."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
from psycopg import sql
from psycopg.pq import PGconn, Ping

from engine.settings import Settings
from engine.store import embedded, migrations
from engine.store.database import open_database

PLAN_51_TEMPLATE = "plan_51_template"
SEAL_KEYS = "test:" + "A" * 43 + "="
"""One ring for every test: databases copied from a template hold what it sealed."""

TEMPLATE = "migrated"
ROOM_BYTES = 2 * 1024**3
# A test run may lose its data with the machine; the crash tests start servers of their own.
CAREFREE = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "200",
    "autovacuum": "off",
}


@dataclass
class Server:
    """A running PostgreSQL on which tests make and drop databases."""

    socket: Path
    user: str
    _admin: psycopg.Connection[Any] = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._admin = psycopg.connect(self.url("postgres"), autocommit=True)

    def close(self) -> None:
        """Close the connection that makes and drops databases."""
        self._admin.close()

    def url(self, database: str) -> str:
        """Return the URL of a database on this server."""
        return f"postgresql://{self.user}@/{database}?host={self.socket}"

    def settings(self, database: str, **values: Any) -> Settings:
        """Return settings that use a database of this server."""
        return Settings(database_url=self.url(database), **{"seal_keys": SEAL_KEYS, **values})

    def make_template(self) -> None:
        """Make the database every migrated one is copied from."""
        self.create(TEMPLATE, "template1")
        settings = self.settings(TEMPLATE)
        database = open_database(settings)
        try:
            migrations.upgrade(database, settings)
        finally:
            database.dispose()

    def create(self, name: str, template: str) -> None:
        """Make a database as a copy of `template`."""
        # Copying the files needs a checkpoint, yet with fsync off it beats logging every page.
        self._admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )

    def drop(self, name: str) -> None:
        """Drop a database, together with the connections a failed test left behind."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._admin.execute(statement.format(sql.Identifier(name)))

    @contextlib.contextmanager
    def new_database(self, template: str = TEMPLATE) -> Iterator[str]:
        """Yield the name of a new database that is dropped afterwards."""
        name = f"test_{next(self._numbers)}"
        self.create(name, template)
        try:
            yield name
        finally:
            self.drop(name)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder through which another user may pass, as pytest's own do not allow."""
    folder = Path(tempfile.mkdtemp(prefix="dondoc-test-", dir=_place()))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def embedded_server() -> Iterator[Server]:
    """Run the embedded PostgreSQL."""
    with temporary_folder() as folder:
        embedded.start(folder, CAREFREE)
        server = Server(folder / "socket", "postgres")
        try:
            yield server
        finally:
            server.close()
            embedded.stop(folder)


@contextlib.contextmanager
def installed_server(programs: Path) -> Iterator[Server]:
    """Run the PostgreSQL installed in `programs`, as this user or, for root, as another."""
    account = _unprivileged()
    with temporary_folder() as folder:
        if account is not None:
            os.chown(folder, account, -1)
        data = folder / "data"
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "postgres", *options],
            check=True,
            capture_output=True,
            cwd=folder,
            user=account,
        )
        options = [f"--{name}={value}" for name, value in CAREFREE.items()]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", data, "-k", folder, "-h", "", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
                user=account,
            )
        try:
            _wait(folder, process)
            server = Server(folder, "postgres")
            try:
                yield server
            finally:
                server.close()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _place() -> Path | None:
    """Return the memory as a place for files if it has room: a database is some 300 files."""
    memory = Path("/dev/shm")
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK):
        return None
    return memory if shutil.disk_usage(memory).free > ROOM_BYTES else None


def _unprivileged() -> int | None:
    """Return whom root runs PostgreSQL as, which refuses to be root; None for others."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return known.get("postgres", known["nobody"])


def _wait(folder: Path, process: subprocess.Popen[bytes]) -> None:
    address = f"host={folder} dbname=postgres user=postgres".encode()
    deadline = time.monotonic() + 60
    while PGconn.ping(address) != Ping.OK:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder / "log").read_text())
        time.sleep(0.02)


def postmaster(data_dir: Path) -> int:
    """Return the process number of the embedded server of a data folder."""
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])


def postgres_processes(data_dir: Path) -> list[int]:
    """Return the numbers of all processes of the embedded server of a data folder."""
    cluster = data_dir / "postgres"
    found: list[psutil.Process] = list(psutil.process_iter(["name", "cwd"]))
    return [p.pid for p in found if p.info == {"name": "postgres", "cwd": str(cluster)}]
