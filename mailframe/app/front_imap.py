"""What an IMAP listener serves. Imported where there is one: see ``front``."""

from __future__ import annotations

from mailframe import __version__
from mailframe.accounts.authenticator import Authenticator
from mailframe.accounts.pop_before_smtp import RecentFetches
from mailframe.app.config import Config
from mailframe.app.wiring import House
from mailframe.interfaces import ITlsContexts
from mailframe.protocols.imap.settings import EngineLimits
from mailframe.servers.imap import ImapFactory, ImapLimits


def imap_factory(
    house: House,
    config: Config,
    authenticator: Authenticator,
    recent: RecentFetches | None,
    *,
    listener: str,
    tls: ITlsContexts | None,
) -> ImapFactory:
    return ImapFactory(
        config.hostname,
        authenticator=authenticator,
        journal=house.journal,
        ids=house.ids,
        nonces=house.nonce,
        clock=house.reactor,
        connections=house.connections,
        workers=house.content_workers,
        version=__version__,
        recent=recent,
        limits=imap_limits(config),
        listener=listener,
        tls=tls,
    )


def imap_limits(config: Config) -> ImapLimits:
    limits = config.limits
    return ImapLimits(
        idle=limits.imap_idle_timeout,
        allow_plaintext=config.auth.allow_plaintext,
        per_user=limits.imap_connections_per_user,
        append=limits.message_size,
        messages=limits.imap_messages_per_command,
        engine=EngineLimits(errors=limits.errors_per_session),
    )
