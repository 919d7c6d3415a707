"""Response headers, and who may ask: why a hostile message can do nothing.

The pages are for whoever sits at the machine. Another web site open in the same browser must
not read them, which the Host check prevents (DNS rebinding), and a message shown in them must
not reach the network or the pages around it, which the policies prevent.
"""

from __future__ import annotations

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
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def protect(request: Request, policy: str) -> None:
    """Set the headers that every answer has."""
    for name, value in {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }.items():
        request.setHeader(name, value)


def host_is_ours(request: Request, names: Collection[str]) -> bool:
    """Whether the browser believes to speak to one of ``names``."""
    given = request.requestHeaders.getRawHeaders("host") or []
    return len(given) == 1 and host_name(given[0]) in names


def host_name(field: str) -> str:
    """The Host field without its port: ``[::1]:8025`` -> ``::1``."""
    if field.startswith("["):
        return field[1:].partition("]")[0].lower()
    return field.partition(":")[0].lower()


def disposition(kind: str, name: str) -> str:
    """Content-Disposition for a file name that a stranger chose (RFC 6266 section 4.3)."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
