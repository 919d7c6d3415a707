"""Where a client's commands end: lines, the literals that continue them, and what is thrown away.

A line ends with CRLF and with nothing else, as in ``protocols.lines``, whose faults hold here
too. A literal is announced at the end of a line by ``{n}``, which waits for our ``+``
(RFC 9051 section 4.3), or by ``{n+}``, which does not (RFC 7888); ``~`` before either allows
NUL in it (RFC 3516).

What was refused is thrown away to its true end: every octet of a literal that comes unasked,
and the lines that continue it, so that nothing of a refused command is ever taken for another
one. That is so for a line that is too long, too: its end is still looked at.

The time is linear in the octets received, whatever the pieces they come in; what is kept is no
more than was fed and not yet taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailframe.protocols.lines import Fault, first_fault

# More digits than any number64 has
_ANNOUNCEMENT = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")
_LONGEST_ANNOUNCEMENT = 32
# RFC 9051 section 9, tag: any ASTRING-CHAR but "+". How long it may be is for us to say.
_TAG = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,256}\Z")
_BEGINNING = 512


@dataclass(frozen=True, slots=True)
class Literal:
    """Announced at the end of a line; its octets come next."""

    octets: int
    synchronizing: bool
    """The client waits for ``+`` before it sends them."""
    binary: bool


@dataclass(frozen=True, slots=True)
class Line:
    octets: bytes
    """Without the CRLF, with the announcement of the literal."""
    literal: Literal | None

    @property
    def text(self) -> bytes:
        """Without the announcement."""
        if self.literal is None:
            return self.octets
        return _ANNOUNCEMENT.sub(b"", self.octets)


@dataclass(slots=True)
class Assembly:
    """A command on its way: its lines, the literals between them."""

    verb: bytes
    octets: bytearray
    literal: Literal | None = None
    """Whose octets come next."""


@dataclass(frozen=True, slots=True)
class SpoiltLine:
    """A line that is not to be looked at; it is thrown away with what continues it."""

    fault: Fault
    beginning: bytes
    """Up to its first space, where its tag may be; empty where no space is near."""


class CommandInput:
    __slots__ = ("_data", "_dropping", "_looked", "_skip")

    def __init__(self) -> None:
        self._data = bytearray()
        # So many octets of an unfinished line are known to be sound and without an end.
        self._looked = 0
        self._skip = 0
        self._dropping = False

    def feed(self, data: bytes) -> None:
        self._data += data
        self._drop()

    def __len__(self) -> int:
        """Octets held."""
        return len(self._data)

    def clear(self) -> None:
        """Forget everything held, and that something was to be thrown away."""
        self._data = bytearray()
        self._looked = self._skip = 0
        self._dropping = False

    def next_line(self, limit: int) -> Line | SpoiltLine | None:
        """None until there is more input. ``limit`` is in octets and counts the CRLF. A fault
        is told as soon as it is seen."""
        if not self._drop():
            return None
        data, start = self._data, self._looked
        end = data.find(b"\r\n", start)
        # A last CR may belong to an end that has not come yet.
        stop = end if end >= 0 else len(data) - data.endswith(b"\r")
        fault = first_fault(bytes(data[start:stop]), max(limit - 2 - start, 0))
        if fault is not None:
            beginning, space, _ = bytes(data[: min(stop, limit - 2, _BEGINNING)]).partition(b" ")
            self.drop_line()
            return SpoiltLine(fault, beginning if space else b"")
        if end < 0:
            self._looked = stop
            return None
        octets = bytes(data[:end])
        self._consume(end + 2)
        return Line(octets, _announced(octets))

    def take(self, octets: int) -> bytes:
        """Up to so many octets of a literal."""
        taken = bytes(self._data[:octets])
        self._consume(len(taken))
        return taken

    def take_all(self, octets: int) -> bytes | None:
        """Exactly so many, or None until they have come."""
        return self.take(octets) if len(self._data) >= octets else None

    def drop_literal(self, literal: Literal | None) -> None:
        """The command is refused at the end of a line: a literal that the client sends unasked
        goes, with whatever continues it. One that waits for ``+`` will not come."""
        if literal is not None and not literal.synchronizing:
            self.drop_octets(literal.octets)

    def drop_octets(self, octets: int) -> None:
        """The command is refused so many octets before the end of a literal."""
        self._skip = octets
        self.drop_line()

    def drop_line(self) -> None:
        """The command is refused within a line."""
        self._dropping = True
        self._drop()

    def _drop(self) -> bool:
        """Throw away what has come of what is not wanted; False: more of it is to come."""
        while self._dropping:
            if self._skip:
                gone = min(self._skip, len(self._data))
                self._skip -= gone
                self._consume(gone)
                if self._skip:
                    return False
            end = self._data.find(b"\r\n", self._looked)
            if end < 0:
                self._forget_most()
                return False
            announcement = self._data[max(0, end - _LONGEST_ANNOUNCEMENT) : end]
            self._consume(end + 2)
            literal = _announced(bytes(announcement))
            if literal is None or literal.synchronizing:
                self._dropping = False
            else:
                self._skip = literal.octets
        return True

    def _forget_most(self) -> None:
        """Of an unwanted line: all but what may announce a literal."""
        surplus = len(self._data) - _LONGEST_ANNOUNCEMENT - 1
        if surplus > 0:
            del self._data[:surplus]
        self._looked = max(0, len(self._data) - 1)

    def _consume(self, octets: int) -> None:
        del self._data[:octets]
        self._looked = 0


def tag_of(beginning: bytes) -> str:
    """Of a command's first line; empty where there is none that can be."""
    tag = beginning.partition(b" ")[0]
    return tag.decode("ascii") if _TAG.match(tag) else ""


def _announced(octets: bytes) -> Literal | None:
    if not octets.endswith(b"}"):
        return None
    found = _ANNOUNCEMENT.search(octets, max(0, len(octets) - _LONGEST_ANNOUNCEMENT))
    if found is None:
        return None
    binary, number, unasked = found.groups()
    return Literal(int(number), not unasked, bool(binary))
