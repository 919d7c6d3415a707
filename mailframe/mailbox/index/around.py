"""What all live folders of a server share."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from mailframe.interfaces import IMailboxEvents, IWorkers
from mailframe.mailbox.index.reading import ContentReader
from mailframe.mailbox.names import host_part, key_of, new_name
from mailframe.mailbox.quota import Quotas
from mailframe.mailbox.sizes import WireSizes
from mailframe.runtime.aio import Background
from mailframe.runtime.disk import Disk


class Names:
    """Names for new files; used by several threads."""

    def __init__(self, salt: bytes, hostname: str) -> None:
        """``salt`` differs from that of any other process."""
        self._salt = salt.hex()
        self._host = host_part(hostname)
        self._numbers = itertools.count()

    def new(self, received: int) -> str:
        """The microseconds number the names: of the same second, they sort as made."""
        number = next(self._numbers)
        return new_name(received, number, key_of(f"{self._salt} {number}"), self._host)


@dataclass(frozen=True, slots=True)
class Around:
    base: str
    disk: Disk
    workers: IWorkers
    events: IMailboxEvents
    clock: IReactorTime
    quotas: Quotas
    sizes: WireSizes
    names: Names
    background: Background
    reader: ContentReader

    def new_name(self, received: int) -> str:
        return self.names.new(received)
