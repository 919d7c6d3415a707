"""A message that is being written: whom it is for, its header, its text and files.

Takes what applications write, in the forms in which people write it, and refuses what makes no
mail: ValueError, TypeError. CR, LF and NUL in anything that becomes part of a header field are.
"""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mailframe.core.address import Address
from mailframe.hooks.attachments import Attachment
from mailframe.hooks.clean_text import html_as_text
from mailframe.hooks.outgoing import Letter
from mailframe.hooks.server import Server
from mailframe.mailauth.results.lexical import as_host
from mailframe.message.composing import Part, file_part, message_part, multipart, text_part
from mailframe.message.field_writing import (
    addresses_field,
    must_be_one_line,
    text_field,
    tokens_field,
)
from mailframe.message.trace import rfc5322_date

MAX_RECIPIENTS = 1_000
MAX_OCTETS = 64 << 20
"""Of one message."""

Person = str | Address
"""``ann@example.org``, ``Ann <ann@example.org>``, or an Address."""

OURS = frozenset(
    {
        *{"from", "to", "cc", "bcc", "subject", "date", "message-id", "reply-to", "mime-version"},
        *{"received", "return-path", "delivered-to", "dkim-signature", "authentication-results"},
    }
)
"""Fields that ``headers`` may not name, in lower case."""

_NAMED = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^<>"]*?))\s*<([^<>]*)>\s*')
_TYPES = mimetypes.MimeTypes(filenames=())  # the library's own, the same on every machine
_OCTETS = "application/octet-stream"
_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")


# ---- people


@dataclass(frozen=True, slots=True)
class Mailbox:
    name: str
    address: Address

    @property
    def shown(self) -> tuple[str, str]:
        """With A-labels, which need no SMTPUTF8 (RFC 6531 section 3.2)."""
        domain = self.address.domain
        host = domain if domain.isascii() else as_host(domain)
        return self.name, str(Address(self.address.local_part, host))


def people_of(given: Person | Iterable[Person]) -> list[Mailbox]:
    several = [given] if isinstance(given, str | Address) else list(given)
    return [_mailbox(each) for each in several]


def _mailbox(given: Person) -> Mailbox:
    if isinstance(given, Address):
        # Whoever has put it together need not have checked the halves.
        return Mailbox("", Address.build(given.local_part, given.domain))
    if not isinstance(given, str):
        raise TypeError(f"{given!r} is no address: a str or an Address")
    must_be_one_line("an address", given)
    name = getattr(given, "name", "")  # of a Correspondent
    if "<" in given:
        match = _NAMED.fullmatch(given)
        if match is None:
            raise ValueError(f"{given!r} is not Name <local-part@domain>")
        quoted, plain, address = match.groups()
        name = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        return Mailbox(name, Address.parse(address.strip()))
    return Mailbox(must_be_one_line("a display name", name), Address.parse(given.strip()))


def mailbox_or_none(text: str, name: str) -> Mailbox | None:
    try:
        return Mailbox(name, Address.parse(str(text)))
    except ValueError:
        return None


def author_of(server: Server, given: Person | None) -> Mailbox:
    if given is not None:
        return _mailbox(given)
    return Mailbox("", server.postmaster or Address.build("postmaster", server.hostname))


# ---- the header


class Draft:
    """A message that is being written; ``letter`` makes it one."""

    def __init__(self, server: Server, author: Mailbox, recipients: Collection[Mailbox]) -> None:
        self.server = server
        self.author = author
        # each once, however it is written
        self.recipients: dict[str, Address] = {}
        for each in recipients:
            self.recipients.setdefault(each.address.key, each.address)
        if not self.recipients:
            raise ValueError("the message has no recipients")
        if len(self.recipients) > MAX_RECIPIENTS:
            raise ValueError(f"the message has more than {MAX_RECIPIENTS} recipients")
        self.reverse_path: Address | None = None
        self.subject = ""
        self.shown: list[tuple[str, list[Mailbox]]] = []
        self.reply_to: list[Mailbox] = []
        self.top: list[bytes] = []
        self.more: list[bytes] = []
        self.body = text_part("")

    def add_fields(self, headers: Mapping[str, str] | None, ours: Collection[str]) -> None:
        """Fields that the application wants."""
        for name, value in (headers or {}).items():
            lower = name.lower()
            if lower in ours or lower.startswith(("content-", "resent-", "arc-")):
                raise ValueError(f"{name} is not set by headers")
            self.more.append(text_field(name, value))

    def letter(self, message_id: str) -> Letter:
        header = [
            *self.top,
            f"Date: {rfc5322_date(self.server.clock.seconds())}\r\n".encode(),
            addresses_field("From", [self.author.shown]),
        ]
        fields = [("Reply-To", self.reply_to), *self.shown]
        header += [
            addresses_field(name, [person.shown for person in people])
            for name, people in fields
            if people
        ]
        header += [
            text_field("Subject", self.subject),
            tokens_field("Message-ID", [message_id]),
            *self.more,
            b"MIME-Version: 1.0\r\n",
        ]
        content = b"".join(header) + bytes(self.body)
        if not content.endswith(b"\r\n"):
            content += b"\r\n"
        if len(content) > MAX_OCTETS:
            raise ValueError(f"the message is larger than {MAX_OCTETS >> 20} MB")
        return Letter(self.reverse_path, tuple(self.recipients.values()), content, message_id)


# ---- the body


def body_of(text: str | None, html: str | None, attachments: Any) -> Part:
    files = [_file(each) for each in _several(attachments)]
    if html is None:
        words = text_part(text or "")
    else:
        plain = html_as_text(html) if text is None else text
        # RFC 2046 section 5.1.4: the best one last
        words = multipart("alternative", [text_part(plain), text_part(html, "html")])
    return multipart("mixed", [words, *files]) if files else words


def _several(attachments: Any) -> list[Any]:
    if isinstance(attachments, bytes | os.PathLike | Attachment):
        return [attachments]
    if isinstance(attachments, str):
        raise TypeError("attachments are a list; a file's path is a pathlib.Path")
    return list(attachments)


def _file(given: Any) -> Part:
    if isinstance(given, Attachment):
        return _passed_on(given)
    if isinstance(given, bytes | bytearray):
        return file_part(bytes(given), _OCTETS, "attachment.bin")
    if isinstance(given, os.PathLike):
        path = os.fspath(given)
        with open(path, "rb") as file:
            content = file.read(MAX_OCTETS + 1)
        name = os.path.basename(os.fsdecode(path))
        return file_part(content, _type_of(name), name)
    if isinstance(given, tuple) and len(given) in (2, 3) and isinstance(given[0], str):
        name, content = given[0], given[1]
        media = given[2] if len(given) == 3 else _type_of(name)
        if isinstance(content, str):
            return file_part(content.encode(), media, name, charset="utf-8")
        if isinstance(content, bytes | bytearray):
            return file_part(bytes(content), media, name)
    raise TypeError(
        f"{type(given).__name__} is no attachment: bytes, a pathlib.Path, (name, bytes) or "
        "(name, bytes, type)"
    )


def _type_of(name: str) -> str:
    media, encoding = _TYPES.guess_type(name)
    return media if media is not None and encoding is None else _OCTETS


def _passed_on(attachment: Attachment) -> Part:
    """One of a message's, as it came."""
    if attachment.type in ("message/rfc822", "message/global"):
        return message_part(attachment.content, attachment.name or "message.eml")
    media = attachment.type
    if not _TYPE.fullmatch(media) or media.startswith(("multipart/", "message/")):
        media = _OCTETS
    return file_part(
        attachment.content,
        media,
        attachment.name,
        charset=attachment.charset if media.startswith("text/") else "",
        content_id=attachment.content_id,
        is_inline=attachment.disposition == "inline",
    )
