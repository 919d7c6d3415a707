"""Guessing passwords made slow: failures are counted by address and by account.

The first failures are free. Each further one doubles the time during which nothing is checked
for that address or account, up to a quarter of an hour; ``window`` seconds without a failure
and all is forgotten. An IPv6 address counts as its /64, which is what one customer gets.

An account is not locked out of the places it logs in from: an address that has proved the
password before is only ever held up for its own failures there. So a stranger who keeps
guessing delays strangers, not the owner.

Guesses that were already under way when the first of them failed are not stopped; the limit
on connections bounds those.

Workers tell each other of failures and successes, so a guesser gains nothing by being served by
another one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from mailframe.core.ip import network_around, plain_ip
from mailframe.errors import LoginThrottled
from mailframe.interfaces import IPeers
from mailframe.runtime.peers import Alone

_TOPIC = "login"
_TOLD = 5_000  # records of each kind, the latest, that a newcomer is told
_MOST = 50_000  # records of each kind: about 10 MB
_FIRST_BLOCK = 2.0  # seconds
_LONGEST_BLOCK = 900.0


@dataclass(slots=True)
class _Record:
    failures: int = 0
    last: float = 0.0
    until: float = 0.0


class LoginLimits(Protocol):
    """Further limits on failures: those of ``[policy.rate]``."""

    def check_login(self, peer_ip: str, account: str) -> None:
        """Raises LoginThrottled."""

    def login_failed(self, peer_ip: str, account: str) -> None: ...


class LoginThrottle:
    """``per_address`` and ``per_account``: failures that cost nothing; 0 is no limit."""

    def __init__(
        self,
        clock: IReactorTime,
        *,
        per_address: int = 20,
        per_account: int = 10,
        window: float = 3600.0,
        limits: LoginLimits | None = None,
        peers: IPeers = Alone(),  # noqa: B008 - it has no state
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._addresses = _Failures(per_address, window)
        self._accounts = _Failures(per_account, window)
        self._places = _Failures(per_account, window)
        self._proved: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._peers = peers
        peers.hear(_TOPIC, self._heard)
        peers.welcome(_TOPIC, self._notes)

    def check(self, peer_ip: str, account: str) -> None:
        """Raises LoginThrottled while the address or the account is held up."""
        now = self._clock.seconds()
        network = network_of(peer_ip)
        if network and self._addresses.blocked(network, now):
            raise LoginThrottled(f"failures from {network}")
        known = (network, account) in self._proved
        records, key = (
            (self._places, f"{network} {account}") if known else (self._accounts, account)
        )
        if records.blocked(key, now):
            raise LoginThrottled(f"failures for {account!r}")
        if self._limits is not None:
            self._limits.check_login(peer_ip, account)

    def failed(self, peer_ip: str, account: str) -> None:
        now = self._clock.seconds()
        network = network_of(peer_ip)
        self._note_failure(network, account, now)
        self._peers.tell(_TOPIC, ("failed", network, account, now))
        if self._limits is not None:
            self._limits.login_failed(peer_ip, account)

    def succeeded(self, peer_ip: str, account: str) -> None:
        """Forgives the account's failures at that place, never the address's: whoever owns
        one account must not buy guesses at others with it."""
        network = network_of(peer_ip)
        self._note_success(network, account)
        self._peers.tell(_TOPIC, ("succeeded", network, account))

    def clock_jumped(self, seconds: float) -> None:
        """Nobody is held up for longer, or forgiven sooner, because the clock was set."""
        for failures in self._kinds:
            failures.shift(seconds)

    def _note_failure(self, network: str, account: str, now: float) -> None:
        if network:
            self._addresses.note(network, now)
        if (network, account) in self._proved:
            self._places.note(f"{network} {account}", now)
        else:
            self._accounts.note(account, now)

    def _note_success(self, network: str, account: str) -> None:
        self._proved[network, account] = None
        self._proved.move_to_end((network, account))
        if len(self._proved) > _MOST:
            self._proved.popitem(last=False)
        self._places.forget(f"{network} {account}")

    # other workers

    @property
    def _kinds(self) -> tuple[_Failures, ...]:
        return self._addresses, self._accounts, self._places

    def _heard(self, note: list[Any], worker: str) -> None:
        what, *facts = note
        if what == "failed":
            self._note_failure(*facts)
        elif what == "succeeded":
            self._note_success(*facts)
        else:
            kind, key, *record = facts
            self._kinds[kind].take_over(key, _Record(*record))

    def _notes(self) -> Iterator[tuple[Any, ...]]:
        for network, account in islice(reversed(self._proved), _TOLD):
            yield "succeeded", network, account
        for kind, failures in enumerate(self._kinds):
            for key, record in failures.latest(_TOLD):
                yield "record", kind, key, record.failures, record.last, record.until


class _Failures:
    def __init__(self, free: int, window: float) -> None:
        self._free = free
        self._window = window
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def blocked(self, key: str, now: float) -> bool:
        record = self._records.get(key)
        return record is not None and now < record.until

    def note(self, key: str, now: float) -> None:
        if not self._free:
            return
        record = self._records.setdefault(key, _Record())
        self._records.move_to_end(key)
        if now - record.last > self._window:
            record.failures = 0
        record.failures += 1
        record.last = now
        excess = record.failures - self._free
        if excess >= 0:
            record.until = now + min(_FIRST_BLOCK * 2.0 ** min(excess, 30), _LONGEST_BLOCK)
        if len(self._records) > _MOST:
            self._records.popitem(last=False)

    def latest(self, most: int) -> list[tuple[str, _Record]]:
        return list(islice(reversed(self._records.items()), most))

    def take_over(self, key: str, record: _Record) -> None:
        """What another worker knows, where it knows more."""
        known = self._records.get(key)
        if known is None or known.failures < record.failures:
            self._records[key] = record
            if len(self._records) > _MOST:
                self._records.popitem(last=False)

    def shift(self, seconds: float) -> None:
        for record in self._records.values():
            record.last += seconds
            record.until += seconds

    def forget(self, key: str) -> None:
        self._records.pop(key, None)


def network_of(peer_ip: str) -> str:
    """What counts as one client; empty for a Unix socket."""
    address = plain_ip(peer_ip)
    if address is None:
        return ""
    return str(address) if address.version == 4 else network_around(address, 32, 64)
