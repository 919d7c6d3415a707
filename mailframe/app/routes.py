"""Following an address to its end without sending anything: ``mailframe route``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mailframe.app.inquiry import Inquiry
from mailframe.core.address import Address, literal_ip
from mailframe.core.envelope import Recipient
from mailframe.core.resolution import (
    Elsewhere,
    Expanded,
    Local,
    Moved,
    Refused,
    Resolution,
)
from mailframe.errors import DnsError, NoSuchDomain, TransientFailure
from mailframe.interfaces import MxHost
from mailframe.runtime.aio import result_of


@dataclass(slots=True)
class Way:
    """What would become of one final recipient."""

    address: str
    kind: str
    """``local``, ``relay``, ``moved`` or ``refused``."""
    alias_of: str = ""
    account: str = ""
    courier: str = ""
    next_hop: str = ""
    why: str = ""
    reply: str = ""
    """What the sender would be told where it is refused."""
    permission: str = ""
    """Who may send there."""
    hosts: list[dict[str, Any]] = field(default_factory=list)
    """By MX: host, preference, addresses; best first."""
    trouble: str = ""
    """Why the DNS leads nowhere."""

    @property
    def is_dead_end(self) -> bool:
        return self.kind == "refused" or bool(self.trouble)

    def as_object(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def lines(self) -> Iterator[str]:
        alias = f" (by the alias {self.alias_of})" if self.alias_of else ""
        yield f"{self.address}{alias}"
        for name in ("account", "reply", "permission", "trouble"):
            if value := getattr(self, name):
                yield f"  {name:<10} {value}"
        if self.courier:
            yield f"  {'courier':<10} {self.courier} -> {self.next_hop}   because of: {self.why}"
        for host in self.hosts:
            addresses = " ".join(host["addresses"]) or "no address"
            yield f"  {'mx':<10} {host['preference']:>3} {host['host']}  {addresses}"


async def ways_of(
    parts: Inquiry, address: Address, author: Address | None, *, look_up: bool
) -> list[Way]:
    """One ``Way`` for each final recipient of ``address``; an alias may have several."""
    resolution = await _resolve(parts, address)
    if isinstance(resolution, Refused):
        return [Way(str(address), "refused", reply=str(resolution.reply))]
    if isinstance(resolution, Moved):
        return [Way(str(address), "moved", reply=f"551 5.1.6 now at {resolution.to}")]
    if isinstance(resolution, Expanded):
        return [
            await _way(parts, target.address, target.mailbox, str(address), look_up)
            for target in resolution.targets
        ]
    if isinstance(resolution, Local):
        return [await _way(parts, address, resolution, "", look_up)]
    way = await _way(parts, address, None, "", look_up)
    way.permission = await _permission(parts, author)
    return [way]


async def _resolve(parts: Inquiry, address: Address) -> Resolution:
    try:
        found: Resolution = await result_of(parts.recipients.resolve(address))
    except TransientFailure as error:
        return Refused(error.reply)
    return found


async def _permission(parts: Inquiry, author: Address | None) -> str:
    rule = "only from users who log in, relay.networks and pop-before-smtp"
    if author is None:
        return rule
    if isinstance(await _resolve(parts, author), Elsewhere):
        return f"{author} is not ours: {rule}; others get 550 5.7.1"
    return f"{author} may after logging in"


async def _way(
    parts: Inquiry, address: Address, mailbox: Local | None, alias_of: str, look_up: bool
) -> Way:
    way = Way(str(address), "local" if mailbox else "relay", alias_of=alias_of)
    way.account = mailbox.account if mailbox else ""
    try:
        route = parts.router.route(Recipient(address, mailbox=mailbox))
    except TransientFailure as error:
        way.trouble = str(error)
        return way
    way.courier, way.next_hop, way.why = route.courier, route.next_hop, route.why
    if route.courier == "mx" and look_up:
        await _add_hosts(parts, way, route.next_hop)
    return way


async def _add_hosts(parts: Inquiry, way: Way, domain: str) -> None:
    """The plan of RFC 5321 section 5.1, as far as it can be told without connecting."""
    if ip := literal_ip(domain):
        way.hosts = [{"host": domain, "preference": 0, "addresses": [ip]}]
        return
    try:
        records = await parts.dns.mx(domain)
        if any(not record.host for record in records):
            way.trouble = "the domain takes no mail (null MX, RFC 7505)"
            return
        for record in sorted(records) or [MxHost(0, domain)]:
            addresses = await _addresses(parts, record.host)
            host = {"host": record.host, "preference": record.preference, "addresses": addresses}
            way.hosts.append(host)
    except NoSuchDomain:
        way.trouble = "the domain does not exist"
    except DnsError as error:
        way.trouble = f"the DNS gives no answer: {error}"
    else:
        if not any(host["addresses"] for host in way.hosts):
            way.trouble = "the domain has neither MX nor address records that lead to a host"


async def _addresses(parts: Inquiry, host: str) -> list[str]:
    try:
        return list(await parts.dns.addresses(host))
    except NoSuchDomain:
        return []
