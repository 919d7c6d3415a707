"""People: who the users are, and where their mail is kept.

One of three knows them: the built-in directory (with ``file:`` users and accounts that
others keep beside it), a realm that ``[realm] class`` names, and everybody (``mailframe dev``).
Each yields the same parts, and the rest of the wiring does not know which one it was. Only the one
that is used is imported. Applications may take addresses before any of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import IRealm

from mailframe.accounts.checkers import make_checker
from mailframe.accounts.directory import Directory
from mailframe.accounts.directory_checker import DirectoryChecker
from mailframe.accounts.file_checker import FileChecker
from mailframe.accounts.passwords import Passwords
from mailframe.accounts.realm import DirectoryRealm, OpenFolders
from mailframe.accounts.resolver import DirectoryResolver
from mailframe.accounts.sourced_resolver import SourcedResolver
from mailframe.accounts.sources import Sources
from mailframe.app.config import Config
from mailframe.app.sources_of_config import ConfiguredSources, Made, has_table
from mailframe.app.stores import EVERYBODY, Rules, Stores
from mailframe.core.address import Address
from mailframe.interfaces import IMailStore, IRecipientResolver
from mailframe.interfaces.accounts import Entry, IAccountSource
from mailframe.mailbox.quota import Quota
from mailframe.runtime.aio import result_of
from mailframe.runtime.workers import Workers

if TYPE_CHECKING:
    from mailframe.accounts.custom import RealmParts


@dataclass(frozen=True, slots=True)
class People:
    realm: IRealm
    checkers: Sequence[ICredentialsChecker]
    resolver: IRecipientResolver
    store: IMailStore
    secret: bytes
    """32 octets that outlive the process, for ``Authenticator``."""
    rules: Rules = EVERYBODY
    """Of the built-in Maildirs. Nothing follows them until these people are the ones served."""
    own_addresses_only: bool = True
    """Whether users are held to writing under their own addresses, in whole messages."""
    sources: Mapping[str, Made] = field(default_factory=dict)
    """Accounts that others keep, for ``ConfiguredSources.follow`` once these people are served."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What it takes to find out about people."""

    directory: Directory
    passwords: Passwords
    disk_workers: Workers
    stores: Stores
    open_folders: OpenFolders
    token_bytes: Callable[[int], bytes]
    """Yields so many unguessable octets."""
    sources: ConfiguredSources
    """Accounts that others keep."""


async def people(
    config: Config,
    desk: Desk,
    extra: Sequence[IAccountSource] = (),
    custom: RealmParts | None = None,
) -> People:
    """``extra``: sources that check no passwords, asked before anybody else. ``custom``: of the
    configured realm, where it is there already.

    Raises RealmError when the configured realm or a checker cannot be made."""
    if config.realm.class_:
        return await _of_custom_realm(config, desk, extra, custom)
    return await _of_directory(config, desk, extra)


async def _of_directory(config: Config, desk: Desk, extra: Sequence[IAccountSource]) -> People:
    made = await desk.sources.made(config)
    checkers = _checkers(config, desk, made)
    files = [checker for checker in checkers if isinstance(checker, FileChecker)]
    separator = config.directory.separator
    kept = [one.source for one in made.values() if one.source is not None]
    known = Sources([*extra, *kept], separator=separator, trusted=extra)

    async def exists(account: str) -> bool:
        if await desk.directory.user(account) is not None:
            return True
        if any([account in await file.accounts() for file in files]):
            return True
        entry = await known.account(account)
        return entry is not None and entry.account == account

    async def quota(account: str) -> Quota:
        of_all = Quota(config.directory.quota, config.directory.quota_messages)
        if await desk.directory.user(account) is None:
            entry = await known.account(account)
            return of_all if entry is None else _quota_of(entry, of_all)
        own = await desk.directory.quota(account)
        return Quota(own.octets or of_all.octets, own.messages or of_all.messages)

    store = desk.stores.store
    directory = DirectoryResolver(
        desk.directory,
        files,
        hostname=config.hostname,
        postmaster=Address.parse(config.postmaster) if config.postmaster else None,
        separator=separator,
    )
    resolver = (
        directory
        if not known
        else SourcedResolver(
            directory,
            first=Sources(extra, separator=separator, trusted=extra),
            sources=Sources(kept, separator=separator),
            named=directory.names,
            exists=exists,
            separator=separator,
        )
    )
    realm = DirectoryRealm(
        desk.directory,
        store.mailbox,
        desk.open_folders,
        resolver,
        files=files,
        sources=known,
        default_domain=config.auth.default_domain,
    )
    secret = await desk.directory.secret()
    rules = Rules(exists, quota)
    return People(realm, checkers, resolver, store, secret, rules=rules, sources=made)


def _quota_of(entry: Entry, of_all: Quota) -> Quota:
    """0 is what the source says where there is no limit, None where it says nothing."""
    return Quota(
        of_all.octets if entry.quota is None else entry.quota,
        of_all.messages if entry.quota_messages is None else entry.quota_messages,
    )


async def _of_custom_realm(
    config: Config, desk: Desk, extra: Sequence[IAccountSource], custom: RealmParts | None
) -> People:
    from mailframe.accounts.built_in_inbox import BuiltInInboxes

    parts = custom or realm_parts(config, desk)
    made = await desk.sources.made(config) if parts.checker is None else {}
    checkers = [parts.checker] if parts.checker else _checkers(config, desk, made)
    realm, store = parts.realm, parts.store
    if store is None:
        store = desk.stores.store
        realm = BuiltInInboxes(realm, desk.stores.store.mailbox, desk.open_folders)
    resolver = _before(parts.resolver, extra)
    secret = await desk.directory.secret()
    return People(realm, checkers, resolver, store, secret, sources=made)


def realm_parts(config: Config, desk: Desk) -> RealmParts:
    """Of the realm that the configuration names, made. Raises RealmError."""
    from mailframe.accounts.custom import load_realm, parts_of_realm

    return parts_of_realm(load_realm(config.realm.class_), desk.disk_workers)


def _before(resolver: IRecipientResolver, extra: Sequence[IAccountSource]) -> IRecipientResolver:
    if not extra:
        return resolver
    return SourcedResolver(resolver, first=Sources(extra, trusted=extra), sources=Sources())


def people_of_dev(
    desk: Desk,
    extra: Sequence[IAccountSource] = (),
    *,
    settled: Callable[[], Awaitable[None]] | None = None,
) -> People:
    """Everybody, with the password ``dev``; ``extra`` as for ``people``. ``settled``: waited for
    before a mailbox is shown."""
    from mailframe.accounts.dev import DevChecker, DevRealm, DevResolver

    store = desk.stores.store
    secret = desk.token_bytes(32)
    realm = DevRealm(_settled(settled, store.mailbox), _settled(settled, desk.open_folders))
    resolver = _before(DevResolver(), extra)
    return People(realm, [DevChecker()], resolver, store, secret, own_addresses_only=False)


def _settled(
    settled: Callable[[], Awaitable[None]] | None, opening: Callable[[str], Any]
) -> Callable[[str], Any]:
    """``opening``, once it is ``settled``."""
    if settled is None:
        return opening

    async def open_then(account: str) -> Any:
        await settled()
        return await result_of(opening(account))

    return open_then


def _checkers(config: Config, desk: Desk, made: Mapping[str, Made]) -> list[ICredentialsChecker]:
    domain = config.auth.default_domain
    of_directory = DirectoryChecker(desk.directory, desk.passwords, default_domain=domain)

    def of_file(path: str) -> FileChecker:
        return FileChecker(path, desk.passwords, desk.disk_workers, default_domain=domain)

    def checker(text: str) -> ICredentialsChecker:
        if has_table(text):
            return made[text].checker
        return make_checker(text, of_directory, of_file)

    return [checker(text) for text in config.auth.checkers]
