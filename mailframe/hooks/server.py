"""What an application can reach of the server that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from mailframe.core.address import Address
from mailframe.interfaces import IJournal, IMailStore, IOutbox, IWorkers


@dataclass(frozen=True, slots=True)
class Server:
    """``app.server`` while a server runs the application: for the reactor's thread, as in an
    ``async def``."""

    hostname: str
    """As the configuration has it."""
    postmaster: Address | None
    """Where mail to the postmaster of the host goes; None: nobody is named."""
    outbox: IOutbox
    """Sends what applications write."""
    workers: IWorkers
    """Threads for plain functions, and for what takes long. A pool of its own, for other people's
    code: functions that never end must not take others' threads, nor keep the server from
    ending."""
    clock: Any
    """The reactor, or what stands in for it: IReactorTime, and IReactorFromThreads where there
    are threads."""
    journal: IJournal
    """For steps of your own in the story of a message or session."""
    ids: Callable[[], str]
    """Fresh ids, for what has none from the queue."""
    random: Callable[[int], bytes]
    """So many octets that nobody can guess."""
    store: IMailStore | None = None
    """Where ``Quarantine`` after the commit puts mail; None: there is no such place."""
    zone: tzinfo = UTC
    """In which schedules are meant (``mailframe.runtime.zone``)."""
    is_ours: Callable[[], bool] = lambda: True
    """Whether it is this worker, of several, that does what is to be done once
    (``mailframe.runtime.duty``)."""
    message_size: int = 35 << 20
    """``limits.message_size``: octets of a message that are read before it is accepted; 0: all."""
