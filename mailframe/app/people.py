"""People: who the users are, and where their mail is kept.

Three sources, of which one is used: the built-in directory (with ``file:`` users beside it),
a realm that ``[realm] class`` names, and everybody (``mailframe dev``). Each yields the same
four parts, and the rest of the wiring does not know which one it was. Only the one that is used
is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import IRealm

from mailframe.accounts.checkers import make_checker
from mailframe.accounts.directory import Directory
from mailframe.accounts.directory_checker import DirectoryChecker
from mailframe.accounts.file_checker import FileChecker
from mailframe.accounts.passwords import Passwords
from mailframe.accounts.realm import DirectoryRealm, OpenFolders
from mailframe.accounts.resolver import DirectoryResolver
from mailframe.app.config import Config
from mailframe.app.stores import EVERYBODY, Rules, Stores
from mailframe.core.address import Address
from mailframe.interfaces import IMailStore, IRecipientResolver
from mailframe.mailbox.quota import Quota
from mailframe.runtime.workers import Workers


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


async def people(config: Config, desk: Desk) -> People:
    """Raises RealmError when the configured realm or a checker cannot be made."""
    if config.realm.class_:
        return await _of_custom_realm(config, desk)
    return await _of_directory(config, desk)


async def _of_directory(config: Config, desk: Desk) -> People:
    checkers = _checkers(config, desk)
    files = [checker for checker in checkers if isinstance(checker, FileChecker)]

    async def exists(account: str) -> bool:
        if await desk.directory.user(account) is not None:
            return True
        return any([account in await file.accounts() for file in files])

    async def quota(account: str) -> Quota:
        own = await desk.directory.quota(account)
        return Quota(
            own.octets or config.directory.quota, own.messages or config.directory.quota_messages
        )

    store = desk.stores.store
    resolver = DirectoryResolver(
        desk.directory,
        files,
        hostname=config.hostname,
        postmaster=Address.parse(config.postmaster) if config.postmaster else None,
        separator=config.directory.separator,
    )
    realm = DirectoryRealm(
        desk.directory,
        store.mailbox,
        desk.open_folders,
        resolver,
        files=files,
        default_domain=config.auth.default_domain,
    )
    secret = await desk.directory.secret()
    return People(realm, checkers, resolver, store, secret, rules=Rules(exists, quota))


async def _of_custom_realm(config: Config, desk: Desk) -> People:
    from mailframe.accounts.built_in_inbox import BuiltInInboxes
    from mailframe.accounts.custom import load_realm, parts_of_realm

    parts = parts_of_realm(load_realm(config.realm.class_), desk.disk_workers)
    checkers = [parts.checker] if parts.checker is not None else _checkers(config, desk)
    realm, store = parts.realm, parts.store
    if store is None:
        store = desk.stores.store
        realm = BuiltInInboxes(realm, desk.stores.store.mailbox, desk.open_folders)
    return People(realm, checkers, parts.resolver, store, await desk.directory.secret())


def people_of_dev(desk: Desk) -> People:
    """Everybody, with the password ``dev``."""
    from mailframe.accounts.dev import DevChecker, DevRealm, DevResolver

    store = desk.stores.store
    secret = desk.token_bytes(32)
    realm = DevRealm(store.mailbox, desk.open_folders)
    return People(realm, [DevChecker()], DevResolver(), store, secret, own_addresses_only=False)


def _checkers(config: Config, desk: Desk) -> list[ICredentialsChecker]:
    domain = config.auth.default_domain
    of_directory = DirectoryChecker(desk.directory, desk.passwords, default_domain=domain)

    def of_file(path: str) -> FileChecker:
        return FileChecker(path, desk.passwords, desk.disk_workers, default_domain=domain)

    return [make_checker(text, of_directory, of_file) for text in config.auth.checkers]
