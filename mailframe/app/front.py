"""What each listener serves: who may log in, what is refused, how much is too much.

All of it is made anew by a reload. The state behind it, the ``House``, stays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Union

from twisted.internet.interfaces import IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from mailframe import __version__
from mailframe.accounts.authenticator import Authenticator
from mailframe.accounts.pop_before_smtp import RecentFetches
from mailframe.app.config import Config
from mailframe.app.config_schema import Listen
from mailframe.app.limits import imap_limits, pop3_limits, smtp_limits
from mailframe.app.people import People
from mailframe.app.policies import policies_of
from mailframe.app.wiring import House
from mailframe.core.session import Role
from mailframe.policy.relay import RelayPermission
from mailframe.policy.submission import SubmissionPolicy
from mailframe.servers.imap import ImapFactory
from mailframe.servers.pop3 import Pop3Factory
from mailframe.servers.smtp import SmtpFactory

if TYPE_CHECKING:
    from mailframe.web.monitoring import MonitoringSite

Server = Union[SmtpFactory, Pop3Factory, ImapFactory, "MonitoringSite"]


def front(house: House, config: Config, everybody: People) -> dict[str, Server]:
    """One server for each ``[listen.NAME]``."""
    authenticator = Authenticator(
        everybody.realm,
        everybody.checkers,
        house.throttle,
        secret=everybody.secret,
        default_domain=config.auth.default_domain,
    )
    smtp = _smtp(house, config, everybody, authenticator)
    pop3 = _pop3(house, config, authenticator)
    imap = _imap(house, config, authenticator)

    def serve(name: str, listen: Listen) -> Server:
        tls = house.tls if config.tls_mode(listen) == "starttls" else None
        if listen.protocol is Role.POP3:
            return pop3(listener=name, tls=tls)
        if listen.protocol is Role.HTTP:
            return house.metering.site(config)
        if listen.protocol is Role.IMAP:
            return imap(listener=name, tls=tls)
        return smtp(role=listen.protocol, listener=name, tls=tls, without=listen.without)

    servers = {name: serve(name, listen) for name, listen in config.listen.items()}
    house.metering.follow(config, servers)
    return servers


def behind_tls(
    house: House, config: Config, servers: Mapping[str, Server]
) -> dict[str, IProtocolFactory]:
    """The servers as the doors need them: wrapped where TLS begins with the connection."""
    return {
        name: TLSMemoryBIOFactory(house.tls.server(), False, server, house.reactor)
        if config.tls_mode(config.listen[name]) == "implicit"
        else server
        for name, server in servers.items()
    }


def relay_permission(house: House, config: Config) -> RelayPermission:
    return RelayPermission(config.relay.networks, _recent_fetches(house, config))


def _recent_fetches(house: House, config: Config) -> RecentFetches | None:
    """None where fetching mail gives no leave to send any."""
    return house.recent if config.auth.pop_before_smtp else None


def _smtp(
    house: House, config: Config, everybody: People, authenticator: Authenticator
) -> Callable[..., SmtpFactory]:
    permission = relay_permission(house, config)
    submission = SubmissionPolicy(config.hostname, house.reactor, house.ids)
    # First: it completes messages, and what is missing must be there to be signed.
    always = [submission] if everybody.own_addresses_only else []
    return functools.partial(
        SmtpFactory,
        config.hostname,
        spool=house.spool,
        resolver=everybody.resolver,
        permission=permission,
        policies=policies_of(house, config, permission, always),
        authenticator=authenticator,
        store=everybody.store,
        journal=house.journal,
        ids=house.ids,
        connections=house.connections,
        clock=house.reactor,
        limits=smtp_limits(config),
        authserv_id=config.policy.authserv_id,
        nonce=house.nonce,
    )


def _pop3(house: House, config: Config, authenticator: Authenticator) -> Callable[..., Pop3Factory]:
    return functools.partial(
        Pop3Factory,
        config.hostname,
        authenticator=authenticator,
        journal=house.journal,
        ids=house.ids,
        nonces=house.nonce,
        clock=house.reactor,
        connections=house.connections,
        recent=_recent_fetches(house, config),
        limits=pop3_limits(config),
    )


def _imap(house: House, config: Config, authenticator: Authenticator) -> Callable[..., ImapFactory]:
    return functools.partial(
        ImapFactory,
        config.hostname,
        authenticator=authenticator,
        journal=house.journal,
        ids=house.ids,
        nonces=house.nonce,
        clock=house.reactor,
        connections=house.connections,
        workers=house.content_workers,
        version=__version__,
        recent=_recent_fetches(house, config),
        limits=imap_limits(config),
    )
