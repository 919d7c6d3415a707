"""Domain names as DMARC compares them, and what the public suffix list says of them.

The list is the one in the package ``publicsuffixlist``; it is read once, at the first question
(tens of milliseconds), so whoever serves mail calls ``load`` before.
"""

from __future__ import annotations

import functools
import re

import idna
from publicsuffixlist import PublicSuffixList

_MAX_NAME = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


def a_label(domain: str) -> str:
    """The name in A-labels and lower case, without a final dot; empty for what is no name."""
    name = domain.strip().rstrip(".").lower()
    if not name or len(name) > 4 * _MAX_NAME:
        return ""
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii").lower()
        except (idna.IDNAError, ValueError):
            return ""
    if len(name) > _MAX_NAME or not all(map(_LABEL.fullmatch, name.split("."))):
        return ""
    return name


def registered_domain(domain: str) -> str:
    """The name one label below the public suffix; a public suffix itself is returned as it is."""
    return _suffixes().privatesuffix(domain) or domain


def load() -> None:
    """Read the list now."""
    _suffixes()


@functools.cache
def _suffixes() -> PublicSuffixList:
    # RFC 7489 section 3.2 takes the whole list; the names in it are in A-labels
    return PublicSuffixList()
