"""Everything on one machine: database, Prefect server, the process that serves the flows."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from types import FrameType

from sqlalchemy.engine import make_url

from engine.errors import DatabaseProblem, EngineError, Sentence
from engine.service.engine import Engine
from engine.settings import Settings, keyring
from engine.store import migrations
from engine.store.database import ensure_database, open_database

READY_SECONDS = 120.0
RUN_SECONDS = 600.0
PREFECT_DATABASE = "prefect"


class PortTaken(EngineError):
    """Something else listens on a port that is needed."""


@dataclass(frozen=True)
class Parts:
    """What runs: the engine, and the address of the Prefect server."""

    engine: Engine
    prefect_url: str
    settings: Settings

    def run_flows(self, *names: str, parameters: Mapping[str, str] | None = None) -> None:
        """Run deployments now through the server, each to its end, with the same parameters.

        Raises:
            CalledProcessError: One did not complete.
        """
        given = [f"{name}={value}" for name, value in (parameters or {}).items()]
        command = [sys.executable, "-m", "flows.now", *names, *given]
        subprocess.run(  # noqa: S603  our own command
            command,
            env=_environment(self.prefect_url, self.settings),
            check=True,
            timeout=RUN_SECONDS,
        )


@contextmanager
def everything(settings: Settings, prefect_port: int = 4200) -> Iterator[Parts]:
    """Yield the parts with the database migrated, and Prefect serving the flows beside it.

    A server named by PREFECT_API_URL is used as it is. Leaving stops what was started, also
    after SIGTERM: a process ended by a signal would otherwise leave the others behind.
    """
    with ExitStack() as stack:
        stack.enter_context(_ended_politely())
        database = open_database(settings)
        stack.callback(database.dispose)
        migrations.upgrade(database, settings)
        engine = Engine(database, keyring=keyring(settings))
        url = os.environ.get("PREFECT_API_URL")
        if url is None:
            url = stack.enter_context(prefect_server(settings, prefect_port))
        stack.enter_context(_process([sys.executable, "-m", "flows.schedule"], url, settings))
        yield Parts(engine, url, settings)


@contextmanager
def prefect_server(settings: Settings, port: int) -> Iterator[str]:
    """Yield the address of a Prefect server on a database of its own beside ours."""
    require_free(port)
    with open_and_dispose(settings) as url:
        prefect_url = make_url(url).set(database=PREFECT_DATABASE, drivername="postgresql+asyncpg")
    extra = {
        "PREFECT_API_DATABASE_CONNECTION_URL": prefect_url.render_as_string(hide_password=False),
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    address = f"http://127.0.0.1:{port}/api"
    with _process([*command, "--port", str(port), "--no-ui"], None, settings, extra) as server:
        _wait_for(f"{address}/health", server)
        yield address


def require_free(*ports: int) -> None:
    """Raise unless nobody listens on these ports of this machine.

    Raises:
        PortTaken: Something does; a second server would answer in our place.
    """
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as taken:
                raise PortTaken(
                    Sentence(
                        f"Cổng {port} đang có chương trình khác dùng. Dừng chương trình đó (có thể "
                        "là một bản dondoc đang chạy) rồi thử lại.",
                        f"Port {port} is in use. Stop what uses it (perhaps another dondoc), "
                        "then try again.",
                    )
                ) from taken


@contextmanager
def open_and_dispose(settings: Settings) -> Iterator[str]:
    """Yield our database's address, with a database for Prefect beside it."""
    database = open_database(settings)
    try:
        ensure_database(database, PREFECT_DATABASE)
        yield database.url.render_as_string(hide_password=False)
    finally:
        database.dispose()


@contextmanager
def _process(
    command: list[str],
    prefect_url: str | None,
    settings: Settings,
    extra: dict[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    logs = settings.data_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"{Path(command[2]).name}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  our own commands
            command,
            env={**_environment(prefect_url, settings), **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us alone; we stop the others in order
        )
        try:
            yield process
        finally:
            _stop(process)


def _environment(prefect_url: str | None, settings: Settings) -> dict[str, str]:
    """Return the environment of a Prefect process: no telemetry, and our server where given."""
    extra = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": os.environ.get("PREFECT_HOME", str(settings.data_dir / "prefect")),
    }
    if prefect_url is not None:
        extra["PREFECT_API_URL"] = prefect_url
    return {**os.environ, **extra}


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, sign)
        try:
            process.wait(timeout=8)
        except subprocess.TimeoutExpired:
            continue


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    limit = monotonic() + READY_SECONDS
    while monotonic() < limit:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  our own address
                answer.read()
                return
        except (urllib.error.URLError, OSError):
            sleep(0.2)
    raise DatabaseProblem(
        Sentence(
            "Máy chủ Prefect không khởi động; xem logs/prefect.log trong thư mục dữ liệu.",
            "The Prefect server did not start; see logs/prefect.log in the data folder.",
        )
    )


@contextmanager
def _ended_politely() -> Iterator[None]:
    """Turn SIGTERM into the way out that Ctrl-C takes."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
