"""The verdict: is one of the identifiers that passed aligned with the author's domain?

Several authors' domains are checked each; the one that fails with the strictest wish decides
(RFC 7489 section 6.6.1: RFC 9989 leaves such messages to the receiver). A message whose From
cannot be read, or is missing, is permerror, which asks for nothing: to refuse it is the business
of syntax checks. If what can be seen in such a From fails, that counts. More authors' domains than
are looked at are permerror too, and quarantined: it is nobody's way of writing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mailframe.core.authentication import (
    Authentication,
    DkimResult,
    DmarcAction,
    DmarcResult,
    Result,
    SpfResult,
)
from mailframe.errors import DnsTemporary
from mailframe.interfaces import IResolver
from mailframe.mailauth.dmarc.author import authors
from mailframe.mailauth.dmarc.discovery import Walk, exists, walk
from mailframe.mailauth.dmarc.names import a_label
from mailframe.mailauth.dmarc.record import DmarcRecord

_SEVERITY = (DmarcAction.NONE, DmarcAction.QUARANTINE, DmarcAction.REJECT)
_WORST_FIRST = (Result.FAIL, Result.TEMPERROR, Result.PERMERROR, Result.NONE, Result.PASS)
# Signatures whose domains are walked up for alignment: of those that passed.
_MOST_SIGNATURES = 10


async def check_dmarc(
    resolver: IResolver, header: bytes, auth: Authentication, *, random: Callable[[], float]
) -> DmarcResult:
    """``random`` draws from [0, 1) for ``pct``. Uses ``auth.spf`` and ``auth.dkim``; what was not
    checked did not pass. Never raises."""
    found = authors(header)
    if not found.domains:
        return DmarcResult(Result.PERMERROR, "", reason=found.trouble)
    walks: dict[str, Walk] = {}
    results = [await _check(resolver, domain, auth, walks, random) for domain in found.domains]
    worst = min(results, key=_badness)
    if found.are_too_many and worst.action is DmarcAction.NONE:
        # a policy is not evaded by naming its domain behind others, until nobody asks for it
        return replace(
            worst, result=Result.PERMERROR, action=DmarcAction.QUARANTINE, reason=found.trouble
        )
    if found.trouble and worst.result is not Result.FAIL:
        # a pass of what was guessed from a broken field vouches for nothing
        return replace(
            worst, result=Result.PERMERROR, action=DmarcAction.NONE, reason=found.trouble
        )
    return replace(worst, reason=worst.reason or found.trouble)


def _badness(result: DmarcResult) -> tuple[int, int]:
    """The least decides: the strictest wish of those that fail, else what is furthest from pass."""
    return -_SEVERITY.index(result.action), _WORST_FIRST.index(result.result)


async def _check(
    resolver: IResolver,
    domain: str,
    auth: Authentication,
    walks: dict[str, Walk],
    random: Callable[[], float],
) -> DmarcResult:
    try:
        own = await _walk(resolver, domain, walks)
        applicable = own.applicable()
        if applicable is None:
            return DmarcResult(Result.NONE, domain)
        where, record = applicable
        aligned, uncertain = await _alignment(resolver, own, record, auth, walks)
        is_own = where == domain
        lives = is_own or record.nonexistent is None or await exists(resolver, domain)
    except DnsTemporary as error:
        return DmarcResult(Result.TEMPERROR, domain, reason=f"DNS: {error}")
    wanted = record.action_for(is_own=is_own, exists=lives)
    base = DmarcResult(
        Result.PASS,
        domain,
        record_domain=where,
        published=wanted,
        aligned_by=aligned,
        record=record.text,
    )
    if aligned:
        return base
    # RFC 7489 section 6.6.2 step 6: what could not be checked may have passed
    if uncertain:
        return replace(base, result=Result.TEMPERROR, reason=f"{uncertain} could not be checked")
    action, override = _applied(wanted, record, random)
    return replace(base, result=Result.FAIL, action=action, override=override)


async def _walk(resolver: IResolver, domain: str, walks: dict[str, Walk]) -> Walk:
    """Each domain once a message."""
    if domain not in walks:
        walks[domain] = await walk(resolver, domain)
    return walks[domain]


async def _alignment(
    resolver: IResolver,
    own: Walk,
    record: DmarcRecord,
    auth: Authentication,
    walks: dict[str, Walk],
) -> tuple[tuple[str, ...], str]:
    """What passed in alignment; and what might have, but for DNS."""

    async def is_aligned(name: str, strict: bool) -> bool:
        domain = a_label(name)
        if domain == own.domain or not domain:
            return bool(domain)
        if strict or not _may_share(domain, own.domain):
            return False
        other = await _walk(resolver, domain, walks)
        # RFC 9989 section 4.10.2 for both, not only for the author's
        return other.organization == own.organization

    passed: list[str] = []
    uncertain: list[str] = []
    spf: Sequence[SpfResult] = (auth.spf,) if auth.spf is not None else ()
    signatures: Sequence[DkimResult] = auth.dkim
    for method, results, strict in (
        ("dkim", _best(signatures), record.strict_dkim),
        ("spf", spf, record.strict_spf),
    ):
        for result in results:
            into = {Result.PASS: passed, Result.TEMPERROR: uncertain}.get(result.result)
            if into is None or method in into:
                continue
            if await is_aligned(result.domain, strict):
                into.append(method)
    return tuple(sorted(passed)), " and ".join(uncertain)


def _best(signatures: Sequence[DkimResult]) -> Sequence[DkimResult]:
    return [each for each in signatures if each or each.result is Result.TEMPERROR][
        :_MOST_SIGNATURES
    ]


def _may_share(one: str, other: str) -> bool:
    """Names of different top levels have no organization in common: nobody need be asked."""
    return one.rpartition(".")[2] == other.rpartition(".")[2]


def _applied(
    wanted: DmarcAction, record: DmarcRecord, random: Callable[[], float]
) -> tuple[DmarcAction, str]:
    """What is to be done, and why it is milder than what is wanted."""
    if wanted is DmarcAction.NONE:
        return wanted, ""
    milder = _SEVERITY[_SEVERITY.index(wanted) - 1]
    # RFC 9989 section 4.7, t=y; RFC 7489 section 6.6.4, pct: both one step down
    if record.is_testing:
        return milder, "policy_test_mode"
    if record.percent < 100 and random() * 100 >= record.percent:
        return milder, "sampled_out"
    return wanted, ""
