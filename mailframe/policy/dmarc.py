"""DMARC (RFC 9989): does the domain of the author in From stand by the message?

Works with what ``spf``, ``dkim`` and ``arc`` found out before; where one of the first two was not
asked, callables given to the constructor check it here. A message that fails is refused with 550
5.7.26 (RFC 7372 section 3.4), filed as junk, or only marked, as its author's domain wishes and the
configuration allows. Not held against it:

- what cannot be checked because the DNS does not answer (temperror) or From is broken (permerror);
- that somebody whose seals are trusted forwarded it, and says that it passed there (RFC 8617).
  While the DNS does not tell whether the seals are genuine, it is put off instead of refused;
- that a network of ours handed it on: the client's address says nothing of its author.

Every message that was judged by a record with ``rua`` is noted for the daily report, except mail to
the addresses in ``quiet``: reports would be made about reports, for ever.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Literal

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.authentication import (
    Authentication,
    DkimResult,
    DmarcAction,
    DmarcResult,
    Result,
    SpfResult,
)
from mailframe.core.envelope import Envelope
from mailframe.core.observation import DmarcObservation
from mailframe.core.reply import Reply
from mailframe.core.session import Session
from mailframe.core.verdict import Symbol, Tag, Verdict
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import IContent, IMessagePolicy, IResolver
from mailframe.mailauth.dmarc import check_dmarc, parse_record
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred

Response = Literal["reject", "junk", "tag"]
SpfCheck = Callable[[Session, Envelope], Awaitable[SpfResult]]
DkimCheck = Callable[[IContent], Awaitable[tuple[DkimResult, ...]]]

_REFUSED = Reply(
    550,
    status.AUTHENTICATION_FAILED,
    "The message does not come from where it says: refused as the author's domain asks (DMARC)",
)
_LATER = Reply(
    451,
    status.AUTHENTICATION_FAILED,
    "The keys of who forwarded the message cannot be had for now, please come again",
)
# Points. A pass says who sends, not that it is wanted.
_SYMBOLS = {
    Result.PASS: ("DMARC_PASS", -0.3),
    Result.FAIL: ("DMARC_FAIL", 1.0),
    Result.NONE: ("DMARC_NONE", 0.1),
    Result.TEMPERROR: ("DMARC_TEMPERROR", 0.0),
    Result.PERMERROR: ("DMARC_PERMERROR", 1.0),
}
_WISHED = {
    DmarcAction.QUARANTINE: ("DMARC_QUARANTINE", 3.0),
    DmarcAction.REJECT: ("DMARC_REJECT", 4.0),
}
_DONE = {
    "reject": DmarcAction.REJECT,
    "junk": DmarcAction.QUARANTINE,
    "tag": DmarcAction.NONE,
}


@implementer(IMessagePolicy)
class DmarcPolicy:
    """``random`` draws from [0, 1). ``note`` must not block, nor raise. ``quiet``: addresses whose
    mail is not noted. ``timeout``: seconds for all lookups of a message."""

    name = "dmarc"

    def __init__(
        self,
        *,
        strangers: Strangers,
        resolver: IResolver,
        clock: IReactorTime,
        random: Callable[[], float],
        on_reject: Response = "reject",
        on_quarantine: Response = "junk",
        note: Callable[[DmarcObservation], None] | None = None,
        quiet: Iterable[str] = (),
        spf: SpfCheck | None = None,
        dkim: DkimCheck | None = None,
        timeout: float = 20.0,
    ) -> None:
        self._strangers = strangers
        self._resolver = resolver
        self._clock = clock
        self._random = random
        self._responses: dict[DmarcAction, Response] = {
            DmarcAction.NONE: "tag",
            DmarcAction.QUARANTINE: on_quarantine,
            DmarcAction.REJECT: on_reject,
        }
        self._note = note
        self._quiet = frozenset(address.casefold() for address in quiet)
        self._spf = spf
        self._dkim = dkim
        self._timeout = timeout

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        if not self._strangers.is_stranger(session):
            return None
        is_handed_on = not self._strangers.is_unknown_client(session)
        auth = await self._known(session, envelope, content, is_handed_on)
        dmarc = _pardoned(await self._check(content.header, auth), auth, is_handed_on)
        response = self._responses[dmarc.action]
        if response == "reject" and (trouble := _unproved(auth)):
            raise TransientFailure(_LATER, f"{_reason(dmarc)}, arc: {trouble}")
        self._observe(session, envelope, auth, dmarc, _DONE[response])
        if response == "reject":
            raise PermanentFailure(_REFUSED, _reason(dmarc))
        return Tag(
            _reason(dmarc),
            folder="Junk" if response == "junk" else "",
            auth=replace(auth, dmarc=dmarc),
            symbols=(_symbol(dmarc),),
        )

    async def _known(
        self, session: Session, envelope: Envelope, content: IContent, is_handed_on: bool
    ) -> Authentication:
        auth = session.found.auth
        if auth.spf is None and self._spf is not None and not is_handed_on:
            auth = replace(auth, spf=await self._spf(session, envelope))
        if not auth.dkim and self._dkim is not None:
            auth = replace(auth, dkim=await self._dkim(content))
        return auth

    async def _check(self, header: bytes, auth: Authentication) -> DmarcResult:
        checked: Deferred[DmarcResult] = as_deferred(
            check_dmarc(self._resolver, header, auth, random=self._random)
        )
        try:
            return await checked.addTimeout(self._timeout, self._clock)
        except TimeoutError:
            return DmarcResult(Result.TEMPERROR, "", reason="DNS: took too long")

    def _observe(
        self,
        session: Session,
        envelope: Envelope,
        auth: Authentication,
        dmarc: DmarcResult,
        done: DmarcAction,
    ) -> None:
        if self._note is None or dmarc.result not in (Result.PASS, Result.FAIL):
            return
        if not session.peer_ip or self._is_quiet(envelope):
            return
        record = parse_record(dmarc.record.encode("latin-1", "replace"))
        if record is None or not record.aggregate:
            return
        sender = envelope.reverse_path
        self._note(
            DmarcObservation(
                when=self._clock.seconds(),
                source_ip=session.peer_ip,
                envelope_from=sender.domain if sender is not None else "",
                disposition=done,
                dmarc=dmarc,
                spf=auth.spf,
                dkim=auth.dkim,
                override=_override(dmarc, done),
            )
        )

    def _is_quiet(self, envelope: Envelope) -> bool:
        named = [each.original or each.address for each in envelope.recipients]
        return bool(self._quiet) and any(address.key in self._quiet for address in named)


def _pardoned(dmarc: DmarcResult, auth: Authentication, is_handed_on: bool) -> DmarcResult:
    if dmarc.result is not Result.FAIL:
        return dmarc
    arc = auth.arc
    # RFC 8617 section 7.2.1
    if arc is not None and arc and arc.trusted and arc.dmarc is Result.PASS:
        return replace(dmarc, action=DmarcAction.NONE, override=f"arc={arc.trusted}")
    if is_handed_on:
        return replace(dmarc, action=DmarcAction.NONE, override="trusted network")
    return dmarc


def _unproved(auth: Authentication) -> str:
    """Why the seals that would make up for a failure cannot be checked; empty: that is not so."""
    arc = auth.arc
    if arc is None or not arc.is_unproved or not arc.trusted or arc.dmarc is not Result.PASS:
        return ""
    return arc.reason


def _override(dmarc: DmarcResult, done: DmarcAction) -> str:
    """RFC 9990 section 3.1.1.11 has the types."""
    if dmarc.override in ("policy_test_mode", "sampled_out"):
        return dmarc.override
    if dmarc.override == "trusted network":
        return "trusted_forwarder"
    if dmarc.override or done is not dmarc.action:
        return f"local_policy: {dmarc.override}" if dmarc.override else "local_policy"
    return ""


def _symbol(dmarc: DmarcResult) -> Symbol:
    name, weight = _WISHED.get(dmarc.action, _SYMBOLS[dmarc.result])
    if dmarc.override.startswith("arc=") or dmarc.override == "trusted network":
        name, weight = "DMARC_OVERRIDDEN", 0.0
    return Symbol(name, weight, dmarc.domain)


def _reason(dmarc: DmarcResult) -> str:
    words = [dmarc.result.value, dmarc.domain]
    if dmarc.record_domain:
        words.append(f"p={dmarc.published.value}")
        if dmarc.record_domain != dmarc.domain:
            words.append(f"(of {dmarc.record_domain})")
    if dmarc.aligned_by:
        words.append(f"by {' and '.join(dmarc.aligned_by)}")
    if dmarc.override:
        words.append(f"override: {dmarc.override}")
    if dmarc.reason:
        words.append(f"({dmarc.reason[:200]})")
    return " ".join(filter(None, words))
