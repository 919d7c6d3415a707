"""DNS block and allow lists (RFC 5782): who lists the client, and the names it goes by.

Lists of addresses are asked when the client connects, lists of domains at MAIL: about the
domain of the reverse-path, the HELO name and the client's own name. All at once, each with
``timeout`` seconds to answer; what does not answer counts nothing. Every list that answered is a
symbol, ``DNSBL:zen.example`` or, of an allow list, ``DNSWL:...``, with its weight.

The sum of the weights is held against ``threshold`` only at RCPT. Mail to the postmaster of a
domain here must get through, or nobody could tell us that a list is wrong (RFC 5321 section
4.5.1), and the journal gets envelopes of what was refused instead of bare addresses.

Trusted networks, users and relay clients are not looked up. A list that fails its tests
(``dnsbl_health``) counts nothing. Answers are cached by the resolver.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.ip import plain_ip
from mailframe.core.reply import Reply
from mailframe.core.resolution import Resolution
from mailframe.core.session import Session
from mailframe.core.verdict import Findings, Symbol, Tag, Verdict
from mailframe.errors import DnsTemporary, PermanentFailure
from mailframe.interfaces import IConnectPolicy, IMailPolicy, IRecipientPolicy, IResolver
from mailframe.policy.dnsbl_health import (
    DOMAINS,
    IPV4,
    IPV6,
    ListHealth,
    TestPoints,
    answers_within,
    within,
)
from mailframe.policy.dnsbl_lists import (
    DnsList,
    as_domain,
    is_answer,
    parse_list,
    reversed_ip,
)
from mailframe.policy.strangers import Strangers
from mailframe.runtime.aio import as_deferred

ALLOWED = "DNSWL:"
_PREFIXES = ("DNSBL:", ALLOWED)
_LONGEST_REASON = 160  # characters of a list's own words that peers and journal see
_UNPRINTABLE = re.compile(rb"[^ -~]+")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What one list said of one name."""

    symbol: Symbol | None = None
    trouble: str = ""
    """Why it said nothing that counts."""


@implementer(IConnectPolicy, IMailPolicy, IRecipientPolicy)
class DnsblPolicy:
    """``lists`` and ``domain_lists`` as in the configuration; ValueError for what is none.
    ``rejects`` False: only symbols. ``timeout`` in seconds."""

    name = "dnsbl"

    def __init__(
        self,
        lists: Iterable[str],
        domain_lists: Iterable[str],
        *,
        strangers: Strangers,
        resolver: IResolver,
        clock: IReactorTime,
        threshold: float = 1.0,
        rejects: bool = True,
        timeout: float = 5.0,
    ) -> None:
        self._lists = [parse_list(text) for text in lists]
        self._domain_lists = [parse_list(text) for text in domain_lists]
        self._strangers = strangers
        self._resolver = resolver
        self._clock = clock
        self._threshold = threshold
        self._rejects = rejects
        self._timeout = timeout
        self._health: dict[tuple[str, TestPoints], ListHealth] = {}

    # the stages

    async def connect(self, session: Session) -> Verdict:
        address = plain_ip(session.peer_ip)
        if not self._lists or address is None or not self._strangers.is_client_unknown_yet(session):
            return None
        points = IPV4 if address.version == 4 else IPV6
        prefix, name = reversed_ip(address), str(address)
        asked = [self._ask(each, points, prefix, name) for each in self._lists]
        return _tag(await _all(asked))

    async def mail(self, session: Session, envelope: Envelope) -> Verdict:
        if not self._domain_lists or not self._strangers.is_unknown_client(session):
            return None
        asked = [
            self._ask(each, DOMAINS, name, name)
            for name in _names(session, envelope)
            for each in self._domain_lists
        ]
        return _tag(await _all(asked)) if asked else None

    def recipient(
        self, session: Session, envelope: Envelope, recipient: Recipient, resolution: Resolution
    ) -> Verdict:
        if not self._rejects or not self._strangers.is_unknown_client(session):
            return None
        # RFC 5321 section 4.5.1. Strangers reach only addresses of ours here.
        if recipient.address.local_part.lower() == "postmaster":
            return None
        symbols = [s for s in session.found.symbols if s.name.startswith(_PREFIXES)]
        total = sum(symbol.weight for symbol in symbols)
        if not symbols or total < self._threshold or total <= 0:
            return None
        worst = max(symbols, key=lambda symbol: symbol.weight)
        detail = f"{total:g} points: {_listing(symbols)}"
        raise PermanentFailure(_refusal(worst), detail)

    # one question

    async def _ask(self, each: DnsList, points: TestPoints, prefix: str, name: str) -> _Outcome:
        """What the list says of ``prefix``, which stands for ``name``. Never raises."""
        health = self._health_of(each.zone, points)
        # both at once: the first client of the hour waits no longer than the others
        checking = as_deferred(health.is_sound())
        question = f"{prefix}.{each.zone}"
        trouble = ""
        answers: tuple[str, ...] = ()
        try:
            answers = await answers_within(self._resolver, question, self._timeout, self._clock)
        except DnsTemporary as error:
            health.suspect()
            trouble = f"does not answer ({error})"
        good = [answer for answer in answers if is_answer(answer)]
        if len(good) < len(answers):
            health.suspect()
            odd = next(answer for answer in answers if not is_answer(answer))
            trouble = f"gave the odd answer {odd}"
        if not await checking:
            return _Outcome(trouble=f"{each.zone} {health.trouble}")
        counting = [answer for answer in good if each.counts(answer)]
        if not counting:
            return _Outcome(trouble=f"{each.zone} {trouble}" if trouble else "")
        return _Outcome(await self._listed(each, question, name, counting))

    async def _listed(
        self, each: DnsList, question: str, name: str, answers: Sequence[str]
    ) -> Symbol:
        words = [name, *answers[:4]]
        if not each.is_allowing and (reason := await self._reason(question)):
            words.append(reason)
        return Symbol(each.symbol, each.weight, " ".join(words))

    async def _reason(self, question: str) -> str:
        """The list's words about it (RFC 5782 section 2.1): one line, printable, not long."""
        try:
            texts = await within(lambda: self._resolver.txt(question), self._timeout, self._clock)
        except DnsTemporary:
            return ""
        text = _UNPRINTABLE.sub(b"?", texts[0][: 2 * _LONGEST_REASON]) if texts else b""
        return text.decode("ascii").strip()[:_LONGEST_REASON]

    def _health_of(self, zone: str, points: TestPoints) -> ListHealth:
        known = self._health.get((zone, points))
        if known is None:
            known = ListHealth(zone, points, self._resolver, self._clock, self._timeout)
            self._health[zone, points] = known
        return known


def is_allowed(found: Findings) -> bool:
    """Whether an allow list speaks for the client."""
    return any(symbol.name.startswith(ALLOWED) for symbol in found.symbols)


def _names(session: Session, envelope: Envelope) -> list[str]:
    sender = envelope.reverse_path.domain if envelope.reverse_path is not None else ""
    iprev = session.found.auth.iprev
    names = (sender, session.helo, iprev.name if iprev is not None else "")
    return list(dict.fromkeys(name for text in names if (name := as_domain(text))))


async def _all(asked: Sequence[Coroutine[Any, Any, _Outcome]]) -> list[_Outcome]:
    started = [as_deferred(each) for each in asked]
    return [await each for each in started]


def _tag(outcomes: Sequence[_Outcome]) -> Tag:
    # a list may list several names of one client, and counts once
    symbols = {o.symbol.name: o.symbol for o in outcomes if o.symbol is not None}
    found = tuple(symbols.values())
    troubles = dict.fromkeys(outcome.trouble for outcome in outcomes if outcome.trouble)
    said = _listing(found) if found else "not listed"
    return Tag("; ".join([said, *troubles]), symbols=found)


def _listing(symbols: Iterable[Symbol]) -> str:
    return ", ".join(f"{symbol.name} {symbol.weight:+g} ({symbol.detail})" for symbol in symbols)


def _refusal(worst: Symbol) -> Reply:
    zone = worst.name.partition(":")[2]
    return Reply(550, status.MESSAGE_REFUSED, f"Refused, listed by {zone}: {worst.detail}")
