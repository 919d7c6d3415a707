"""Which folder is used for what (RFC 6154). Pure.

What a folder's file says holds. A use that no file gives to any folder goes to the first
folder that has a name which mail programs give such a folder; so each use is there once at
most. Names count at the top level only and without case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from mailframe.core.folders import INBOX, JUNK, FolderReason
from mailframe.errors import FolderRefused

NAMES = {
    "\\Drafts": ("drafts", "draft"),
    JUNK: ("junk", "spam", "junk e-mail", "junk mail", "bulk mail"),
    "\\Sent": ("sent", "sent items", "sent messages", "sent mail"),
    "\\Trash": ("trash", "deleted items", "deleted messages", "bin"),
    "\\Archive": ("archive", "archives"),
}
"""What clients call them; the first is taken where several are there."""

_KNOWN = frozenset(name for names in NAMES.values() for name in names)
_BY_LOWER = {use.lower(): use for use in NAMES}


def parse(uses: Iterable[str]) -> frozenset[str]:
    """In our spelling. Raises FolderRefused for what no folder here is used for: ``\\All``
    and ``\\Flagged`` would be views over other folders."""
    found = {_BY_LOWER.get(use.lower()) for use in uses}
    if None in found:
        raise FolderRefused(FolderReason.USE_ATTRIBUTE, "Folders have no such use here")
    return frozenset(use for use in found if use is not None)


def is_known(name: str) -> bool:
    """Whether the name alone may give the folder a use."""
    return name.lower() in _KNOWN


def assign(
    told: Mapping[str, Collection[str]], names: Collection[str]
) -> dict[str, frozenset[str]]:
    """Folders with a use. ``told``: what their files say."""
    uses: dict[str, set[str]] = {}
    left = set(NAMES)
    for name in sorted(told):
        # Two files that claim the same came from elsewhere: the first one has it.
        for use in sorted(left.intersection(told[name])):
            uses.setdefault(name, set()).add(use)
            left.discard(use)
    by_lower: dict[str, str] = {}
    for name in sorted(names):
        by_lower.setdefault(name.lower(), name)
    for use in left:
        for known in NAMES[use]:
            if (named := by_lower.get(known)) is not None and named not in uses:
                uses[named] = {use}
                break
    return {name: frozenset(given) for name, given in uses.items()}


def require_free(wanted: frozenset[str], name: str, told: Mapping[str, Collection[str]]) -> None:
    """Raises FolderRefused where the folder cannot get the uses because another has them."""
    if wanted and name == INBOX:
        raise FolderRefused(FolderReason.USE_ATTRIBUTE, "The INBOX is used as such")
    if any(wanted.intersection(uses) for other, uses in told.items() if other != name):
        raise FolderRefused(FolderReason.USE_ATTRIBUTE, "Another folder is used for this")
