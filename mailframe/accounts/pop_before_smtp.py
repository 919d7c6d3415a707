"""POP-before-SMTP: who fetched mail from an address may relay from it for a while.

The whole address counts, not its network: a neighbour has proved nothing. What one worker
notes, the others hear: the client may fetch at one and send to another.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Iterator

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.interfaces import IPeers, IRecentFetches
from mailframe.runtime.peers import Alone

_TOPIC = "fetch"

_Note = tuple[str, float, str]
"""Address, when, account."""


@implementer(IRecentFetches)
class RecentFetches:
    """Remembers at most ``most`` addresses, the latest; each for ``window`` seconds."""

    def __init__(
        self,
        clock: IReactorTime,
        *,
        window: float = 900.0,
        most: int = 100_000,
        peers: IPeers = Alone(),  # noqa: B008 - it has no state
    ) -> None:
        self._clock = clock
        self._window = window
        self._most = most
        self._fetches: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._peers = peers
        peers.hear(_TOPIC, self._heard)
        peers.welcome(_TOPIC, self._notes)

    def note(self, peer_ip: str, account: str) -> None:
        key = _key(peer_ip)
        if not key:
            return  # a Unix socket: anybody on this machine might be behind it
        now = self._clock.seconds()
        self._keep(key, now, account)
        self._peers.tell(_TOPIC, (key, now, account))

    def may_relay(self, peer_ip: str) -> str | None:
        self._forget_old()
        fetch = self._fetches.get(_key(peer_ip))
        return fetch[1] if fetch is not None else None

    def clock_jumped(self, seconds: float) -> None:
        """Leave to send lasts as long as it was given, whatever the clock is set to."""
        for key, (when, account) in self._fetches.items():
            self._fetches[key] = (when + seconds, account)

    def _keep(self, key: str, when: float, account: str) -> None:
        self._fetches[key] = (when, account)
        self._fetches.move_to_end(key)
        while len(self._fetches) > self._most:
            self._fetches.popitem(last=False)

    def _heard(self, note: _Note, worker: str) -> None:
        key, when, account = note
        if key not in self._fetches or self._fetches[key][0] < when:
            self._keep(key, when, account)

    def _notes(self) -> Iterator[_Note]:
        self._forget_old()
        return ((key, when, account) for key, (when, account) in self._fetches.items())

    def _forget_old(self) -> None:
        oldest_allowed = self._clock.seconds() - self._window
        while self._fetches:
            key, (when, _) = next(iter(self._fetches.items()))
            if when > oldest_allowed:
                return
            del self._fetches[key]


def _key(peer_ip: str) -> str:
    """One spelling for one address, ``::ffff:192.0.2.1`` being ``192.0.2.1``."""
    # not ``plain_ip``: the same link-local address may be somebody else's in another zone
    try:
        address = ipaddress.ip_address(peer_ip)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
