"""Our policies, filter, DNS resolvers and sinks keep the contracts."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from twisted.internet.task import Clock

from mailframe.dns import DnsResolver
from mailframe.policy.submission import SubmissionPolicy
from mailframe.testing.contracts import (
    DnsResolverContract,
    FilterContract,
    PolicyContract,
)
from mailframe.testing.contracts.dns_resolver import DOWN, ZONE
from tests.unit.dns.test_resolver import SERVER, Network
from tests.unit.policy.test_client_checks import Place as ClientPlace
from tests.unit.policy.test_greylist_policy import Place as GreylistPlace
from tests.unit.spam.spam_world import Filtering


class TestIprev(PolicyContract):
    def make(self) -> Any:
        return ClientPlace().iprev("reject")


class TestHelo(PolicyContract):
    def make(self) -> Any:
        return ClientPlace().helo("reject")


class TestSpf(PolicyContract):
    def make(self) -> Any:
        self.place = ClientPlace()
        return self.place.spf("reject")

    def turn(self) -> bool:
        self.place.clock.advance(1)
        return True


class TestGreylist(PolicyContract):
    @pytest.fixture(autouse=True)
    def _base(self, tmp_path: Path) -> None:
        self.base = tmp_path

    def make(self) -> Any:
        place = GreylistPlace(self.base)
        self.at_end(place.database.close)
        return place.policy


class TestSubmission(PolicyContract):
    def make(self) -> Any:
        return SubmissionPolicy("mail.example.test", Clock(), lambda: "ID")


class TestLearningFilter(FilterContract):
    account = "ann@example.org"

    @pytest.fixture(autouse=True)
    def _base(self, tmp_path: Path) -> None:
        self.base = tmp_path

    def make(self) -> Any:
        filtering = Filtering(str(self.base / "spam.db"))
        self.at_end(filtering.close)
        return filtering.filter


class Zone:
    """A name server that has ``ZONE``."""

    def __call__(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        if name == DOWN:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply
        known = {known for known, _ in ZONE}
        if name not in known:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        self._answer(reply, name, dns.rdatatype.to_text(question.rdtype))
        return reply

    def _answer(self, reply: dns.message.Message, name: str, kind: str) -> None:
        if alias := ZONE.get((name, "CNAME")):
            reply.answer.append(_records(name, "CNAME", alias))
            self._answer(reply, alias[0], kind)
        elif records := ZONE.get((name, kind)):
            reply.answer.append(_records(name, kind, records))


def _records(name: str, kind: str, records: tuple[str, ...]) -> Any:
    absolute = [
        f"{record}." if kind in ("MX", "CNAME", "PTR") and record != "0 ." else record
        for record in records
    ]
    return dns.rrset.from_text(f"{name}.", 60, "IN", kind, *absolute)


class TestDnsResolver(DnsResolverContract):
    def make(self) -> Any:
        self.network = Network()
        self.network.servers[SERVER] = Zone()
        return DnsResolver(self.network, (SERVER,), Random(7))

    def turn(self) -> bool:
        self.network.advance(0.05)
        return True
