"""Sections of a FETCH response: how they are named, and their octets.

``servers.imap_rows`` puts FETCH lines together, column by column, because a call for every
value of every message would be most of the cost; what a value looks like is here and in
``strings``.
"""

from __future__ import annotations

from mailframe.protocols.imap.commands import Section, SectionKind, SectionText
from mailframe.protocols.imap.responses.strings import astring, literal, literal8, parenthesised

_NAMES = {
    SectionKind.RFC822: b"RFC822",
    SectionKind.RFC822_HEADER: b"RFC822.HEADER",
    SectionKind.RFC822_TEXT: b"RFC822.TEXT",
}


def section_item(section: Section, octets: bytes | None) -> bytes:
    """None: there is no such part. For BINARY the octets are decoded already and may have
    NUL; of others NUL is left out, so whoever wants it counted replaces it first."""
    name = section_name(section)
    if octets is None:
        return name + b" NIL"
    if section.kind is SectionKind.BINARY:
        return name + b" " + (literal8(octets) if b"\0" in octets else literal(octets))
    return name + b" " + literal(octets)


def binary_size_item(section: Section, octets: int) -> bytes:
    return section_name(section) + b" %d" % octets


def literal_begins(octets: int, binary: bool = False) -> bytes:
    """So many octets must follow exactly; only a ``binary`` one may have NUL."""
    return b"~{%d}\r\n" % octets if binary else b"{%d}\r\n" % octets


def section_name(section: Section) -> bytes:
    """As it stands in the answer: without PEEK, of ``<0.100>`` only the first octet."""
    if section.kind in _NAMES:
        return _NAMES[section.kind]
    name = section.kind.value.encode("ascii") + b"[" + _section_text(section) + b"]"
    if section.partial is not None and section.kind is not SectionKind.BINARY_SIZE:
        name += b"<%d>" % section.partial[0]
    return name


def _section_text(section: Section) -> bytes:
    words = [b"%d" % number for number in section.part]
    if section.text is not SectionText.ALL:
        words.append(section.text.value.encode("ascii"))
    name = b".".join(words)
    if section.text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
        name += b" " + parenthesised([astring(field) for field in section.fields])
    return name
