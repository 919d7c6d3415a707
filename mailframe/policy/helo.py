"""The name by which a client introduces itself: can it be true?

It cannot where it is no host name at all, an address that is not the client's, or a name of ours
(RFC 5321 section 4.1.4 leaves refusing for these to local policy, and forbids it only for a name
that does not lead to the client's address). What is merely odd, a single label or a name that the
DNS does not know, gets its symbol and is never refused.

Judged at HELO, held against the client at RCPT: see ``iprev``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from twisted.internet.defer import TimeoutError as Late
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import AddressError, literal_ip, normal_domain
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.ip import plain_ip
from mailframe.core.reply import Reply
from mailframe.core.resolution import Resolution
from mailframe.core.session import Session
from mailframe.core.verdict import Symbol, Tag, Verdict
from mailframe.errors import DnsTemporary, NoSuchDomain, PermanentFailure
from mailframe.interfaces import IHeloPolicy, IRecipientPolicy, IResolver
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred

OnFail = Literal["tag", "reject"]

SYNTAX, FALSE_LITERAL, OURS = "HELO_SYNTAX", "HELO_FALSE_LITERAL", "HELO_OURS"
LITERAL, BARE, UNKNOWN = "HELO_LITERAL", "HELO_NOT_FQDN", "HELO_UNKNOWN"
_UNTRUE = (SYNTAX, FALSE_LITERAL, OURS)

# Points. Nobody honest uses our name; mail servers with a true literal exist, but are few.
_WEIGHTS = {
    SYNTAX: 1.5,
    FALSE_LITERAL: 2.5,
    OURS: 4.0,
    LITERAL: 0.5,
    BARE: 1.0,
    UNKNOWN: 1.0,
}

REFUSED = Reply(550, status.NOT_AUTHORIZED, "The name you gave in HELO cannot be yours")
_LONGEST_SHOWN = 100


@implementer(IHeloPolicy, IRecipientPolicy)
class HeloPolicy:
    """``own_names``: the host name, and others that no stranger goes by. ``timeout`` in seconds
    for asking whether the name exists."""

    name = "helo"

    def __init__(
        self,
        *,
        strangers: Strangers,
        resolver: IResolver,
        clock: IReactorTime,
        own_names: Iterable[str],
        on_fail: OnFail = "tag",
        timeout: float = 10.0,
    ) -> None:
        self._strangers = strangers
        self._resolver = resolver
        self._clock = clock
        self._own_names = {name.lower().removesuffix(".") for name in own_names}
        self._on_fail = on_fail
        self._timeout = timeout

    async def helo(self, session: Session) -> Verdict:
        if not session.peer_ip or not self._strangers.is_unknown_client(session):
            return None
        shown = session.helo[:_LONGEST_SHOWN]
        symbol = await self._judge(session.helo, session.peer_ip)
        if not symbol:
            return Tag(f"plausible {shown}")
        return Tag(f"{symbol} {shown}", symbols=(Symbol(symbol, _WEIGHTS[symbol], shown),))

    def recipient(
        self, session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> Verdict:
        if self._on_fail == "tag" or not self._strangers.is_unknown_client(session):
            return None
        # RFC 5321 section 4.5.1
        if recipient.address.local_part.lower() == "postmaster":
            return None
        untrue = [s for s in session.found.symbols if s.name in _UNTRUE]
        if untrue:
            raise PermanentFailure(REFUSED, f"{untrue[-1].name} {untrue[-1].detail}")
        return None

    async def _judge(self, helo: str, peer_ip: str) -> str:
        """The symbol; empty where there is nothing to say."""
        try:
            name = normal_domain(helo.removesuffix("."))
        except AddressError:
            return SYNTAX
        if name.startswith("["):
            return LITERAL if _is_same(literal_ip(name), peer_ip) else FALSE_LITERAL
        # RFC 6531 section 3.7.1: EHLO has A-labels; a last label of digits is an address
        if not name.isascii() or name.rpartition(".")[2].isdigit():
            return SYNTAX
        if name in self._own_names:
            return OURS
        if "." not in name:
            return BARE
        return "" if await self._may_exist(name) else UNKNOWN

    async def _may_exist(self, name: str) -> bool:
        """Whether it has addresses or mail exchanges, or the DNS does not tell."""
        try:
            return await as_deferred(self._exists(name)).addTimeout(self._timeout, self._clock)
        except (DnsTemporary, Late):
            return True

    async def _exists(self, name: str) -> bool:
        try:
            return bool(await self._resolver.addresses(name) or await self._resolver.mx(name))
        except NoSuchDomain:
            return False


def _is_same(literal: str | None, peer_ip: str) -> bool:
    address = plain_ip(literal or "")
    return address is not None and address == plain_ip(peer_ip)
