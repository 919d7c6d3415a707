"""What an application can reach of the server that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mailframe.core.address import Address
from mailframe.interfaces import IJournal, IOutbox, IWorkers


@dataclass(frozen=True, slots=True)
class Server:
    hostname: str
    postmaster: Address | None
    outbox: IOutbox
    """Sends what applications write."""
    workers: IWorkers
    """Threads for plain functions, and for what takes long."""
    clock: Any
    """The reactor, or what stands in for it."""
    journal: IJournal
    ids: Callable[[], str]
    """Fresh ids, for what has none from the queue."""
    random: Callable[[int], bytes]
    """So many octets that nobody can guess."""
