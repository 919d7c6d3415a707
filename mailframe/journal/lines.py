"""One event as one line for ``grep``: ``id=7KQ2M4XD step=accept result=ok size=18204``.

A value with a space, quote, ``=`` or anything unprintable is quoted, and what is unprintable
is escaped: a peer's words cannot forge a line nor colour a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[^\s\"'=\\\x00-\x20\x7f-\x9f]+")
_MAX_VALUE = 500


def log_line(id: str, session: str, step: str, result: str, detail: Mapping[str, object]) -> str:
    words = [f"id={escaped(id)}", f"step={step}"]
    if result:
        words.append(f"result={escaped(result)}")
    if session:
        words.append(f"session={escaped(session)}")
    words += [f"{name}={escaped(_text(value))}" for name, value in detail.items()]
    return " ".join(words)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def escaped(text: str) -> str:
    """The text as it is if nothing in it can mislead, else quoted."""
    if _PLAIN.fullmatch(text) and text.isprintable() and len(text) <= _MAX_VALUE:
        return text
    if len(text) > _MAX_VALUE:
        text = text[:_MAX_VALUE] + "..."
    return '"' + "".join(map(_character, text)) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
