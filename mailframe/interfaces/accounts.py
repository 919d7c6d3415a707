"""Accounts that others keep: a directory server, a database, a web service, a program."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass

from zope.interface import Attribute, Interface

from mailframe.core.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a source knows about one address."""

    account: str
    """Canonical name of the account that it leads to, ``local-part@domain`` in lower case."""
    addresses: tuple[Address, ...] = ()
    """All at which the account gets mail, and from which it may write."""
    forward: tuple[Address, ...] = ()
    """Mail goes on to these instead."""
    keeps_copy: bool = False
    """And into the mailbox as well; means nothing without ``forward``."""
    is_list: bool = False
    """``forward`` are members of a list: whoever is one may not write from its address."""
    is_enabled: bool = True
    """False: neither mail nor logins; the mailbox stays."""
    has_mailbox: bool = True
    """False: an alias or list, of which nobody is the user."""
    quota: int | None = None
    """Octets, 0 for no limit; None: what the server's configuration says. So are messages."""
    quota_messages: int | None = None
    """How many messages, likewise."""
    folder: str = ""
    """To file into; empty for the INBOX."""
    courier: str = ""
    """As of ``Local.courier``."""
    groups: tuple[str, ...] = ()
    """Names of groups that it is a member of."""


class IAccountSource(Interface):
    """Who is at home in some domains. Named in ``[auth] checkers`` or made by an application."""

    name: str = Attribute("As the configuration calls it: ``ldap:office``. For logs.")
    domains: Collection[str] = Attribute(
        "Mail domains it decides about, A-labels in lower case. Their mail is never relayed."
    )

    def find(address: Address) -> Awaitable[Entry | None]:
        """What is at that address, an account's own or another one of its; None: nothing.

        Asked at RCPT, VRFY, EXPN and submission, at logins with the account's name, and when
        mail is put into its mailbox; only of addresses at ``domains``. An address with a detail
        (``ann+shop``) is asked for whole first, then without it. Targets in ``forward`` are
        followed by whoever asks. Raises TransientFailure where the source cannot be asked
        (4xx for the peer, the mail waits); never 5xx for that. PermanentFailure is the source's
        own word that this address takes no mail, and its reply what the peer hears: for
        applications, which may have something to say.
        """


class IDomainSource(IAccountSource):
    """Optional power of an ``IAccountSource``: it has more domains than ``domains`` names, or none
    that are known beforehand."""

    def holds(domain: str) -> Awaitable[bool]:
        """Whether it decides about that domain (A-labels in lower case), too.

        Asked of every domain that is none of ``domains``: of those that others have, as well.
        Raises TransientFailure where it cannot be known now: mail for the domain is then put
        off, for it may be ours.
        """


class IAnyDomain(IAccountSource):
    """Optional power of an ``IAccountSource``: it may know addresses at any domain, and decides
    about none of them, like ``{user}@{domain}`` in an application. Where nobody else knows an
    address either, it is elsewhere, as if this source had not been asked. (One that decides about
    domains is an ``IDomainSource``.)"""

    def may_know(domain: str) -> bool:
        """Whether to ask it about an address of that domain, A-labels in lower case. Called for
        every recipient elsewhere; must not block, nor raise."""


class ITryableSource(IAccountSource):
    """Optional power of an ``IAccountSource``: it can say whether what it was told to ask makes
    sense, though nobody wants to know anything."""

    def try_questions() -> Awaitable[Sequence[str]]:
        """Asks each kind of question once, about somebody who does not exist, and yields what is
        wrong with them, a sentence each.

        For ``mailframe check``. Raises TransientFailure where it cannot be asked at all.
        """


class IPasswordSource(IAccountSource):
    """Optional power of an ``IAccountSource``: it can check passwords, too."""

    def check(login: str, password: bytes) -> Awaitable[str]:
        """The canonical name of the account whose login and password these are.

        ``login`` is what the client typed, decoded; it may be no address. Raises LoginFailed,
        for an account that does not exist as for a wrong password, and TransientFailure where
        the source cannot be asked. An empty password is never asked about.
        """
