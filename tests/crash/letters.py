"""Messages that can be told apart, and whether one is still whole, wherever it lies.

A letter begins with a field that names it, so that what servers put on top and what bounces put
around it does not matter. Its name fixes its octets.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_NAME = re.compile(rb"^X-Letter: (\S+) (\d+)\r?\n", re.MULTILINE)
OTHER = "Zoe <zoe@sender.example>"
_REPORT = re.compile(rb"^Content-Type: multipart/report", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Letter:
    name: str
    octets: int = 300
    """At least so many, in wire format. What is called ``own...`` is from Ann."""

    @property
    def content(self) -> bytes:
        """In wire format."""
        author = "Ann <ann@here.example>" if self.name.startswith("own") else OTHER
        head = (
            f"X-Letter: {self.name} {self.octets}\r\n"
            f"Message-ID: <{self.name}@sender.example>\r\n"
            f"From: {author}\r\nTo: Ann <ann@here.example>\r\n"
            "Date: Mon, 16 Jun 2025 12:00:00 +0000\r\n"
            f"Subject: letter {self.name}\r\n\r\n"
        ).encode()
        lines, size, number = [head], len(head), 0
        while size < self.octets:
            digest = hashlib.sha256(f"{self.name} {number}".encode()).hexdigest()
            lines.append(f"{number:06} {digest}\r\n".encode())
            size += len(lines[-1])
            number += 1
        return b"".join(lines)


@dataclass(frozen=True, slots=True, order=True)
class Sight:
    """What was found where a message may lie."""

    name: str
    """Of the letter; ``dsn NAME`` for a report about it; empty: it cannot be told."""
    is_whole: bool


def recognize(octets: bytes) -> Sight:
    """``octets`` as they were found, with either kind of line ends."""
    found = _NAME.search(octets)
    if found is None:
        return Sight("", False)
    letter = Letter(found[1].decode(), int(found[2]))
    if _REPORT.search(octets[: found.start()]):
        return Sight(f"dsn {letter.name}", octets.rstrip().endswith(b"--"))
    wire = octets[found.start() :].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return Sight(letter.name, _digest(wire) == _digest(letter.content))


def _digest(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()
