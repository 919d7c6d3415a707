"""Who lives in the simulated world, and where each address leads."""

from __future__ import annotations

from collections.abc import Sequence

USERS = {
    "a.test": ("ann", "bob", "cat"),
    "b.test": ("dan", "eve"),
    "c.test": ("fay",),
}
ALIASES = {
    "team@a.test": ("ann@a.test", "bob@a.test"),
    "both@a.test": ("ann@a.test", "zoe@far.test"),
    "crew@b.test": ("dan@b.test", "bob@a.test"),
}
UNKNOWN = "nobody"
"""A local-part that no station has."""
REFUSED = "no"
"""``no-LETTER``: one that strangers' servers do not have either."""
LATER = "later"
"""``later-N-LETTER``: strangers put the recipient off N times, then take it."""


def accounts(domain: str) -> tuple[str, ...]:
    return tuple(f"{user}@{domain}" for user in USERS.get(domain, ()))


def ends(recipient: str, domains: Sequence[str]) -> tuple[str, ...]:
    """The final addresses. ``domains``: those that are served in this world; others' aliases
    lead nowhere."""
    if recipient in ALIASES and recipient.partition("@")[2] in domains:
        return ALIASES[recipient]
    return (recipient,)


def is_user(address: str) -> bool:
    local, _, domain = address.partition("@")
    return local in USERS.get(domain, ())
