"""``IRealm`` of twisted.cred, and the ``IMailAccount`` that it yields."""

from __future__ import annotations

from typing import Any

from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from zope.interface import Interface

from mailframe.core.address import Address
from mailframe.errors import LoginFailed
from mailframe.interfaces import IFolderAccount, IFolders, IMailAccount, IMailbox
from mailframe.testing.contracts.contract import Contract
from mailframe.testing.contracts.material import HOSTILE_NAMES, address_or_none


class INothing(Interface):
    """That no realm yields."""


class RealmContract(Contract):
    """Give it ``make``, and say whom it knows. What else the realm provides has suites of its own:
    ``ResolverContract``, ``MailStoreContract``, ``CheckerContract``."""

    account = b"ann@example.test"
    """What a checker yields."""
    address = "ann@example.test"
    """From which that user may write."""
    foreign = "nobody-of-that-name@elsewhere.example"
    """From which that user may not write."""

    def make(self) -> Any:
        """A realm that knows ``account``."""
        self.not_given("make")

    def test_it_provides_what_it_says(self) -> None:
        self.provides(IRealm, self.make())

    def test_it_yields_an_account(self) -> None:
        """Asked at each login, with the name that the checker yielded."""
        interface, account, logout = self._enter(self.make())
        assert interface is IMailAccount
        self.provides(IMailAccount, account)
        assert callable(logout)
        account.logout()

    def test_the_name_is_canonical(self) -> None:
        """Logs, quotas, limits and the mail store know the account by it: one spelling, or one
        user has two mailboxes."""
        _, account, _ = self._enter(self.make())
        assert isinstance(account.name, str)
        assert account.name == account.name.lower()
        local_part, at, domain = account.name.rpartition("@")
        assert local_part, "local-part@domain"
        assert at
        assert domain
        assert self._enter(self.make())[1].name == account.name

    def test_two_sessions_at_once(self) -> None:
        realm = self.make()
        _, first, _ = self._enter(realm)
        _, second, _ = self._enter(realm)
        assert first.name == second.name
        first.logout()
        assert self.wait(second.owns(Address.parse(self.address))), (
            "one session's end is another's, too"
        )
        second.logout()

    def test_whose_addresses(self) -> None:
        """Submission: 553 5.7.1 for anybody else's. Too much here, and users write as others."""
        _, account, _ = self._enter(self.make())
        assert self.wait(account.owns(Address.parse(self.address)))
        upper = Address.parse(self.address.upper())
        assert self.wait(account.owns(upper)), "RFC 5321 section 2.4: case is not the user's fault"
        for foreign in (self.foreign, f"x{self.address}"):
            assert not self.wait(account.owns(Address.parse(foreign))), f"he may write as {foreign}"
        domain = self.address.rpartition("@")[2]
        for name in HOSTILE_NAMES:
            address = address_or_none(name, domain)
            if address is not None:
                assert not self.wait(account.owns(address)), f"he may write as {address}"

    def test_the_inbox(self) -> None:
        """Asked once a POP3 session; None means the built-in Maildir."""
        _, account, _ = self._enter(self.make())
        inbox = self.wait(account.inbox())
        if inbox is not None:
            self.provides(IMailbox, inbox)

    def test_the_folders(self) -> None:
        """Without ``IFolderAccount`` IMAP says that the account has none."""
        _, account, _ = self._enter(self.make())
        self.needs(IFolderAccount, account)
        self.provides(IFolders, self.wait(account.folders()))

    def test_it_says_so_where_it_cannot(self) -> None:
        """``twisted.cred``: NotImplementedError for interfaces that it does not know."""
        self.must_raise(
            (NotImplementedError,),
            lambda: self.make().requestAvatar(self.account, None, INothing),
        )

    def test_hostile_names(self) -> None:
        """Names come from checkers, and from Sieve, delegation and tokens: an unknown one is a
        failed login, or an account without anything; nobody's else."""
        realm = self.make()
        for name in HOSTILE_NAMES:
            octets = name.encode("utf-8", "surrogatepass")
            found = self.may_fail(
                lambda octets=octets: realm.requestAvatar(octets, None, IMailAccount),  # type: ignore[misc]
                UnauthorizedLogin,
                LoginFailed,
                KeyError,
            )
            if isinstance(found, tuple):
                assert found[1].name != self.account.decode(), f"{name!r} is somebody"

    def _enter(self, realm: Any) -> tuple[Any, Any, Any]:
        found = self.wait(realm.requestAvatar(self.account, None, IMailAccount))
        assert isinstance(found, tuple), "twisted.cred: interface, avatar, logout"
        assert len(found) == 3
        return found
