"""Who is it: checking credentials, and the avatar that a login yields."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from twisted.cred.credentials import ICredentials
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface, implementer

from mailframe.core.address import Address
from mailframe.core.scram import ScramVerifier
from mailframe.core.session import Session
from mailframe.interfaces.mailbox import IMailbox


class IMailAccount(Interface):
    """The avatar of a logged-in user; submission, POP3, IMAP and web all work on this one.

    A realm returns it from ``requestAvatar(avatarId, mind, IMailAccount)``.
    """

    name: str = Attribute("Canonical account name, ``local-part@domain`` in lower case.")

    def owns(address: Address) -> bool | Awaitable[bool]:
        """Whether the user may write mail from this address.

        Submission asks for the reverse-path (refused: 553 5.7.1) and for From.
        """

    def inbox() -> IMailbox | Awaitable[IMailbox]:
        """The INBOX. Called once a POP3 login. A TransientFailure becomes ``-ERR [SYS/TEMP]``,
        a PermanentFailure ``-ERR [SYS/PERM]``. An avatar of a realm that is no ``IMailStore``
        may return None: its mail is in the built-in Maildirs, and so is its INBOX."""

    def logout() -> None:
        """The session that held the avatar is over; called exactly once."""


class IVerifiedIdentity(ICredentials):
    """Credentials that a SASL mechanism has already proved, such as SCRAM."""

    username: bytes = Attribute("The login that was proved, UTF-8.")


@implementer(IVerifiedIdentity)
class VerifiedIdentity:
    """Made by server shells only, after the mechanism's own proof succeeded."""

    def __init__(self, username: bytes) -> None:
        self.username = username


class IBearerToken(ICredentials):
    """An OAuth 2.0 access token that a client offers (SASL OAUTHBEARER, XOAUTH2).

    A checker of these yields the account whose token it is, and refuses (LoginFailed) one that
    is not the named user's.
    """

    username: bytes = Attribute("The login that the client named, UTF-8; empty: none.")
    token: str = Attribute("As it came: RFC 6750's ``b64token``. Never for a log.")


@implementer(IBearerToken)
class BearerToken:
    """Made by server shells."""

    def __init__(self, username: bytes, token: str) -> None:
        self.username = username
        self.token = token


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """What a client is told whose token was refused (RFC 7628 section 3.2.2)."""

    scope: str = ""
    """What a token has to be for, words separated by spaces."""
    openid_configuration: str = ""
    """The URL of the document that says where tokens are to be had."""


class ITokenTerms(Interface):
    """Optional power of a credentials checker of IBearerToken: it says which tokens it takes."""

    terms: TokenTerms = Attribute("For clients; public.")


class IAuthenticator(Interface):
    """The one door for logins, the same object behind SMTP, POP3 and IMAP.

    Holds the Portal; throttles by peer and by account; spends the same time whether or not
    the user exists. Servers never see a checker.
    """

    mechanisms: frozenset[str] = Attribute(
        "SASL mechanism names that can succeed with the checkers at hand (``PLAIN``, "
        "``LOGIN``, ``SCRAM-SHA-256``, ``SCRAM-SHA-256-PLUS``, ``OAUTHBEARER``, ``XOAUTH2``), and "
        "``APOP`` where a checker can. TLS is the server's to consider."
    )
    token_terms: TokenTerms = Attribute(
        "Of the first checker of tokens; empty where there is none."
    )

    def login(credentials: ICredentials, session: Session) -> Deferred[IMailAccount]:
        """Check and log in. Fails with LoginFailed (535 5.7.8), LoginThrottled (454 4.7.0),
        or another TransientFailure where the source of accounts cannot be asked."""

    def scram_verifier(login: str, session: Session) -> Deferred[ScramVerifier]:
        """For SCRAM's server-first message. An unknown user gets a stable made-up one."""

    def note_failure(login: str, session: Session) -> None:
        """A mechanism found the proof wrong by itself; counts like a failed ``login``."""


class IScramVerifiers(Interface):
    """Optional power of a credentials checker: it keeps SCRAM-SHA-256 verifiers."""

    def scram_verifier(login: str) -> ScramVerifier | Awaitable[ScramVerifier | None] | None:
        """None: no such user, or none kept for this user."""


class IRecentFetches(Interface):
    """POP-before-SMTP: which addresses fetched mail lately."""

    def note(peer_ip: str, account: str) -> None:
        """POP3 or IMAP calls this after a login from ``peer_ip``, and when the session ends."""

    def may_relay(peer_ip: str) -> str | None:
        """The account that fetched from there within the time allowed, else None."""
