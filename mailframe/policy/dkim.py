"""DKIM (RFC 6376): who vouches for what strangers send; and our own signatures for what users do.

Strangers' mail is verified, all of it, also what a server of ours handed on: signatures outlive
that. Nothing is refused here. A message without a good signature is one like any other (RFC 6376
section 6.1); what its author's domain wants to be done with it is DMARC's business, which has the
results in ``session.found``. DNS that does not answer is a temperror.

What comes from a login, or from a network that may relay, is signed with the keys of its author's
domain, as ``ISigner`` says. The signatures cover the fields that earlier policies added, so
whoever changes fields afterwards breaks them: stand at the end of what touches users' mail.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core.authentication import Authentication, DkimResult, Result
from mailframe.core.envelope import Envelope
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Symbol, Tag, Verdict
from mailframe.interfaces import (
    IContent,
    IMessagePolicy,
    IRelayPermission,
    IResolver,
    ISigner,
    IWorkers,
)
from mailframe.mailauth.dkim import DkimLimits, verify_dkim
from mailframe.message.trace import field_lines
from mailframe.policy.strangers import Strangers

# The best that any of the signatures came to; points. A pass says who vouches, not that the mail
# is wanted. One that fails says little: lists break honest ones.
_SYMBOLS = {
    Result.PASS: ("DKIM_PASS", -0.1),
    Result.TEMPERROR: ("DKIM_TEMPERROR", 0.0),
    Result.POLICY: ("DKIM_POLICY", 0.2),
    Result.NEUTRAL: ("DKIM_NEUTRAL", 0.0),
    Result.FAIL: ("DKIM_FAIL", 0.5),
    Result.PERMERROR: ("DKIM_PERMERROR", 0.5),
    Result.NONE: ("DKIM_NONE", 0.0),
}
_BEST_FIRST = tuple(_SYMBOLS)
_DOMAINS_IN_REASON = 5


@implementer(IMessagePolicy)
class DkimPolicy:
    """``workers`` is where hashing and arithmetic happen. ``signer`` is None where mail is not to
    be signed."""

    name = "dkim"

    def __init__(
        self,
        *,
        strangers: Strangers,
        resolver: IResolver,
        workers: IWorkers,
        clock: IReactorTime,
        permission: IRelayPermission,
        signer: ISigner | None,
        limits: DkimLimits,
    ) -> None:
        self._strangers = strangers
        self._resolver = resolver
        self._workers = workers
        self._clock = clock
        self._permission = permission
        self._signer = signer
        self._limits = limits

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        if self._strangers.is_stranger(session):
            return _tag(await self.results(content))
        if self._signer is None or not self._is_signed_for(session):
            return None
        if session.found.is_amended:
            # A milter's changes are carried out when all policies have spoken.
            return Tag("not signed: the message is to be changed")
        signatures = await self._signer.sign(content.added + content.header, content.open_body)
        return _signed(signatures) if signatures else None

    def _is_signed_for(self, session: Session) -> bool:
        """Not who only fetched mail from the same address lately: any neighbour could then speak
        for every domain here. Nor what is handed over by LMTP: that is mail of strangers."""
        leave = self._permission.may_relay(session)
        return leave in ("login", "network") and session.role is not Role.LMTP

    async def results(self, content: IContent) -> tuple[DkimResult, ...]:
        """Of every signature, the topmost first; for whoever needs them without this policy."""
        return await verify_dkim(
            self._resolver,
            content.header,
            content.open_body,
            self._workers,
            now=self._clock.seconds(),
            limits=self._limits,
            clock=self._clock,
        )


def _tag(results: Sequence[DkimResult]) -> Tag:
    best = min(results, key=lambda each: _BEST_FIRST.index(_weighed(each)))
    name, weight = _SYMBOLS[_weighed(best)]
    words = [_words(each) for each in results[:_DOMAINS_IN_REASON]]
    if len(results) > len(words):
        words.append(f"{len(results) - len(words)} more")
    return Tag(
        ", ".join(words),
        auth=Authentication(dkim=tuple(results)),
        symbols=(Symbol(name, weight, best.domain),),
    )


def _weighed(result: DkimResult) -> Result:
    # RFC 6376 section 3.6.1, t=y: not to be treated differently from unsigned mail
    is_unsigned = result.is_testing and result.result is Result.FAIL
    return Result.NONE if is_unsigned else result.result


def _words(result: DkimResult) -> str:
    words = [result.result.value, result.domain]
    if result:
        words.append(f"({result.algorithm.partition('-')[0]} {result.key_bits})")
    if result.is_testing:
        words.append("(testing)")
    return " ".join(word for word in (*words, result.reason) if word)


def _signed(signatures: bytes) -> Tag:
    lines = field_lines(signatures)
    number = "one key" if len(lines) == 1 else f"{len(lines)} keys"
    return Tag(f"signed with {number}", headers=lines)
