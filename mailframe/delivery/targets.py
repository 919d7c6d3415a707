"""Which hosts take mail for a domain, in which order (RFC 5321 section 5.1).

Yields one address after the other, best host first, so that names are looked up only as far
as they are needed. What the DNS says about the domain as a whole ends in a failure:

    no such domain          550 5.1.2
    null MX                 556 5.1.10 (RFC 7505 section 4.2)
    neither MX nor address  550 5.1.2 (Postfix: "Host or domain name not found")
    DNS does not answer     451 4.4.3
    we are the best MX      554 5.4.6
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection
from itertools import groupby
from random import Random

from mailframe.core import status
from mailframe.core.address import literal_ip
from mailframe.core.reply import Reply
from mailframe.delivery.hosts import Host
from mailframe.errors import DnsTemporary, NoSuchDomain, PermanentFailure, TransientFailure
from mailframe.interfaces import IResolver, MxHost


class MxTargets:
    """``own_names`` and ``listens_on(ip, port)`` tell ourselves from others."""

    def __init__(
        self,
        resolver: IResolver,
        random: Random,
        *,
        port: int = 25,
        own_names: Collection[str] = (),
        listens_on: Callable[[str, int], bool] = lambda ip, port: False,
        max_hosts: int = 5,
        max_addresses: int = 10,
    ) -> None:
        self._resolver = resolver
        self._random = random
        self._port = port
        self._own_names = frozenset(name.lower().rstrip(".") for name in own_names)
        self._listens_on = listens_on
        self._max_hosts = max_hosts
        self._max_addresses = max_addresses

    async def find(self, domain: str) -> AsyncGenerator[Host, None]:
        """Raises PermanentFailure and TransientFailure as above."""
        if domain.startswith("["):
            yield self._literal(domain)
            return
        found = 0
        trouble: DnsTemporary | None = None
        for group in await self._groups(domain):
            hosts, missed = await self._with_addresses(group)
            trouble = trouble or missed
            if any(self._is_us(host, ip) for host, ip in hosts):
                if not found and trouble is None:
                    raise PermanentFailure(_loop(domain))
                break  # RFC 5321 section 5.1: neither us nor our equals nor those behind us
            for host, ip in hosts:
                if found >= self._max_addresses:
                    return
                found += 1
                yield Host(host, ip, self._port)
        if not found:
            raise _unreachable(domain, trouble)

    def _literal(self, domain: str) -> Host:
        ip = literal_ip(domain)
        if ip is None:
            text = f"Nobody knows how to reach {domain}"
            raise PermanentFailure(Reply(550, status.BAD_DESTINATION_SYSTEM, text))
        if self._listens_on(ip, self._port):
            raise PermanentFailure(_loop(domain))
        return Host(ip, ip, self._port)

    async def _groups(self, domain: str) -> list[list[str]]:
        """Host names of equal preference, best first; equals in random order."""
        try:
            records = await self._resolver.mx(domain)
        except NoSuchDomain:
            raise PermanentFailure(_no_such_domain(domain)) from None
        except DnsTemporary as error:
            raise _unreachable(domain, error) from None
        if not records:
            # RFC 5321 section 5.1: the domain itself stands in, but only for missing MXs.
            return [[domain]]
        # RFC 7505 section 3: the null MX stands alone; beside others it is a mistake.
        hosts = [record for record in records if record.host]
        if not hosts:
            text = f"{domain} takes no mail"
            raise PermanentFailure(Reply(556, status.DESTINATION_NULL_MX, text))
        return self._shuffled(self._before_us(domain, hosts))

    def _before_us(self, domain: str, hosts: list[MxHost]) -> list[MxHost]:
        """Those that RFC 5321 section 5.1 leaves us, as far as names tell."""
        ours = [mx.preference for mx in hosts if mx.host.lower() in self._own_names]
        left = [mx for mx in hosts if not ours or mx.preference < min(ours)]
        if not left:
            raise PermanentFailure(_loop(domain))
        return left

    def _shuffled(self, hosts: list[MxHost]) -> list[list[str]]:
        groups = []
        room = self._max_hosts
        for _, equals in groupby(sorted(hosts), key=lambda mx: mx.preference):
            # RFC 5321 section 5.1: at random, to spread the load.
            names = [mx.host for mx in equals]
            self._random.shuffle(names)
            if room > 0:
                groups.append(names[:room])
            room -= len(names)
        return groups

    async def _with_addresses(
        self, group: list[str]
    ) -> tuple[list[tuple[str, str]], DnsTemporary | None]:
        """(host, address) of all of them, and what went wrong. All are asked at once."""
        asking = [(host, self._resolver.addresses(host)) for host in group]
        found: list[tuple[str, str]] = []
        trouble = None
        for host, addresses in asking:
            try:
                found += [(host, ip) for ip in await addresses]
            except DnsTemporary as error:
                trouble = error
            except NoSuchDomain:
                continue  # a MX that points nowhere: the others may do
        return found, trouble

    def _is_us(self, host: str, ip: str) -> bool:
        return host.lower() in self._own_names or self._listens_on(ip, self._port)


def _unreachable(domain: str, trouble: DnsTemporary | None) -> TransientFailure | PermanentFailure:
    if trouble is not None:
        text = f"The DNS gave no answer about {domain}"
        return TransientFailure(Reply(451, status.DIRECTORY_FAILURE, text), str(trouble))
    return PermanentFailure(_no_such_domain(domain))


def _no_such_domain(domain: str) -> Reply:
    return Reply(550, status.BAD_DESTINATION_SYSTEM, f"No host for {domain} is known to the DNS")


def _loop(domain: str) -> Reply:
    return Reply(554, status.ROUTING_LOOP, f"Mail for {domain} loops back to us")
