"""Debian's IMAP server, run by a test as its child, over a Maildir and with TLS."""

import contextlib
import getpass
import grp
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

USER, PASSWORD = "bounce", "mật khẩu của hộp thư"

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{certificate}
ssl_key = <{certificate}
auth_mechanisms = plain
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
mail_location = maildir:{folder}/Maildir
mail_access_groups =
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = {folder}/passwords
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@contextlib.contextmanager
def running_imap(folder: Path, certificate: Path) -> Iterator[int]:
    """Yield the port of an IMAP server (TLS) for one account, its mails in `folder`/Maildir."""
    root = os.geteuid() == 0
    internal = "dovecot" if root else getpass.getuser()
    account = pwd.getpwnam(internal)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = folder / "server.pem"
    own.write_bytes(certificate.read_bytes())
    passwords = folder / "passwords"
    passwords.write_text(f"{USER}:{{PLAIN}}{PASSWORD}::::::\n")
    (folder / "home").mkdir()
    for path in (folder, own, passwords, folder / "home"):
        os.chown(path, account.pw_uid, account.pw_gid)
    config = folder / "dovecot.conf"
    config.write_text(
        CONFIG.format(
            folder=folder,
            certificate=own,
            port=port,
            internal=internal,
            internal_group=grp.getgrgid(account.pw_gid).gr_name,
            login="dovenull" if root else internal,
            uid=account.pw_uid,
            gid=account.pw_gid,
        )
    )
    process = subprocess.Popen(
        ["/usr/sbin/dovecot", "-F", "-c", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                log = folder / "dovecot.log"
                raise RuntimeError(log.read_text() if log.exists() else "dovecot did not start")
            time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
