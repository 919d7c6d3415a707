"""GETMETADATA and SETMETADATA (RFC 5464)."""

from __future__ import annotations

import re

from mailframe.protocols.imap.commands import GetMetadata, MetadataOptions, SetMetadata
from mailframe.protocols.imap.grammar import BadCommand, Scanner

_ENTRIES_LIMIT = 100
_ENTRY_LIMIT = 1024
"""Octets of an entry name."""

# RFC 5464 section 3.2: components separated by slashes, without wildcards or controls.
_ENTRY = re.compile(r"/(?:private|shared)(?:/[^\x00-\x1f/*%\x7f-\U0010ffff]+)*")
_OPTIONS_FOLLOW = re.compile(rb"\( *(?=(?:MAXSIZE|DEPTH)[ )])", re.IGNORECASE)
# The same sections: what stands above the name of a vendor's entry has no value itself.
_NO_VALUE = re.compile(r"/[a-z]+(?:/vendor(?:/[^/]*)?)?")
_DEPTHS = {"0": 0, "1": 1, "INFINITY": None}


def get_metadata(scanner: Scanner) -> GetMetadata:
    scanner.sp()
    found = options(scanner)
    if found is not None:
        scanner.sp()
    mailbox = scanner.mailbox()
    scanner.sp()
    # RFC 5464's own examples have the options here; so do clients.
    if found is None:
        found = options(scanner)
        if found is not None:
            scanner.sp()
    return GetMetadata(mailbox, entries(scanner), found or MetadataOptions())


def options(scanner: Scanner) -> MetadataOptions | None:
    """``(MAXSIZE 1024 DEPTH infinity)``, if that comes next."""
    if not scanner.sees(_OPTIONS_FOLLOW):
        return None
    max_size: int | None = None
    depth: int | None = 0

    def option() -> None:
        nonlocal max_size, depth
        name = scanner.word()
        scanner.sp()
        if name == "MAXSIZE":
            max_size = scanner.number()
        elif name == "DEPTH":
            depth = _depth(scanner)
        else:
            raise scanner.bad("No such GETMETADATA option")

    scanner.listed(option)
    return MetadataOptions(max_size, depth)


def _depth(scanner: Scanner) -> int | None:
    word = scanner.word()
    if word not in _DEPTHS:
        raise scanner.bad("DEPTH is 0, 1 or infinity")
    return _DEPTHS[word]


def entries(scanner: Scanner) -> tuple[str, ...]:
    if scanner.peek() == b"(":
        return entry_list(scanner)
    return (_entry(scanner),)


def entry_list(scanner: Scanner) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scanner.listed(lambda: _entry(scanner), limit=_ENTRIES_LIMIT)))


def _entry(scanner: Scanner) -> str:
    entry = scanner.astring().lower()
    if len(entry) > _ENTRY_LIMIT:
        raise BadCommand("Entry name too long", "LIMIT")
    if not _ENTRY.fullmatch(entry):
        raise scanner.bad("Not the name of an entry")
    return entry


def set_metadata(scanner: Scanner) -> SetMetadata:
    scanner.sp()
    mailbox = scanner.mailbox()
    scanner.sp()
    pairs = scanner.listed(lambda: _pair(scanner), limit=_ENTRIES_LIMIT)
    return SetMetadata(mailbox, tuple(pairs))


def _pair(scanner: Scanner) -> tuple[str, bytes | None]:
    entry = _entry(scanner)
    if _NO_VALUE.fullmatch(entry):
        raise scanner.bad("An entry that has no value")
    scanner.sp()
    if scanner.nil():
        return entry, None
    if scanner.peek() == b"~":
        return entry, scanner.literal8()
    return entry, scanner.string_octets()
