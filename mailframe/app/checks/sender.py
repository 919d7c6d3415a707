"""Would others believe that mail of our domains comes from us? SPF, DMARC, and our HELO.

What a stranger's server would find is found the same way: SPF is evaluated for our own
addresses, and for one that is nobody's. DNS trouble is no finding but a skip.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime

from mailframe.app.checks.finding import Finding, fail, ok, skip, warn
from mailframe.app.config import Config
from mailframe.core.address import Address
from mailframe.core.authentication import Result, SpfResult
from mailframe.errors import DnsError, NoSuchDomain
from mailframe.interfaces import IResolver
from mailframe.mailauth.dmarc.discovery import walk
from mailframe.mailauth.spf import check_helo, check_spf

_SPF = re.compile(rb"v=spf1(?: |$)", re.IGNORECASE)
_DMARC = re.compile(rb"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
_PUBLISH = 'publish: {name}. TXT "{value}"'
_NOBODY = "192.0.2.1"  # TEST-NET-1
_SPF_SECONDS = 20.0
_POLICIES = ("none", "quarantine", "reject")


class SenderChecks:
    """``clock`` bounds how long SPF may take."""

    def __init__(self, config: Config, dns: IResolver, clock: IReactorTime) -> None:
        self._hostname = config.hostname
        self._smarthost = config.relay.smarthost_url
        self._dns = dns
        self._clock = clock

    async def domain(self, domain: str) -> list[Finding]:
        return [*await self._spf(domain), await self._dmarc(domain)]

    async def helo(self) -> list[Finding]:
        """What we say in EHLO: strangers check it, and for bounces nothing else."""
        id = "dns.helo.spf"
        fix = _PUBLISH.format(name=self._hostname, value="v=spf1 a -all")
        results = [await self._evaluate_helo(ip) for ip in await self._addresses()]
        if not results:
            return []
        worst = min(results, key=_rank)
        if worst.result is Result.TEMPERROR:
            return [skip(id, f"the DNS gives no answer: {worst.reason}")]
        if worst:
            return [ok(id, f"{self._hostname} may send (SPF pass)")]
        return [warn(id, f"SPF of our own name {self._hostname}: {worst.result.value}", fix)]

    async def _spf(self, domain: str) -> list[Finding]:
        id = f"dns.{domain}.spf"
        fix = _PUBLISH.format(name=domain, value="v=spf1 mx -all")
        try:
            texts = await self._texts(domain)
        except DnsError as error:
            return [skip(id, f"the DNS gives no answer about {domain}: {error}")]
        records = [text.decode("utf-8", "replace") for text in texts if _SPF.match(text)]
        if not records:
            return [fail(id, f"{domain} has no SPF record", fix)]
        # RFC 7208 section 4.5: more than one is an error, and all of them count for nothing
        if len(records) > 1:
            found = " and ".join(f'"{record}"' for record in records)
            return [fail(id, f"{domain} has {len(records)} SPF records, {found}", "keep one")]
        if self._smarthost:
            return [skip(id, f'"{records[0]}": whether the smarthost may send, its owner knows')]
        addresses = await self._addresses()
        if not addresses:
            return [skip(id, f"the addresses of {self._hostname} are not known")]
        findings = [
            _judge(id, records[0], ip, await self._evaluate(domain, ip), fix) for ip in addresses
        ]
        if await self._evaluate(domain, _NOBODY):
            text = f'"{records[0]}" lets anybody send in the name of {domain}'
            findings.append(fail(f"{id}.open", text, fix))
        return findings

    async def _evaluate(self, domain: str, ip: str) -> SpfResult:
        return await check_spf(
            self._dns,
            ip,
            Address("postmaster", domain),
            self._hostname,
            hostname=self._hostname,
            timeout=_SPF_SECONDS,
            clock=self._clock,
        )

    async def _evaluate_helo(self, ip: str) -> SpfResult:
        return await check_helo(
            self._dns,
            ip,
            self._hostname,
            hostname=self._hostname,
            timeout=_SPF_SECONDS,
            clock=self._clock,
        )

    async def _dmarc(self, domain: str) -> Finding:
        id, name = f"dns.{domain}.dmarc", f"_dmarc.{domain}"
        fix = _PUBLISH.format(name=name, value="v=DMARC1; p=none")
        try:
            texts = await self._texts(name)
        except DnsError as error:
            return skip(id, f"the DNS gives no answer about {name}: {error}")
        records = [text.decode("utf-8", "replace") for text in texts if _DMARC.match(text)]
        if not records:
            if any(b"dmarc" in text.lower() for text in texts):
                return fail(id, f"the record at {name} does not begin with v=DMARC1", fix)
            return await self._dmarc_above(domain, fix)
        # RFC 7489 section 6.6.3: with several, none counts
        if len(records) > 1:
            return fail(id, f"{name} has {len(records)} DMARC records", "keep one")
        return _judge_dmarc(id, records[0], fix)

    async def _dmarc_above(self, domain: str, fix: str) -> Finding:
        """A domain without a record of its own may be under that of one above it."""
        id = f"dns.{domain}.dmarc"
        try:
            found = (await walk(self._dns, domain)).applicable()
        except DnsError as error:
            return skip(id, f"the DNS gives no answer about the domains above {domain}: {error}")
        if found is None:
            return warn(id, f"{domain} has no DMARC record", fix)
        above, record = found
        return ok(id, f'the record of {above} counts for {domain}: "{record.text}"')

    async def _texts(self, name: str) -> tuple[bytes, ...]:
        try:
            return await self._dns.txt(name)
        except NoSuchDomain:
            return ()

    async def _addresses(self) -> Sequence[str]:
        """Those that the world knows; without them there is a finding elsewhere."""
        try:
            return await self._dns.addresses(self._hostname)
        except DnsError:
            return ()


def _rank(result: SpfResult) -> int:
    """The worst first; what the DNS did not tell comes between."""
    if result:
        return 2
    return 1 if result.result is Result.TEMPERROR else 0


def _judge(id: str, record: str, ip: str, found: SpfResult, fix: str) -> Finding:
    if found:
        return ok(id, f'{ip} may send: "{record}"')
    if found.result is Result.TEMPERROR:
        return skip(id, f"the DNS gives no answer: {found.reason}")
    why = f" ({found.reason})" if found.reason else ""
    return fail(id, f'"{record}" says {found.result.value}{why} to our address {ip}', fix)


def _judge_dmarc(id: str, record: str, fix: str) -> Finding:
    pairs = [part.partition("=") for part in record.split(";")]
    tags = {name.strip().lower(): value.strip() for name, _, value in pairs}
    policy = tags.get("p", "").lower()
    if policy not in _POLICIES:
        return fail(id, f'"{record}" has no p=none, quarantine or reject', fix)
    wrong = [uri for uri in tags.get("rua", "").split(",") if uri and not _is_mailto(uri)]
    if wrong:
        return warn(id, f"rua has {', '.join(wrong)}", "write addresses as mailto:USER@DOMAIN")
    if policy == "none":
        return ok(id, f'"{record}"; p=none keeps nobody from using the name')
    return ok(id, f'"{record}"')


def _is_mailto(uri: str) -> bool:
    address = uri.strip().partition("!")[0]  # RFC 7489 section 6.2: a size may follow
    return address.lower().startswith("mailto:") and "@" in address
