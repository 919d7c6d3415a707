"""Has the client a name? Its address by reverse DNS, and the name back by forward DNS.

RFC 8601 section 3. ``fail`` covers both an address without a name and names that do not lead
back; ``reason`` tells them apart. What the DNS does not tell in time is temperror; an address
that is none (a Unix socket) is permerror.
"""

from __future__ import annotations

import ipaddress

from twisted.internet.defer import TimeoutError as Late
from twisted.internet.interfaces import IReactorTime

from mailframe.core.authentication import IprevResult, Result
from mailframe.core.ip import IPAddress, plain_ip
from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver
from mailframe.runtime.aio import as_deferred

NO_NAME = "no name"
MISMATCH = "no name leads back"

# RFC 8601 section 3 asks for a limit; RFC 7208 section 4.6.4 has the same for ptr.
MAX_NAMES = 10


async def check_iprev(
    resolver: IResolver, ip: str, *, timeout: float = 20.0, clock: IReactorTime
) -> IprevResult:
    """``timeout`` in seconds for all lookups."""
    address = plain_ip(ip)
    if address is None:
        return IprevResult(Result.PERMERROR, ip, reason="no IP address")
    try:
        return await as_deferred(_checked(resolver, address)).addTimeout(timeout, clock)
    except Late:
        reason = f"not done after {timeout:g} seconds"
        return IprevResult(Result.TEMPERROR, str(address), reason=reason)


async def _checked(resolver: IResolver, address: IPAddress) -> IprevResult:
    ip = str(address)
    try:
        names = await resolver.ptr(ip)
    except NoSuchDomain:
        names = ()
    except DnsTemporary as error:
        return IprevResult(Result.TEMPERROR, ip, reason=str(error))
    if not names:
        return IprevResult(Result.FAIL, ip, reason=NO_NAME)
    lookup = resolver.ipv4 if address.version == 4 else resolver.ipv6
    trouble = ""
    for name in names[:MAX_NAMES]:
        try:
            found = await lookup(name)
        except NoSuchDomain:
            continue
        except DnsTemporary as error:
            trouble = str(error)
            continue
        if any(ipaddress.ip_address(text) == address for text in found):
            return IprevResult(Result.PASS, ip, name)
    if trouble:
        return IprevResult(Result.TEMPERROR, ip, reason=trouble)
    return IprevResult(Result.FAIL, ip, reason=MISMATCH)
