"""A whole message's tokens: its header, its structure, its texts, its links.

Each group has a cap of its own, and so has the work: of every text the beginning is read, of
many parts the first. What a sender adds to be seen (the header, the first lines) counts; what
is piled up behind it to tire the filter does not.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from itertools import islice

from mailframe.core.facts import Fact, Part
from mailframe.message.charsets import decode_text
from mailframe.message.content_type import parse_content_type
from mailframe.message.encoded_words import from_base64
from mailframe.message.facts import read_facts
from mailframe.message.headers import first
from mailframe.message.html_text import html_text
from mailframe.spam.features_header import header_tokens, shape
from mailframe.spam.features_links import host_tokens, link_tokens, links, mailbox_hosts
from mailframe.spam.features_markup import Markup
from mailframe.spam.features_words import text_tokens, words_among

MAX_HEADER = 32_768
MAX_PARTS = 40
MAX_TEXT = 65_536
"""Octets of all text parts together that are decoded."""
MOST_WORDS = 1_000
MOST_OF_HEADER = 800
MOST_OF_STRUCTURE = 200
MOST_OF_MARKUP = 200
MOST_OF_LINKS = 400
_MOST_LINKS = 60
_MOST_HOSTS = 40
_LONGEST_VALUE = 4_000

_HTML = frozenset(("text/html", "text/x-html", "application/xhtml+xml"))


def tokens_of(message: bytes) -> list[str]:
    """``message`` in wire format. A token may come several times."""
    parts = read_facts(message, Fact.PARTS).parts
    assert parts is not None  # they were asked for
    every = list(islice(_all(parts), MAX_PARTS))
    found = list(islice(header_tokens(message[: min(parts.body, MAX_HEADER)]), MOST_OF_HEADER))
    found += islice(_structure(message, every), MOST_OF_STRUCTURE)
    markup: dict[str, None] = {}
    hosts: list[str] = []
    targets: list[str] = []
    octets, words = MAX_TEXT, MOST_WORDS
    for part in filter(_is_text, every):
        if octets <= 0 or words <= 0:
            break
        raw = message[part.body : min(part.end, part.body + octets)]
        octets -= len(raw)
        text = decode_text(_decoded(raw, part.encoding), part.charset)
        if part.media in _HTML or _looks_like_html(text):
            written = Markup(text)
            markup.update(dict.fromkeys(written.tokens))
            targets += written.targets[:_MOST_LINKS]
            text = html_text(text)
        targets += links(text, _MOST_LINKS)
        hosts += mailbox_hosts(text, _MOST_HOSTS)
        tokens = text_tokens(text, words)
        words -= words_among(tokens)
        found += tokens
    found += islice(markup, MOST_OF_MARKUP)
    found += [f"body:@{host[:80]}" for host in hosts[:_MOST_HOSTS]]
    found += islice(_where_to(targets), MOST_OF_LINKS)
    return found


def _where_to(targets: list[str]) -> Iterator[str]:
    for target in dict.fromkeys(targets[:_MOST_LINKS]):
        if target[:7].lower() == "mailto:":
            for host in mailbox_hosts(target, 2):
                yield from host_tokens(host, "mailto:@")
        elif "://" in target[:10]:
            yield from link_tokens(target)
        else:
            yield f"url:odd:{target[:5].lower()}"
    yield f"url:count:{len(targets).bit_length()}"


def _structure(message: bytes, every: list[Part]) -> Iterator[str]:
    yield f"mime:parts:{len(every)}"
    for part in every:
        yield f"mime:{part.media}:{part.encoding}"
        yield f"mime:{part.media}:size:{(part.end - part.body).bit_length()}"
        if part.charset:
            yield f"mime:charset:{part.charset[:40]}"
        for child in part.parts[:8]:
            yield f"mime:{part.media}>{child.media}"
        yield from _as_described(message[part.header : min(part.body, part.header + MAX_HEADER)])


def _as_described(header: bytes) -> Iterator[str]:
    content_type = first(header, "Content-Type")
    if content_type is not None:
        given = parse_content_type(content_type.value[:_LONGEST_VALUE])
        for key, value in islice(given.parameters.items(), 8):
            yield f"mime:{given.type[:20]}:{key[:20]}"
            if key == "boundary":
                yield f"mime:boundary:{shape(value)}"
            elif key == "name":
                yield from _file(value)
    disposition = first(header, "Content-Disposition")
    if disposition is not None:
        # the same syntax: a first word, then parameters
        given = parse_content_type(b"disposition/" + disposition.value[:_LONGEST_VALUE].lstrip())
        yield f"mime:{given.subtype[:20]}"
        yield from _file(given.parameters.get("filename", ""))


def _file(name: str) -> Iterator[str]:
    if name:
        _, dot, extension = name.lower().rpartition(".")
        yield f"mime:file:{dot}{extension[:10]}"


def _all(parts: Part) -> Iterator[Part]:
    """In the order of the message; nothing recurses."""
    waiting = [parts]
    while waiting:
        part = waiting.pop()
        yield part
        children = part.parts if part.message is None else (*part.parts, part.message)
        waiting += children[::-1]


def _is_text(part: Part) -> bool:
    if part.parts or part.message is not None:
        return False
    return part.media.startswith("text/") or part.media == "message/delivery-status"


def _looks_like_html(text: str) -> bool:
    return text[:200].lstrip()[:6].lower() in ("<html>", "<!doct")


def _decoded(raw: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return from_base64(raw)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    return raw
