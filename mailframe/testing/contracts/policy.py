"""``IPolicy``: one that objects at some stages of a session. Only those that it provides are
tried."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from mailframe.core import status
from mailframe.core.authentication import Authentication
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.resolution import Elsewhere, Local
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Symbol, Tag
from mailframe.errors import Failure
from mailframe.interfaces import (
    IAcceptedPolicy,
    IAuthPolicy,
    IConnectPolicy,
    IDisconnectPolicy,
    IHeloPolicy,
    IMailPolicy,
    IMessagePolicy,
    IPolicy,
    IRecipientPolicy,
    IRefusedPolicy,
)
from mailframe.message.trace import field_line
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import MESSAGES, Content, envelope, session

HELOS = ("", "client.example", "[192.0.2.7]", "x" * 255, "\u03b1.example", "a b", "(comment)")
PEERS = ("192.0.2.7", "2001:db8::7", "")
STAGES = (IConnectPolicy, IHeloPolicy, IAuthPolicy, IMailPolicy, IRecipientPolicy, IMessagePolicy)
TOLD = (IAcceptedPolicy, IRefusedPolicy, IDisconnectPolicy)


class PolicyContract(Contract):
    """Give it ``make``."""

    account = "ann@example.test"
    """Who has logged in, where somebody has."""

    def make(self) -> Any:
        """A policy as the server would have it."""
        self.not_given("make")

    def test_it_provides_what_it_says(self) -> None:
        policy = self.make()
        self.provides(IPolicy, policy)
        assert isinstance(policy.name, str)
        assert policy.name, "the journal names the rule that decided"
        stages = [stage for stage in (*STAGES, *TOLD) if stage.providedBy(policy)]
        assert stages, "it is asked at no stage"
        for stage in stages:
            self.provides(stage, policy)

    def test_before_the_greeting(self) -> None:
        """A Reply stands in place of the 220: 421, or 554."""
        policy = self.make()
        self.needs(IConnectPolicy, policy)
        for peer in PEERS:
            found = self._verdict(
                lambda s: policy.connect(s), session(peer_ip=peer, helo="", esmtp=False)
            )
            reply = found.reply if isinstance(found, Failure) else found
            if isinstance(reply, Reply):
                assert reply.code in (421, 554), f"{reply.code} is no greeting"

    def test_after_helo(self) -> None:
        policy = self.make()
        self.needs(IHeloPolicy, policy)
        for helo in HELOS:
            for peer in PEERS:
                self._verdict(lambda s: policy.helo(s), session(peer_ip=peer, helo=helo))

    def test_after_a_login(self) -> None:
        policy = self.make()
        self.needs(IAuthPolicy, policy)
        self._verdict(lambda s: policy.auth(s), self._logged_in())

    def test_at_mail(self) -> None:
        policy = self.make()
        self.needs(IMailPolicy, policy)
        for visit in self._visits():
            for sent in self._senders():
                self._verdict(lambda s, sent=sent: policy.mail(s, sent), visit)

    def test_at_rcpt(self) -> None:
        policy = self.make()
        self.needs(IRecipientPolicy, policy)
        (recipient,) = envelope("ann@example.test").recipients
        for visit in self._visits():
            for sent in self._senders():
                for resolution in (Local(self.account), Elsewhere()):
                    self._verdict(
                        lambda s, sent=sent, resolution=resolution: policy.recipient(
                            s, sent, recipient, resolution
                        ),
                        visit,
                    )

    def test_at_the_end_of_the_data(self) -> None:
        """Whatever the message is: what it raises that is no Failure costs the sender a 451, for
        ever."""
        policy = self.make()
        self.needs(IMessagePolicy, policy)
        for visit in self._visits():
            for sent in self._senders("ann@example.test"):
                for content in map(Content, MESSAGES):
                    self._verdict(
                        lambda s, sent=sent, content=content: policy.message(s, sent, content),
                        visit,
                    )
                    assert content.all_closed, "a source stays open: a file for each message"

    def test_what_it_is_only_told(self) -> None:
        policy = self.make()
        visit, sent = session(), envelope("ann@example.test")
        busy = Reply(451, status.SYSTEM_NOT_ACCEPTING, "Not now")
        calls: dict[Any, Callable[[], Any]] = {
            IAcceptedPolicy: lambda: policy.accepted(visit, sent),
            IRefusedPolicy: lambda: policy.refused(visit, "rcpt", busy),
            IDisconnectPolicy: lambda: policy.disconnected(visit),
        }
        for stage, call in calls.items():
            if stage.providedBy(policy):
                assert call() is None, f"{stage.__name__} has nothing to answer"

    # ---- how

    def _visits(self) -> list[Session]:
        return [
            session(),
            session(helo="", esmtp=False, peer_ip=""),
            session(role=Role.LMTP),
            self._logged_in(),
        ]

    def _logged_in(self) -> Session:
        return session(role=Role.SUBMISSION, listener="submission", account=self.account)

    def _senders(self, *recipients: str) -> list[Envelope]:
        return [
            envelope(*recipients),
            envelope(*recipients, sender=None),
            envelope(*recipients, sender='"odd one"@b.example'),
            dataclasses.replace(envelope(*recipients), smtputf8=True, envid="x y"),
        ]

    def _verdict(self, ask: Any, visit: Session) -> Any:
        """Asked, as the server asks; AssertionError for what is no verdict, and for what was
        changed behind its back."""
        before = _facts(visit)
        found = self.may_fail(lambda: ask(visit))
        assert _facts(visit) == before, "it changed the session: what it wants belongs into a Tag"
        if isinstance(found, Failure):
            return found
        assert found is None or isinstance(found, (Reply, Tag)), (
            f"{found!r} is no verdict: None, a Reply or a Tag"
        )
        if isinstance(found, Reply):
            assert found.code // 100 in (4, 5), f"{found.code} refuses nothing"
        if isinstance(found, Tag):
            _must_be_usable(found)
        return found


def _facts(visit: Session) -> tuple[Any, ...]:
    """All but what is there for extensions."""
    return tuple(
        getattr(visit, each.name) for each in dataclasses.fields(visit) if each.name != "extra"
    )


def _must_be_usable(tag: Tag) -> None:
    for name, value in (*tag.headers, *(h for filing in tag.filings for h in filing.headers)):
        try:
            field_line(name, value)
        except ValueError as error:
            raise AssertionError(f"{name}: {value!r} is no header field") from error
    assert isinstance(tag.reason, str)
    assert "\n" not in tag.reason, "a reason is a few words for the journal"
    assert tag.auth is None or isinstance(tag.auth, Authentication)
    assert all(isinstance(symbol, Symbol) for symbol in tag.symbols)
    assert all(abs(symbol.weight) < 1e6 for symbol in tag.symbols), "points that are no number"
