"""The parts of the server that answer questions, built without the server.

For ``route`` and ``check``: they ask the same resolver and router that the server would, over
the same files, and send no mail.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Any

from mailframe.accounts.directory import Directory
from mailframe.accounts.passwords import Passwords
from mailframe.accounts.schema import MIGRATIONS
from mailframe.app.commands.shared import database, path_in_base
from mailframe.app.config import Config
from mailframe.app.people import Desk, people
from mailframe.app.source_services import SourceServices
from mailframe.app.sources_of_config import ConfiguredSources
from mailframe.app.stores import Stores
from mailframe.app.ways import router_of
from mailframe.app.wiring import dns_servers
from mailframe.dns.resolver import DnsResolver
from mailframe.interfaces import IFolders, IRecipientResolver, IResolver, IRouter
from mailframe.interfaces.accounts import IPasswordSource
from mailframe.mailbox.events import MailboxEvents
from mailframe.mailbox.store import MaildirStore
from mailframe.runtime.disk import Disk
from mailframe.runtime.workers import InlineWorkers


@dataclass(frozen=True, slots=True)
class Inquiry:
    recipients: IRecipientResolver
    router: IRouter
    dns: IResolver
    sources: Mapping[str, IPasswordSource] = field(default_factory=dict)
    """Accounts that others keep, by the names that the configuration gives them."""

    @property
    def domains_elsewhere(self) -> frozenset[str]:
        """Ours, though the directory may not have them."""
        return frozenset[str]().union(*(source.domains for source in self.sources.values()))


def dns_of(config: Config, reactor: Any) -> IResolver:
    return DnsResolver(reactor, dns_servers(config), SystemRandom(), timeouts=config.dns.timeouts)


def _no_folders(account: str) -> IFolders:
    raise RuntimeError(f"nobody logs in here, so {account} has no folders to open")


@asynccontextmanager
async def inquiry(config: Config, reactor: Any) -> AsyncIterator[Inquiry]:
    """Raises RealmError and ValueError as the start of the server would."""
    workers: Any = InlineWorkers()
    passwords = Passwords(workers, reactor, secrets.token_bytes(32))
    dns = dns_of(config, reactor)
    services = SourceServices(
        reactor=reactor,
        workers=workers,
        resolver=dns,
        random=SystemRandom(),
        check_hash=passwords.is_right,
    )
    sources = ConfiguredSources(services)
    with (
        contextlib.closing(sources),
        database(path_in_base(config, "directory.db"), MIGRATIONS) as opened,
    ):
        desk = Desk(
            Directory(opened, secrets.token_bytes),
            passwords,
            workers,
            Stores(
                lambda exists, quota: MaildirStore(
                    config.base,
                    Disk(),
                    workers,
                    events=MailboxEvents(),
                    clock=reactor,
                    hostname=config.hostname,
                    exists=exists,
                    quota=quota,
                )
            ),
            _no_folders,
            secrets.token_bytes,
            sources,
        )
        everybody = await people(config, desk)
        sources.follow(everybody.sources)
        kept = {
            name: made.source for name, made in everybody.sources.items() if made.source is not None
        }
        yield Inquiry(everybody.resolver, router_of(config), dns, kept)
