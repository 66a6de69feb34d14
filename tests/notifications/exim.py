"""Debian's mail server, run by a test as its child: its own configuration, spool and log."""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Mail for the domain is taken for anybody, as by a relay that does not know the mailboxes, and
# comes back as a DSN when there is nobody of that name.
CONFIG = """
primary_hostname = mx.quangngai.example
qualify_domain = quangngai.example
domainlist local_domains = quangngai.example
exim_user = {user}
exim_group = {group}
deliver_drop_privilege
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
log_selector = +smtp_confirmation +tls_cipher
pid_file_path = {folder}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_certificate = {certificate}
tls_advertise_hosts = *
host_lookup =
rfc1413_hosts =
never_users =
keep_environment =
message_size_limit = 2M
acl_smtp_rcpt = recipient
begin acl
recipient:
  defer local_parts = busy
        condition = ${{if !exists{{{folder}/free}}}}
        message = 4.2.1 the mailbox is busy
  accept domains = +local_domains
  deny message = relay not permitted
begin routers
bounces:
  driver = accept
  local_parts = bounce
  local_part_suffix = +*
  transport = maildir
people:
  driver = accept
  local_parts = lsearch;{folder}/people
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {folder}/mail/$local_part_data
  create_directory
  envelope_to_add
  return_path_add
  user = {user}
  group = {group}
begin retry
* * F,1h,1m
"""


@dataclass(frozen=True)
class Mta:
    """A running mail server of quangngai.example."""

    port: int
    folder: Path

    def maildir(self, name: str) -> Path:
        """Return the mailbox of somebody; it is there once a mail arrived."""
        return self.folder / "mail" / name

    def log(self) -> str:
        """Return what the server wrote down."""
        return (self.folder / "log" / "mainlog").read_text()

    def arrived(self, name: str, count: int = 1) -> list[bytes]:
        """Return the mails of a mailbox, once there are so many."""
        new = self.maildir(name) / "new"
        deadline = time.monotonic() + 20
        while len(files := sorted(new.glob("*"), key=lambda f: f.stat().st_mtime)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(self.log())
            time.sleep(0.05)
        return [file.read_bytes() for file in files]


@contextlib.contextmanager
def running_mta(folder: Path, people: list[str], certificate: Path) -> Iterator[Mta]:
    """Run the server in a folder that others may pass through; for these people."""
    # Exim does not deliver as root.
    account = pwd.getpwnam("Debian-exim") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "people").write_text("".join(f"{name}: {name}\n" for name in people))
    own = folder / "server.pem"
    own.write_bytes(certificate.read_bytes())
    for name in ("spool", "log", "mail"):
        (folder / name).mkdir()
    for path in (folder, *folder.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid)
    config = folder / "exim.conf"
    values = {"folder": folder, "port": port, "certificate": own}
    config.write_text(
        CONFIG.format(user=account.pw_uid, group=account.pw_gid, **values).strip() + "\n"
    )
    command = ["/usr/sbin/exim4", "-C", str(config), "-bdf", "-q1m"]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait(port, process, folder)
        yield Mta(port, folder)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder / "output").read_text())
        time.sleep(0.05)
