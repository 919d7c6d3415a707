"""Block lists in a real name server (Knot), asked by our resolver."""

from __future__ import annotations

import random
from typing import Any

import pytest_twisted
from twisted.internet import reactor

from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session
from mailframe.dns import DnsResolver
from mailframe.errors import PermanentFailure
from mailframe.policy.dnsbl import DnsblPolicy
from mailframe.policy.relay import RelayPermission
from mailframe.policy.strangers import Strangers
from tests.interop.peers.dns import Dns

NIBBLES = "1." + "0." * 23 + "8.b.d.0.1.0.0.2"
IPV6_POINT = "2." + "0.0.0.0.0.f.7.f.f.f.f." + "0." * 19 + "0"
ZONES = {
    "2.0.0.127.bl.test": ["A 127.0.0.2"],
    f"{IPV6_POINT}.bl.test": ["A 127.0.0.2"],
    "1.2.0.192.bl.test": ["A 127.0.0.4", 'TXT "see https://bl.test/" "192.0.2.1"'],
    f"{NIBBLES}.bl.test": ["A 127.0.0.9"],
    # answers everything, as a zone that somebody bought
    "*.parked.test": ["A 198.51.100.7"],
    "*.all.test": ["A 127.0.0.2"],
    # refuses to serve the resolver that we use
    "*.refusing.test": ["A 127.255.255.254"],
    # no test points: dead
    "1.2.0.192.dead.test": ["A 127.0.0.2"],
    "test.names.test": ["A 127.0.1.2"],
    "*.bad.example.names.test": ["A 127.0.1.2"],
    "2.0.0.127.good.test": ["A 127.0.0.2"],
    "2.2.0.192.good.test": ["A 127.0.5.2"],
    "2.2.0.192.bl.test": ["A 127.0.0.4"],
}
LISTS = ["bl.test=127.0.0.[2..8]", "parked.test", "all.test", "refusing.test", "dead.test"]


def policy(dns: Dns) -> DnsblPolicy:
    resolver = DnsResolver(
        reactor, [(dns.address, 53)], random.Random(4), timeouts=(0.3, 0.3), failure_ttl=1
    )
    return DnsblPolicy(
        [*LISTS, "servfail.test", "good.test=127.0.[0..255].[1..3]*-2"],
        ["names.test"],
        strangers=Strangers(RelayPermission([])),
        resolver=resolver,
        clock=reactor,  # type: ignore[arg-type]
        timeout=2,
    )


async def outcome(asked: DnsblPolicy, ip: str, helo: str = "mail.x.example") -> tuple[Any, str]:
    session = Session("S1", Role.MX, "mx", ip, helo=helo)
    connected = await asked.connect(session)
    session.found = session.found.plus([connected])  # type: ignore[list-item]
    envelope = Envelope(Address.parse("x@sender.example"))
    mailed = await asked.mail(session, envelope)
    session.found = session.found.plus([mailed])  # type: ignore[list-item]
    recipient = Recipient(Address.parse("ann@example.org"))
    try:
        asked.recipient(session, envelope, recipient, Local("ann@example.org"))
    except PermanentFailure as failure:
        return connected, str(failure.reply)
    return connected, ""


@pytest_twisted.ensureDeferred
async def test_real_zones(dns: Dns) -> None:
    dns.start(ZONES, servfail=["servfail.test"])
    asked = policy(dns)
    tag, reply = await outcome(asked, "192.0.2.1")
    assert [symbol.name for symbol in tag.symbols] == ["DNSBL:bl.test"]
    assert reply == (
        "550 5.7.1 Refused, listed by bl.test: 192.0.2.1 127.0.0.4 see https://bl.test/192.0.2.1"
    )
    for words in (
        "parked.test answers 198.51.100.7",
        "all.test lists everything",
        "refusing.test answers 127.255.255.254: it refuses us",
        "dead.test does not list its test point",
        "servfail.test does not answer",
    ):
        assert words in tag.reason
    tag, reply = await outcome(asked, "192.0.2.2")
    assert sum(symbol.weight for symbol in tag.symbols) == -1
    assert reply == ""
    _, reply = await outcome(asked, "192.0.2.3", "host.bad.example")
    assert "listed by names.test: host.bad.example 127.0.1.2" in reply
    # the filter leaves 127.0.0.9 out
    tag, reply = await outcome(asked, "2001:db8::1")
    assert (tag.symbols, reply) == ((), "")
