"""In which charsets a client may write what it searches for (RFC 9051 section 6.4.4).

A closed table: Python knows codecs that are no charsets, and some that are costly.
"""

from __future__ import annotations

from mailframe.protocols.imap.grammar import BadCommand, Refusal

UTF8 = "utf-8"

_CODECS = {
    "US-ASCII": "ascii",
    "ASCII": "ascii",
    "ANSI_X3.4-1968": "ascii",
    "UTF-8": UTF8,
    "UTF8": UTF8,
    **{f"ISO-8859-{n}": f"iso8859-{n}" for n in range(1, 17) if n != 12},
    "LATIN1": "iso8859-1",
    **{f"WINDOWS-{n}": f"cp{n}" for n in (874, *range(1250, 1259))},
    "KOI8-R": "koi8-r",
    "KOI8-U": "koi8-u",
    "TIS-620": "tis-620",
    "ISO-2022-JP": "iso2022-jp",
    "EUC-JP": "euc-jp",
    "SHIFT_JIS": "shift-jis",
    "EUC-KR": "euc-kr",
    "KS_C_5601-1987": "cp949",
    "GB2312": "gb2312",
    "GBK": "gbk",
    "GB18030": "gb18030",
    "BIG5": "big5",
    "BIG5-HKSCS": "big5hkscs",
}

# What NO [BADCHARSET] recommends: who is told of UTF-8 needs no other.
_RECOMMENDED = "US-ASCII UTF-8"


def codec(name: str) -> str:
    """Raises Refusal, NO [BADCHARSET (...)], for a charset that is not in the table."""
    found = _CODECS.get(name.upper())
    if found is None:
        raise Refusal("Charset not supported", f"BADCHARSET ({_RECOMMENDED})")
    return found


def decoded(octets: bytes, codec: str) -> str:
    try:
        return octets.decode(codec)
    except UnicodeDecodeError:
        raise BadCommand("Text is not in the charset that was announced") from None
