"""The caching stub resolver behind ``IResolver``.

Asks recursive name servers, in order, round after round with growing patience; in one round only
while other questions wait for theirs to be asked, so that names whose servers are mute, however
many somebody comes along with, hold up nobody else for long. Identical questions under way share
one answer. Names of this machine (``localhost``) are answered
here; /etc/hosts is not read, because a mail domain means what the DNS says.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.dns.cache import Cache, Outcome
from mailframe.dns.exchange import ask_by_tcp, ask_by_udp
from mailframe.dns.message import AAAA, MX, PTR, TXT, A
from mailframe.dns.names import LOOPBACK, ascii_name, is_ip, is_loopback_name, query_name
from mailframe.dns.system import system_servers
from mailframe.dns.wire import Answer, Meaning, Question
from mailframe.errors import DnsError, DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver, MxHost
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.turns import InTurn

# Recursive servers follow 8 to 16; who needs more has a loop.
_MAX_ALIASES = 8


@implementer(IResolver)
class DnsResolver:
    """``reactor`` provides time, UDP and TCP; ``random`` draws the ids (a SystemRandom)."""

    def __init__(
        self,
        reactor: Any,
        servers: Sequence[tuple[str, int]] | None,
        random: Random,
        *,
        timeouts: Sequence[float] = (2.0, 4.0, 8.0),
        tcp_timeout: float | None = None,
        cache_size: int = 10_000,
        cache_octets: int = 32 << 20,
        failure_ttl: float = 5.0,
        max_under_way: int = 500,
    ) -> None:
        """``servers`` None: those of /etc/resolv.conf, else this machine. ``timeouts`` are
        seconds to wait for a server, one for each round over all of them: by default a question
        to a dead server costs 14. ``tcp_timeout`` is for a whole answer by TCP; None: the longest
        of them. ``cache_size`` counts outcomes, ``cache_octets`` what they
        take in memory, about. A failure is remembered for ``failure_ttl`` seconds (RFC 9520
        section 3.2). Raises ValueError where a server is not an IP address."""
        self._reactor = reactor
        self._servers = system_servers() if servers is None else tuple(servers)
        for host, _ in self._servers:
            ipaddress.ip_address(host)  # a name server's name would need a name server
        self._random = random
        self._timeouts = tuple(timeouts)
        self._tcp_timeout = max(self._timeouts) if tcp_timeout is None else tcp_timeout
        self._failure_ttl = failure_ttl
        self._cache = Cache(cache_size, reactor.seconds, cache_octets)
        self._waiting: dict[tuple[str, int], list[Deferred[Outcome]]] = {}
        self._slots = DeferredSemaphore(max_under_way)
        self._turns = InTurn(reactor)

    # IResolver

    def mx(self, domain: str) -> Deferred[tuple[MxHost, ...]]:
        return as_deferred(self._mx(domain))

    def addresses(self, host: str) -> Deferred[tuple[str, ...]]:
        return as_deferred(self._addresses(host))

    def ipv4(self, name: str) -> Deferred[tuple[str, ...]]:
        return as_deferred(self._of_version(name, A))

    def ipv6(self, name: str) -> Deferred[tuple[str, ...]]:
        return as_deferred(self._of_version(name, AAAA))

    def txt(self, name: str) -> Deferred[tuple[bytes, ...]]:
        return as_deferred(self._txt(name))

    def ptr(self, ip: str) -> Deferred[tuple[str, ...]]:
        return as_deferred(self._ptr(ip))

    # one kind of record each

    async def _mx(self, domain: str) -> tuple[MxHost, ...]:
        name = ascii_name(domain)
        return () if is_loopback_name(name) else await self._records(name, MX)

    async def _addresses(self, host: str) -> tuple[str, ...]:
        if is_ip(host):
            return (host,)
        name = ascii_name(host)
        if is_loopback_name(name):
            return LOOPBACK
        six = self._find(name, AAAA)
        four = self._find(name, A)
        outcomes = (await six, await four)
        found = tuple(address for outcome in outcomes for address in outcome.records)
        if not found:
            _raise_worst(outcomes)
        return found

    async def _of_version(self, name: str, rdtype: int) -> tuple[str, ...]:
        asked = query_name(name)
        if is_loopback_name(asked):
            return LOOPBACK[:1] if rdtype == AAAA else LOOPBACK[1:]
        return await self._records(asked, rdtype)

    async def _txt(self, name: str) -> tuple[bytes, ...]:
        asked = query_name(name)
        return () if is_loopback_name(asked) else await self._records(asked, TXT)

    async def _ptr(self, ip: str) -> tuple[str, ...]:
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            raise NoSuchDomain(f"{ip!r} is not an IP address") from None
        return await self._records(address.reverse_pointer, PTR)

    async def _records(self, name: str, rdtype: int) -> tuple[Any, ...]:
        outcome = await self._find(name, rdtype)
        if outcome.error is not None:
            raise _fresh(outcome.error)
        return outcome.records

    # cached, shared, bounded

    def _find(self, name: str, rdtype: int) -> Deferred[Outcome]:
        """The outcome for an A-label name; never fails."""
        key = (name, rdtype)
        if kept := self._cache.get(key):
            return succeed(kept)
        mine: Deferred[Outcome] = Deferred()
        if key in self._waiting:
            self._waiting[key].append(mine)
            return mine
        self._waiting[key] = [mine]
        asking = self._slots.run(lambda: as_deferred(self._ask(name, rdtype)))
        asking.addErrback(self._outcome_of_error)
        asking.addCallback(self._tell, key)
        return mine

    def _tell(self, outcome: Outcome, key: tuple[str, int]) -> None:
        self._cache.put(key, outcome)
        for waiting in self._waiting.pop(key):
            # Each goes on with a session of its own, and they may be hundreds.
            self._turns.run(partial(_answer, waiting, outcome))

    def _outcome_of_error(self, failure: Failure) -> Outcome:
        error = failure.value
        if not isinstance(error, DnsError):
            error = DnsTemporary(f"internal error: {failure.getErrorMessage()}")
        return Outcome(error=error, ttl=self._failure_ttl)

    async def _ask(self, name: str, rdtype: int) -> Outcome:
        ttl: float | None = None
        for _ in range(_MAX_ALIASES + 1):
            answer = await self._ask_servers(name, rdtype)
            ttl = answer.ttl if ttl is None else min(ttl, answer.ttl)
            if answer.meaning is Meaning.NO_NAME:
                return Outcome(error=NoSuchDomain(f"{name} does not exist"), ttl=ttl)
            if answer.meaning is not Meaning.ALIAS:
                return Outcome(answer.records, ttl=ttl)
            name = query_name(answer.target)
        raise DnsTemporary(f"{name}: more than {_MAX_ALIASES} aliases")

    async def _ask_servers(self, name: str, rdtype: int) -> Answer:
        """The first usable answer. Raises DnsTemporary with the last trouble met."""
        trouble = DnsTemporary("no name server")
        dead_ends: set[tuple[str, int]] = set()  # they answered, and will not do better
        for number, timeout in enumerate(self._timeouts):
            if number and self._slots.waiting:
                break
            for server in self._servers:
                if server in dead_ends:
                    continue
                try:
                    answer = await self._ask_server(server, name, rdtype, timeout)
                except DnsTemporary as error:
                    trouble = error
                    continue
                if answer.meaning is not Meaning.UNUSABLE:
                    return answer
                dead_ends.add(server)
                trouble = DnsTemporary(f"{name}: {server[0]} says {answer.why}")
        raise trouble

    async def _ask_server(
        self, server: tuple[str, int], name: str, rdtype: int, timeout: float
    ) -> Answer:
        question = Question(name, rdtype, self._random.randrange(65_536))
        answer = await ask_by_udp(self._reactor, self._turns, server, question, timeout)
        if answer.meaning is Meaning.NO_EDNS:
            question = Question(name, rdtype, self._random.randrange(65_536), edns=False)
            answer = await ask_by_udp(self._reactor, self._turns, server, question, timeout)
        if answer.meaning is Meaning.TRUNCATED:
            timeout = self._tcp_timeout
            answer = await ask_by_tcp(self._reactor, self._turns, server, question, timeout)
        if answer.meaning in (Meaning.TRUNCATED, Meaning.NO_EDNS):
            raise DnsTemporary(f"{name}: {server[0]}: {answer.meaning.value}")
        return answer


def _answer(waiting: Deferred[Outcome], outcome: Outcome) -> None:
    if not waiting.called:  # cancelled meanwhile
        waiting.callback(outcome)


def _fresh(error: DnsError) -> DnsError:
    """A cached error must not collect the tracebacks of everybody it is raised for."""
    return type(error)(*error.args)


def _raise_worst(outcomes: Sequence[Outcome]) -> None:
    """For no address at all: unsure beats sure, and one existing type means it exists."""
    errors = [outcome.error for outcome in outcomes]
    for error in errors:
        if isinstance(error, DnsTemporary):
            raise _fresh(error)
    if errors[0] is not None and all(errors):
        raise _fresh(errors[0])
