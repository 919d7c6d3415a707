"""Rate limits: how much is too much, counted per address, network, user, domain or tenant.

What is over is put off, not refused: a connection with 421 4.7.0, a login with 454 4.7.0, the
rest with 450 4.7.1 at the first stage that knows (MAIL, RCPT, the end of the data). Which limit
decided is the journal's to know.

Counted is what was let in: a connection once it is greeted, a message and its recipients once
they are accepted. From the end of the data until then they are reserved, so that many sessions
at once cannot all pass; what another policy refuses afterwards is given back. Recipients are
counted as the client named them, however many an alias makes of them. Failed logins count by
every protocol, connections those of SMTP. Limits per user, domain and tenant need a login, or
POP-before-SMTP; peers by LMTP are servers of our own and have no limits.

While an address or network has too many failed logins, submission listeners do not greet it and
no login is checked; mail from other servers there still comes in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Resolution
from mailframe.core.session import Role, Session
from mailframe.errors import LoginThrottled, TransientFailure
from mailframe.interfaces import (
    IAcceptedPolicy,
    IConnectPolicy,
    IContent,
    IDisconnectPolicy,
    IMailPolicy,
    IMessagePolicy,
    IRecipientPolicy,
    IRefusedPolicy,
)
from mailframe.policy.rate_rules import Rule, What, Whom, client_of
from mailframe.policy.rate_store import WindowStore

TOO_MANY_CONNECTIONS = Reply(421, status.SECURITY_OTHER, "Too many connections, try again later")
TOO_MANY_FAILURES = Reply(421, status.SECURITY_OTHER, "Too many failed logins, try again later")
TOO_MANY_MESSAGES = Reply(450, status.NOT_AUTHORIZED, "Too many messages, try again later")
TOO_MANY_RECIPIENTS = Reply(450, status.NOT_AUTHORIZED, "Too many recipients, try again later")

_REPLIES = {
    What.CONNECTIONS: TOO_MANY_CONNECTIONS,
    What.FAILED_LOGINS: TOO_MANY_FAILURES,
    What.MESSAGES: TOO_MANY_MESSAGES,
    What.RECIPIENTS: TOO_MANY_RECIPIENTS,
}
_CLIENTS = (Whom.ADDRESS, Whom.NETWORK)
_SENDING = (What.MESSAGES, What.RECIPIENTS)
_RECIPIENTS = (What.RECIPIENTS,)


class HasTenant(Protocol):
    @property
    def tenant(self) -> str: ...


Settings = Callable[[str], Awaitable[HasTenant]]
Reservation = list[tuple[Rule, str, int]]


@implementer(
    IConnectPolicy,
    IMailPolicy,
    IRecipientPolicy,
    IMessagePolicy,
    IAcceptedPolicy,
    IRefusedPolicy,
    IDisconnectPolicy,
)
class RatePolicy:
    """``settings(domain)`` knows the domain's tenant; without it a domain is its own. ``store``
    is started and stopped by its owner; without one nothing outlives the process."""

    name = "rate"

    def __init__(
        self,
        rules: Iterable[Rule],
        clock: IReactorTime,
        *,
        store: WindowStore | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._clock = clock
        self._store = store or WindowStore(None, clock)
        self._settings = settings
        self._rules: tuple[Rule, ...] = ()
        self._reserved: dict[str, Reservation] = {}
        self.account_of: Callable[[Session], str | None] = _login
        """Who sends; set where there are other ways than a login (``IRelayPermission.account``)."""
        self.follow(rules)

    def follow(self, rules: Iterable[Rule]) -> None:
        """Other rules from now on; what was counted still counts."""
        before, self._rules = self._rules, tuple(rules)
        for rule in self._rules:
            self._store.windows(rule.counted, rule.seconds)
        for counted in {rule.counted for rule in before} - {rule.counted for rule in self._rules}:
            self._store.drop(counted)

    # the stages

    def connect(self, session: Session) -> None:
        if session.role is Role.LMTP:
            return
        if session.role is Role.SUBMISSION:
            self._check_clients(What.FAILED_LOGINS, session.peer_ip)
        self._check_clients(What.CONNECTIONS, session.peer_ip)
        for rule, who in self._clients(What.CONNECTIONS, session.peer_ip):
            self._add(rule, who, 1)

    def mail(self, session: Session, envelope: Envelope) -> Awaitable[None] | None:
        rules = self._applying(session, _SENDING)
        return self._mail(session, rules) if rules else None

    def recipient(
        self, session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> Awaitable[None] | None:
        rules = self._applying(session, _RECIPIENTS)
        return self._recipient(session, rules, envelope, recipient) if rules else None

    def message(
        self, session: Session, envelope: Envelope, content: IContent
    ) -> Awaitable[None] | None:
        rules = self._applying(session, _SENDING)
        return self._message(session, rules, envelope) if rules else None

    async def _mail(self, session: Session, rules: Iterable[Rule]) -> None:
        for rule, who in await self._counted(session, rules):
            self._check(rule, who)

    async def _recipient(
        self, session: Session, rules: Iterable[Rule], envelope: Envelope, recipient: Recipient
    ) -> None:
        for rule, who in await self._counted(session, rules):
            # counted exactly only where it may matter: a message can have thousands
            if self._over(rule, who, len(envelope.recipients) + 1):
                self._check(rule, who, len({*_named(envelope), recipient.address}))

    async def _message(self, session: Session, rules: Iterable[Rule], envelope: Envelope) -> None:
        counts = {What.MESSAGES: 1, What.RECIPIENTS: len(_named(envelope))}
        counted = await self._counted(session, rules)
        # asked again: other sessions may have been quicker since MAIL
        for rule, who in counted:
            self._check(rule, who, counts[rule.what])
        reserved = [(rule, who, counts[rule.what]) for rule, who in counted]
        for each in reserved:
            self._add(*each)
        if reserved:
            self._reserved[session.id] = reserved

    def refused(self, session: Session, stage: str, reply: Reply) -> None:
        if stage == "message":
            self._give_back(session)

    def accepted(self, session: Session, envelope: Envelope) -> None:
        self._reserved.pop(session.id, None)

    def disconnected(self, session: Session) -> None:
        # not given back: the commit of a client that left during it goes on
        self._reserved.pop(session.id, None)

    # failed logins, by any protocol

    def check_login(self, peer_ip: str, account: str) -> None:
        """Raises LoginThrottled. ``account`` as far as the login names one."""
        for rule, who in self._attempts(peer_ip, account):
            if self._over(rule, who, 1):
                raise LoginThrottled(_reason(rule, who))

    def login_failed(self, peer_ip: str, account: str) -> None:
        for rule, who in self._attempts(peer_ip, account):
            self._add(rule, who, 1)

    def _attempts(self, peer_ip: str, account: str) -> list[tuple[Rule, str]]:
        found = self._clients(What.FAILED_LOGINS, peer_ip)
        names = {Whom.USER: account, Whom.DOMAIN: _domain(account)}
        for rule in self._rules:
            if rule.what is What.FAILED_LOGINS and names.get(rule.whom):
                found.append((rule, names[rule.whom]))
        return found

    # counting

    def _clients(self, what: What, peer_ip: str) -> list[tuple[Rule, str]]:
        if not self._rules:
            return []
        found = [
            (rule, client_of(peer_ip, rule.whom))
            for rule in self._rules
            if rule.what is what and rule.whom in _CLIENTS
        ]
        return [(rule, who) for rule, who in found if who]

    def _applying(self, session: Session, what: Sequence[What]) -> list[Rule]:
        """The rules about these that may apply to the session: none to most strangers."""
        if not self._rules or session.role is Role.LMTP:
            return []
        is_known = self.account_of(session) is not None
        return [
            rule
            for rule in self._rules
            if rule.what in what and (is_known or rule.whom in _CLIENTS)
        ]

    async def _counted(self, session: Session, rules: Iterable[Rule]) -> list[tuple[Rule, str]]:
        """Those that count somebody, and whom."""
        found = []
        for rule in rules:
            if who := await self._who(session, rule.whom):
                found.append((rule, who))
        return found

    async def _who(self, session: Session, whom: Whom) -> str:
        """Empty where there is nobody to count."""
        if whom in _CLIENTS:
            return client_of(session.peer_ip, whom)
        account = self.account_of(session)
        if account is None or whom is Whom.USER:
            return account or ""
        domain = _domain(account)
        if whom is Whom.TENANT and domain and self._settings is not None:
            return (await self._settings(domain)).tenant
        return domain

    def _check_clients(self, what: What, peer_ip: str) -> None:
        for rule, who in self._clients(what, peer_ip):
            self._check(rule, who)

    def _check(self, rule: Rule, who: str, more: int = 1) -> None:
        """Whether so many more are too many. Raises TransientFailure."""
        if self._over(rule, who, more):
            raise TransientFailure(_REPLIES[rule.what], _reason(rule, who))

    def _over(self, rule: Rule, who: str, more: int) -> bool:
        windows = self._store.windows(rule.counted, rule.seconds)
        return windows.total(who, self._clock.seconds()) + more > rule.number

    def _add(self, rule: Rule, who: str, count: int) -> None:
        windows = self._store.windows(rule.counted, rule.seconds)
        windows.add(who, self._clock.seconds(), count)

    def _give_back(self, session: Session) -> None:
        counted = {rule.counted for rule in self._rules}
        for rule, who, count in self._reserved.pop(session.id, ()):
            if rule.counted in counted:
                self._add(rule, who, -count)


def _login(session: Session) -> str | None:
    return session.account


def _named(envelope: Envelope) -> set[Address]:
    """Recipients as the client named them."""
    return {recipient.original or recipient.address for recipient in envelope.recipients}


def _domain(account: str) -> str:
    return account.rpartition("@")[2] if "@" in account else ""


def _reason(rule: Rule, who: str) -> str:
    return f"{rule}: {who[:320]}"
