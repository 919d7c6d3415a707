"""One event as one line for ``grep``: ``id=7KQ2M4XD step=accept result=ok size=18204``.

A value with a space, quote, ``=`` or anything unprintable is quoted, and what is unprintable
is escaped: a peer's words cannot forge a line nor colour a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mailframe.journal.pages import Row

_is_plain = re.compile(r"[^ \"'=\\]+").fullmatch  # what is printable
_MAX_VALUE = 500


class Line:
    """An event's line, made when somebody wants to read it."""

    __slots__ = ("_row",)

    def __init__(self, row: Row) -> None:
        self._row = row

    def __str__(self) -> str:
        _, id, session, step, result, detail = self._row
        return log_line(id, session, step, result, detail)


def log_line(id: str, session: str, step: str, result: str, detail: Mapping[str, object]) -> str:
    line = f"id={escaped(id)} step={step}"
    if result:
        line += f" result={escaped(result)}"
    if session and session != id:
        line += f" session={escaped(session)}"
    for name, value in detail.items():
        if value is None or value == "":
            continue
        text = value if type(value) is str else _text(value)
        if len(text) > _MAX_VALUE:
            text = text[:_MAX_VALUE] + "..."
        line += f" {name}={escaped(text)}"
    return line


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def escaped(text: str) -> str:
    """The text as it is if nothing in it can mislead, else quoted."""
    if not text.isprintable():
        return '"' + "".join(map(_character, text)) + '"'
    if text.isalnum() or _is_plain(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
