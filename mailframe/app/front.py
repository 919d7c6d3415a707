"""What each listener serves: who may log in, what is refused, how much is too much.

All of it is made anew by a reload. The state behind it, the ``House``, stays. POP3, IMAP and HTTP
are imported by servers that have a listener for them, and only those: IMAP alone is megabytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Union

from twisted.internet.interfaces import IProtocolFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

from mailframe.accounts.authenticator import Authenticator
from mailframe.accounts.pop_before_smtp import RecentFetches
from mailframe.app.config import Config
from mailframe.app.config_schema import Listen
from mailframe.app.people import People
from mailframe.app.policies import policies_of
from mailframe.app.versions import Version
from mailframe.app.wiring import House
from mailframe.core.session import Role
from mailframe.policy.relay import RelayPermission
from mailframe.policy.submission import SubmissionPolicy
from mailframe.servers.smtp import SmtpFactory, SmtpLimits

if TYPE_CHECKING:
    from mailframe.servers.imap import ImapFactory
    from mailframe.servers.pop3 import Pop3Factory
    from mailframe.web.monitoring import MonitoringSite

Server = Union[SmtpFactory, "Pop3Factory", "ImapFactory", "MonitoringSite"]


def front(house: House, config: Config, everybody: People, version: Version) -> dict[str, Server]:
    """One server for each ``[listen.NAME]``, whose sessions ask that version of applications."""
    authenticator = Authenticator(
        everybody.realm,
        everybody.checkers,
        house.throttle,
        secret=everybody.secret,
        default_domain=config.auth.default_domain,
    )
    smtp = _smtp(house, config, everybody, authenticator, version)
    recent = _recent_fetches(house, config)

    def serve(name: str, listen: Listen) -> Server:
        tls = house.tls if config.tls_mode(listen) == "starttls" else None
        if listen.protocol is Role.POP3:
            from mailframe.app.front_pop3 import pop3_factory

            return pop3_factory(house, config, authenticator, recent, listener=name, tls=tls)
        if listen.protocol is Role.HTTP:
            return house.metering.site(config)
        if listen.protocol is Role.IMAP:
            from mailframe.app.front_imap import imap_factory

            return imap_factory(house, config, authenticator, recent, listener=name, tls=tls)
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
    house: House,
    config: Config,
    everybody: People,
    authenticator: Authenticator,
    version: Version,
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
        policies=policies_of(house, config, permission, always, version),
        authenticator=authenticator,
        store=everybody.store,
        journal=house.journal,
        ids=house.ids,
        connections=house.connections,
        clock=house.reactor,
        limits=_smtp_limits(config),
        authserv_id=config.policy.authserv_id,
        nonce=house.nonce,
    )


def _smtp_limits(config: Config) -> SmtpLimits:
    limits = config.limits
    return SmtpLimits(
        message_size=limits.message_size,
        header_size=limits.header_size,
        recipients=limits.recipients_per_message,
        received_hops=limits.hops,
        errors=limits.errors_per_session,
        command_idle=limits.idle_timeout,
        data_idle=limits.data_timeout,
        session_time=limits.session_timeout,
        greet_delay=limits.greet_delay,
        tarpit=limits.tarpit,
        allow_plaintext=config.auth.allow_plaintext,
    )
