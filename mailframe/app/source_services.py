"""What accounts from elsewhere are given: the network, threads, chance, and how hashes are checked.

One object for every source that ``[auth] checkers`` names; ``mailframe.app.people`` makes it.
Tests and other programs may make their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from mailframe.interfaces import IResolver, IWorkers
from mailframe.runtime.disk import Disk

if TYPE_CHECKING:
    from mailframe.sources.sql.source import CheckHash


async def no_hash_matches(account: str, stored: str | None, password: bytes) -> bool:
    return False


def authorities_in(path: str) -> bytes | None:
    """PEM of the authorities in that file; empty: None, which means those of the system. Blocks.
    Raises OSError."""
    if not path:
        return None
    with Disk().open(path) as file:
        return bytes(file.read())


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceServices:
    reactor: Any
    """Twisted's: time, TCP, processes."""
    workers: IWorkers
    """The pool ``accounts``, of 16 threads, for what blocks: shared by all sources, so every call
    in it has a time limit of its own. A full pool is a TransientFailure."""
    resolver: IResolver
    """Of DNS, as mail uses it."""
    random: Random
    """For what must not be guessed."""
    default_domain: str = ""
    """What completes a login name without a domain; empty: nothing does."""
    check_hash: CheckHash = no_hash_matches
    """On the threads for passwords; remembers right ones for a while. The default: none matches."""

    def with_default_domain(self, domain: str) -> SourceServices:
        return self if domain == self.default_domain else replace(self, default_domain=domain)
