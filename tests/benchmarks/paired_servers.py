"""The servers that are compared, each with one mailbox and domains that are relayed.

mailframe and Postfix acknowledge a message only when it is synced to the disk, each in its own
way (Postfix: its queue file; mailframe: a commit of its spool), and sync it again at delivery.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import free_port

POSTFIX = "Postfix"
MAILBOX = "bench@bench.test"
ELSEWHERE = "sink.test"
HOPS = 20
"""Next hops of their own, for as many domains: ``hop_domain`` and ``hop_address``."""
AS_IT_COMES = {
    # What the interop tests change for their own ends, back to Postfix's defaults.
    "smtpd_tls_security_level": "none",
    "smtp_tls_security_level": "none",
    "smtpd_tls_received_header": "no",
    "minimal_backoff_time": "300s",
    "maximal_backoff_time": "4000s",
    "queue_run_delay": "300s",
}


def hop_domain(number: int) -> str:
    return f"d{number}.relay.test"


def hop_address(number: int) -> str:
    return f"127.0.1.{number + 1}"


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
    def __init__(self, directory: Path, sink: int, hop_port: int = 0) -> None:
        """``sink`` is the port of ELSEWHERE's next hop, ``hop_port`` that of all the others."""
        directory.mkdir()
        (directory / "config").mkdir()
        routes = directory / "config" / "transport"
        lines = [f"{ELSEWHERE} smtp:[127.0.0.1]:{sink}\n"]
        lines += [
            f"{hop_domain(each)} smtp:[{hop_address(each)}]:{hop_port}\n"
            for each in range(HOPS if hop_port else 0)
        ]
        routes.write_text("".join(lines))
        self._server = Postfix(directory, "127.0.0.1", free_port(), "postfix.bench.test")
        settings = AS_IT_COMES | {
            "transport_maps": f"texthash:{routes}",
            "smtpd_recipient_limit": "2000",
        }
        self._server.start(mailboxes=[MAILBOX], settings=settings)
        local_part, _, domain = MAILBOX.partition("@")
        maildir = directory / "mail" / domain / local_part
        super().__init__(POSTFIX, self._server.port, self._server.pid, maildir)

    def stop(self) -> None:
        self._server.stop()


class MailframeServer(Contender):
    def __init__(
        self,
        directory: Path,
        sink: int,
        name: str = "mailframe",
        command: str | None = None,
        *,
        hop_port: int = 0,
        workers: int | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        prepare: Callable[[Mailframe], None] | None = None,
    ) -> None:
        """``workers`` is written only where it is given; ``settings`` come on top. ``prepare``
        is called before it is started."""
        directory.mkdir()
        server = Mailframe(directory, command=command)
        routes = {ELSEWHERE: f"smtp://127.0.0.1:{sink}"}
        if hop_port:
            routes |= {
                hop_domain(each): f"smtp://{hop_address(each)}:{hop_port}" for each in range(HOPS)
            }
        server.configure(
            auth={"allow_plaintext": True},
            limits={"recipients_per_message": 2000, "connections": 0},
            relay={"networks": ["127.0.0.0/8"]},
            routes=routes,
        )
        server.configure(**(settings or {}))
        if workers is not None:
            server.configure(workers=workers)  # type: ignore[arg-type]
        server.add_users(MAILBOX)
        if prepare is not None:
            prepare(server)
        self.server = server
        server.start()
        super().__init__(name, server.ports["mx"], server.pid, server.maildir(MAILBOX))

    def stop(self) -> None:
        self.server.stop()
