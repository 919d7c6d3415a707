"""Is there anybody to deliver to, and does what the directory says add up?"""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.accounts.admin import DirectoryAdmin
from mailframe.accounts.records import Alias
from mailframe.app.checks.finding import Finding, Mark, fail, ok, warn
from mailframe.app.config import Config
from mailframe.app.inquiry import Inquiry
from mailframe.core.address import Address
from mailframe.core.resolution import Moved, Refused
from mailframe.errors import TransientFailure
from mailframe.interfaces.accounts import IDomainSource, IPasswordSource, ITryableSource
from mailframe.runtime.aio import result_of

_ROLES = ("postmaster", "abuse")  # RFC 5321 section 4.5.1, RFC 2142 section 4


async def check_people(config: Config, admin: DirectoryAdmin, parts: Inquiry) -> list[Finding]:
    if config.realm.class_:
        return [ok("people.realm", f"{config.realm.class_} answers for users")]
    own = {domain.name for domain in admin.domains()}
    domains = sorted(own | set(parts.domains_elsewhere))
    findings = await _sources(parts)
    if any(finding.mark is Mark.FAIL for finding in findings):
        return findings
    if not domains:
        fix = "mailframe domain add DOMAIN"
        return [fail("people.domains", "there is no domain to take mail for", fix)]
    findings.append(ok("people.domains", f"mail is taken for {', '.join(domains)}"))
    for domain in domains:
        findings += await _roles(domain, parts)
    for alias in admin.aliases():
        findings += await _alias(alias, parts)
    return findings


async def _roles(domain: str, parts: Inquiry) -> list[Finding]:
    missing = []
    for role in _ROLES:
        found = await result_of(parts.recipients.resolve(Address(role, domain)))
        if isinstance(found, Refused | Moved):
            missing.append(f"{role}@{domain}")
    if not missing:
        return [ok(f"people.{domain}.roles", f"{' and '.join(_ROLES)} reach somebody")]
    text = f"nobody gets mail for {', '.join(missing)}, which every domain must have"
    fix = f"mailframe user add you@{domain}"
    if domain in parts.domains_elsewhere:
        fix = "set postmaster in the configuration, or give somebody these addresses"
    return [fail(f"people.{domain}.roles", text, fix)]


async def _ask(source: IPasswordSource) -> Sequence[str]:
    """What is wrong with its questions. Raises TransientFailure."""
    if ITryableSource.providedBy(source):
        wrong: Sequence[str] = await result_of(ITryableSource(source).try_questions())
        return wrong
    for domain in sorted(source.domains)[:1]:
        await source.find(Address("mailframe-check", domain))
    if IDomainSource.providedBy(source):
        await IDomainSource(source).holds("mailframe-check.invalid")
    return ()


async def _sources(parts: Inquiry) -> list[Finding]:
    """Whether those who keep accounts for us answer, asked for an address that nobody has."""
    findings = []
    for name, source in parts.sources.items():
        try:
            wrong = await _ask(source)
        except TransientFailure as error:
            text = f"{name} cannot be asked: {error.detail or error}"
            fix = "is its server there, and are the settings right? Its users are put off meanwhile"
            findings.append(fail(f"people.{name}", text, fix))
        else:
            fix = "correct its queries; what cannot be understood puts its users off"
            findings += [fail(f"people.{name}", f"{name}: {text}", fix) for text in wrong] or [
                ok(f"people.{name}", f"{name} answers")
            ]
    return findings


async def _alias(alias: Alias, parts: Inquiry) -> list[Finding]:
    """Targets here that refuse mail, which the alias then leaves out in silence."""
    dead = []
    for target in alias.targets:
        found = await result_of(parts.recipients.resolve(target))
        if isinstance(found, Refused):
            dead.append(str(target))
    if not dead:
        return []
    text = f"{alias.name} points to {', '.join(dead)}, where nobody is"
    fix = f"mailframe alias rm {alias.name} {' '.join(dead)}"
    return [warn(f"people.alias.{alias.name}", text, fix)]
