"""Checks that look at more than one section. Nothing is opened or looked up here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mailframe.app.config_lines import Path
from mailframe.app.config_policy_checks import policy_problems
from mailframe.app.config_problems import did_you_mean
from mailframe.app.config_schema import ROLES_WITH_LOGIN, Config, Listen, tables_of
from mailframe.core.session import Role
from mailframe.protocols.smtp.verbs import CANNOT_DO_WITHOUT, KNOWN


def cross_checks(config: Config, data: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """Key path and message of each contradiction. ``data``: what it was made of."""
    return [
        *_listeners(config),
        *_equal_endpoints(config),
        *_checkers(config),
        *_queue(config, data.get("queue", {})),
        *_policies(config),
        *_restrictions(config),
    ]


def _listeners(config: Config) -> Iterator[tuple[Path, str]]:
    for name, listen in config.listen.items():
        yield from _one_listener(config, name, listen)


def _one_listener(config: Config, name: str, listen: Listen) -> Iterator[tuple[Path, str]]:
    mode = config.tls_mode(listen)
    if mode != "none" and not config.has_certificate:
        yield ("listen", name, "tls"), f"{mode} needs a certificate: set tls.certificate"
    if mode == "implicit" and listen.endpoint.startswith(("ssl:", "tls:")):
        yield ("listen", name, "tls"), "the endpoint speaks TLS already; use tcp:"
    if mode == "starttls" and listen.protocol is Role.HTTP:
        yield ("listen", name, "tls"), "HTTP has no STARTTLS: implicit or none"
    needs_login = listen.role in ROLES_WITH_LOGIN
    already_tls = listen.endpoint.startswith(("ssl:", "tls:"))
    if needs_login and mode == "none" and not config.auth.allow_plaintext and not already_tls:
        message = (
            f"nobody could log in to this {listen.role} listener: "
            "set tls.certificate, or auth.allow_plaintext where the network is trusted"
        )
        yield ("listen", name), message


def _equal_endpoints(config: Config) -> Iterator[tuple[Path, str]]:
    seen: dict[str, str] = {}
    for name, listen in config.listen.items():
        other = seen.setdefault(listen.endpoint, name)
        if other != name and not listen.endpoint.startswith(("tcp:0", "tcp:port=0")):
            yield ("listen", name, "endpoint"), f"is the same as that of listen.{other}"


def _checkers(config: Config) -> Iterator[tuple[Path, str]]:
    """A checker without its table, and a table that no checker uses."""
    named = set(config.auth.checkers)
    if len(named) < len(config.auth.checkers):
        yield ("auth", "checkers"), "names a checker twice"
    for kind, table in tables_of(config).items():
        for description in sorted(named):
            of_kind, _, name = description.partition(":")
            if of_kind == kind and name not in table:
                hint = did_you_mean(name, table)
                yield ("auth", "checkers"), f"{description}: there is no [{kind}.{name}]{hint}"
        for name in table:
            if f"{kind}:{name}" not in named:
                yield (kind, name), f'does nothing: auth.checkers does not name "{kind}:{name}"'


def _queue(config: Config, given: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    # The default of four hours is no contradiction of somebody's short expiry.
    if "warn_after" in given and config.queue.warn_after > config.queue.expire:
        yield ("queue", "warn_after"), "is longer than queue.expire"


def _policies(config: Config) -> Iterator[tuple[Path, str]]:
    for key, message in policy_problems(config.policy):
        yield ("policy", *key), message


def _restrictions(config: Config) -> Iterator[tuple[Path, str]]:
    for name, listen in config.listen.items():
        words = {word.upper() for word in listen.without}
        for word in sorted(words & CANNOT_DO_WITHOUT):
            yield ("listen", name, "without"), f"mail cannot do without {word}"
        for word in sorted(words - CANNOT_DO_WITHOUT - KNOWN):
            hint = did_you_mean(word, KNOWN)
            yield ("listen", name, "without"), f"{word!r} is no SMTP verb or keyword{hint}"
        if words and listen.protocol not in _SMTP_ROLES:
            yield ("listen", name, "without"), "is for mx, submission and lmtp listeners"
        if "AUTH" in words and listen.protocol is Role.SUBMISSION:
            yield ("listen", name, "without"), "nobody could log in without AUTH"


_SMTP_ROLES = (Role.MX, Role.SUBMISSION, Role.LMTP)
