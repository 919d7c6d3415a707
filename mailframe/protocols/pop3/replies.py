"""What POP3 replies look like (RFC 1939 section 3), with response codes (RFC 2449 section 8)."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class ResponseCode(enum.Enum):
    """The bracketed word that tells a client what kind of ``-ERR`` it is."""

    IN_USE = "IN-USE"  # RFC 2449 section 8.1.2
    AUTH = "AUTH"  # RFC 3206 section 4: the credentials are the problem
    SYS_TEMP = "SYS/TEMP"  # likely to go away
    SYS_PERM = "SYS/PERM"  # will not go away by itself


class Refusal(Exception):
    """Unwinds a command to its ``-ERR``. Never leaves the engine.

    ``counts``: whether it is a mistake that the budget for bad commands counts, as opposed
    to a plain no (``no such message``).
    """

    def __init__(self, text: str, code: ResponseCode | None = None, *, counts: bool = True) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.counts = counts


def ok(text: str) -> bytes:
    return f"+OK {text}\r\n".encode()


def err(text: str, code: ResponseCode | None = None) -> bytes:
    return (f"-ERR [{code.value}] {text}\r\n" if code else f"-ERR {text}\r\n").encode()


END = b".\r\n"
"""Of a multi-line reply."""


def lines(texts: Iterable[str]) -> bytes:
    """Of a multi-line reply. No line of ours begins with a dot, so there is nothing to stuff."""
    return "".join([f"{text}\r\n" for text in texts]).encode()


def listing(text: str, texts: Iterable[str]) -> bytes:
    """A multi-line reply, whole."""
    return ok(text) + lines(texts) + END
