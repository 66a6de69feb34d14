"""The embedded server: shared, private, and back after every kind of sudden death."""

import itertools
import multiprocessing
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine.errors import DatabaseProblem
from engine.store import embedded
from tests.databases import postgres_processes, postmaster, temporary_folder

USER = """
import sys
from pathlib import Path
from engine.store import embedded
print(embedded.start(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""

User = subprocess.Popen[str]


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data folder, stopped: copying it is quicker than making one for every test."""
    with temporary_folder() as folder:
        embedded.start(folder)
        embedded.stop(folder)
        yield folder


@pytest.fixture
def new_home(folder: Path) -> Iterator[Path]:
    """A data folder still to be made; its server is stopped however the test ends."""
    home = folder / "data"
    yield home
    embedded.stop(home)


@pytest.fixture
def home(made: Path, new_home: Path) -> Path:
    """A data folder whose server has run before."""
    copy(made, new_home)
    return new_home


@pytest.fixture
def another(new_home: Path) -> Iterator[Callable[[], User]]:
    """Start another process that uses the server until its input is closed."""
    users: list[User] = []

    def begin() -> User:
        users.append(
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", USER, new_home],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
                start_new_session=True,
            )
        )
        return users[-1]

    yield begin
    for user in users:
        with user:  # closes what it still has open, and waits
            user.kill()


def copy(source: Path, target: Path) -> None:
    subprocess.run(["/bin/cp", "-a", source, target], check=True)


def address(user: User) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def leave(user: User) -> None:
    assert user.stdin is not None
    user.stdin.close()
    assert user.wait(60) == 0


def ask(url: str, question: str = "SELECT 1") -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
    return row[0] if row and len(row) == 1 else row


def write(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_server_listens_on_a_private_socket_only(new_home: Path) -> None:
    url = embedded.start(new_home)

    directories = ask(url, "SHOW unix_socket_directories")
    assert ask(url, "SELECT current_database(), current_setting('listen_addresses')") == (
        "dondoc",
        "",
    )
    assert directories == str(new_home / "socket")
    for private in (new_home / "socket", new_home / "postgres"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_the_server_is_durable_and_speaks_utc_and_vietnamese(home: Path) -> None:
    url = embedded.start(home)

    names = ["fsync", "full_page_writes", "jit", "timezone", "server_encoding"]
    assert [ask(url, f"SHOW {name}") for name in names] == ["on", "on", "off", "UTC", "UTF8"]
    assert ask(url, "SELECT lower('ĐÔN ĐỐC THỰC HIỆN')") == "đôn đốc thực hiện"


def test_starting_again_gives_the_same_server(home: Path) -> None:
    url = embedded.start(home)
    pid = postmaster(home)

    again = embedded.start(home)

    assert (again, postmaster(home)) == (url, pid)


def test_data_survive_a_stop(home: Path) -> None:
    write(embedded.start(home), "CREATE TABLE note AS SELECT 'kept' AS text")

    assert embedded.stop(home)

    assert not (home / "postgres" / "postmaster.pid").exists()
    assert ask(embedded.start(home), "SELECT text FROM note") == "kept"


def test_stopping_what_does_not_run_is_no_error(home: Path) -> None:
    assert embedded.stop(home)

    embedded.start(home)

    assert embedded.stop(home)
    assert embedded.stop(home)


def test_processes_that_start_at_once_share_one_server(
    new_home: Path, another: Callable[[], User]
) -> None:
    users = [another() for _ in range(6)]

    urls = {address(user) for user in users}

    assert len(urls) == 1
    started = (new_home / "postgres.log").read_text().count("starting PostgreSQL")
    assert started == 1
    for user in users[:-1]:
        leave(user)
    assert ask(*urls) == 1
    pid = postmaster(new_home)
    leave(users[-1])
    assert not is_running(pid)


def test_the_server_goes_on_while_another_process_uses_it(
    home: Path, another: Callable[[], User]
) -> None:
    url = embedded.start(home)
    user = another()
    address(user)

    assert not embedded.stop(home)

    assert ask(url) == 1
    leave(user)
    assert embedded.stop(home)


def test_an_interrupt_at_the_terminal_of_its_starter_does_not_reach_the_server(
    another: Callable[[], User],
) -> None:
    first, second = another(), another()
    url = address(first)
    address(second)

    os.killpg(first.pid, signal.SIGINT)

    first.wait(60)
    assert ask(url) == 1


def test_a_killed_process_leaves_no_claim_behind(home: Path, another: Callable[[], User]) -> None:
    killed = another()
    url = address(killed)
    pid = postmaster(home)

    killed.kill()
    killed.wait()

    assert ask(url) == 1  # nobody was left to stop it
    assert embedded.start(home) == url
    assert postmaster(home) == pid
    assert embedded.stop(home)
    assert not is_running(pid)


def test_a_killed_server_is_started_again_with_what_was_committed(home: Path) -> None:
    url = embedded.start(home)
    write(url, "CREATE TABLE note AS SELECT 'committed' AS text")
    pid = postmaster(home)

    os.kill(pid, signal.SIGKILL)

    assert ask(embedded.start(home), "SELECT text FROM note") == "committed"
    assert postmaster(home) != pid


def test_a_server_killed_under_load_loses_nothing_that_was_committed(home: Path) -> None:
    url = embedded.start(home)
    write(url, "CREATE TABLE number (value int PRIMARY KEY)")
    committed: list[int] = []

    def load() -> None:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                for value in itertools.count():
                    connection.execute("INSERT INTO number VALUES (%s)", [value])
                    committed.append(value)
        except psycopg.OperationalError:
            pass

    worker = threading.Thread(target=load)
    worker.start()
    while len(committed) < 200:
        time.sleep(0.001)
    for pid in postgres_processes(home):
        os.kill(pid, signal.SIGKILL)
    worker.join()

    found = ask(embedded.start(home), "SELECT array_agg(value ORDER BY value) FROM number")

    # The last one may have been committed without its answer having arrived.
    assert found[: len(committed)] == committed
    assert len(found) - len(committed) <= 1


def test_a_stale_process_number_is_not_believed(home: Path, another: Callable[[], User]) -> None:
    killed = another()
    url = address(killed)
    write(url, "CREATE TABLE note AS SELECT 'kept' AS text")
    killed.kill()
    killed.wait()
    left = {
        path: path.read_text()
        for path in (home / "postgres/postmaster.pid", home / "socket/.s.PGSQL.5432.lock")
    }
    os.kill(postmaster(home), signal.SIGKILL)
    for path, text in left.items():  # meanwhile the number went to another process: this one
        path.write_text(re.sub(r"^\d+", str(os.getpid()), text))

    url = embedded.start(home)

    assert ask(url, "SELECT text FROM note") == "kept"


@pytest.mark.parametrize("text", ["", "not a number\n"])
def test_a_damaged_process_file_is_not_believed(home: Path, text: str) -> None:
    embedded.start(home)
    embedded.stop(home)
    (home / "postgres" / "postmaster.pid").write_text(text)

    assert ask(embedded.start(home)) == 1


def test_busy_orphans_of_a_killed_server_are_ended_before_the_next_one_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "ORPHANS_SECONDS", 0.5)
    url = embedded.start(home)
    connection = psycopg.connect(url)
    orphan = connection.info.backend_pid
    # Counting never looks whether the postmaster lives.
    connection.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 10000000000::bigint)")
    time.sleep(0.2)

    os.kill(postmaster(home), signal.SIGKILL)
    time.sleep(0.2)
    assert is_running(orphan)
    again = embedded.start(home)

    assert ask(again) == 1
    assert not is_running(orphan)
    connection.close()


def test_a_long_recovery_is_waited_for_but_not_for_ever(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.start(home)
    for pid in postgres_processes(home):
        os.kill(pid, signal.SIGKILL)
    with monkeypatch.context() as patch:
        patch.setattr(embedded, "PATIENCE_SECONDS", 0)
        with pytest.raises(DatabaseProblem, match="perhaps still recovering"):
            embedded.start(home)

    assert ask(embedded.start(home)) == 1

    # Once when it was made, once before it was killed, once for the recovery.
    assert (home / "postgres.log").read_text().count("starting PostgreSQL") == 3


def test_an_interrupted_creation_is_begun_anew(new_home: Path) -> None:
    left_over = new_home / "postgres.new" / "base"
    left_over.mkdir(parents=True)
    (left_over / "1").write_text("half")

    assert ask(embedded.start(new_home)) == 1

    assert not (new_home / "postgres.new").exists()


@pytest.mark.parametrize(
    "name", ["dài" * 35 + "/" + "x" * 100, "dữ liệu, của 'tôi' & \"$HOME\" `x`"]
)
def test_the_path_of_the_data_may_be_long_or_strange(folder: Path, name: str) -> None:
    home = folder / name

    url = embedded.start(home)

    socket = (home / "socket").readlink()
    assert ask(url, "SHOW data_directory") == str(home / "postgres")
    assert len(os.fsencode(socket / ".s.PGSQL.5432")) <= 103
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert embedded.start(home) == url
    embedded.stop(home)
    assert not socket.exists()


def test_a_copy_of_the_data_gets_a_server_of_its_own(made: Path, folder: Path) -> None:
    original, twin = folder / ("o" * 100), folder / ("t" * 100)
    copy(made, original)
    write(embedded.start(original), "CREATE TABLE note AS SELECT 'kept' AS text")
    embedded.stop(original)
    url = embedded.start(original)
    copy(original, twin)

    other = embedded.start(twin)

    assert other != url
    assert ask(other, "SHOW data_directory") == str(twin / "postgres")
    assert ask(url, "SHOW data_directory") == str(original / "postgres")
    assert ask(other, "SELECT text FROM note") == "kept"
    embedded.stop(twin)
    embedded.stop(original)


def test_a_link_to_the_folder_finds_the_same_server(home: Path, folder: Path) -> None:
    url = embedded.start(home)
    (folder / "link").symlink_to(home)

    assert embedded.start(folder / "link") == url


def test_a_child_process_counts_for_itself(home: Path) -> None:
    embedded.start(home)
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        embedded.start(home)
        os.write(done, b"1")
        time.sleep(60)
        os._exit(0)
    os.read(ready, 1)

    assert not embedded.stop(home)

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(done)
    assert embedded.stop(home)


def test_data_of_another_version_are_refused_with_the_way_out(home: Path) -> None:
    embedded.start(home)
    embedded.stop(home)
    (home / "postgres" / "PG_VERSION").write_text("17\n")

    with pytest.raises(DatabaseProblem, match="belong to PostgreSQL 17") as refusal:
        embedded.start(home)

    assert "dondoc db restore" in refusal.value.sentence.vi


def test_a_folder_with_other_files_is_left_alone(new_home: Path) -> None:
    (new_home / "postgres").mkdir(parents=True)
    (new_home / "postgres" / "letter.txt").write_text("mine")

    with pytest.raises(DatabaseProblem, match="not a PostgreSQL cluster"):
        embedded.start(new_home)

    assert [path.name for path in (new_home / "postgres").iterdir()] == ["letter.txt"]


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    (folder / "file").touch()

    with pytest.raises(DatabaseProblem, match=re.escape(str(folder / "file" / "data"))):
        embedded.start(folder / "file" / "data")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("No space left on device", "is full"),
        ("Disk quota exceeded", "is full"),
        ("Permission denied", "cannot be written"),
        ("Read-only file system", "cannot be written"),
        ("something else", "did not start: initdb: error: .* something else"),
    ],
)
def test_what_stops_the_server_is_said_in_words(
    new_home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, said: str, sentence: str
) -> None:
    real = embedded.programs()
    monkeypatch.setattr(embedded, "programs", lambda: folder)
    (folder / "postgres").symlink_to(real / "postgres")
    (folder / "initdb").write_text(f"#!/bin/sh\necho 'initdb: error: x: {said}' >&2; exit 1\n")
    (folder / "initdb").chmod(0o755)

    with pytest.raises(DatabaseProblem, match=sentence):
        embedded.start(new_home)

    assert not (new_home / "postgres").exists()
    assert not (new_home / "postgres.new").exists()


def test_a_broken_configuration_is_named_from_the_log(home: Path) -> None:
    embedded.start(home)
    embedded.stop(home)
    with (home / "postgres" / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = much\n")

    with pytest.raises(DatabaseProblem, match="did not start"):
        embedded.start(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
def test_root_runs_the_server_as_the_owner_of_the_folder(new_home: Path) -> None:
    new_home.mkdir()
    os.chown(new_home, 65534, 65534)

    embedded.start(new_home)

    assert Path(f"/proc/{postmaster(new_home)}").stat().st_uid == 65534
    for path in new_home.iterdir():
        assert path.stat().st_uid == 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="others run the server as themselves")
def test_the_server_of_root_is_not_root_and_opens_no_folder_for_reading(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "data"

    embedded.start(home)

    assert Path(f"/proc/{postmaster(home)}").stat().st_uid != 0
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    embedded.stop(home)


def _start_as_somebody(folder: Path, said: Any) -> None:
    if os.geteuid() == 0:  # root may write everywhere: become somebody who may not
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        embedded.start(folder)
    except DatabaseProblem as problem:
        said.put(str(problem))
    else:
        said.put("started")


def test_a_folder_without_the_right_to_write_is_refused(folder: Path) -> None:
    folder.chmod(0o555)
    fork = multiprocessing.get_context("fork")
    said: Any = fork.Queue()

    process = fork.Process(target=_start_as_somebody, args=(folder / "data", said))
    process.start()
    answer = said.get(timeout=30)
    process.join()

    folder.chmod(0o700)
    assert "cannot be written" in answer


def test_the_log_does_not_grow_for_ever(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.start(home)
    embedded.stop(home)
    monkeypatch.setattr(embedded, "LOG_LIMIT_BYTES", 100)

    embedded.start(home)

    assert (home / "postgres.log").read_text().count("starting PostgreSQL") == 1
