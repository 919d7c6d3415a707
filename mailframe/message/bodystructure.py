"""BODY and BODYSTRUCTURE (RFC 9051 section 7.5.2): a part's MIME fields as IMAP tells them.

Types and parameter names are as written; transfer encodings are in upper case. A value that
is no type is text/plain (RFC 2045 section 5.2). Continued parameters (``name*0``, ``name*1``)
are put together, as RFC 2231 section 6 wants it of a server; percent-encoding and charset
stay for the client. Everything is linear, and nothing raises.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mailframe.message.content_type import parse_content_type
from mailframe.message.imap_strings import NIL, field_string, on_one_line, string

MIME_FIELDS = (
    b"content-type",
    b"content-transfer-encoding",
    b"content-id",
    b"content-description",
    b"content-disposition",
    b"content-language",
    b"content-location",
    b"content-md5",
)
_RARE = frozenset(MIME_FIELDS[2:])
_MAX_VALUE = 65_536
_MAX_CACHED = 160
_TOKEN = rb"[!#-'*+\-.0-9A-Z^-~]+"
_TYPE = re.compile(rb"\s*(" + _TOKEN + rb")\s*/\s*(" + _TOKEN + rb")\s*(?:;|\Z|(?=\s))", re.I)
_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*"?|;|[^";]+', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*"?|\\.|[()]|[^"\\()]+|\\', re.DOTALL)
_CONTINUED = re.compile(rb"([^*]+)\*(0|[1-9][0-9]{0,3})(\*?)")
_PLAIN_BOUNDARY = re.compile(rb"[A-Za-z0-9'+_,./:?=-]{1,200}")
_UNSAFE = re.compile(rb"[^A-Za-z0-9!#$&+\-.^_`{|}~]")
_ENCODING = re.compile(rb"\s*(" + _TOKEN + rb")\s*(?:;.*)?", re.I | re.DOTALL)
_WORD = re.compile(rb"[^\s;,()]+")

Parameters = tuple[tuple[bytes, bytes], ...]


class Media(NamedTuple):
    """A Content-Type."""

    name: str
    """``text/plain``, in lower case."""
    is_text: bool
    shown: bytes
    """Type, subtype and parameters, as BODY begins with them."""
    subtype: bytes
    """As a multipart ends with it, quoted."""
    parameters: bytes
    charset: str
    """In lower case; empty where there is none."""
    boundary: bytes | None
    """Of a multipart that has one."""


class Fields(NamedTuple):
    """The other MIME fields of a part, for the wire."""

    about: bytes
    """Id, description and encoding."""
    extension: bytes
    """Disposition, language and location."""
    md5: bytes
    encoding: str
    """In lower case, ``7bit`` where there is none."""
    attached: bool
    """Whether it says that it is an attachment."""


def read_media(value: bytes | None, *, in_digest: bool = False) -> Media:
    """``value`` of a Content-Type field; None where there is none."""
    if value is None:
        # RFC 2046 section 5.1.5; RFC 2045 section 5.2
        return _cached_media(b"message/rfc822" if in_digest else b"text/plain")
    return _cached_media(value) if len(value) <= _MAX_CACHED else _media(value)


def _media(value: bytes) -> Media:
    text = without_comments(on_one_line(value[:_MAX_VALUE]))
    match = _TYPE.match(text)
    type_, subtype, given = b"text", b"plain", b""
    if match is not None:
        type_, subtype, given = match[1], match[2], text[match.end() :]
    name = (type_ + b"/" + subtype).lower().decode("ascii")
    parameters = read_parameters(given)
    charset = next((v for k, v in parameters if k.lower() == b"charset"), None)
    is_text = name.startswith("text/")
    if is_text and charset is None:
        # RFC 2045 section 5.2
        parameters = (*parameters, (b"charset", b"us-ascii"))
    boundary = None
    if name.startswith("multipart/"):
        boundary = _boundary(value, parameters)
    shown = show_parameters(parameters)
    return Media(
        name=name,
        is_text=is_text,
        shown=b"%b %b %b" % (string(type_), string(subtype), shown),
        subtype=string(subtype),
        parameters=shown,
        charset=(charset or b"").decode("utf-8", "replace").lower(),
        boundary=boundary,
    )


def _boundary(value: bytes, parameters: Parameters) -> bytes | None:
    """Where there is any doubt, as the walker (``structure``) reads it."""
    if b"(" not in value and b"*" not in value and b"\\" not in value:
        for name, text in parameters:
            if name.lower() == b"boundary" and _PLAIN_BOUNDARY.fullmatch(text):
                return text
    return parse_content_type(value).boundary


_cached_media = functools.lru_cache(maxsize=2048)(_media)


def read_fields(fields: Mapping[bytes, bytes]) -> Fields:
    if _RARE.isdisjoint(fields):
        return _plain_fields(fields.get(b"content-transfer-encoding", b"")[:_MAX_CACHED])
    return _read_fields(fields)


@functools.lru_cache(maxsize=64)
def _plain_fields(encoding: bytes) -> Fields:
    return _read_fields({b"content-transfer-encoding": encoding})


def _read_fields(fields: Mapping[bytes, bytes]) -> Fields:
    get = fields.get
    encoding = _encoding(get(b"content-transfer-encoding", b"")[:_MAX_CACHED])
    disposition = get(b"content-disposition")
    language, location = get(b"content-language"), get(b"content-location")
    return Fields(
        about=b"%b %b %b"
        % (
            field_string(get(b"content-id")),
            field_string(get(b"content-description")),
            encoding[1],
        ),
        extension=b"%b %b %b"
        % (
            NIL if disposition is None else _disposition(disposition[:_MAX_VALUE]),
            NIL if language is None else _languages(language[:_MAX_VALUE]),
            field_string(location),
        ),
        md5=field_string(get(b"content-md5")),
        encoding=encoding[0],
        attached=disposition is not None and disposition[:24].strip().lower()[:10] == b"attachment",
    )


@functools.lru_cache(maxsize=64)
def _encoding(value: bytes) -> tuple[str, bytes]:
    # a value that is no token says nothing: "8 bit", "text/html"
    match = _ENCODING.fullmatch(without_comments(value))
    word = match[1].lower() if match else b"7bit"
    return word.decode("utf-8", "replace"), string(word.upper())


def _disposition(value: bytes) -> bytes:
    """RFC 2183."""
    text = on_one_line(value)
    if b"(" in text:
        text = without_comments(text)
    kind, _, given = text.partition(b";")
    return b"(%b %b)" % (string(kind.strip()), show_parameters(read_parameters(given)))


def _languages(value: bytes) -> bytes:
    """RFC 3282."""
    tags = _WORD.findall(without_comments(on_one_line(value)))
    return b"(" + b" ".join(map(string, tags)) + b")" if tags else NIL


def show_parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return NIL
    return b"(" + b" ".join([string(text) for pair in parameters for text in pair]) + b")"


def read_parameters(text: bytes) -> Parameters:
    """``; name=value`` as often as it comes; ``text`` has no comments. No name, no parameter."""
    found = []
    for segment in _segments(text):
        name, equals, value = segment.partition(b"=")
        name, value = name.strip(), value.strip()
        if name and equals:
            found.append((name, _unquoted(value) if b'"' in value else value))
    if b"*" in text:
        return tuple(_joined(found))
    return tuple(found)


def _segments(text: bytes) -> list[bytes]:
    """What semicolons outside of quotes divide."""
    if b'"' not in text:
        return text.split(b";")
    segments: list[bytes] = []
    pieces: list[bytes] = []
    for piece in _PIECE.findall(text):
        if piece == b";":
            segments.append(b"".join(pieces))
            pieces = []
        else:
            pieces.append(piece)
    segments.append(b"".join(pieces))
    return segments


def _unquoted(value: bytes) -> bytes:
    if not value.startswith(b'"'):
        return value
    inner = value[1:-1] if len(value) > 1 and value.endswith(b'"') else value[1:]
    return _ESCAPED.sub(rb"\1", inner) if b"\\" in inner else inner


def _joined(parameters: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """RFC 2231 section 3: the sections of a parameter in their order, where the first stood.

    With any of them percent-encoded the whole is (``name*``): then the others are as well."""
    sections: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in parameters:
        if match := _CONTINUED.fullmatch(name):
            numbered = sections.setdefault(match[1].lower(), {})
            numbered.setdefault(int(match[2]), (value, match[3] == b"*"))
    done = set()
    for name, value in parameters:
        match = _CONTINUED.fullmatch(name)
        numbered = sections[match[1].lower()] if match else {}
        if match is None or 0 not in numbered:
            yield name, value
        elif match[1].lower() not in done:
            done.add(match[1].lower())
            yield _whole(match[1], numbered)


def _whole(name: bytes, numbered: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bytes]:
    encoded = any(is_encoded for _, is_encoded in numbered.values())
    made = []
    for number, (value, is_encoded) in sorted(numbered.items()):
        if encoded and not is_encoded:
            value = _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], value)
            if number == 0:
                value = b"''" + value
        made.append(value)
    return name + b"*" * encoded, b"".join(made)


def without_comments(value: bytes) -> bytes:
    """RFC 5322 section 3.2.2, outside of quotes. One that is not closed is none."""
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    depth = opened = 0
    for piece in _COMMENT_PIECE.findall(value):
        if piece == b"(":
            opened = len(kept) if depth == 0 else opened
            depth += 1
        kept.append(piece)
        if piece == b")" and depth:
            depth -= 1
            if depth == 0:
                kept[opened:] = [b" "]
    return b"".join(kept)
