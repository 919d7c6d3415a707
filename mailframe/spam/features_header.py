"""A header section's tokens: who wrote to whom about what, by which way and program.

Left out is what a server or reader notes on a message when it comes: another filter's opinion,
or ours. To learn from that would be to learn what was thought before. Of a field that nobody here
knows it counts that it is there, not what it says: mostly that never comes again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from mailframe.message.encoded_words import decode_header
from mailframe.message.headers import fields
from mailframe.spam.features_links import host_tokens, mailbox_hosts
from mailframe.spam.features_words import text_tokens

MOST_FIELDS = 120
_LONGEST_VALUE = 4_000
_MOST_PEOPLE = 10

_NOTED = re.compile(
    r"x-(?:[a-z0-9]+-)*(?:spam|ham|junk|bogosity|rspamd|virus|dspam|crm114|quarantine)"
    r"|x-(?:mozilla|gmail|uid|keywords|status|evolution|folder|original-to|envelope|delivered)"
    r"|(?:status|authentication-results|return-path|delivered-to|content-length|lines)$"
    r"|(?:arc|delivery)-"
)
_MAILBOX = re.compile(r"([\w.+=/-]{1,64})@([\w.-]{1,200})")
_BRACKETED = re.compile(r"<[^<>]*>")
_HOST = re.compile(r"\b(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}\b")
_IPV4 = re.compile(r"\b(\d{1,3}\.\d{1,3})\.(\d{1,3})\.\d{1,3}\b")
_ENCODED = re.compile(rb"=\?([^?\s]{1,40})\?([QqBb])\?")
_WORD = re.compile(r"[^\W_][\w.-]{0,30}")
_ZONE = re.compile(r"[+-]\d{4}\b")
_LETTERS = re.compile(r"[A-Za-z]+")
_DIGITS = re.compile(r"[0-9]+")


def header_tokens(header: bytes) -> Iterator[str]:
    seen: set[str] = set()
    for field in fields(header):
        name = field.name.lower()
        if _NOTED.match(name):
            continue
        yield f"twice:{name[:40]}" if name in seen else f"has:{name[:40]}"
        seen.add(name)
        if len(seen) > MOST_FIELDS:
            return
        if name.startswith("content-"):
            continue  # those are read with the parts
        value = field.value[:_LONGEST_VALUE]
        if b"=?" in value:
            for charset, letter in _ENCODED.findall(value)[:4]:
                yield f"{name[:20]}:encoded:{(charset + letter).decode('latin-1').lower()}"
        reader = _READERS.get(name)
        if reader is not None:
            yield from reader(name, decode_header(value))
    for name in ("from", "to", "subject"):
        if name not in seen:
            yield f"no:{name}"


def shape(text: str) -> str:
    """What program made it, not what it says: digits and letters are alike."""
    return _DIGITS.sub("0", _LETTERS.sub("a", text[:60]))[:24]


def _subject(_: str, text: str) -> Iterator[str]:
    yield from text_tokens(text, 60, "subject:")
    letters = "".join(filter(str.isalpha, text))
    if len(letters) > 5 and letters.isupper():
        yield "subject:shouting"
    if not letters:
        yield "subject:no-words"
    if "   " in text:
        yield "subject:gap"
    if text[-1:] in ("!", "?"):
        yield f"subject:ends{text[-1]}"
    yield f"subject:length:{len(text).bit_length()}"


def _people(name: str, text: str) -> Iterator[str]:
    mailboxes = _MAILBOX.findall(text)
    for local, domain in mailboxes[:_MOST_PEOPLE]:
        local, domain = local.lower()[:40], domain.lower()[:80]
        yield f"{name}:{local}@"
        yield f"{name}:{local}@{domain}"
        yield f"{name}:shape:{shape(local)}"
        yield from host_tokens(domain, f"{name}:@")
    yield f"{name}:count:{len(mailboxes).bit_length()}"
    shown = _BRACKETED.sub(" ", text)
    if len(shown) < len(text):
        if mailbox_hosts(shown, 1):
            yield f"{name}:address-as-name"
    elif mailboxes:
        yield f"{name}:bare"
    yield from text_tokens(_MAILBOX.sub(" ", shown), 24, f"{name}:")
    if '"' in text:
        yield f"{name}:quoted"


def _received(_: str, text: str) -> Iterator[str]:
    text = text.lower()
    for host in _HOST.findall(text)[:6]:
        yield from host_tokens(host, "received:")
    for prefix, third in _IPV4.findall(text)[:4]:
        yield f"received:{prefix}"
        yield f"received:{prefix}.{third}"
    for word in ("helo", "esmtp", "with http", "unknown", "may be forged", "localhost"):
        if word in text:
            yield f"received:{word}"


def _message_id(name: str, text: str) -> Iterator[str]:
    left, _, right = text.strip("<> \t").rpartition("@")
    yield f"{name}:shape:{shape(left)}"
    yield from host_tokens(right.lower()[:100], f"{name}:@")


def _date(_: str, text: str) -> Iterator[str]:
    yield f"date:shape:{shape(text)}"
    for zone in _ZONE.findall(text[:80])[:1]:
        yield f"date:zone:{zone}"


def _words(name: str, text: str) -> Iterator[str]:
    for word in _WORD.findall(text.lower()[:200])[:8]:
        yield f"{name}:{word}"


_Reader = Callable[[str, str], Iterator[str]]
# Those whose values tell one kind of sender from another.
_READERS: dict[str, _Reader] = {
    "subject": _subject,
    "from": _people,
    "to": _people,
    "cc": _people,
    "reply-to": _people,
    "sender": _people,
    "received": _received,
    "message-id": _message_id,
    "in-reply-to": _message_id,
    "references": _message_id,
    "date": _date,
    "list-id": _words,
    "organization": _words,
    "precedence": _words,
    "user-agent": _words,
    "x-mailer": _words,
    "x-priority": _words,
}
