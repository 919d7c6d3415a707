"""ARC (RFC 8617): what those who forwarded a message saw of it; and our own word where we do so.

``ArcPolicy`` validates the chain of strangers' mail. Nothing is refused for a broken one: a chain
that failed is as good as none. Whether a trusted sealer makes up for a DMARC failure is the
``dmarc`` policy's business, which finds the result in ``session.found``.

``SealPolicy`` seals what strangers send to an alias that leads elsewhere, with the key of the
alias' domain, so that those behind it can know what we found. It comes last: the seal covers the
fields that the others added, and says what all of them found. Mail that cannot be sealed goes on
without a seal, and so does what another policy wants changed: the change comes after all policies
and would break the seal, which is worse than none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.core.authentication import ArcResult, Authentication, Result
from mailframe.core.envelope import Envelope
from mailframe.core.session import Session
from mailframe.core.verdict import Symbol, Tag, Verdict
from mailframe.interfaces import IContent, IMessagePolicy, IResolver, IWorkers
from mailframe.mailauth.arc import ArcLimits, has_chain, seal_arc, verify_arc
from mailframe.mailauth.dkim import SigningKey
from mailframe.mailauth.results import authentication_results
from mailframe.message.trace import field_lines
from mailframe.policy.strangers import Strangers

KeyFor = Callable[[str], Awaitable[SigningKey | None]]

# No points: a chain may be forged up to its last seal, and lists break honest ones.
_SYMBOLS = {Result.PASS: ("ARC_PASS", 0.0), Result.FAIL: ("ARC_FAIL", 0.0)}
_SEALERS_IN_REASON = 5
_MOST_DOMAINS = 10  # aliases of one message whose domains are asked for a key


@implementer(IMessagePolicy)
class ArcPolicy:
    """``workers`` is where hashing and arithmetic happen; ``trusted_sealers`` are domains."""

    name = "arc"

    def __init__(
        self,
        *,
        strangers: Strangers,
        resolver: IResolver,
        workers: IWorkers,
        clock: IReactorTime,
        trusted_sealers: Collection[str] = (),
        limits: ArcLimits,
    ) -> None:
        self._strangers = strangers
        self._resolver = resolver
        self._workers = workers
        self._clock = clock
        self._trusted = tuple(trusted_sealers)
        self._limits = limits

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        if not self._strangers.is_stranger(session):
            return None
        arc = await verify_arc(
            self._resolver,
            content.header,
            content.open_body,
            self._workers,
            now=self._clock.seconds(),
            limits=self._limits,
            clock=self._clock,
            trusted=self._trusted,
        )
        if arc.result is Result.NONE:
            return None
        name, weight = _SYMBOLS[arc.result]
        symbol = Symbol(name, weight, arc.trusted or ", ".join(arc.sealers[:1]))
        return Tag(_reason(arc), auth=Authentication(arc=arc), symbols=(symbol,))


@implementer(IMessagePolicy)
class SealPolicy:
    """``key_for`` tells the key that a domain seals with, None for none. ``authserv_id`` is our
    name in Authentication-Results."""

    name = "seal"
    log = Logger()

    def __init__(
        self,
        *,
        strangers: Strangers,
        workers: IWorkers,
        clock: IReactorTime,
        key_for: KeyFor,
        authserv_id: str,
    ) -> None:
        self._strangers = strangers
        self._workers = workers
        self._clock = clock
        self._key_for = key_for
        self._authserv_id = authserv_id

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        domains = _domains_of_aliases(envelope)
        if not domains or not self._strangers.is_stranger(session):
            return None
        if session.found.is_amended:
            return Tag("not sealed: the message is to be changed")
        auth = session.found.auth
        if auth.arc is None and has_chain(content.header):
            return Tag("not sealed: nobody validated the chain")
        try:
            return await self._sealed(domains, auth, content)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the message goes on
            self.log.failure("{queue_id} could not be sealed", queue_id=content.queue_id)
            return Tag(f"not sealed: {type(error).__name__}")

    async def _sealed(self, domains: list[str], auth: Authentication, content: IContent) -> Verdict:
        key = await self._key(domains)
        if key is None:
            return None
        arc = auth.arc if auth.arc is not None else ArcResult(Result.NONE)
        sealed = await seal_arc(
            content.added + content.header,
            content.open_body,
            self._workers,
            key,
            self._authserv_id,
            authentication_results(self._authserv_id, auth),
            arc,
            now=self._clock.seconds(),
        )
        if not sealed:
            return Tag("not sealed: the chain has come to its end")
        return Tag(f"sealed by {key.domain}, cv={arc.result.value}", headers=field_lines(sealed))

    async def _key(self, domains: list[str]) -> SigningKey | None:
        for domain in domains:
            if (key := await self._key_for(domain)) is not None:
                return key
        return None


def _domains_of_aliases(envelope: Envelope) -> list[str]:
    """Each once, of those that lead elsewhere."""
    named = [
        each.original.domain
        for each in envelope.recipients
        if each.mailbox is None and each.original is not None and not each.is_expanded
    ]
    return list(dict.fromkeys(named))[:_MOST_DOMAINS]


def _reason(arc: ArcResult) -> str:
    words = [arc.result.value]
    if arc.sealers:
        words.append(f"sealed by {', '.join(arc.sealers[:_SEALERS_IN_REASON])}")
    if len(arc.sealers) > _SEALERS_IN_REASON:
        words.append(f"and {len(arc.sealers) - _SEALERS_IN_REASON} more")
    if arc.trusted:
        words.append(f"trusted {arc.trusted}: dmarc={arc.dmarc.value}")
    if arc.reason:
        words.append(f"({arc.reason[:200]})")
    return " ".join(words)
