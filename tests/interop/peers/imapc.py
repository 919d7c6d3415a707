"""Dovecot's mail storage over the IMAP server under test, driven by doveadm: no daemon."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.interop.peers.imap import ANN
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import need

_NOBODY = 65534


class Imapc:
    """Use a directory that any user can reach: Dovecot opens no mail as root."""

    def __init__(self, server: Mailframe, directory: Path, user: str = ANN) -> None:
        need("doveadm")
        self._directory = directory
        is_root = os.geteuid() == 0
        self._config = directory / "dovecot.conf"
        self._config.write_text(
            _CONFIG.format(
                base=directory,
                uid=_NOBODY if is_root else os.getuid(),
                gid=_NOBODY if is_root else os.getgid(),
                host=server.address,
                port=server.ports["imaps"],
                user=user,
                password=PASSWORD,
            )
        )
        if is_root:
            os.chown(directory, _NOBODY, _NOBODY)

    def run(self, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            ["doveadm", "-c", str(self._config), "-f", "tab", *words],
            capture_output=True,
            text=True,
            env=os.environ | {"HOME": str(self._directory), "USER": "tester"},
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Error" not in done.stderr, done.stderr
        return done.stdout

    def rows(self, *words: str) -> list[str]:
        """The lines below the heading."""
        return self.run(*words).splitlines()[1:]


_CONFIG = """\
base_dir = {base}/run
state_dir = {base}/state
log_path = /dev/stderr
protocols =
stats_writer_socket_path =
first_valid_uid = 0
first_valid_gid = 0
mail_uid = {uid}
mail_gid = {gid}
mail_home = {base}
mail_location = imapc:{base}/imapc
mailbox_list_index = no
imapc_host = {host}
imapc_port = {port}
imapc_ssl = imaps
imapc_ssl_verify = no
imapc_user = {user}
imapc_password = {password}
imapc_features = rfc822.size fetch-headers fetch-bodystructure search modseq acl
namespace inbox {{
  inbox = yes
  separator = /
  prefix =
}}
"""
