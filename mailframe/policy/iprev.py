"""The client's name: does its address lead to a name, and the name back to it (RFC 8601 section 3)?

Asked when the client connects; held against it, where ``on_fail`` says so, only at RCPT: mail to
the postmaster of a domain here must get through (RFC 5321 section 4.5.1), and the journal gets
envelopes instead of bare addresses. A DNS that does not answer is held against nobody.
"""

from __future__ import annotations

from typing import Literal

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.authentication import Authentication, IprevResult, Result
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Resolution
from mailframe.core.session import Session
from mailframe.core.verdict import Symbol, Tag, Verdict
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import IConnectPolicy, IRecipientPolicy, IResolver
from mailframe.mailauth.iprev import MISMATCH, NO_NAME, check_iprev
from mailframe.policy.strangers import Strangers

OnFail = Literal["tag", "defer", "reject"]

# Points: many senders of spam have no name, few mail servers; a mismatch is often an oversight.
_SYMBOLS = {NO_NAME: ("NO_RDNS", 1.5), MISMATCH: ("RDNS_MISMATCH", 0.7)}

_TEXT = "Your address has no name that leads back to it"
REJECTED = Reply(550, status.REVERSE_DNS_FAILED, _TEXT)
DEFERRED = Reply(450, status.REVERSE_DNS_FAILED, _TEXT)


@implementer(IConnectPolicy, IRecipientPolicy)
class IprevPolicy:
    """``timeout`` in seconds: how long a greeting may wait for the DNS."""

    name = "iprev"

    def __init__(
        self,
        *,
        strangers: Strangers,
        resolver: IResolver,
        clock: IReactorTime,
        on_fail: OnFail = "tag",
        timeout: float = 10.0,
    ) -> None:
        self._strangers = strangers
        self._resolver = resolver
        self._clock = clock
        self._on_fail = on_fail
        self._timeout = timeout

    async def connect(self, session: Session) -> Verdict:
        if not session.peer_ip or not self._strangers.is_client_unknown_yet(session):
            return None
        found = await check_iprev(
            self._resolver, session.peer_ip, timeout=self._timeout, clock=self._clock
        )
        return Tag(_reason(found), auth=Authentication(iprev=found), symbols=_symbols(found))

    def recipient(
        self, session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> Verdict:
        found = session.found.auth.iprev
        if self._on_fail == "tag" or found is None or found.result is not Result.FAIL:
            return None
        # RFC 5321 section 4.5.1. Strangers reach only addresses of ours here.
        is_postmaster = recipient.address.local_part.lower() == "postmaster"
        # somebody who has logged in meanwhile is no stranger any more
        if is_postmaster or not self._strangers.is_unknown_client(session):
            return None
        if self._on_fail == "defer":
            raise TransientFailure(DEFERRED, _reason(found))
        raise PermanentFailure(REJECTED, _reason(found))


def _symbols(found: IprevResult) -> tuple[Symbol, ...]:
    if found.result is not Result.FAIL:
        return ()
    name, weight = _SYMBOLS[found.reason]
    return (Symbol(name, weight, found.ip),)


def _reason(found: IprevResult) -> str:
    words = [found.result.value, found.name or found.ip, found.reason]
    return " ".join(word for word in words if word)
