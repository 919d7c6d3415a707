"""How much a session may ask for, by ``[limits]`` and ``[auth]``, for each kind of server."""

from __future__ import annotations

from mailframe.app.config import Config
from mailframe.protocols.imap.settings import EngineLimits
from mailframe.servers.imap import ImapLimits
from mailframe.servers.pop3 import Pop3Limits
from mailframe.servers.smtp import SmtpLimits


def smtp_limits(config: Config) -> SmtpLimits:
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


def pop3_limits(config: Config) -> Pop3Limits:
    return Pop3Limits(
        idle=config.limits.pop3_idle_timeout,
        errors=config.limits.errors_per_session,
        allow_plaintext=config.auth.allow_plaintext,
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
