"""isync's mbsync between one folder of ann's and a Maildir of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.interop.peers.imap import ANN
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import need


class Mbsync:
    def __init__(
        self, server: Mailframe, folder: str, directory: Path, mechanism: str = "*"
    ) -> None:
        need("mbsync")
        directory.mkdir()
        self._home = directory
        self.near = directory / "near" / folder
        (directory / "near").mkdir()
        self._config = directory / "mbsyncrc"
        self._config.write_text(
            _CONFIG.format(
                host=server.address,
                port=server.ports["imaps"],
                user=ANN,
                password=PASSWORD,
                mechanism=mechanism,
                certificate=server.certificate,
                near=directory / "near",
                folder=folder,
            )
        )

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["mbsync", "-D", "-V", "-c", str(self._config), "all"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"HOME": str(self._home)},
        )

    def __call__(self) -> str:
        """Synchronize; what it said."""
        return finish(self.start())

    def drop(self, name: str, content: bytes) -> None:
        """Put a new message into the Maildir."""
        for directory in ("cur", "new", "tmp"):
            (self.near / directory).mkdir(parents=True, exist_ok=True)
        (self.near / "new" / name).write_bytes(content)

    def files(self) -> dict[str, bytes]:
        """The messages here, by file name."""
        paths = [path for name in ("cur", "new") for path in (self.near / name).iterdir()]
        return {path.name: path.read_bytes() for path in paths}

    def messages(self) -> list[bytes]:
        """Sorted, without what mbsync writes into those that it carries."""
        return sorted(
            b"\n".join(line for line in data.splitlines() if not line.startswith(b"X-TUID"))
            for data in self.files().values()
        )

    def state(self) -> str:
        """What it knows of both sides."""
        return (self.near / ".mbsyncstate").read_text()


def finish(child: subprocess.Popen[str], seconds: float = 60) -> str:
    try:
        output, _ = child.communicate(timeout=seconds)
    finally:
        child.kill()
    assert child.returncode == 0, output[-4000:]
    return output


_CONFIG = """\
IMAPAccount here
Host {host}
Port {port}
User {user}
Pass "{password}"
AuthMechs {mechanism}
SSLType IMAPS
CertificateFile {certificate}

IMAPStore far
Account here

MaildirStore near
Path {near}/
Inbox {near}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns {folder}
Create Both
Expunge Both
SyncState *
"""
