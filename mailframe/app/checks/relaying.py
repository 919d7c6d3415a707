"""Is it an open relay? Nothing that these checks accept may make it one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from mailframe.app.checks.finding import Finding, fail, ok, warn
from mailframe.app.config import Config
from mailframe.app.inquiry import Inquiry
from mailframe.core.address import Address
from mailframe.core.resolution import Elsewhere, Expanded
from mailframe.runtime.aio import result_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Whose hosts can only be the owner's own (RFC 1918, 6598, 3927, 4193, 4291).
_OWN = [
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
]
# A provider's customers, or a country: whoever lets these relay does not know them all.
_WIDEST = {4: 16, 6: 32}
_TRICKS = ("{user}%{elsewhere}", '"{user}@{elsewhere}"', "{elsewhere}!{user}")


def check_networks(config: Config) -> Iterator[Finding]:
    if wide := _too_wide(config.relay.networks):
        text = f"anybody may relay: relay.networks has {', '.join(map(str, wide))}"
        yield fail("relay.networks", text, "name only networks whose every user you know")
    else:
        yield ok("relay.networks", "strangers may not relay")
    if config.auth.pop_before_smtp:
        text = "POP-before-SMTP opens the relay for whole addresses, which people share"
        yield warn("relay.pop-before-smtp", text, "let users log in when they send")


def _too_wide(texts: Iterable[str]) -> list[Network]:
    """Networks of the public Internet that are too large to know, also in pieces."""
    networks = [ipaddress.ip_network(text) for text in texts]
    four = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
    six = [network for network in networks if isinstance(network, ipaddress.IPv6Network)]
    joined: list[Network] = [
        *ipaddress.collapse_addresses(four),
        *ipaddress.collapse_addresses(six),
    ]
    return [
        network
        for network in joined
        if network.prefixlen < _WIDEST[network.version] and not _is_own(network)
    ]


def _is_own(network: Network) -> bool:
    return any(
        network.version == own.version
        and network.network_address in own
        and network.broadcast_address in own
        for own in _OWN
    )


async def check_tricks(parts: Inquiry, domains: list[str]) -> list[Finding]:
    """Addresses at our domains that old servers took apart and sent on."""
    elsewhere = "elsewhere.example"
    leaks = []
    for domain in domains:
        for trick in _TRICKS:
            local = trick.format(user="victim", elsewhere=elsewhere).strip('"')
            address = Address(local, domain)
            found = await result_of(parts.recipients.resolve(address))
            if _leads_to(found, elsewhere):
                leaks.append(str(address))
    if leaks:
        text = f"mail for {', '.join(leaks)} is sent to other people's domains"
        return [fail("relay.tricks", text, "correct the realm or the recipient resolver")]
    return [ok("relay.tricks", "addresses within addresses are not followed")]


def _leads_to(found: object, elsewhere: str) -> bool:
    if isinstance(found, Elsewhere):
        return True
    if isinstance(found, Expanded):
        return any(target.address.domain == elsewhere for target in found.targets)
    return False
