"""Which line of a TOML file set which key.

``tomllib`` reads values but forgets where they stood. This index serves error messages
only: it walks text that ``tomllib`` has already accepted, so it need not check anything. A
key inside an inline table or an array has the line of the whole value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Path = tuple[str, ...]

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*\[\[?[ \t]*({_DOTTED})[ \t]*\]\]?")
_ASSIGNMENT = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_PART = re.compile(_KEY)
# Everything in a value that may hide a bracket, or is one.
_TOKEN = re.compile(
    r""""{3}(?:[^"\\]|\\.|"(?!""))*"{3,5}|'{3}(?:[^']|'(?!''))*'{3,5}"""
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|[\[\]{}\n]""",
    re.DOTALL,
)


def line_index(text: str) -> dict[Path, int]:
    """Key path -> 1-based line of the table header or assignment that made it."""
    lines: dict[Path, int] = {}
    table: Path = ()
    for position, line in _logical_lines(text):
        number = text.count("\n", 0, position) + 1
        if header := _HEADER.match(line):
            table = _path(header[1])
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault(table + _path(assignment[1]), number)
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of the key or of the nearest table around it; 0 when nothing is known."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 0


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines, those that a bracket or a string continues in one piece."""
    start = depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth == 0:
            yield start, text[start : token.start()]
            start = token.end()
    yield start, text[start:]


def _path(dotted: str) -> Path:
    return tuple(_unquoted(part[0]) for part in _PART.finditer(dotted))


def _unquoted(part: str) -> str:
    if part.startswith('"'):
        return re.sub(r"\\(.)", r"\1", part[1:-1])
    return part[1:-1] if part.startswith("'") else part
