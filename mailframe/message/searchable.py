"""A message as SEARCH, SORT and THREAD look at it: decoded, folded, in UTF-8.

Texts are folded by ``folding.fold``, keys are ``folding.collation_key``s. In header fields runs of
blanks, line ends included, are one blank, as in what is searched for. In bodies a line ends
with LF. All text parts count, those of attached messages too, and the machine-readable parts
of reports (``message/delivery-status``); HTML as ``html_text`` reads it. Not searched:
other parts, attribute values, what stands between and around the parts of a multipart. The
header of an attached message belongs to the body that holds it.

What a message contains is by definition what stands in the first ``MAX_TEXT`` octets of its
text parts, still encoded, and the first ``MAX_HEADER`` octets of its headers: a search finds
all of that and nothing else. Never raises; blocks for some 20 ms per MB.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailframe.core.facts import MessageFacts, Part
from mailframe.message.address_texts import AddressText, address_texts
from mailframe.message.charsets import decode_text
from mailframe.message.encoded_words import decode_header, from_base64
from mailframe.message.folding import collation_key, fold, fold_long
from mailframe.message.headers import fields, unfolded
from mailframe.message.html_text import html_text
from mailframe.message.sent_date import sent_date
from mailframe.message.subjects import base_subject

MAX_TEXT = 8 << 20
MAX_HEADER = 1 << 20
_MAX_KEY = 1_024  # characters: two texts that agree so far sort by the next criterion
_MAX_REFERENCES = 1_000
_MAX_MESSAGE_ID = 1_000
_FEW = 200

_BLANKS = re.compile(r"[ \t\r\n\f\v\0]+")
_MESSAGE_ID = re.compile(rb"<([^<>]+)>")
_BLANK_OCTETS = re.compile(rb"[ \t\r\n]+")
# One that does not end is taken to its end all the same: to look for an end from each of its
# escaped quotes takes time by the square of its length, and keeps the interpreter's lock.
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)("?)')
_ADDRESS_FIELDS = ("from", "to", "cc", "bcc")


@dataclass(frozen=True, slots=True)
class Searchable:
    """The rows of the index's tables ``heading`` and ``words``."""

    sent: int | None = None
    sent_day: int | None = None
    from_: bytes = b""
    """Each field's text ends with LF; nothing: there is no such field."""
    to: bytes = b""
    cc: bytes = b""
    bcc: bytes = b""
    subject: bytes = b""
    base_subject: bytes = b""
    from_key: bytes = b""
    to_key: bytes = b""
    cc_key: bytes = b""
    display_from: bytes = b""
    display_to: bytes = b""
    is_reply: bool = False
    message_id: str = ""
    """Without angle brackets and quotes: RFC 5256 compares what it means."""
    reference_ids: str = ""
    headers: bytes = b""
    """LF, then ``name: value`` LF for each field; an empty line; those of all parts."""
    body: bytes = b""


def read_searchable(data: bytes, facts: MessageFacts) -> Searchable:
    """``data`` is the message in wire format; of ``facts`` only ``parts`` is looked at."""
    parts = facts.parts
    if parts is None:
        return Searchable()
    header = data[parts.header : min(parts.body, parts.header + MAX_HEADER)]
    read = [(field.name.lower(), field.value) for field in fields(header)]
    values: dict[str, list[bytes]] = {}
    for name, value in read:
        values.setdefault(name, []).append(value)
    people = {name: _people(values.get(name, ())) for name in _ADDRESS_FIELDS}
    sent = sent_date(unfolded(values["date"][0])) if "date" in values else None
    subject = base_subject(decode_header(values["subject"][0]) if "subject" in values else "")
    return Searchable(
        sent=sent.seconds if sent else None,
        sent_day=sent.day if sent else None,
        from_=_addressed(values.get("from", ()), people["from"]),
        to=_addressed(values.get("to", ()), people["to"]),
        cc=_addressed(values.get("cc", ()), people["cc"]),
        bcc=_addressed(values.get("bcc", ()), people["bcc"]),
        subject=b"".join(_folded_value(value) for value in values.get("subject", ())),
        base_subject=_key(subject.text),
        from_key=_key(people["from"][0].mailbox if people["from"] else ""),
        to_key=_key(people["to"][0].mailbox if people["to"] else ""),
        cc_key=_key(people["cc"][0].mailbox if people["cc"] else ""),
        display_from=_key(people["from"][0].shown if people["from"] else ""),
        display_to=_key(people["to"][0].shown if people["to"] else ""),
        is_reply=subject.is_reply,
        message_id=next(_message_ids(values.get("message-id", ())), ""),
        reference_ids=_references(values),
        headers=_headers(read, data, parts),
        body=_body(data, parts),
    )


def header_needle(text: str) -> bytes:
    """What to look for in header fields."""
    return _utf8(fold_long(_BLANKS.sub(" ", text)))


def body_needle(text: str) -> bytes:
    """What to look for in ``Searchable.body``."""
    return _utf8(fold_long(text.replace("\r\n", "\n")))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


# ---- header fields


def _folded_value(value: bytes) -> bytes:
    return _utf8(fold_long(_BLANKS.sub(" ", decode_header(value)))) + b"\n"


def _people(values: Iterable[bytes]) -> list[AddressText]:
    return [person for value in values for person in address_texts(value)]


def _addressed(values: Iterable[bytes], people: Iterable[AddressText]) -> bytes:
    """The fields, and behind them what the addresses are without comments and quotes."""
    text = b"".join(_folded_value(value) for value in values)
    meant = dict.fromkeys(
        _utf8(fold(_BLANKS.sub(" ", shown)))
        for person in people
        for shown in (person.name, person.address)
    )
    if len(meant) <= _FEW:  # what is there already needs not be there twice
        meant = dict.fromkeys(folded for folded in meant if folded not in text)
    return text + b"".join(folded + b"\n" for folded in meant)


def _key(text: str) -> bytes:
    return collation_key(text[:_MAX_KEY])


def _message_ids(values: Iterable[bytes]) -> Iterator[str]:
    for value in values:
        for match in _MESSAGE_ID.finditer(value[:MAX_HEADER]):
            found = _BLANK_OCTETS.sub(b"", match[1])
            if b'"' in found:
                # RFC 5256 section 3: a quoted local part is the same as one without quotes
                found = _QUOTED.sub(_local_part, found)
            if 0 < len(found) <= _MAX_MESSAGE_ID:
                yield found.decode("utf-8", "replace")


def _local_part(quoted: re.Match[bytes]) -> bytes:
    return quoted[1].replace(b"\\", b"") if quoted[2] else quoted[0]


def _references(values: dict[str, list[bytes]]) -> str:
    """References, else the first of In-Reply-To (RFC 5256 section 3, REFERENCES)."""
    found = list(_message_ids(values.get("references", ())))[-_MAX_REFERENCES:]
    if not found:
        found = list(_message_ids(values.get("in-reply-to", ())))[:1]
    return " ".join(found)


def _headers(read: Iterable[tuple[str, bytes]], data: bytes, parts: Part) -> bytes:
    lines = [b"\n", *_lines(read), b"\n"]
    left = MAX_HEADER
    for part in _below(parts):
        header = data[part.header : min(part.body, part.header + left)]
        lines += _lines((field.name.lower(), field.value) for field in fields(header))
        left -= len(header)
        if left <= 0:
            break
    return b"".join(lines)


def _lines(read: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    for name, value in read:
        yield name.encode("ascii", "replace") + b": " + _folded_value(value)


# ---- bodies


def _below(parts: Part) -> Iterator[Part]:
    """All parts but the outermost, in the order of the message; nothing recurses."""
    waiting = list(_children(parts))[::-1]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += list(_children(part))[::-1]


def _children(part: Part) -> tuple[Part, ...]:
    return part.parts if part.message is None else (*part.parts, part.message)


def _body(data: bytes, parts: Part) -> bytes:
    texts = []
    left = MAX_TEXT
    for part in (parts, *_below(parts)):
        if left <= 0:
            break
        if part.message is not None:
            header = data[part.message.header : min(part.message.body, part.message.header + left)]
            left -= len(header)
            read = ((field.name.lower(), field.value) for field in fields(header))
            texts.append(b"".join(_lines(read)))
        elif _is_text(part):
            raw = data[part.body : min(part.end, part.body + left)]
            left -= len(raw)
            texts.append(_utf8(fold_long(_part_text(raw, part))))
    return b"\n".join(texts)


def _is_text(part: Part) -> bool:
    if part.parts or part.message is not None:
        return False
    kind, _, subtype = part.media.partition("/")
    return kind == "text" or (kind == "message" and subtype not in ("rfc822", "global"))


def _part_text(raw: bytes, part: Part) -> str:
    text = decode_text(_transfer_decoded(raw, part.encoding), part.charset)
    text = text.replace("\r\n", "\n")
    return html_text(text) if part.media in ("text/html", "text/x-html") else text


def _transfer_decoded(raw: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return from_base64(raw)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    return raw
