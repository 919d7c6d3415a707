"""How values are written: atoms where that is safe, else quoted, else literals.

Whatever octets come in, what goes out is one value of the grammar: no CR or LF outside of a
literal, no NUL (which only a literal8 can carry, see ``nstring8``), no octet above 127 outside
of a literal unless the client takes UTF-8 (RFC 6855, RFC 9051).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from functools import lru_cache

from mailframe.core import utf7
from mailframe.core.folders import SYSTEM_FLAGS, Flags

_QUOTED_LIMIT = 1000
"""Octets; longer strings are literals, as some clients read quoted strings into small lines."""

# Narrower than RFC 9051's astring: "[" and friends are legal, and clients trip over them.
_PLAIN = re.compile(rb"[A-Za-z0-9_./:@+=&,$!#-]+")
_KEYWORD = re.compile(r"""[^\x00-\x20(){%*"\\\]\x7f-\U0010ffff]+""")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_QUOTABLE_UTF8 = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\xff]*")
_SPECIAL = re.compile(rb'(["\\])')
_SYSTEM = {flag: number for number, flag in enumerate((*SYSTEM_FLAGS, "\\Recent"))}
_DAY = 86_400
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()


def quoted_or_literal(value: str | bytes, utf8: bool = False) -> bytes:
    octets = _octets(value)
    pattern = _QUOTABLE_UTF8 if utf8 else _QUOTABLE
    if len(octets) > _QUOTED_LIMIT or not pattern.fullmatch(octets) or not _is_text(octets):
        return literal(octets)
    if b'"' in octets or b"\\" in octets:
        octets = _SPECIAL.sub(rb"\\\1", octets)
    return b'"%s"' % octets


def nstring(value: str | bytes | None, utf8: bool = False) -> bytes:
    return b"NIL" if value is None else quoted_or_literal(value, utf8)


def nstring8(value: bytes | None, utf8: bool = False) -> bytes:
    """As ``nstring``, and a literal8 where the value has NUL (RFC 5464 section 5)."""
    if value is not None and b"\0" in value:
        return literal8(value)
    return nstring(value, utf8)


def astring(value: str | bytes, utf8: bool = False) -> bytes:
    octets = _octets(value)
    if _PLAIN.fullmatch(octets) and octets.upper() != b"NIL":
        return octets
    return quoted_or_literal(octets, utf8)


def literal(octets: bytes) -> bytes:
    """RFC 9051 section 4.3 has no way to write NUL here: it is left out."""
    octets = octets.replace(b"\0", b"")
    return b"{%d}\r\n%s" % (len(octets), octets)


def literal8(octets: bytes) -> bytes:
    return b"~{%d}\r\n%s" % (len(octets), octets)


def mailbox_name(name: str, utf8: bool = False) -> bytes:
    """Modified UTF-7, or UTF-8 for whoever enabled it."""
    if name.isascii() and _PLAIN.fullmatch(name.encode()) and "&" not in name:
        return astring(name)
    # A directory that no UTF-8 names has lone surrogates; nobody can write those.
    sayable = name.encode("utf-8", "replace").decode("utf-8")
    return astring(sayable if utf8 else utf7.encode(sayable), utf8)


def parenthesised(values: Iterable[bytes]) -> bytes:
    return b"(%s)" % b" ".join(values)


def text_line(text: str) -> bytes:
    """The human part of a response: one line, ASCII, never empty (RFC 9051 section 9)."""
    plain = re.sub(r"[^\x20-\x7e]+", " ", text).strip()
    return (plain or "-").encode("ascii")


@lru_cache(maxsize=4096)
def flags_list(flags: Flags, recent: bool = False) -> bytes:
    r"""System flags in a fixed order, then keywords sorted; ``recent`` adds ``\Recent``. What
    is no flag of the grammar (a keyword that another program made) is left out."""
    said = sorted(_SYSTEM.keys() & flags, key=_SYSTEM.__getitem__)
    if recent and "\\Recent" not in flags:
        said.append("\\Recent")
    said += sorted(flag for flag in flags if _KEYWORD.fullmatch(flag))
    return ("(" + " ".join(said) + ")").encode("ascii")


def flag_names(flags: Iterable[str]) -> bytes:
    r"""In the order given, for FLAGS and PERMANENTFLAGS; ``\*`` is allowed."""
    names = [flag for flag in flags if flag in _SYSTEM or flag == "\\*" or _KEYWORD.fullmatch(flag)]
    return ("(" + " ".join(names) + ")").encode("ascii")


def internal_date(seconds: float) -> bytes:
    """With its quotes, in UTC: ``"17-Jul-1996 02:44:25 +0000"``. Years 1 to 9999."""
    days, rest = divmod(int(seconds // 1), _DAY)
    hours, rest = divmod(rest, 3600)
    return b'"%s %02d:%02d:%02d +0000"' % (_day(days), hours, *divmod(rest, 60))


@lru_cache(maxsize=2048)
def _day(days: int) -> bytes:
    ordinal = min(max(_EPOCH_DAY + days, 1), datetime.date.max.toordinal())
    day = datetime.date.fromordinal(ordinal)
    # RFC 9051 section 9: date-day-fixed, a space before one digit.
    return f"{day.day:2d}-{_MONTHS[day.month - 1]}-{day.year:04d}".encode("ascii")


def _octets(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "replace")


def _is_text(octets: bytes) -> bool:
    if octets.isascii():
        return True
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
