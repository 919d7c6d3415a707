"""How many connections there are, in all and from each address, and who goes when it is full.

A server that is full and lets silent clients keep their places can be blocked by anybody with
a few thousand sockets (slow loris). So when no place is left, a client that has kept the server
waiting for ``PATIENCE`` seconds, and has nothing under way, gives its place to the newcomer.
The limit for one address is never made room for: it is that client's own.

Several workers count together (``Tally``), each making room among its own guests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from mailframe.runtime.tally import Tally

PATIENCE = 5.0
"""Seconds without progress. Round trips take less on any network, and Postfix gives a client
ten when it is under stress (smtpd_timeout)."""

_ALL = "*"
"""No address: the key of the sum."""


class Guest(Protocol):
    """A connection that may be asked to leave."""

    def waiting_since(self) -> float | None:
        """Since when the peer keeps us waiting; None while it has something worth finishing:
        a login, a decision of ours, a message that is arriving."""

    def make_room(self) -> None:
        """Say goodbye."""


class ConnectionCounter:
    """Shared by the listeners that share a limit; 0 means no limit."""

    def __init__(
        self,
        total: int,
        per_address: int,
        seconds: Callable[[], float] | None = None,
        *,
        tally: Tally | None = None,
    ) -> None:
        """``seconds`` is the clock that guests tell their waiting by; without it nobody is
        asked to leave. ``tally``: what all workers count; without it there are no others."""
        self._total = total
        self._per_address = per_address
        self._seconds = seconds
        self._open: Counter[str] = Counter()
        self._count = 0
        self._guests: dict[Guest, None] = {}  # in order of arrival
        self._tally = tally

    def allow(self, total: int, per_address: int) -> None:
        """Other limits from now on; connections that are open stay."""
        self._total = total
        self._per_address = per_address

    def enter(self, address: str, guest: Guest | None = None) -> bool:
        """Count a new connection in; False when it is one too many (then do not ``leave``)."""
        if self._per_address and address and self._held(address) >= self._per_address:
            return False
        if self._total and self._held_in_all() >= self._total and not self._make_room():
            return False
        self._count_in(address, 1)
        if guest is not None:
            self._guests[guest] = None
        return True

    def leave(self, address: str, guest: Guest | None = None) -> None:
        self._count_in(address, -1)
        if guest is not None:
            self._guests.pop(guest, None)

    def _held(self, address: str) -> int:
        return self._open[address] if self._tally is None else self._tally.total(address)

    def _held_in_all(self) -> int:
        return self._count if self._tally is None else self._tally.total(_ALL)

    def _count_in(self, address: str, number: int) -> None:
        self._count += number
        self._open[address] += number
        if not self._open[address]:
            del self._open[address]
        if self._tally is not None:
            self._tally.add(_ALL, number)
            if address:
                self._tally.add(address, number)

    def _make_room(self) -> bool:
        """Ask the first to leave who may be asked. Its place is free once it has gone; until
        then there is one more than the limit."""
        if self._seconds is None:
            return False
        long_ago = self._seconds() - PATIENCE
        for guest in self._guests:
            since = guest.waiting_since()
            if since is not None and since <= long_ago:
                del self._guests[guest]  # nobody is asked twice
                guest.make_room()
                return True
        return False

    def __len__(self) -> int:
        return self._count
