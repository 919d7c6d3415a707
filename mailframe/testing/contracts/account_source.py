"""``IAccountSource``: accounts that others keep; and ``IPasswordSource``, where it is provided."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

from mailframe.core.address import Address
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces import Entry, IAccountSource, IPasswordSource
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import WRITABLE_NAMES, address_or_none


class AccountSourceContract(Contract):
    """Give it ``make``, and say whom it knows; ``make_down``, where it can be down."""

    address = "ann@example.test"
    """Of somebody who is known."""
    account = "ann@example.test"
    """Whose it is."""
    login = "ann@example.test"
    """Of ``IPasswordSource``: what that user types."""
    password = b"secret"
    """Of ``IPasswordSource``."""

    def make(self) -> Any:
        """A source that can be asked now."""
        self.not_given("make")

    def make_down(self) -> Any:
        """The same while it cannot be asked; None: that does not happen."""
        return None

    def test_it_provides_what_it_says(self) -> None:
        source = self.make()
        self.provides(IAccountSource, source)
        assert isinstance(source.name, str)
        assert source.name

    def test_its_domains(self) -> None:
        """Their mail is never relayed, and nobody else is asked about it."""
        domains = list(self.make().domains)
        assert self.address.rpartition("@")[2] in domains
        for domain in domains:
            assert domain == domain.lower(), f"{domain}: in lower case"
            assert domain.isascii(), f"{domain}: in A-labels"

    def test_who_is_there(self) -> None:
        found = self._find(self.make(), self.address)
        assert isinstance(found, Entry), f"{found!r}"
        assert found.account == self.account
        assert found.account == found.account.lower(), "or one user has two mailboxes"
        assert all(isinstance(address, Address) for address in found.addresses)
        assert found.has_mailbox or found.forward, "mail for it would vanish"

    def test_who_is_not_there(self) -> None:
        """550 5.1.1 at RCPT."""
        domain = self.address.rpartition("@")[2]
        assert self._find(self.make(), f"nobody-of-that-name@{domain}") is None

    def test_hostile_addresses_are_nobody_s(self) -> None:
        source = self.make()
        domain = self.address.rpartition("@")[2]
        for name in (*WRITABLE_NAMES, "*", "%", "a b", "ann)(objectClass=*"):
            address = address_or_none(name, domain)
            if address is not None:
                found = self.wait(source.find(address))
                assert found is None or found.account != self.account, (
                    f"{address} is taken for {self.account}"
                )

    def test_a_source_that_is_down_knows_nothing(self) -> None:
        """451, and the mail waits. None instead would bounce it."""
        source = self.make_down()
        if source is None:
            raise SkipTest("it is never down")
        self.must_raise(TransientFailure, lambda: source.find(Address.parse(self.address)))
        if IPasswordSource.providedBy(source):
            self.must_raise(TransientFailure, lambda: source.check(self.login, self.password))

    def test_a_question_can_be_given_up(self) -> None:
        """The client of the RCPT has gone."""
        source = self.make()
        self.give_up_on(source.find(Address.parse(self.address)))
        assert self._find(source, self.address) is not None

    # ---- IPasswordSource

    def test_the_right_password_yields_the_account(self) -> None:
        source = self._checking()
        assert self.wait(source.check(self.login, self.password)) == self.account

    def test_wrong_passwords_and_logins_are_refused_alike(self) -> None:
        source = self._checking()
        wrong = self.must_raise(LoginFailed, lambda: source.check(self.login, b"wrong"))
        nobody = self.must_raise(LoginFailed, lambda: source.check("nobody@example.test", b"wrong"))
        assert wrong.reply == nobody.reply, "it tells who exists"

    def test_hostile_logins_are_refused(self) -> None:
        source = self._checking()
        for name in (*WRITABLE_NAMES, "*", "ann)(uid=*", f"{self.login}\0"):
            self.must_raise(
                LoginFailed,
                lambda name=name: source.check(name, self.password),  # type: ignore[misc]
            )
        for password in (b"\xff\xfe", b"*", b"' OR ''='", b"x" * 100_000):
            self.must_raise(
                LoginFailed,
                lambda password=password: source.check(self.login, password),  # type: ignore[misc]
            )

    def _checking(self) -> Any:
        source = self.make()
        self.needs(IPasswordSource, source)
        return source

    def _find(self, source: Any, address: str) -> Any:
        return self.wait(source.find(Address.parse(address)))
