"""Checks that look at more than one section. Nothing is opened or looked up here."""

from __future__ import annotations

from collections.abc import Iterator

from mailframe.app.config_lines import Path
from mailframe.app.config_schema import ROLES_WITH_LOGIN, Config, Listen


def cross_checks(config: Config) -> list[tuple[Path, str]]:
    """Key path and message of each contradiction."""
    return [
        *_listeners(config),
        *_equal_endpoints(config),
        *_queue(config),
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


def _queue(config: Config) -> Iterator[tuple[Path, str]]:
    # The default of four hours is no contradiction of somebody's short expiry.
    given = "warn_after" in config.queue.model_fields_set
    if given and config.queue.warn_after > config.queue.expire:
        yield ("queue", "warn_after"), "is longer than queue.expire"
