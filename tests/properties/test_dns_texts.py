"""Whatever a text holds, a zone file's strings are of legal length and say the same."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mailframe.app.dns_records import txt_rdata

_STRING = re.compile(r'"((?:[^"\\]|\\[0-9]{3}|\\[^0-9])*)"')
_ESCAPE = re.compile(rb"\\([0-9]{3})|\\(.)", re.DOTALL)


def octets(string: str) -> bytes:
    """RFC 1035 section 5.1, backwards."""
    return _ESCAPE.sub(
        lambda found: bytes([int(found[1])]) if found[1] else found[2], string.encode("ascii")
    )


@given(st.text(max_size=800))
def test_texts_come_back(text: str) -> None:
    rdata = txt_rdata(text)
    assert re.fullmatch(rf"{_STRING.pattern}(?: {_STRING.pattern})*", rdata)
    strings = [octets(found[1]) for found in _STRING.finditer(rdata)]
    assert b"".join(strings) == text.encode()
    assert all(len(string) <= 255 for string in strings)
