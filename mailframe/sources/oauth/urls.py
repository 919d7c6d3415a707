"""Which URLs may be asked, and which one an issuer's name leads to."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_https(url: object) -> bool:
    """Whether it is an absolute https URL in ASCII, without a password in it."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return parts.scheme == "https" and has_place and parts.username is None


def configuration_url(issuer: str) -> str:
    """OpenID Connect Discovery 1.0 section 4."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"
