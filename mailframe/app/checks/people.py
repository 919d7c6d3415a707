"""Is there anybody to deliver to, and does what the directory says add up?"""

from __future__ import annotations

from mailframe.accounts.admin import DirectoryAdmin
from mailframe.accounts.records import Alias
from mailframe.app.checks.finding import Finding, fail, ok, warn
from mailframe.app.config import Config
from mailframe.app.inquiry import Inquiry
from mailframe.core.address import Address
from mailframe.core.resolution import Moved, Refused
from mailframe.runtime.aio import result_of

_ROLES = ("postmaster", "abuse")  # RFC 5321 section 4.5.1, RFC 2142 section 4


async def check_people(config: Config, admin: DirectoryAdmin, parts: Inquiry) -> list[Finding]:
    if config.realm.class_:
        return [ok("people.realm", f"{config.realm.class_} answers for users")]
    domains = [domain.name for domain in admin.domains()]
    if not domains:
        fix = "mailframe domain add DOMAIN"
        return [fail("people.domains", "there is no domain to take mail for", fix)]
    findings = [ok("people.domains", f"mail is taken for {', '.join(domains)}")]
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
    return [fail(f"people.{domain}.roles", text, f"mailframe user add you@{domain}")]


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
