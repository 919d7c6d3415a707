"""From ``[auth] checkers`` to sources: ``ldap:NAME``, ``sql:NAME``, ``http:NAME``, ``pam:NAME``.

``ConfiguredSources`` keeps what is in use: after a reload a source whose settings are the same
goes on with its connections and with all it remembers. Each kind is imported only where it is
named, on a thread, because a database driver takes longer than the reactor may stand still.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from twisted.cred.checkers import ICredentialsChecker

from mailframe.accounts.errors import RealmError
from mailframe.accounts.names import login_key
from mailframe.accounts.source_checker import SourceChecker
from mailframe.app.config_schema import Config, tables_of
from mailframe.app.config_section import Section
from mailframe.app.config_sources import Http, Pam, Remembered, Sql
from mailframe.app.source_services import SourceServices, authorities_in
from mailframe.interfaces.accounts import IPasswordSource
from mailframe.runtime.detached import DetachedThreads
from mailframe.runtime.disk import Disk

_PAM_SERVICES = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d", "/usr/local/etc/pam.d"]
KINDS = ("ldap", "sql", "http", "pam", "oauth")
"""Of checkers that have a table of settings."""


def has_table(description: str) -> bool:
    return description.partition(":")[0] in KINDS


def settings_of(config: Config, description: str) -> Section:
    """Of ``KIND:NAME``. Raises RealmError where there are none."""
    kind, _, name = description.partition(":")
    section = tables_of(config)[kind].get(name)
    if section is None:
        raise RealmError(f"{description}: there is no [{kind}.{name}]")
    return section


@dataclass(frozen=True, slots=True)
class Made:
    """What a table was made into."""

    of: tuple[Section, SourceServices]
    checker: ICredentialsChecker
    source: IPasswordSource | None = None
    """None where it checks only who somebody is, and keeps no accounts."""


@dataclass(slots=True)
class ConfiguredSources:
    services: SourceServices
    _in_use: Mapping[str, Made] = field(default_factory=dict)

    async def made(self, config: Config) -> dict[str, Made]:
        """By description, of all that ``[auth] checkers`` names. Raises RealmError; what is in use
        stays so, until ``follow``."""
        wanted = [one for one in config.auth.checkers if has_table(one)]
        return {one: await self._one(config, one) for one in wanted}

    async def _one(self, config: Config, description: str) -> Made:
        settings = settings_of(config, description)
        services = self.services.with_default_domain(config.auth.default_domain)
        known = self._in_use.get(description)
        if known is not None and known.of == (settings, services):
            return known
        made: Made = await self.services.workers.run(make, description, settings, services)
        return made

    def follow(self, made: Mapping[str, Made]) -> None:
        """These are in use from now on; others are closed."""
        before, self._in_use = self._in_use, made
        for description, one in before.items():
            if made.get(description) is not one:
                close(one)

    def close(self) -> None:
        self.follow({})


def close(made: Made) -> None:
    """Its connections are given back: those that nobody uses now, the others after their use."""
    for part in (made.source, made.checker):
        end = getattr(part, "close", None)
        if end is not None:
            end()


def make(description: str, settings: Any, services: SourceServices) -> Made:
    """Opens no connection. Raises RealmError with what to mend."""
    kind, _, name = description.partition(":")
    of = settings, services
    if kind == "oauth":
        from mailframe.app.sources_of_oauth import oauth_checker

        return Made(of, oauth_checker(name, settings, services))
    source = _remembering(_MAKERS[kind](description, settings, services), settings, services)
    return Made(of, SourceChecker(source), source)


def _remembering(
    source: IPasswordSource, settings: Remembered, services: SourceServices
) -> IPasswordSource:
    from mailframe.sources.cached import CachedSource

    return CachedSource(source, services.reactor, services.random, settings.remembering)


def _ldap(name: str, settings: Any, services: SourceServices) -> IPasswordSource:
    from mailframe.app.sources_of_ldap import ldap_source

    return ldap_source(name, settings, services)


def _sql(name: str, sql: Sql, services: SourceServices) -> IPasswordSource:
    from mailframe.sources.rotation import Rotation
    from mailframe.sources.sql.questions import SqlServer
    from mailframe.sources.sql.source import Queries, SqlSource

    def server(url: str) -> SqlServer:
        options = {
            "workers": services.workers,
            "clock": services.reactor,
            "connections": sql.connections,
            "timeout": sql.timeout,
        }
        if url.startswith("sqlite:"):
            from mailframe.sources.sql.sqlite import SqliteFile

            return SqliteFile(url.removeprefix("sqlite:"), **options)
        try:
            from mailframe.sources.sql.postgres import Postgres
        except ImportError:
            raise RealmError(f"{name} needs psycopg: pip install 'mailframe[postgresql]'") from None
        password = sql.password.value if sql.password is not None else None
        try:
            return Postgres(url, password, **options)
        except ValueError as error:
            raise RealmError(f"{name}: {url}: {error}") from None

    return SqlSource(
        name,
        Queries(sql.find, sql.password_query, sql.domain_query),
        Rotation(name, [server(url) for url in sql.servers], services.reactor),
        domains=sql.domains,
        check_hash=services.check_hash,
        name_of=partial(login_key, default_domain=services.default_domain),
    )


def _http(name: str, http: Http, services: SourceServices) -> IPasswordSource:
    from mailframe.runtime.http_exchange import agent_for
    from mailframe.sources.http.source import HttpSource, WebService

    try:
        agent = agent_for(services.reactor, http.timeout, authorities_in(http.ca_file))
    except (OSError, ValueError) as error:
        raise RealmError(f"{name}: ca_file cannot be used: {error}") from None
    return HttpSource(
        name,
        agent,
        services.reactor,
        domains=http.domains,
        default_domain=services.default_domain,
        check=[WebService(url) for url in http.check],
        find=[WebService(url) for url in http.find],
        find_method=http.find_method,
        secret=(http.header, http.secret.value) if http.secret is not None else None,
        connections=http.connections,
        timeout=http.timeout,
    )


def _pam(name: str, pam: Pam, services: SourceServices) -> IPasswordSource:
    from mailframe.sources.pam.libpam import PamLibrary, PamMissing
    from mailframe.sources.pam.source import PamSource

    # Of a service without a file libpam makes its "other", which says no to everybody.
    places = [pam.service_directory] if pam.service_directory else _PAM_SERVICES
    if not any(Disk().exists(os.path.join(place, pam.service)) for place in places):
        raise RealmError(f"{name}: there is no file {os.path.join(places[0], pam.service)}")
    try:
        library = PamLibrary(pam.service, pam.service_directory)
    except PamMissing as error:
        raise RealmError(f"{name}: {error}") from None
    return PamSource(
        name,
        library,
        services.reactor,
        DetachedThreads(name, services.reactor).run,
        domains=pam.domains,
        min_uid=pam.min_uid,
        finds=pam.find,
        threads=pam.threads,
        timeout=pam.timeout,
    )


_MAKERS: dict[str, Callable[[str, Any, SourceServices], IPasswordSource]] = {
    "ldap": _ldap,
    "sql": _sql,
    "http": _http,
    "pam": _pam,
}
