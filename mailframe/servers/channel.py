"""What a conversation and the connection under it ask of each other, whichever the protocol."""

from __future__ import annotations

import enum
from collections.abc import Coroutine
from typing import Any, Protocol

from mailframe.core.session import TlsFacts


class PeerGone(Exception):
    """The connection is lost; what was under way is pointless."""


class Channel(Protocol):
    """The connection, as far as a conversation needs it."""

    async def room(self) -> None:
        """Return when the client has taken enough of the output. Raises PeerGone."""

    async def start_tls(self) -> TlsFacts | None:
        """Do the handshake. Raises PeerGone."""

    def close(self, reason: str) -> None:
        """Send what waits, then hang up."""

    def abort(self, reason: str) -> None:
        """Hang up at once."""


class Nothing(enum.Enum):
    """Instead of work: there is none now."""

    FLUSH = "much output waits: send it, then ask again"
    DONE = "it was done at once: ask again"
    WAIT = "the client has to say something first"


class Engine(Protocol):
    """What every protocol engine has in common."""

    @property
    def held(self) -> int: ...

    def receive(self, data: bytes) -> None: ...

    def take_output(self) -> bytes: ...


class Talk(Protocol):
    """A conversation, as far as its connection needs it."""

    @property
    def engine(self) -> Engine: ...

    def draw(self) -> Coroutine[Any, Any, None] | Nothing:
        """The next thing to do. It never raises; the next is asked for when it is done."""

    def shut_down(self, text: str) -> None:
        """Take leave; without effect while something is under way, so ask again then."""

    async def finish(self) -> None:
        """The connection is gone and nothing is under way: give back what is held."""
