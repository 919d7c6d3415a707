"""Content-Type: the type of a body part and its parameters.

Reads anything without raising, as mail readers do: a value that is no type is ``text/plain``
(RFC 2045 section 5.2). Of two parameters of one name the first counts. RFC 2231
continuations are joined and percent-encoding undone; charsets of parameters are not
applied: nobody here looks at more than ``boundary``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from mailframe.message.headers import unfolded

_MAX_VALUE = 65_536
_TYPE = re.compile(r"\s*([!#-'*+\-.0-9A-Z^-~]+)\s*/\s*([!#-'*+\-.0-9A-Z^-~]+)", re.IGNORECASE)
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|\((?:[^()\\]|\\.)*\)?|[;=]|\s+|[^\s"(;=]+', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"([^*]+)\*(?:([0-9]{1,4})(\*?))?")


@dataclass(frozen=True, slots=True)
class ContentType:
    """``type`` and ``subtype`` in lower case, parameter names too."""

    type: str = "text"
    subtype: str = "plain"
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def boundary(self) -> bytes | None:
        """The boundary of a multipart; None where it has none that can be used."""
        value = self.parameters.get("boundary", "").rstrip(" \t")
        # RFC 2046 section 5.1.1 says 70; longer ones are seen and harmless
        return value.encode("latin-1") if 0 < len(value) <= 250 else None

    def __str__(self) -> str:
        return f"{self.type}/{self.subtype}"


def parse_content_type(value: bytes) -> ContentType:
    """``value`` is the field's value, folded or not."""
    text = unfolded(value[:_MAX_VALUE]).decode("latin-1")
    match = _TYPE.match(text)
    if not match:
        return ContentType()
    parameters: dict[str, str] = {}
    for name, content in _parameters(text[match.end() :]):
        parameters.setdefault(name, content)
    return ContentType(match[1].lower(), match[2].lower(), _joined(parameters))


def _parameters(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    name, value, seen_equals = "", "", False
    for piece in [*_PIECE.findall(text), ";"]:
        if piece == ";":
            if name and seen_equals:
                found.append((name.lower(), value))
            name, value, seen_equals = "", "", False
        elif piece[0] == "(" or piece.isspace():
            continue
        elif piece == "=" and not seen_equals:
            seen_equals = True
        elif seen_equals:
            # a token with "=" in it is malformed and common: boundary=----=_Part_1
            value += _unquoted(piece)
        else:
            name += piece
    return found


def _unquoted(piece: str) -> str:
    if not piece.startswith('"'):
        return piece
    inner = piece[1:-1] if len(piece) > 1 and piece.endswith('"') else piece[1:]
    return _ESCAPED.sub(r"\1", inner)


def _joined(parameters: dict[str, str]) -> dict[str, str]:
    """Undo RFC 2231: ``name*``, ``name*0``, ``name*0*``."""
    if not any("*" in name for name in parameters):
        return parameters
    plain = {name: value for name, value in parameters.items() if "*" not in name}
    sections: dict[str, dict[int, str]] = {}
    for name, value in parameters.items():
        if match := _SECTION.fullmatch(name):
            number = int(match[2] or 0)
            encoded = match[2] is None or match[3] == "*"
            sections.setdefault(match[1], {})[number] = (
                _decoded(value, number) if encoded else value
            )
    for name, numbered in sections.items():
        plain.setdefault(name, "".join(numbered[number] for number in sorted(numbered)))
    return plain


def _decoded(value: str, number: int) -> str:
    # RFC 2231 section 4: charset'language'text, in the first section only
    text = value.split("'", 2)[2] if number == 0 and value.count("'") >= 2 else value
    return unquote_to_bytes(text.encode("latin-1")).decode("latin-1")
