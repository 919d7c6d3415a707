"""Messages that can be recognised wherever they turn up, and whose octets can be proven."""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass

_MARK = re.compile(rb"^X-Fire: (\S+)\r?$", re.MULTILINE)
_SIZES = (300, 300, 300, 3_000, 20_000, 90_000, 300_000)
"""Octets; what is longer than 64 KB goes through a body file of the spool."""
_WORDS = ("offer", "order", "Αναφορά", "invoice", "für", ".", "..", "From", "here", "naïve")


@dataclass(frozen=True, slots=True)
class Letter:
    id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    """In wire format."""
    digest: str


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a message that turned up somewhere."""

    id: str
    """Empty where it is none of ours, as a bounce."""
    digest: str


def letter(id: str, sender: str, recipients: tuple[str, ...], chance: random.Random) -> Letter:
    size = chance.choice(_SIZES)
    lines: list[str] = []
    length = 0
    while length < size:
        lines.append(" ".join(chance.choices(_WORDS, k=chance.randint(0, 12))))
        length += len(lines[-1]) + 2
    fields = (
        f"X-Fire: {id}",
        f"From: <{sender}>",
        f"To: {', '.join(f'<{one}>' for one in recipients)}",
        f"Subject: {id}",
        f"Message-ID: <{id}@fire.test>",
        "Date: Wed, 25 Nov 2026 21:00:00 +0000",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    )
    content = "\r\n".join([*fields, "", *lines, "end of " + id, ""]).encode()
    return Letter(id, sender, recipients, content, _digest(content))


def found(content: bytes) -> Found:
    """Whose it is, and the digest of all from our mark on; trace fields come before that."""
    header = re.split(rb"\r?\n\r?\n", content, maxsplit=1)[0]
    mark = _MARK.search(header)
    if mark is None:
        return Found("", _digest(content))
    return Found(mark[1].decode(), _digest(content[mark.start() :]))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()
