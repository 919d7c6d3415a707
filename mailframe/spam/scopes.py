"""Whose training counts for whom.

A scope is named like what it belongs to: an account (``ann@example.org``), a domain
(``@example.org``) or ``site``. Who shares what is the domain's choice (``share``): ``user``
nothing, ``domain`` with the domain, ``site`` with the site too. What one does not share one
does not see either: nobody reads the site's training who gives nothing to it.

``server`` is what whoever runs the server taught it by command: no user's mail is in it, so
everybody's mail is judged by it too, after all the others.
"""

from __future__ import annotations

SITE = "site"
SERVER = "server"
SHARES = ("user", "domain", "site")


def domain_of(scope: str) -> str:
    """Of an account or a domain's scope; empty for the site's."""
    return scope.rpartition("@")[2] if "@" in scope else ""


def scopes_of(account: str, share: str) -> tuple[str, ...]:
    """Those that an account teaches and asks, its own first. ``account`` may be a domain's
    scope, for mail that goes to nobody's mailbox here; empty, it is the site's."""
    if not account:
        return (SITE,)
    if "@" not in account:
        # Realms other than the directory may have a user called "site".
        return (f"{account}@",)
    domain = domain_of(account)
    scopes = [account]
    if domain and share in ("domain", "site"):
        scopes.append(f"@{domain}")
    if share == "site":
        scopes.append(SITE)
    return tuple(dict.fromkeys(scopes))


def asked(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Whose training judges the mail of who teaches ``scopes``."""
    return (*scopes, SERVER) if SERVER not in scopes else scopes
