"""``[ldap.NAME]`` in the terms of the source. Imported where the extra ``ldap`` is installed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from sansldap import SearchScope

from mailframe.accounts.names import domain_key
from mailframe.app.config_ldap import Ldap
from mailframe.sources.ldap.connection import Limits
from mailframe.sources.ldap.presets import PRESETS
from mailframe.sources.ldap.servers import parse_server
from mailframe.sources.ldap.settings import Attributes, LdapSettings, PasswordCheck
from mailframe.sources.ldap.templates import FilterTemplate, NameTemplate

_SCOPES = {"sub": SearchScope.SUBTREE, "one": SearchScope.ONE_LEVEL, "base": SearchScope.BASE}


def settings_of_ldap(section: Ldap, default_domain: str) -> LdapSettings:
    """Raises ValueError for what the checks of the configuration could not see."""
    preset = PRESETS[section.preset]
    list_filter = section.list_filter or preset.list_filter
    password = section.bind_password
    domains = frozenset(map(domain_key, section.domains))
    return LdapSettings(
        servers=tuple(map(parse_server, section.servers)),
        domains=domains,
        login_domains=frozenset(map(domain_key, section.login_domains)),
        base=section.base,
        scope=_SCOPES[section.scope],
        default_domain=_home(domain_key(default_domain), domains),
        start_tls=section.starttls,
        bind_dn=section.bind_dn,
        bind_password=password.value if password is not None else "",
        password_check=PasswordCheck(section.check),
        bind_template=NameTemplate(section.bind_template) if section.bind_template else None,
        user_filter=FilterTemplate(section.user_filter or preset.user_filter),
        name_filter=FilterTemplate(section.name_filter or preset.name_filter),
        address_filter=FilterTemplate(section.address_filter or preset.address_filter),
        list_filter=FilterTemplate(list_filter) if list_filter else None,
        attributes=_attributes(section, preset.attributes),
        require_group=section.require_group,
        is_active_directory=section.preset == "active-directory",
        windows_domain=section.windows_domain or _first_component(section.base),
        limits=Limits(
            connect=section.connect_timeout,
            bind=section.bind_timeout,
            search=section.search_timeout,
        ),
        answer_timeout=section.answer_timeout,
        rest=section.rest,
        connections=section.connections,
        most_members=section.most_members,
        most_depth=section.most_depth,
        page=section.page_size,
    )


def _home(default: str, domains: frozenset[str]) -> str:
    """Where bare names of this directory are."""
    if default in domains:
        return default
    return next(iter(domains)) if len(domains) == 1 else ""


def _attributes(section: Ldap, usual: Attributes) -> Attributes:
    return replace(
        usual,
        account=_lower(section.account) or usual.account,
        addresses=_lower(section.addresses) or usual.addresses,
        forward=_lower(section.forward),
        keep_copy=section.keep_copy.lower(),
        quota=section.quota.lower(),
        enabled=section.enabled.lower(),
        groups=section.groups.lower() or usual.groups,
        members=_lower(section.list_members) or usual.members,
    )


def _first_component(base: str) -> str:
    """Of a domain: ``corp`` of ``DC=corp,DC=example,DC=org``."""
    match = re.search(r"(?:^|,)\s*dc\s*=\s*([^,]+)", base, re.IGNORECASE)
    return match[1].strip() if match else ""


def _lower(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)
