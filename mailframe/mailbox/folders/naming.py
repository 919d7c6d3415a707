"""Names of folders: which there may be, and whose folder a name means. Pure.

A user's own folders have the names that Maildir++ gives them. Those of others in the same
domain are ``Other Users/`` + local-part + ``/`` + the owner's name for it, the INBOX as
``INBOX``; in the local-part ``%`` is written ``%25`` and ``/`` is ``%2F``. Nothing names an
account of another domain.

New names are Net-Unicode (RFC 9051 section 5.1): NFC, no control characters. Folders that
other programs made are reached under the name they have.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from mailframe.core.folders import INBOX, SEPARATOR, FolderReason
from mailframe.errors import FolderRefused
from mailframe.mailbox.paths import folder_directory

OTHERS = "Other Users"
OTHERS_PREFIX = OTHERS + SEPARATOR

_UNSUITABLE = {"Cc", "Cs", "Zl", "Zp"}  # controls, surrogates, line and paragraph separator


class Place(NamedTuple):
    """A folder by its owner."""

    account: str
    folder: str
    """From the owner's point of view."""


def new_name(name: str) -> str:
    """The name under which a folder is made. Raises FolderRefused (CANNOT, LIMIT)."""
    # RFC 9051 section 6.3.4: a separator at the end says that folders within will follow.
    if name.endswith(SEPARATOR):
        name = name[:-1]
    if not is_suitable(name):
        raise FolderRefused(FolderReason.CANNOT, "No folder can have this name")
    name = canonical(name)
    require_short(name)
    return name


def require_short(name: str) -> None:
    try:
        folder_directory("", name)
    except ValueError:
        raise FolderRefused(FolderReason.LIMIT, "The name is too long") from None


def is_suitable(name: str) -> bool:
    """Whether a folder could have it, but for its length."""
    if not all(name.split(SEPARATOR)):
        return False
    return not any(unicodedata.category(character) in _UNSUITABLE for character in name)


def canonical(name: str) -> str:
    """NFC, with INBOX in capitals, be it alone or the first level."""
    name = unicodedata.normalize("NFC", name)
    first, separator, rest = name.partition(SEPARATOR)
    # RFC 9051 section 5.1: INBOX is compared without case, and only it.
    if first.isascii() and first.upper() == INBOX:
        return INBOX + separator + rest
    return name


def spellings(name: str) -> tuple[str, ...]:
    """Under which names to look for a folder: as it was written first."""
    if name.isascii() and name.upper() == INBOX:
        return (INBOX,)
    other = canonical(name)
    return (name,) if other == name else (name, other)


def levels_above(name: str) -> Iterator[str]:
    """Outermost first."""
    position = name.find(SEPARATOR)
    while position > 0:
        yield name[:position]
        position = name.find(SEPARATOR, position + 1)


def is_below(name: str, above: str) -> bool:
    return name.startswith(above + SEPARATOR)


def seen_by(account: str, place: Place) -> str:
    """The name that ``account`` has for the folder."""
    if place.account == account:
        return place.folder
    local_part = place.account.rpartition("@")[0] or place.account
    escaped = local_part.replace("%", "%25").replace(SEPARATOR, "%2F")
    return f"{OTHERS_PREFIX}{escaped}{SEPARATOR}{place.folder}"


def place_of(account: str, name: str) -> Place | None:
    """Whose folder the name means in the namespace of others; None: it is not in there, or
    it is a level above them."""
    if not name.startswith(OTHERS_PREFIX):
        return None
    escaped, separator, folder = name[len(OTHERS_PREFIX) :].partition(SEPARATOR)
    if not (escaped and separator and folder):
        return None
    local_part = escaped.replace("%2F", SEPARATOR).replace("%25", "%")
    owner = in_domain_of(account, local_part)
    place = Place(owner, canonical(folder))
    # One name for one folder: neither oneself in there, nor another way to write the escapes.
    if seen_by(account, Place(owner, folder)) != name:
        return None
    return place


def is_others(name: str) -> bool:
    """Whether the name lies in the namespace of others, or is its root."""
    return name == OTHERS or name.startswith(OTHERS_PREFIX)


def domain_of(account: str) -> str:
    return account.rpartition("@")[2] if "@" in account else ""


def in_domain_of(account: str, local_part: str) -> str:
    """The account with that local-part in the same domain."""
    domain = domain_of(account)
    return f"{local_part}@{domain}" if domain else local_part
