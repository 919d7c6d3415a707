"""``IRecipientResolver``: whose address is it."""

from __future__ import annotations

from typing import Any, get_args

from mailframe.core.address import Address
from mailframe.core.resolution import Elsewhere, Expanded, Local, Refused, Resolution
from mailframe.interfaces import IRecipientResolver
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import HOSTILE_NAMES, address_or_none

ANSWERS = get_args(Resolution)


class ResolverContract(Contract):
    """Give it ``make``, and say whom it knows."""

    known = "ann@example.test"
    """Whose mail is taken here."""
    unknown = "nobody-of-that-name@example.test"
    """At a domain of its own; empty where every address there is somebody's."""
    foreign = "ann@elsewhere.example"
    """At a domain that is not of this system."""

    def make(self) -> Any:
        """A resolver that can answer now."""
        self.not_given("make")

    def test_it_provides_what_it_says(self) -> None:
        self.provides(IRecipientResolver, self.make())

    def test_who_is_known_gets_mail(self) -> None:
        """Asked at RCPT: 250."""
        found = self._ask(self.make(), self.known)
        assert isinstance(found, (Local, Expanded)), f"{found}"
        if isinstance(found, Local):
            assert found.account == found.account.lower(), "the canonical name of the account"
            assert found.account
        else:
            assert found.targets, "an alias for nobody: the mail would vanish"

    def test_case_does_not_matter(self) -> None:
        """RFC 5321 section 2.4 leaves it to us, and people do not care."""
        resolver = self.make()
        upper = self._ask(resolver, self.known.upper())
        assert upper == self._ask(resolver, self.known)

    def test_who_is_unknown_is_refused_at_once(self) -> None:
        """550 at RCPT. Taken and bounced later, the bounce goes to whom spam was forged from."""
        if not self.unknown:
            return
        found = self._ask(self.make(), self.unknown)
        assert isinstance(found, Refused), f"{found}"
        assert found.reply.code // 100 == 5, "4yz: the sender tries for days"

    def test_other_domains_are_not_its_own(self) -> None:
        """``Elsewhere`` is relayed for those who may. A mailbox takes other people's mail."""
        found = self._ask(self.make(), self.foreign)
        assert isinstance(found, (Elsewhere, Refused)), f"{found}"

    def test_the_bare_postmaster(self) -> None:
        """RFC 5321 section 4.5.1: ``RCPT TO:<postmaster>`` has no domain."""
        found = self.may_fail(lambda: self.make().resolve(Address("postmaster", "")))
        assert isinstance(found, (*ANSWERS, Exception))

    def test_it_says_the_same_again(self) -> None:
        resolver = self.make()
        assert self._ask(resolver, self.known) == self._ask(resolver, self.known)

    def test_hostile_addresses(self) -> None:
        """Whatever stands before the at-sign, it is an answer or a reply; and nobody is known by
        a pattern that matches him."""
        resolver = self.make()
        right = self._ask(resolver, self.known)
        domain = self.known.rpartition("@")[2]
        for name in (*HOSTILE_NAMES, "*", "%", "_" * 3, "a b", "ann\tx", "@", "postmaster"):
            address = address_or_none(name, domain)
            if address is None:
                continue
            found = self.may_fail(lambda address=address: resolver.resolve(address))  # type: ignore[misc]
            assert isinstance(found, (*ANSWERS, Exception)), f"{address} is {found!r}"
            if isinstance(right, Local) and isinstance(found, Local) and name != "postmaster":
                assert found.account != right.account or not self.unknown, (
                    f"{address} is taken for {self.known}"
                )

    def test_address_literals(self) -> None:
        """``RCPT TO:<ann@[192.0.2.1]>`` is legal."""
        for text in ("ann@[192.0.2.1]", "ann@[IPv6:2001:db8::1]"):
            found = self.may_fail(lambda text=text: self.make().resolve(Address.parse(text)))  # type: ignore[misc]
            assert isinstance(found, (*ANSWERS, Exception))

    def _ask(self, resolver: Any, address: str) -> Any:
        found = self.wait(resolver.resolve(Address.parse(address)))
        assert isinstance(found, ANSWERS), f"{found!r} is no answer: 451, and a traceback"
        return found
