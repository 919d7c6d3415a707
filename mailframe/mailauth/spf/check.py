"""The two checks of a server: of the reverse-path, and of the name in HELO.

Both end in a value: what the DNS does not tell in ``timeout`` seconds is temperror (RFC 7208
section 4.6.4), what cannot be a domain has no record (section 4.3).
"""

from __future__ import annotations

import idna
from twisted.internet.defer import TimeoutError as Late
from twisted.internet.interfaces import IReactorTime

from mailframe.core.address import Address
from mailframe.core.authentication import Result, SpfResult
from mailframe.core.ip import plain_ip
from mailframe.interfaces import IResolver
from mailframe.mailauth.spf.evaluation import Decision, Evaluation, Facts
from mailframe.mailauth.spf.explanation import safe
from mailframe.mailauth.spf.lookups import Lookups, SpfError
from mailframe.runtime.aio import as_deferred

POSTMASTER = "postmaster"


async def check_spf(
    resolver: IResolver,
    ip: str,
    sender: Address | None,
    helo: str,
    *,
    hostname: str,
    timeout: float = 20.0,
    clock: IReactorTime,
) -> SpfResult:
    """May the client at ``ip`` send for ``sender``? For the null reverse-path: may it be called
    ``helo``? ``hostname`` is ours, ``timeout`` in seconds for all of it."""
    if sender is None or not sender.domain:
        # section 2.4
        return await check_helo(resolver, ip, helo, hostname=hostname, timeout=timeout, clock=clock)
    who = SpfResult(
        Result.NONE, ascii_domain(sender.domain), identity="mailfrom", sender=str(sender)
    )
    return await check_identity(
        resolver, ip, sender.local_part, who, helo, hostname, timeout, clock
    )


async def check_helo(
    resolver: IResolver,
    ip: str,
    helo: str,
    *,
    hostname: str,
    timeout: float = 20.0,
    clock: IReactorTime,
) -> SpfResult:
    """Section 2.3: may the client at ``ip`` call itself ``helo``?"""
    who = SpfResult(Result.NONE, ascii_domain(helo), identity="helo", sender=helo)
    return await check_identity(resolver, ip, POSTMASTER, who, helo, hostname, timeout, clock)


async def check_identity(
    resolver: IResolver,
    ip: str,
    local_part: str,
    who: SpfResult,
    helo: str,
    hostname: str,
    timeout: float,
    clock: IReactorTime,
) -> SpfResult:
    """Check ``who.domain``; the answer is ``who`` with the result filled in."""
    client = plain_ip(ip)  # section 5: of ::ffff:192.0.2.1 the IPv4 address counts
    if client is None or not who.domain:
        return _result(who, Result.NONE, reason="no address" if client is None else "no domain")
    # section 4.3: without a local-part it is the postmaster
    facts = Facts(client, local_part or POSTMASTER, who.domain, helo, hostname, clock.seconds())
    checking = as_deferred(_evaluated(Evaluation(Lookups(resolver, client), facts), who))
    try:
        return await checking.addTimeout(timeout, clock)
    except Late:
        return _result(who, Result.TEMPERROR, reason=f"not done after {timeout:g} seconds")


async def _evaluated(evaluation: Evaluation, who: SpfResult) -> SpfResult:
    try:
        decision = await evaluation.check_host(who.domain)
    except SpfError as error:
        return _result(who, error.result, reason=error.reason)
    explanation = ""
    if decision.result is Result.FAIL:
        explanation = safe(await evaluation.explain(decision))
    return _result(who, decision.result, decision, explanation)


def _result(
    who: SpfResult,
    result: Result,
    decision: Decision | None = None,
    explanation: str = "",
    reason: str = "",
) -> SpfResult:
    return SpfResult(
        result,
        who.domain,
        who.identity,
        who.sender,
        decision.mechanism if decision is not None else "",
        explanation,
        reason,
    )


def ascii_domain(name: str) -> str:
    """In A-labels (RFC 8616 section 4); empty for what is no domain name."""
    text = name.removesuffix(".")
    if text.startswith("[") or text.isascii():
        return "" if text.startswith("[") else text
    try:
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False)
        labels = mapped.split(".")
        return ".".join(
            label if label.isascii() else idna.alabel(label).decode("ascii") for label in labels
        )
    except UnicodeError:  # idna.IDNAError is one
        return ""
