"""What a server stands on: time and network, a disk, threads, chance.

Everything that a run may not know beforehand reaches the server through its ``Machine``. The
one here is the computer; a simulated one gives every answer from a seed, so that the same
wiring, on the same code, can be played again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random, SystemRandom
from typing import Any

from mailframe.interfaces import IResolver
from mailframe.runtime.database import Database, IfDamaged
from mailframe.runtime.disk import Disk
from mailframe.runtime.homeward import Homeward
from mailframe.runtime.workers import Workers

BACKLOG = 10_000
"""Calls that wait for a thread of a pool; further ones are refused with 451."""


class Machine:
    """The real one. ``reactor`` is Twisted's: time, TCP, UDP, Unix sockets, processes."""

    def __init__(self, reactor: Any, disk: Disk | None = None, *, shared: bool = False) -> None:
        """``shared``: other processes, workers like this one, use the same files."""
        self.reactor = reactor
        self.homeward = Homeward(reactor)
        self.shared = shared
        self.disk = disk if disk is not None else Disk()
        self.random: Random = SystemRandom()
        """For what must not be guessed; as good as ``secrets``."""
        self.resolver: IResolver | None = None
        """A DNS of its own, in tests; None: the servers that the configuration names."""

    def workers(self, name: str, threads: int, *, foreign: bool = False) -> Workers:
        """A pool that is not started yet; ``foreign`` as of ``Workers``."""
        return Workers(name, threads, BACKLOG, self.homeward, foreign=foreign)

    def database(
        self,
        path: str,
        migrations: Sequence[str],
        *,
        durable: bool = True,
        if_damaged: IfDamaged = IfDamaged.MEND_OR_REFUSE,
    ) -> Database:
        """One that is not open yet; ``durable`` and ``if_damaged`` as there."""
        return Database(
            path,
            migrations,
            self.homeward,
            durable=durable,
            disk=self.disk,
            if_damaged=if_damaged,
            shared=self.shared,
        )
