"""Whether what the configuration names can be used: a user, certificates, checkers, a realm.

Asked before a start, a reload and by ``mailframe config check``, not by every command: the
files may change while the configuration stays, and an expired certificate must not keep
anybody from the queue. Reads files; only ``unusable_code`` imports other people's modules, and
makes no realm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mailframe.app.config_lines import Path
from mailframe.app.config_schema import Config
from mailframe.runtime.loading import LoadError, is_part_name

if TYPE_CHECKING:
    from mailframe.app.source_services import SourceServices


def unusable(config: Config) -> Iterator[tuple[Path, str]]:
    """Key path and message of everything that the server could not start with, but for code of
    other people's."""
    yield from unusable_process(config)
    yield from unusable_certificates(config)
    yield from unusable_people(config)


def unusable_process(config: Config) -> Iterator[tuple[Path, str]]:
    """Whether the user and the group are there."""
    from mailframe.runtime.privileges import PrivilegeError, identity

    user, group = config.process.user, config.process.group
    try:
        if user:
            identity(user)
    except PrivilegeError as error:
        yield ("process", "user"), str(error)
        return
    try:
        if user and group:
            identity(user, group)
    except PrivilegeError as error:
        yield ("process", "group"), str(error)


def unusable_certificates(config: Config) -> Iterator[tuple[Path, str]]:
    if not config.has_certificate:
        return
    from twisted.internet.task import Clock

    from mailframe.app.wiring import tls_of
    from mailframe.runtime.workers import InlineWorkers
    from mailframe.tls.certificates import CertificateError

    try:
        tls_of(config, InlineWorkers(), Clock()).load()
    except CertificateError as error:
        yield ("tls", "certificate" if config.tls.certificate else "directory"), str(error)


def unusable_people(config: Config) -> Iterator[tuple[Path, str]]:
    """Of checkers: where users would come from."""
    from mailframe.accounts.errors import RealmError

    for description in config.auth.checkers:
        try:
            _try_checker(config, description)
        except (RealmError, OSError) as error:
            yield ("auth", "checkers"), str(error)


def unusable_code(config: Config) -> Iterator[tuple[Path, str]]:
    """Of the realm and of rules, which are imported for it. A process that serves nobody must not
    ask: it would go on knowing modules that were exchanged meanwhile."""
    from mailframe.accounts.errors import RealmError

    for name in filter(is_part_name, config.policy.content.rules):
        from mailframe.policy.own_rules import load_rule

        try:
            load_rule(name)
        except LoadError as error:
            yield ("policy", "content", "rules"), str(error)
    try:
        if config.realm.class_:
            from mailframe.accounts.custom import find_realm

            find_realm(config.realm.class_)
    except RealmError as error:
        yield ("realm", "class"), str(error)


def _try_checker(config: Config, description: str) -> None:
    """Raises RealmError and OSError."""
    from mailframe.app.sources_of_config import close, has_table, make, settings_of

    kind, _, path = description.partition(":")
    if has_table(description):
        close(make(description, settings_of(config, description), _services_that_ask_nobody()))
    elif kind == "file":
        open(path, "rb").close()
    elif description != "directory":
        from mailframe.accounts.checkers import described_checker

        described_checker(description)


def _services_that_ask_nobody() -> SourceServices:
    from random import SystemRandom

    from twisted.internet.task import Clock

    from mailframe.app.source_services import SourceServices
    from mailframe.dns.resolver import DnsResolver
    from mailframe.runtime.workers import InlineWorkers

    clock, chance = Clock(), SystemRandom()
    return SourceServices(
        reactor=clock,
        workers=InlineWorkers(),
        resolver=DnsResolver(clock, [], chance),
        random=chance,
    )
