"""Modified UTF-7 (RFC 3501 section 5.1.3): how IMAP4rev1 and Maildir++ write folder names."""

from __future__ import annotations

import base64
import binascii
import re

_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encode(text: str, also: str = "") -> str:
    """``also``: printable characters to encode nevertheless, as Courier does with ``.``."""
    unsafe = rf"[^\x20-\x7e]|[{re.escape(also)}]" if also else r"[^\x20-\x7e]"
    return re.sub(rf"&|(?:{unsafe})+", lambda match: _shift(match[0]), text)


def decode(text: str) -> str:
    """Raises ValueError for what no encoder writes."""
    if not _SHIFTED.sub("", text).isascii() or "&" in _SHIFTED.sub("", text):
        raise ValueError(f"{text!r} is not modified UTF-7")
    return _SHIFTED.sub(lambda match: _unshift(match[1]), text)


def _shift(text: str) -> str:
    if text == "&":
        return "&-"
    encoded = base64.b64encode(text.encode("utf-16-be")).rstrip(b"=").decode()
    return f"&{encoded.replace('/', ',')}-"


def _unshift(encoded: str) -> str:
    if not encoded:
        return "&"
    padded = encoded.replace(",", "/") + "=" * (-len(encoded) % 4)
    try:
        return base64.b64decode(padded).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"&{encoded}- is not modified UTF-7") from error
