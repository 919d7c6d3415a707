"""Two servers in Python that store and nothing else: what ours is to be measured by besides
Postfix. Each runs in one process, as it comes."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.benchmarks.paired_servers import Contender
from tests.interop.peers.process import Process, free_port, listens

TWISTED = "Twisted ESMTP"
AIOSMTPD = "aiosmtpd"


class _Child(Contender):
    def __init__(
        self, name: str, directory: Path, maildir: Path, port: int, command: list[str]
    ) -> None:
        directory.mkdir(exist_ok=True)
        self._process = Process(command, directory / "log")
        self._process.wait_for(lambda: listens("127.0.0.1", port), f"{name} listens")
        super().__init__(name, port, self._process.pid, maildir)

    def stop(self) -> None:
        self._process.stop()


class TwistedReference(_Child):
    """twisted.mail.smtp.ESMTP with a Maildir that is synced; see ``twisted_reference``."""

    def __init__(self, directory: Path, processes: int = 1) -> None:
        port, maildir = free_port(), directory / "Maildir"
        script = Path(__file__).with_name("twisted_reference.py")
        command = [sys.executable, str(script), str(port), str(maildir), str(processes)]
        super().__init__(TWISTED, directory, maildir, port, command)


class Aiosmtpd(_Child):
    """Its Mailbox handler: the standard library syncs the file, nobody the directory."""

    def __init__(self, directory: Path) -> None:
        port, maildir = free_port(), directory / "Maildir"
        command = [sys.executable, "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Mailbox"]
        command += ["-l", f"127.0.0.1:{port}", str(maildir)]
        super().__init__(AIOSMTPD, directory, maildir, port, command)
