"""What a POP3 listener serves. Imported where there is one: see ``front``."""

from __future__ import annotations

from mailframe.accounts.authenticator import Authenticator
from mailframe.accounts.pop_before_smtp import RecentFetches
from mailframe.app.config import Config
from mailframe.app.wiring import House
from mailframe.interfaces import ITlsContexts
from mailframe.servers.pop3 import Pop3Factory, Pop3Limits


def pop3_factory(
    house: House,
    config: Config,
    authenticator: Authenticator,
    recent: RecentFetches | None,
    *,
    listener: str,
    tls: ITlsContexts | None,
) -> Pop3Factory:
    return Pop3Factory(
        config.hostname,
        authenticator=authenticator,
        journal=house.journal,
        ids=house.ids,
        nonces=house.nonce,
        clock=house.reactor,
        connections=house.connections,
        recent=recent,
        limits=pop3_limits(config),
        listener=listener,
        tls=tls,
    )


def pop3_limits(config: Config) -> Pop3Limits:
    return Pop3Limits(
        idle=config.limits.pop3_idle_timeout,
        errors=config.limits.errors_per_session,
        allow_plaintext=config.auth.allow_plaintext,
    )
