"""Rights (RFC 4314): what a list of them lets somebody do. Pure.

A list is a mapping of identifiers to rights. Identifiers are account names of the owner's
domain and ``anyone``, which is everybody of that domain; with ``-`` in front the rights are
taken away. Who is named twice has what both entries give, less what any entry takes.

The owner is in no list and may do everything, whatever happens: nobody locks himself out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from mailframe.core.folders import FolderReason
from mailframe.errors import FolderRefused
from mailframe.mailbox.folders.naming import domain_of, in_domain_of

ALL = "lrswipkxtea"
ANYONE = "anyone"
NEGATIVE = "-"
MAX_ENTRIES = 200
"""Identifiers in one list."""

# RFC 4314 section 2.1.1: the rights of RFC 2086 that are several now.
_OBSOLETE = {"c": "kx", "d": "et"}


def parse(text: str) -> str:
    """In the order of ``ALL``, each once. Raises FolderRefused."""
    asked = "".join(_OBSOLETE.get(right, right) for right in text)
    if not set(asked) <= set(ALL):
        raise FolderRefused(FolderReason.CANNOT, "There is no such right")
    return "".join(right for right in ALL if right in asked)


def combine(held: str, given: str, sign: str) -> str:
    """``sign``: as in ``IAccessControl.set_acl``."""
    if sign == "+":
        return "".join(right for right in ALL if right in held or right in given)
    if sign == "-":
        return "".join(right for right in ALL if right in held and right not in given)
    return given


def effective(entries: Mapping[str, str], user: str) -> str:
    """Of somebody who is not the owner."""
    given = entries.get(ANYONE, "") + entries.get(user, "")
    taken = entries.get(NEGATIVE + ANYONE, "") + entries.get(NEGATIVE + user, "")
    return "".join(right for right in ALL if right in given and right not in taken)


def identify(text: str, owner: str) -> str:
    """The identifier as lists have it; a bare local-part is one of the owner's domain.

    Raises FolderRefused for one of another domain, whether or not it exists there."""
    sign = NEGATIVE if text.startswith(NEGATIVE) else ""
    name = unicodedata.normalize("NFC", text[len(sign) :].casefold())
    if name == ANYONE:
        return sign + name
    local_part, at, domain = name.rpartition("@")
    if not at:
        local_part, domain = name, domain_of(owner)
    if not local_part or domain != domain_of(owner):
        raise nobody()
    return sign + in_domain_of(owner, local_part)


def nobody() -> FolderRefused:
    return FolderRefused(FolderReason.CANNOT, "There is no such user here")


def who(identifier: str) -> str:
    return identifier.removeprefix(NEGATIVE)
