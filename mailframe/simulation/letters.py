"""Letters: what simulated people write, and how it is known again wherever it turns up.

A letter's first header field is ``X-Letter``. Servers only add in front of it, so everything
from that field on must come out octet for octet; what stands before are trace fields, whose
``Received`` tell the queue ids that it went by.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from random import Random

MARK = b"X-Letter: "
_MARK = re.compile(rb"^X-Letter: (\d+)\r\n", re.MULTILINE)
_RECEIVED = re.compile(
    rb"^Received:(?:[^\r\n]|\r\n(?=[ \t]))*?[ \t]id(?:\r\n)?[ \t]+([A-Z0-9]{4,32})", re.MULTILINE
)
_REPORT = re.compile(rb"^Content-Type:[ \t]*multipart/report", re.MULTILINE | re.IGNORECASE)
_FATE = re.compile(
    rb"^Final-Recipient:[ \t]*rfc822;[ \t]*(\S+)\r\nAction:[ \t]*([a-z]+)\r\nStatus:[ \t]*(\S+)",
    re.MULTILINE | re.IGNORECASE,
)
_LONGEST = 900  # of a line; RFC 5321 allows 998

FLAVOURS = ("plain", "dots", "long", "eight", "empty", "cr")


@dataclass(frozen=True, slots=True)
class Letter:
    """``at`` is when somebody first sends it, seconds after the beginning; ``desk`` is the
    host that it is sent from, and ``to`` the station that takes it."""

    number: int
    sender: str
    recipients: tuple[str, ...]
    at: float
    desk: str
    to: str
    flavour: str = "plain"
    size: int = 200
    chunking: bool = False
    pipelining: bool = True

    def content(self) -> bytes:
        """In wire format; the same for the same letter."""
        return _content(self)

    def _write(self) -> bytes:
        head = (
            f"X-Letter: {self.number}\r\nMessage-ID: <letter.{self.number}@{self.desk}.example>\r\n"
            f"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nFrom: <{self.sender}>\r\n"
            f"To: <{self.recipients[0]}>\r\nSubject: letter {self.number}\r\n"
        )
        if self.flavour == "eight":
            head += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
            head += "Content-Transfer-Encoding: 8bit\r\n"
        return head.encode() + b"\r\n" + self._body()

    def _body(self) -> bytes:
        if self.flavour == "empty":
            return b""
        random = Random(f"letter {self.number} {self.size} {self.flavour}")
        lines: list[bytes] = []
        octets = 0
        while octets < self.size:
            line = _LINES[self.flavour](random)
            lines.append(line)
            octets += len(line) + 2
        return b"".join(line + b"\r\n" for line in lines)


@functools.lru_cache(64)
def _content(letter: Letter) -> bytes:
    return letter._write()


def _plain(random: Random) -> bytes:
    return b"word " * random.randint(0, 14) + b"%d" % random.getrandbits(40)


def _dots(random: Random) -> bytes:
    return random.choice((b".", b"..", b".word", b"a.", b"", b". .", b"...end", b"word"))


def _long(random: Random) -> bytes:
    return (b"%016x" % random.getrandbits(64)) * (_LONGEST // 16)


def _eight(random: Random) -> bytes:
    return "αβγ δεζ ".encode() * random.randint(1, 6) + b"%d" % random.getrandbits(30)


def _from_lines(random: Random) -> bytes:
    return random.choice((b"From here", b">From there", b"\tindented ", b"trailing  ", b" "))


_LINES = {
    "plain": _plain,
    "dots": _dots,
    "long": _long,
    "eight": _eight,
    "cr": _from_lines,
}


@dataclass(frozen=True, slots=True)
class Reported:
    """What a delivery report says of one recipient."""

    address: str
    action: str
    status: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A message, recognised."""

    number: int
    """Of the letter; 0: none of ours."""
    ids: tuple[str, ...]
    """Queue ids of its trace fields, the newest first; in a report those of what it is about."""
    rest: bytes
    """From the first field of the letter on."""
    reports: tuple[Reported, ...] = ()
    """Not empty: a delivery report about the letter."""

    @property
    def is_report(self) -> bool:
        return bool(self.reports)


def recognise(content: bytes) -> Sighting:
    """``content`` in wire format."""
    found = _MARK.search(content)
    number = int(found[1]) if found else 0
    start = found.start() if found else len(content)
    header_end = content.find(b"\r\n\r\n")
    head = content[: header_end if 0 <= header_end < start else start]
    if _REPORT.search(head):
        about = content[len(head) : start]
        fates = tuple(
            Reported(address.decode("ascii", "replace"), action.decode().lower(), status.decode())
            for address, action, status in _FATE.findall(content)
        )
        return Sighting(number, _ids(about), content[start:], fates)
    return Sighting(number, _ids(head), content[start:])


def _ids(head: bytes) -> tuple[str, ...]:
    return tuple(found.decode() for found in _RECEIVED.findall(head))


def wire(disk: bytes) -> bytes:
    """A stored file as it is on the wire; letters hold no lone CR or LF."""
    return disk.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
