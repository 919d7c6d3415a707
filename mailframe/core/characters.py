"""Classes of characters for regular expressions."""

from __future__ import annotations

import re
import string

LETTERS_DIGITS = string.ascii_letters + string.digits
ATEXT = LETTERS_DIGITS + "!#$%&'*+-/=?^_`{|}~"
"""RFC 5322 section 3.2.3."""
OF_DOMAINS = LETTERS_DIGITS + "_.-"
"""What a domain in a header field may have, underscores of real host names among it."""


def utf8_and(ascii_characters: str) -> str:
    """The class of these and of everything beyond ASCII (UTF8-non-ascii, RFC 6532 section 3.1).

    It is written as what is not in it: a range of a million characters takes Python milliseconds
    to compile, in every process that begins.
    """
    others = (chr(number) for number in range(128) if chr(number) not in ascii_characters)
    return f"[^{re.escape(''.join(others))}]"
