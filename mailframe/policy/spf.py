"""SPF (RFC 7208): may this client send for the domain of the reverse-path, and be called so?

Both identities are checked at MAIL, side by side. With the null reverse-path the HELO name is all
there is, and its result is the result (section 2.4). A fail of the reverse-path is refused where
``on_fail`` says so, with 550 5.7.23 (RFC 7372 section 3.2) and the domain owner's words; one of
the HELO name beside a reverse-path is a symbol only. Errors are never refused: the DNS may be to
blame, or a slip of the domain's owner.
"""

from __future__ import annotations

from typing import Literal

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.authentication import Authentication, Result, SpfResult
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Session
from mailframe.core.verdict import Symbol, Tag, Verdict
from mailframe.errors import PermanentFailure
from mailframe.interfaces import IMailPolicy, IResolver
from mailframe.mailauth.spf import as_reply_text, check_helo, check_spf
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred

OnFail = Literal["tag", "reject"]

# Points. A pass says who sends, not that it is wanted; a fail may be forwarded mail.
_SYMBOLS = {
    Result.NONE: ("SPF_NONE", 0.3),
    Result.PASS: ("SPF_PASS", -0.1),
    Result.FAIL: ("SPF_FAIL", 2.0),
    Result.SOFTFAIL: ("SPF_SOFTFAIL", 1.0),
    Result.NEUTRAL: ("SPF_NEUTRAL", 0.3),
    Result.TEMPERROR: ("SPF_TEMPERROR", 0.0),
    Result.PERMERROR: ("SPF_PERMERROR", 0.5),
}
_HELO_FAIL = ("SPF_HELO_FAIL", 1.0)


@implementer(IMailPolicy)
class SpfPolicy:
    """``hostname`` is ours; ``timeout`` in seconds for all lookups of a message."""

    name = "spf"

    def __init__(
        self,
        *,
        strangers: Strangers,
        resolver: IResolver,
        clock: IReactorTime,
        hostname: str,
        on_fail: OnFail = "tag",
        timeout: float = 20.0,
    ) -> None:
        self._strangers = strangers
        self._resolver = resolver
        self._clock = clock
        self._hostname = hostname
        self._on_fail = on_fail
        self._timeout = timeout

    async def mail(self, session: Session, envelope: Envelope) -> Verdict:
        if not session.peer_ip or not self._strangers.is_unknown_client(session):
            return None
        helo, spf = await self._check(session, envelope)
        if spf.result is Result.FAIL and self._on_fail == "reject":
            text = as_reply_text(spf.domain, spf.explanation)
            raise PermanentFailure(Reply(550, status.SPF_FAILED, text), _reason(spf))
        words = [_reason(spf)] if spf is helo else [_reason(spf), _reason(helo)]
        return Tag(
            ", ".join(words),
            auth=Authentication(helo=helo, spf=spf),
            symbols=tuple(_symbols(helo, spf)),
        )

    async def result(self, session: Session, envelope: Envelope) -> SpfResult:
        """Of the reverse-path; for whoever needs it without this policy."""
        return (await self._check(session, envelope))[1]

    async def _check(self, session: Session, envelope: Envelope) -> tuple[SpfResult, SpfResult]:
        """Of the HELO name, and of the reverse-path."""
        name = session.helo
        helo_check = as_deferred(
            check_helo(
                self._resolver,
                session.peer_ip,
                name,
                hostname=self._hostname,
                timeout=self._timeout,
                clock=self._clock,
            )
        )
        sender = envelope.reverse_path
        if sender is None or not sender.domain:
            helo = await helo_check
            return helo, helo
        spf = await check_spf(
            self._resolver,
            session.peer_ip,
            sender,
            name,
            hostname=self._hostname,
            timeout=self._timeout,
            clock=self._clock,
        )
        return await helo_check, spf


def _symbols(helo: SpfResult, spf: SpfResult) -> list[Symbol]:
    name, weight = _SYMBOLS[spf.result]
    symbols = [Symbol(name, weight, spf.domain)]
    if helo is not spf and helo.result is Result.FAIL:
        symbols.append(Symbol(*_HELO_FAIL, helo.domain))
    return symbols


def _reason(result: SpfResult) -> str:
    words = [result.result.value, f"{result.identity}={result.domain or result.sender}"]
    if result.mechanism:
        words.append(f"({result.mechanism[:100]})")
    if result.reason:
        words.append(f"({result.reason[:200]})")
    return " ".join(words)
