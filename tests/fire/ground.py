"""Where it burns: a server with every protocol and policy, a next hop, a name server."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mailframe.app.config_policy import DEFAULT_ORDER
from tests.fire.letters import found
from tests.interop.peers.bad_dns import BadDns
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import loopback_address, wait_until, workdir
from tests.interop.peers.sink import Sink

ANN, BOB, CAT, DAN, EVE = (f"{name}@mf.test" for name in ("ann", "bob", "cat", "dan", "eve"))
ACCOUNTS = (ANN, BOB, CAT, DAN, EVE)
OUTSIDER = "somebody@outside.test"
PEERS = ("x@peer.test", "y@peer.test", "shy@peer.test")
REFUSED = "refuse@peer.test"


class Ground:
    """Configured, not started. ``sections`` are added to the configuration."""

    def __init__(self, directory: Path, **sections: Any) -> None:
        self.directory = directory
        self.sink = Sink()
        self.dns = BadDns("")
        self.mailframe = Mailframe(directory, loopback_address())
        self.mailframe.configure(
            policy={"order": list(DEFAULT_ORDER), "brake": {"failures_per_hour": 0}},
            dns={"servers": [self.dns.server], "timeouts": ["2s"]},
            routes={"peer.test": self.sink.url},
            queue={"retry": ["1s", "2s", "5s"], "expire": "2h", "warn_after": "0s"},
            limits={"tarpit": "0s", "imap_connections_per_user": 0},
            **sections,
        )
        self.mailframe.add_users(*ACCOUNTS)

    def close(self) -> None:
        self.mailframe.stop()
        self.sink.stop()
        self.dns.close()

    @property
    def spool(self) -> Path:
        return self.mailframe.base / "queue" / "spool.db"

    def in_flight(self) -> set[tuple[str, str]]:
        """Id and forward-path of what was being tried, or may have arrived: the queue's own
        record, read after its death."""
        query = (
            "SELECT m.prefix, b.content, m.queue_id, r.address FROM recipient r"
            " JOIN message m USING (queue_id) LEFT JOIN body b USING (queue_id) WHERE r.lease = 1"
        )
        with contextlib.closing(sqlite3.connect(f"file:{self.spool}?mode=ro", uri=True)) as db:
            return {
                (self.letter_id(prefix, content, queue_id), address)
                for prefix, content, queue_id, address in db.execute(query)
            }

    def letter_id(self, prefix: bytes, content: bytes | None, queue_id: str) -> str:
        """Of a message in the queue; ``content`` None: it is in its body file."""
        if content is None:
            content = (self.spool.parent / "bodies" / queue_id).read_bytes()
        return found(prefix + content).id

    def drained(self, seconds: float, base: Path | None = None) -> None:
        """Until nothing waits in the queue; ``base`` where it is seen from here."""
        spool = self.spool if base is None else base / "queue" / "spool.db"

        def is_empty() -> bool:
            with contextlib.closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True)) as db:
                return bool(db.execute("SELECT COUNT(*) FROM recipient").fetchone()[0] == 0)

        wait_until(is_empty, "the queue is empty", seconds)


@contextlib.contextmanager
def ground(name: str = "fire", **sections: Any) -> Iterator[Ground]:
    with workdir(name) as path:
        made = Ground(path, **sections)
        try:
            yield made
        finally:
            made.close()
