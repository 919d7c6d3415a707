"""What the inbox can do beside showing mail: what whoever makes the site gives it.

All of it is optional; what is missing is answered with words that say so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from mailframe.web.faults import Faults

Send = Callable[[str, Sequence[str], bytes], Awaitable[str]]
"""Reverse-path (may be empty), recipients, message in wire format -> queue id, or words of the
server that takes it. Raises MailframeError with words for the person."""


def nobody(queue_id: str) -> str:
    return ""


async def at_once() -> None:
    """Nothing is under way."""


@dataclass(frozen=True, slots=True)
class Powers:
    settled: Callable[[], Awaitable[None]] = at_once
    """Returns when what was accepted before now lies in its mailboxes (or after a while)."""
    username: Callable[[str], str] = nobody
    """Who had logged in for that queue id; empty for nobody and where it is not known."""
    send: Send | None = None
    """Into the server itself."""
    release: Send | None = None
    """Out of the machine, to ``release_to``."""
    release_to: str = ""
    """``HOST:PORT``."""
    faults: Faults | None = None
    version: str = ""
    base: str = ""
    """Where mail lies, for people."""
