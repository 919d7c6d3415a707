"""Bodies of new messages: texts, HTML beside them, files, other messages, in the smallest MIME tree
that holds them (RFC 2045, 2046).

What is made goes through any host unchanged: seven bits and lines of at most 78 characters, so that
nobody has a reason to convert it and to break its signature. Only a message attached to the octet
may need eight (RFC 2046 section 5.2.1 forbids to encode it). The same input is the same octets.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailframe.message.encodings import Base64, QuotedPrintable
from mailframe.message.field_writing import parameters_field, tokens_field

_LINE = 78
_LINE_END = re.compile(r"\r\n|\r|\n")
# RFC 2045 section 5.1 token
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")
_LONG_LINE = re.compile(rb"[^\r\n]{999}")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")


@dataclass(frozen=True, slots=True)
class Part:
    """A body with the fields that describe it."""

    header: bytes
    body: bytes
    """In wire format, already encoded."""
    is_8bit: bool = False

    def __bytes__(self) -> bytes:
        return self.header + b"\r\n" + self.body


def text_part(text: str, subtype: str = "plain") -> Part:
    """Any text. Its last line is ended; NUL and lone surrogates become U+FFFD."""
    lines = _LINE_END.sub("\r\n", text.replace("\0", "\ufffd"))
    octets = lines.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    if octets and not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    charset = "us-ascii" if octets.isascii() else "utf-8"
    typed = parameters_field("Content-Type", f"text/{subtype}", [("charset", charset)])
    if octets.isascii() and _is_short_lined(octets):
        return Part(typed + _encoding("7bit"), octets)
    return _shorter(typed, octets)


def file_part(
    content: bytes,
    media: str,
    name: str = "",
    *,
    charset: str = "",
    content_id: str = "",
    is_inline: bool = False,
) -> Part:
    """A file, in base64. ``charset`` is that of a text. ValueError for a ``media`` that is
    no ``type/subtype``, or is one that may not be encoded (multipart and message)."""
    if not _TYPE.fullmatch(media):
        raise ValueError(f"{media!r} is no media type: type/subtype")
    if media.lower().startswith(("multipart/", "message/")):
        raise ValueError(f"{media} cannot be attached as a file")
    named = [(each, value) for each, value in (("charset", charset), ("name", name)) if value]
    header = parameters_field("Content-Type", media, named) + _encoding("base64")
    file = [("filename", name)] if name else []
    disposition = "inline" if is_inline else "attachment"
    header += parameters_field("Content-Disposition", disposition, file)
    if content_id:
        header += tokens_field("Content-ID", [f"<{content_id}>"])
    return Part(header, _in_base64(content))


def message_part(content: bytes, name: str) -> Part:
    """A whole message, to the octet. One that no line of eight bits carries (a line too long, a
    NUL) becomes a file."""
    if _BARE.search(content) or _LONG_LINE.search(content):
        return file_part(content, "application/octet-stream", name)
    header = content.partition(b"\r\n\r\n")[0]
    # RFC 6532 section 3.7
    media = "message/rfc822" if header.isascii() else "message/global"
    described = parameters_field("Content-Type", media, [])
    described += _encoding("7bit" if content.isascii() else "8bit")
    described += parameters_field("Content-Disposition", "attachment", [("filename", name)])
    return Part(described, content, is_8bit=not content.isascii())


def multipart(subtype: str, parts: Sequence[Part]) -> Part:
    """``mixed`` in this order, ``alternative`` with the best one last."""
    whole = [bytes(part) for part in parts]
    boundary = _boundary(whole)
    # RFC 2046 section 5.1.1: the CRLF before a delimiter is of the delimiter
    lines = [b"--%s\r\n%s\r\n" % (boundary, part) for part in whole]
    is_8bit = any(part.is_8bit for part in parts)
    header = parameters_field(
        "Content-Type", f"multipart/{subtype}", [("boundary", boundary.decode())]
    )
    header += _encoding("8bit" if is_8bit else "7bit")
    return Part(header, b"".join(lines) + b"--%s--\r\n" % boundary, is_8bit)


def _encoding(name: str) -> bytes:
    return f"Content-Transfer-Encoding: {name}\r\n".encode()


def _is_short_lined(octets: bytes) -> bool:
    return max(map(len, octets.split(b"\r\n"))) <= _LINE


def _shorter(typed: bytes, octets: bytes) -> Part:
    """Quoted-printable keeps most letters legible; base64 is for what it would make longer."""
    encoder = QuotedPrintable()
    quoted = encoder.feed(octets) + encoder.finish(at_end=False)
    encoded = _in_base64(octets)
    if len(quoted) <= len(encoded):
        return Part(typed + _encoding("quoted-printable"), quoted)
    return Part(typed + _encoding("base64"), encoded)


def _in_base64(octets: bytes) -> bytes:
    encoder = Base64()
    return encoder.feed(octets) + encoder.finish(at_end=False)


def _boundary(parts: Sequence[bytes]) -> bytes:
    """Of their digest, so that none of them can have been written to contain it. It begins with
    what neither quoted-printable nor base64 makes."""
    seen = hashlib.blake2b(digest_size=16)
    for part in parts:
        seen.update(part)
    return b"=_" + seen.hexdigest().encode("ascii")
