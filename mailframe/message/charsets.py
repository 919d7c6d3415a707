"""Octets in a charset a message names, as text: the one place that knows what names mean.

Never raises. What mail calls ``gb2312`` or ``iso-8859-1`` is read with the larger charset
that mail readers use for it (WHATWG's Encoding standard has the same table). An unknown name
and plain ``us-ascii`` with octets above 127 are read as UTF-8 where that fits, else as
Latin-1. Codecs of Python that are no charset, or take quadratic time, are unknown here.
"""

from __future__ import annotations

import codecs
import functools
import re

_ALIASES = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-6-e": "iso8859-6",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "gb-2312-80": "gb18030",
    "euc-cn": "gb18030",
    "big5": "big5hkscs",
    "x-x-big5": "big5hkscs",
    "cn-big5": "big5hkscs",
    "euc-kr": "cp949",
    "ks-c-5601-1987": "cp949",
    "ks-c-5601": "cp949",
    "ksc5601": "cp949",
    "ks-c-5601-1989": "cp949",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "ms-kanji": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "x-euc-jp": "euc-jp",
    "unicode-1-1-utf-8": "utf-8",
    "utf8mb4": "utf-8",
    "x-unicode-2-0-utf-8": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "dos-866": "cp866",
}
# Not charsets, or (punycode, idna) quadratic in their input.
_REFUSED = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
_ASCII = {"", "us-ascii", "ascii", "ansi-x3.4-1968", "unknown-8bit", "x-unknown", "default"}
_NAME = re.compile(r"[a-z0-9][a-z0-9.+:()\-]{0,39}")


def decode_text(data: bytes, charset: str) -> str:
    """``data`` in ``charset`` as written in the message; what does not fit becomes U+FFFD."""
    codec = _codec(charset)
    if codec == "cp1252":
        return _western(data)
    if codec is not None:
        try:
            return data.decode(codec, "replace")
        except (ValueError, LookupError):
            # a codec that cannot replace (seen with iso2022 states)
            pass
    return _guessed(data)


def is_known(charset: str) -> bool:
    """Whether a charset of that name can be decoded (SEARCH CHARSET asks)."""
    return _codec(charset) is not None or _plain_name(charset) in _ASCII - {""}


def _plain_name(charset: str) -> str:
    return charset.strip(" \t\r\n\"'").lower().replace("_", "-")


@functools.lru_cache(maxsize=256)
def _codec(charset: str) -> str | None:
    """Python's name; None: it has to be guessed."""
    name = _plain_name(charset)
    if name in _ASCII or not _NAME.fullmatch(name):
        return None
    name = _ALIASES.get(name, name)
    for candidate in (name, name.removeprefix("x-"), re.sub(r"^(?:cp|windows)-?", "cp", name)):
        try:
            found = codecs.lookup(candidate)
            # a codec from bytes to bytes refuses here
            b"a".decode(candidate, "ignore")
        except (LookupError, ValueError):
            continue
        if found.name.replace("-", "_") in _REFUSED:
            return None
        return "cp1252" if found.name == "iso8859-1" else found.name
    return None


def _western(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except ValueError:
        # five octets have no meaning there; Latin-1 has one for all
        return data.decode("latin-1")


def _guessed(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except ValueError:
        return data.decode("latin-1")
