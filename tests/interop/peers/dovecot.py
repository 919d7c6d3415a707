"""A Dovecot of its own that serves one Maildir by POP3 and IMAP."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.interop.peers.process import Process, free_port, listens, need, need_root

_UID = 65534
PASSWORD = "secret"


class Dovecot:
    """Any user may log in with PASSWORD and finds the one Maildir."""

    def __init__(self, directory: Path, address: str = "127.0.0.1") -> None:
        need("dovecot")
        need_root("Dovecot")
        if not Path("/usr/lib/dovecot/imap").exists():
            import pytest

            pytest.skip("dovecot-imapd is not installed")
        self.address = address
        self.imap_port, self.pop3_port = free_port(address), free_port(address)
        self._directory = directory
        self._process: Process | None = None

    def start(self, maildir: Path) -> None:
        """Serve a copy of ``maildir`` under an unprivileged user, as Dovecot insists."""
        mail = self._directory / "Maildir"
        shutil.copytree(maildir, mail, symlinks=True)
        for path in (mail, *mail.rglob("*")):
            os.chown(path, _UID, _UID)
        config = self._directory / "dovecot.conf"
        config.write_text(
            _CONFIG.format(
                base=self._directory,
                address=self.address,
                imap_port=self.imap_port,
                pop3_port=self.pop3_port,
                uid=_UID,
                password=PASSWORD,
            )
        )
        command = ["dovecot", "-F", "-c", str(config)]
        self._process = Process(command, self._directory / "start.log")
        self._process.wait_for(lambda: listens(self.address, self.imap_port), "Dovecot listens")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()


_CONFIG = """\
protocols = imap pop3
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/dovecot.log
listen = {address}
ssl = no
disable_plaintext_auth = no
mail_max_userip_connections = 0
default_client_limit = 20000
default_process_limit = 6000
first_valid_uid = 100
first_valid_gid = 100
mail_location = maildir:{base}/Maildir
mail_uid = {uid}
mail_gid = {uid}
mailbox_list_index = no
namespace inbox {{
  inbox = yes
  separator = .
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={base}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
