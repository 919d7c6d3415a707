"""The servers that are compared, each with one mailbox and one domain that is relayed.

Both acknowledge a message only when it is synced to the disk, each in its own way (Postfix:
its queue file; mailframe: a commit of its spool), and sync it again at delivery.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import free_port

MAILBOX = "bench@bench.test"
ELSEWHERE = "sink.test"
AS_IT_COMES = {
    # What the interop tests change for their own ends, back to Postfix's defaults.
    "smtpd_tls_security_level": "none",
    "smtp_tls_security_level": "none",
    "smtpd_tls_received_header": "no",
    "minimal_backoff_time": "300s",
    "maximal_backoff_time": "4000s",
    "queue_run_delay": "300s",
}


class Contender:
    """A running server: where it listens, its process, the Maildir it delivers to."""

    def __init__(self, name: str, port: int, pid: int, maildir: Path) -> None:
        self.name, self.port, self.pid, self.maildir = name, port, pid, maildir
        self._asides = itertools.count()

    def stored(self) -> int:
        """Messages in the Maildir."""
        new = self.maildir / "new"
        return len(os.listdir(new)) if new.is_dir() else 0

    def set_aside(self) -> None:
        """Begin with an empty Maildir. Nothing is deleted: ext4 remembers the inodes of
        deleted files for a while, and every new file is dearer for it."""
        new = self.maildir / "new"
        if new.is_dir():
            facts = new.stat()
            new.rename(self.maildir.parent / f"aside-{next(self._asides)}")
            new.mkdir(facts.st_mode & 0o777)
            os.chown(new, facts.st_uid, facts.st_gid)


class PostfixServer(Contender):
    def __init__(self, directory: Path, sink: int) -> None:
        directory.mkdir()
        (directory / "config").mkdir()
        routes = directory / "config" / "transport"
        routes.write_text(f"{ELSEWHERE} smtp:[127.0.0.1]:{sink}\n")
        self._server = Postfix(directory, "127.0.0.1", free_port(), "postfix.bench.test")
        settings = AS_IT_COMES | {"transport_maps": f"texthash:{routes}"}
        self._server.start(mailboxes=[MAILBOX], settings=settings)
        local_part, _, domain = MAILBOX.partition("@")
        maildir = directory / "mail" / domain / local_part
        super().__init__("Postfix", self._server.port, self._server.pid, maildir)

    def stop(self) -> None:
        self._server.stop()


class MailframeServer(Contender):
    def __init__(self, directory: Path, sink: int, name: str, command: str | None) -> None:
        directory.mkdir()
        server = Mailframe(directory, command=command)
        server.configure(
            relay={"networks": ["127.0.0.0/8"]},
            routes={ELSEWHERE: f"smtp://127.0.0.1:{sink}"},
        )
        server.add_users(MAILBOX)
        server.start()
        self._server = server
        super().__init__(name, server.ports["mx"], server.pid, server.maildir(MAILBOX))

    def stop(self) -> None:
        self._server.stop()
