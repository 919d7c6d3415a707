"""A message as something to learn from: which one it is, and what it is made of.

The same message comes in several forms: as it was judged, as it lies in a mailbox with our
fields on top, out of an mbox with other line ends. ``digest_of`` is the same for all of them,
and ``as_sent`` takes away what this server added, so that nobody learns from that.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from mailframe.message.headers import Field, fields, named, split_message, unfolded
from mailframe.spam.features import Features, features_of

_MOST_BODY = 1 << 17
"""Octets of a body that tell it from others; message readers that cut off read more."""
# What delivery and policies put on top, besides Received (``message.trace``).
_OURS = frozenset(
    ("return-path", "delivered-to", "authentication-results", "x-spam-status", "x-spam-flag",
     "x-spam-report", "x-spam-score", "x-spam-level")
)  # fmt: skip
_BY = re.compile(rb"\sby\s+(\S+)\s", re.IGNORECASE)
_ID = re.compile(rb"\sid\s+([0-9A-Za-z]{6,20})\s*(?:;|\sfor\s)", re.IGNORECASE)
_MOST_ON_TOP = 40


@dataclass(frozen=True, slots=True)
class Lesson:
    digest: bytes
    is_spam: bool
    features: Features


def lesson_of(message: bytes, is_spam: bool, hostname: str = "") -> Lesson:
    """``message`` in wire format or with bare LF, whole or its beginning. Takes about 1 ms."""
    return Lesson(digest_of(message), is_spam, features_of(as_sent(message, hostname)))


def digest_of(message: bytes) -> bytes:
    """16 octets, by Message-ID and body; without Message-ID by who wrote when about what."""
    header, body = split_message(message)
    names: tuple[str, ...] = ("Message-ID",)
    if not _values(header, "Message-ID"):
        names = ("From", "Date", "Subject")
    digest = hashlib.blake2b(digest_size=16)
    for name in names:
        digest.update(b"\0".join([name.encode(), *_values(header, name)]) + b"\n")
    plain = body[: 2 * _MOST_BODY].replace(b"\r\n", b"\n").rstrip(b"\n")
    digest.update(plain[:_MOST_BODY])
    return digest.digest()


def as_sent(message: bytes, hostname: str) -> bytes:
    """In wire format, and without the fields that were put on top here."""
    if message.count(b"\n") != message.count(b"\r\n"):
        message = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    start = 0
    for field in _on_top(message, hostname):
        start = field.start + len(field.raw)
    return message[start:]


def queue_id_of(message: bytes, hostname: str) -> str:
    """The id that it had in our queue; empty where it did not come through it."""
    for field in _on_top(message, hostname):
        if field.name.lower() == "received" and (found := _ID.search(field.value)):
            return found[1].decode("ascii")
    return ""


def _on_top(message: bytes, hostname: str) -> list[Field]:
    header, _ = split_message(message[:65_536])
    found: list[Field] = []
    for field in fields(header):
        name = field.name.lower()
        is_ours = name in _OURS or (name == "received" and _is_by(field, hostname))
        if not is_ours or len(found) >= _MOST_ON_TOP:
            break
        found.append(field)
    return found


def _is_by(received: Field, hostname: str) -> bool:
    by = _BY.search(received.value)
    return by is not None and bool(hostname) and by[1].lower() == hostname.lower().encode()


def _values(header: bytes, name: str) -> list[bytes]:
    # folding is not kept by every program that stores mail
    return [b" ".join(unfolded(field.value).split())[:1000] for field in named(header, name)][:4]
