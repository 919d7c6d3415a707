"""SASLprep: one spelling for logins and passwords (RFC 4013).

Unassigned code points are let through, as RFC 3454 section 7 has it for queries, so that a
password chosen with today's Unicode works.
"""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0

# RFC 4013 section 2.3
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class SaslprepError(ValueError):
    """The text holds what RFC 4013 forbids. The message never quotes it."""


def saslprep(text: str) -> str:
    """The prepared text. Raises SaslprepError."""
    if text.isascii() and text.isprintable():
        return text
    # RFC 4013 section 2.1: spaces become SPACE, what is commonly mapped to nothing goes.
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    # RFC 3454 section 4: by Unicode 3.2, whatever Python's own version is
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if any(prohibits(character) for character in prepared for prohibits in _PROHIBITED):
        raise SaslprepError("a character that is not allowed")
    _check_directions(prepared)
    return prepared


def _check_directions(text: str) -> None:
    """RFC 3454 section 6."""
    if not any(map(stringprep.in_table_d1, text)):
        return
    if any(map(stringprep.in_table_d2, text)):
        raise SaslprepError("left-to-right and right-to-left text are mixed")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise SaslprepError("right-to-left text must begin and end so")
