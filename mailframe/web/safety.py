"""Response headers, and who may ask: why a hostile message can do nothing.

The pages are for whoever sits at the machine. Another web site open in the same browser must
not read them, which the Host check prevents (DNS rebinding), nor change anything by a form or a
script of its own, which the Origin check prevents (and a token in our forms, for browsers that
say no Origin). A message shown in them must not reach the network or the pages around it, which
the policies prevent.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote

from twisted.web.http import Request

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# For what comes out of messages: no script, no network, no forms, an origin of its own.
MESSAGE_POLICY = (
    "sandbox; default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::[0-9]*)?")
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def protect(request: Request, policy: str) -> None:
    """Set the headers that every answer has."""
    for name, value in {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        # Not "no-referrer" on our pages: their forms would say "Origin: null", as do those of
        # sites that hide. Other sites are told as little by this one.
        "Referrer-Policy": "same-origin" if policy == PAGE_POLICY else "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        # No policy keeps browsers from looking up the hosts of links, which tells their owner.
        "X-DNS-Prefetch-Control": "off",
        "Cache-Control": "no-store",
    }.items():
        request.setHeader(name, value)


def host_is_ours(request: Request, names: Collection[str]) -> bool:
    """Whether the browser believes to speak to one of ``names``."""
    given = request.requestHeaders.getRawHeaders("host") or []
    return len(given) == 1 and host_name(given[0]) in names


def comes_from_here(request: Request) -> bool:
    """Whether a request that changes something was not made by another site's page. What is no
    browser says neither field."""
    fetch_site = request.requestHeaders.getRawHeaders("sec-fetch-site") or ["none"]
    if fetch_site[-1].lower() not in ("same-origin", "none"):
        return False
    origins = request.requestHeaders.getRawHeaders("origin") or []
    hosts = request.requestHeaders.getRawHeaders("host") or [""]
    allowed = {f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")}
    return all(origin.lower() in allowed for origin in origins)


def host_name(field: str) -> str:
    """The Host field without its port: ``[::1]:8025`` -> ``::1``; empty for what is none."""
    found = _HOST.fullmatch(field)
    return (found[1] or found[2]).lower() if found else ""


def disposition(kind: str, name: str) -> str:
    """Content-Disposition for a file name that a stranger chose (RFC 6266 section 4.3)."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in name)
    return (
        f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
    )
