"""Greylisting (RFC 6647): who was never heard of is put off once, and let in when it comes back.

A triplet is the client's network, the reverse-path and the recipient. Its first attempt gets 450
with the time to come back in; an attempt after ``delay`` and within ``window`` passes, and the
triplet is known for ``keep`` seconds after its last use. A network that came back with
``auto_allow`` triplets is a mail server and is not put off any more.

Let through at once: users, trusted networks and relay clients; what an allow list of ``dnsbl``
speaks for; mail to the postmaster (RFC 5321 section 4.5.1). The null reverse-path is judged
only at the end of the data: a server that asks whether an address exists, with MAIL, RCPT and
QUIT, gets its answer.

Decisions are made on what is remembered here and in ``greylist_store``. A database that fails
lets mail through: greylisting is a convenience, and never the reason why mail is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.ip import network_around, plain_ip
from mailframe.core.reply import Reply
from mailframe.core.resolution import Resolution
from mailframe.core.session import Session
from mailframe.core.verdict import Tag, Verdict
from mailframe.errors import TransientFailure
from mailframe.interfaces import IContent, IMessagePolicy, IRecipientPolicy
from mailframe.policy.dnsbl import is_allowed
from mailframe.policy.greylist_store import GreylistStore, StoreFailed, Triplet
from mailframe.policy.strangers import Strangers

# A triplet in use is written down again only when this part of its time has passed.
_REFRESH = 0.05


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds; see the module."""

    delay: float = 300.0
    window: float = 172_800.0
    keep: float = 3_110_400.0


@implementer(IRecipientPolicy, IMessagePolicy)
class GreylistPolicy:
    """``auto_allow`` 0: no network is ever let through as a whole. ValueError for a prefix that
    is none."""

    name = "greylist"

    def __init__(
        self,
        store: GreylistStore,
        *,
        strangers: Strangers,
        clock: IReactorTime,
        times: Times = Times(),
        auto_allow: int = 5,
        ipv4_prefix: int = 24,
        ipv6_prefix: int = 64,
    ) -> None:
        self._store = store
        self._strangers = strangers
        self._clock = clock
        self._times = times
        self._auto_allow = auto_allow
        if not (0 < ipv4_prefix <= 32 and 0 < ipv6_prefix <= 128):
            raise ValueError(f"no network has a prefix of /{ipv4_prefix} or /{ipv6_prefix}")
        self._prefixes = (ipv4_prefix, ipv6_prefix)

    async def recipient(
        self, session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> Verdict:
        if envelope.reverse_path is None:
            return None
        return await self._judge(session, envelope.reverse_path, [recipient])

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        if envelope.reverse_path is not None:
            return None
        return await self._judge(session, None, envelope.recipients)

    async def _judge(
        self, session: Session, sender: Address | None, recipients: Iterable[Recipient]
    ) -> Verdict:
        network = self._network(session.peer_ip)
        if not network or not self._strangers.is_unknown_client(session):
            return None
        named = [recipient.original or recipient.address for recipient in recipients]
        judged = dict.fromkeys(a.key for a in named if a.local_part.lower() != "postmaster")
        if not judged or is_allowed(session.found):
            return None
        now = self._clock.seconds()
        try:
            if await self._is_mail_server(network, now):
                return Tag(f"known network {network}")
            waits = [await self._wait(network, sender, each, now) for each in judged]
        except StoreFailed as failure:
            return Tag(f"let through unseen: {failure}")
        longest = max(waits)
        if longest > 0:
            raise TransientFailure(_come_back(longest), f"new triplet of {network}")
        return Tag(f"known triplet of {network}")

    async def _is_mail_server(self, network: str, now: float) -> bool:
        least = self._auto_allow
        return bool(least) and await self._store.passes(network, now) >= least

    async def _wait(
        self, network: str, sender: Address | None, recipient: str, now: float
    ) -> float:
        """How many seconds it has to wait yet; 0: it may come in."""
        times = self._times
        key = _key(network, sender.key if sender is not None else "", recipient)
        known = await self._store.find(key, now)
        if known is None or (known.passed is None and known.first > now):
            # From the future: the clock was set back, and nobody shall wait for it to return.
            self._store.keep(key, Triplet(network, now, None, now))
            return times.delay
        if known.passed is None:
            if now - known.first < times.delay:
                return known.first + times.delay - now
            self._store.keep(key, Triplet(network, known.first, now, now))
            self._store.count_pass(network, now)
        elif now - known.last > times.keep * _REFRESH:
            self._store.keep(key, Triplet(network, known.first, known.passed, now))
        return 0.0

    def _network(self, peer_ip: str) -> str:
        address = plain_ip(peer_ip)
        return "" if address is None else network_around(address, *self._prefixes)


def _key(network: str, sender: str, recipient: str) -> bytes:
    # hashed: short, of one length, and the file does not tell who writes to whom
    words = "\0".join((network, sender, recipient))
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _come_back(seconds: float) -> Reply:
    text = f"Greylisted, please come again in {_rounded(seconds)}"
    return Reply(450, status.NOT_AUTHORIZED, text)


def _rounded(seconds: float) -> str:
    whole = max(1, -int(-seconds // 1))
    return f"{whole} seconds" if whole != 1 else "1 second"
