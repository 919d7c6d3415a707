"""What a list and a search know of each message. Blocks: large ones belong on a worker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from mailframe.message.address_texts import address_texts
from mailframe.message.folding import fold_long
from mailframe.message.headers import fields, first, message_id, named, split_message
from mailframe.web.reading import Reading, read_message
from mailframe.web.words import header_text

SNIPPET = 250  # characters
MAX_SEARCHED = 64 << 10  # characters of a message's text that searches look at
MAX_TAGS = 50
_FIELD = 1_000  # characters of a subject
_ADDRESSES = 500
_PEOPLE = ("From", "To", "Cc", "Bcc", "Reply-To")
# What delivery and reception put on top; `id` is RFC 5321's clause of Received.
_TRACE = re.compile(rb"\sid\s+([0-9A-Z]{12})(?=[\s;])")
_ON_TOP = ("return-path", "delivered-to")


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True, slots=True)
class Head:
    """What the server wrote on top of a copy."""

    queue_id: str
    """Of the SMTP transaction; empty for what did not come by SMTP."""
    recipient: str
    reverse_path: str
    """Empty for the null reverse-path, and where there is none."""
    octets: int
    """Of what differs from the other recipients' copies."""


@dataclass(frozen=True, slots=True)
class Summary:
    subject: str
    sender: Person | None
    """The first address in From."""
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    bcc: tuple[Person, ...]
    """Of a Bcc field, which few messages have."""
    reply_to: tuple[Person, ...]
    message_id: str
    """Without angle brackets."""
    snippet: str
    attachments: int
    inlines: int
    tags: tuple[str, ...]
    """Of X-Tags, and the details of its addresses."""
    searched: str
    """Its text, with that of its addresses and subject, folded, runs of blanks as one."""


def read_head(data: bytes) -> Head:
    """``data``: the beginning of a stored message."""
    header, _ = split_message(data)
    octets, recipient, reverse_path = 0, "", ""
    for each in fields(header):
        name = each.name.lower()
        if name not in _ON_TOP:
            found = _TRACE.search(each.value) if name == "received" else None
            return Head(found[1].decode() if found else "", recipient, reverse_path, octets)
        octets += len(each.raw)
        if name == "delivered-to":
            recipient = each.text
        else:
            reverse_path = each.text.strip("<>")
    return Head("", recipient, reverse_path, octets)


def summarize(data: bytes, is_whole: bool = True) -> Summary:
    """``data``: the message, or its beginning."""
    header, _ = split_message(data)
    reading = read_message(data, is_whole)
    sender, to, cc, bcc, reply_to = (people(header, name) for name in _PEOPLE)
    subject = _text_of(header, "Subject")
    text = reading.all_text
    shown = [*sender, *to, *cc, *bcc, *reply_to]
    names = [part.name for part in reading.attachments if part.name]
    return Summary(
        subject=subject,
        sender=sender[0] if sender else _unreadable(header),
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=reply_to,
        message_id=message_id(header).strip("<>"),
        snippet=" ".join(text[: 20 * SNIPPET].split())[:SNIPPET],
        attachments=sum(1 for part in reading.attachments if not part.is_inline),
        inlines=sum(1 for part in reading.attachments if part.is_inline),
        tags=tuple(_tags(header, (*to, *cc, *bcc))),
        searched=_searched(reading, text, [subject, *map(str, shown), *names]),
    )


def people(header: bytes, name: str) -> tuple[Person, ...]:
    """Every address in the fields of that name."""
    found = (
        Person(each.name[:_FIELD], each.address[:_FIELD])
        for field in named(header, name)
        for each in address_texts(field.value)
    )
    return tuple(islice(found, _ADDRESSES))


def _unreadable(header: bytes) -> Person | None:
    """A From that holds no address: shown as it stands there."""
    text = _text_of(header, "From")
    return Person(text, "") if text else None


def _text_of(header: bytes, name: str) -> str:
    found = first(header, name)
    return header_text(found.value)[:_FIELD] if found else ""


def _tags(header: bytes, recipients: tuple[Person, ...]) -> Iterator[str]:
    words = _text_of(header, "X-Tags").split(",")
    for person in recipients:
        local_part = person.address.rpartition("@")[0]
        words += local_part.split("+")[1:]
    found = dict.fromkeys(tag for word in words if (tag := word.strip()[:100]))
    yield from list(found)[:MAX_TAGS]


def _searched(reading: Reading, text: str, words: list[str]) -> str:
    if reading.text is not None and reading.html is not None:
        text += "\n" + reading.html.text[:MAX_SEARCHED]
    whole = " ".join([*words, text])[:MAX_SEARCHED]
    return " ".join(fold_long(whole).split())
