"""Status responses, tagged and untagged (RFC 9051 section 7.1); ``responses`` has the data."""

from __future__ import annotations

from mailframe.protocols.imap.events import Status


def tagged(tag: str, status: Status, text: str, code: str = "") -> bytes:
    """``tag`` empty: the command's tag could not be read, and the response has none."""
    return _status(tag or "*", status.value, text, code)


def untagged(word: str, text: str, code: str = "") -> bytes:
    """``* OK``, ``* BYE`` and their like."""
    return _status("*", word, text, code)


def _status(tag: str, word: str, text: str, code: str) -> bytes:
    # RFC 9051 section 9, resp-text: at least one character of text
    shown = f"[{code}] {text or 'Done'}" if code else text or "Done"
    line = f"{tag} {word} {shown}".encode("ascii", "replace")
    return line.replace(b"\r", b" ").replace(b"\n", b" ") + b"\r\n"
