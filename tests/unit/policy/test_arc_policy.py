"""arc and seal: what they find in strangers' mail, and what they say of it to others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.authentication import (
    ArcResult,
    Authentication,
    DmarcResult,
    Result,
    SpfResult,
)
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Amendment, Findings, Symbol, Tag
from mailframe.errors import TransientFailure
from mailframe.interfaces import IContent, IMessagePolicy
from mailframe.mailauth.arc import ArcLimits
from mailframe.mailauth.dkim import SigningKey
from mailframe.message.headers import fields
from mailframe.message.trace import field_line
from mailframe.policy.arc import ArcPolicy, SealPolicy
from mailframe.policy.relay import RelayPermission
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailauth.arc.messages import (
    BODY,
    HEADER,
    NOW,
    Body,
    Records,
    dns,
    key,
    sealed,
    verified,
)

LIST, OURS = key("list.example"), key("example.net")
DNS = dns(LIST, OURS)
ADDED = b"X-Added: by us\r\n"
STRANGERS = Strangers(RelayPermission(["198.51.100.0/24"]), ["203.0.113.0/24"])
ALIAS = Address.parse("team@example.net")


@implementer(IContent)
class Content:
    queue_id = "q"
    size = 0

    def __init__(self, header: bytes = HEADER) -> None:
        self.header, self.added = header, ADDED
        self.open_body = Body()

    async def open(self) -> Any:
        raise NotImplementedError


def clock() -> Clock:
    clock = Clock()
    clock.advance(NOW)
    return clock


def session(ip: str = "192.0.2.9", **auth: Any) -> Session:
    found = Session("s", Role.MX, "mx", ip, helo="mx.list.example")
    found.found = Findings(Authentication(**auth))
    return found


def envelope(*recipients: Recipient) -> Envelope:
    return Envelope(Address.parse("ann@author.example"), recipients)


def forwarded(to: str = "ann@elsewhere.example", alias: Address = ALIAS) -> Recipient:
    return Recipient(Address.parse(to), original=alias)


LOCAL = Recipient(Address.parse("bob@example.net"), mailbox=Local("bob@example.net"))


class TestArc:
    def told(self, header: bytes, who: Session | None = None, records: Records = DNS) -> Tag | None:
        policy = ArcPolicy(
            strangers=STRANGERS, resolver=records, workers=InlineWorkers(), clock=clock(),
            trusted_sealers=["list.example"], limits=ArcLimits(),
        )  # fmt: skip
        verifyObject(IMessagePolicy, policy)
        verdict: Any = fired(
            as_deferred(policy.message(who or session(), envelope(LOCAL), Content(header)))
        )
        assert verdict is None or isinstance(verdict, Tag)
        return verdict

    def test_no_chain_no_tag(self) -> None:
        assert self.told(HEADER) is None

    def test_a_chain_that_passes(self) -> None:
        said = "mx.list.example; dmarc=pass header.from=author.example"
        tag = self.told(sealed(HEADER, LIST, said))
        assert tag is not None
        assert tag.reason == "pass sealed by list.example trusted list.example: dmarc=pass"
        assert tag.symbols == (Symbol("ARC_PASS", 0.0, "list.example"),)
        assert tag.auth is not None
        assert tag.auth.arc is not None
        assert tag.auth.arc.dmarc is Result.PASS
        assert not tag.headers

    def test_a_chain_that_fails_is_refused_by_nobody(self) -> None:
        tag = self.told(sealed(HEADER, LIST).replace(b"Minutes", b"Money"))
        assert tag is not None
        assert tag.reason == (
            "fail sealed by list.example (ARC-Message-Signature i=1: signature does not match)"
        )
        assert tag.symbols == (Symbol("ARC_FAIL", 0.0, "list.example"),)
        assert tag.auth is not None
        assert tag.auth.arc is not None
        assert tag.auth.arc.result is Result.FAIL

    def test_the_dns_may_be_slow(self) -> None:
        tag = self.told(sealed(HEADER, LIST), records=Records(dict.fromkeys(DNS.records)))
        assert tag is not None
        assert "no answer from the DNS" in tag.reason

    def test_ours_are_not_asked(self) -> None:
        assert self.told(sealed(HEADER, LIST), session("198.51.100.1")) is None

    def test_what_a_trusted_network_hands_on_is_validated(self) -> None:
        assert self.told(sealed(HEADER, LIST), session("203.0.113.1")) is not None


class Sealing:
    """The seal policy, and the domains it asked about."""

    def __init__(self, *, error: Exception | None = None, workers: Any = None) -> None:
        self.asked: list[str] = []
        self._error = error
        self.policy = SealPolicy(
            strangers=STRANGERS, workers=workers or InlineWorkers(), clock=clock(),
            key_for=self.key_for, authserv_id="mx.example.net",
        )  # fmt: skip
        verifyObject(IMessagePolicy, self.policy)

    async def key_for(self, domain: str) -> SigningKey | None:
        self.asked.append(domain)
        if self._error is not None:
            raise self._error
        return OURS if domain == "example.net" else None

    def told(self, who: Session, content: Content, *recipients: Recipient) -> Tag | None:
        verdict: Any = fired(as_deferred(self.policy.message(who, envelope(*recipients), content)))
        assert verdict is None or isinstance(verdict, Tag)
        return verdict


def sent(tag: Tag | None, content: Content) -> bytes:
    """The header as it goes out."""
    assert tag is not None
    ours = b"".join(field_line(name, value) for name, value in tag.headers)
    return ours + content.added + content.header


class TestSeal:
    def test_what_an_alias_sends_elsewhere(self) -> None:
        content = Content()
        spf = SpfResult(Result.PASS, "author.example")
        dmarc = DmarcResult(Result.PASS, "author.example")
        tag = Sealing().told(session(spf=spf, dmarc=dmarc), content, LOCAL, forwarded())
        assert tag is not None
        assert tag.reason == "sealed by example.net, cv=none"
        assert [name for name, _ in tag.headers] == [
            "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results",
        ]  # fmt: skip
        result = verified(sent(tag, content), DNS, trusted=["example.net"])
        assert (result.result, result.dmarc) == (Result.PASS, Result.PASS)
        assert result.detail.startswith("i=1; mx.example.net; spf=pass")

    def test_on_top_of_a_chain(self) -> None:
        content = Content(sealed(HEADER, LIST))
        tag = Sealing().told(session(arc=ArcResult(Result.PASS)), content, forwarded())
        result = verified(sent(tag, content), DNS)
        assert result.sealers == ("example.net", "list.example")
        assert result

    def test_a_chain_that_failed_is_said_to_have(self) -> None:
        content = Content(sealed(HEADER, LIST).replace(b"Minutes", b"Money"))
        who = session(arc=ArcResult(Result.FAIL))
        tag = Sealing().told(who, content, forwarded())
        assert tag is not None
        assert tag.reason == "sealed by example.net, cv=fail"
        again = Content(sent(tag, content))
        tag = Sealing().told(who, again, forwarded())
        assert tag == Tag("not sealed: the chain has come to its end")

    def test_a_chain_that_nobody_validated(self) -> None:
        tag = Sealing().told(session(), Content(sealed(HEADER, LIST)), forwarded())
        assert tag == Tag("not sealed: nobody validated the chain")

    def test_a_message_that_is_to_be_changed(self) -> None:
        who = session()
        only_envelope = Tag("milter", amendment=Amendment(null_sender=True))
        who.found = who.found.plus([only_envelope])
        assert Sealing().told(who, Content(), forwarded()).headers  # type: ignore[union-attr]
        who.found = who.found.plus([Tag("milter", amendment=Amendment(body=b"Other.\r\n"))])
        tag = Sealing().told(who, Content(), forwarded())
        assert tag == Tag("not sealed: the message is to be changed")
        assert who.found.plus([only_envelope]).is_amended

    @pytest.mark.parametrize(
        "recipient",
        [
            LOCAL,
            replace(LOCAL, original=ALIAS),
            Recipient(Address.parse("ann@elsewhere.example")),  # relayed, no alias
            Recipient(ALIAS, original=ALIAS),  # the alias itself, for the sender's DSN
        ],
    )
    def test_what_stays_is_not_sealed(self, recipient: Recipient) -> None:
        sealing, content = Sealing(), Content()
        assert sealing.told(session(), content, recipient) is None
        assert sealing.asked == []
        assert content.open_body.opened == 0

    def test_what_our_own_send_is_not_sealed(self) -> None:
        assert Sealing().told(session("198.51.100.1"), Content(), forwarded()) is None

    def test_the_first_domain_with_a_key(self) -> None:
        sealing = Sealing()
        other = forwarded(alias=Address.parse("a@other.example"))
        tag = sealing.told(session(), Content(), other, other, forwarded(), forwarded())
        assert tag is not None
        assert tag.headers
        assert sealing.asked == ["other.example", "example.net"]

    def test_no_key(self) -> None:
        content = Content()
        other = forwarded(alias=Address.parse("a@other.example"))
        assert Sealing().told(session(), content, other) is None
        assert content.open_body.opened == 0

    @pytest.mark.parametrize(
        "error", [ValueError("x"), OSError("x"), TransientFailure(Reply(451, None, "Busy"), "busy")]
    )
    def test_trouble_costs_no_mail(self, error: Exception) -> None:
        seen: list[Any] = []

        @implementer(ILogObserver)
        def observe(event: Any) -> None:
            seen.append(event)

        globalLogPublisher.addObserver(observe)
        try:
            tag = Sealing(error=error).told(session(), Content(), forwarded())
        finally:
            globalLogPublisher.removeObserver(observe)
        assert tag == Tag(f"not sealed: {type(error).__name__}")
        assert any(event.get("log_failure") for event in seen)

    def test_fields_are_whole(self) -> None:
        content = Content()
        tag = Sealing().told(session(), content, forwarded())
        names = [field.name for field in fields(sent(tag, content))]
        assert names[3:] == ["X-Added", *(field.name for field in fields(HEADER))]
        assert content.open_body.data == BODY
