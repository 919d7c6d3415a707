"""The milter protocol's octets: packets, letters, bits.

A packet is its length in four octets, one letter, and data; the length counts the letter and
the data. There is no RFC: names and values are those of sendmail's ``libmilter``, which every
filter uses or imitates.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator

from mailframe.errors import RemoteProtocolError

VERSION = 6
OLDEST_VERSION = 2
CHUNK = 65_535
"""The most octets of a body that go into one packet."""
# A filter's largest packet holds a chunk of a new body; some send 1 MB where that was agreed, which
# we do not. Header fields and replies are bounded by it too.
LONGEST_PACKET = 1 << 17
_LENGTH = struct.Struct("!I")


class Command(enum.Enum):
    """From the mail server to the filter."""

    ABORT = b"A"
    BODY = b"B"
    CONNECT = b"C"
    MACROS = b"D"
    END_OF_BODY = b"E"
    HELO = b"H"
    HEADER = b"L"
    MAIL = b"M"
    END_OF_HEADER = b"N"
    NEGOTIATE = b"O"
    QUIT = b"Q"
    RECIPIENT = b"R"
    DATA = b"T"


class Answer(enum.Enum):
    """From the filter to the mail server."""

    ADD_RECIPIENT = b"+"
    ADD_RECIPIENT_PAR = b"2"
    DELETE_RECIPIENT = b"-"
    SHUTDOWN = b"4"
    ACCEPT = b"a"
    REPLACE_BODY = b"b"
    CONTINUE = b"c"
    DISCARD = b"d"
    CHANGE_SENDER = b"e"
    CONNECTION_FAILED = b"f"
    ADD_HEADER = b"h"
    INSERT_HEADER = b"i"
    CHANGE_HEADER = b"m"
    NEGOTIATE = b"O"
    PROGRESS = b"p"
    QUARANTINE = b"q"
    REJECT = b"r"
    SKIP = b"s"
    TEMPFAIL = b"t"
    REPLY_CODE = b"y"


class Action(enum.IntFlag):
    """What a filter may ask for at the end of a message (``SMFIF_*``)."""

    ADD_HEADERS = 0x1
    CHANGE_BODY = 0x2
    ADD_RECIPIENTS = 0x4
    DELETE_RECIPIENTS = 0x8
    CHANGE_HEADERS = 0x10
    QUARANTINE = 0x20
    CHANGE_SENDER = 0x40
    ADD_RECIPIENTS_PAR = 0x80
    SET_MACROS = 0x100


class Protocol(enum.IntFlag):
    """What a filter does not want to hear, or does not answer (``SMFIP_*``)."""

    NO_CONNECT = 0x1
    NO_HELO = 0x2
    NO_MAIL = 0x4
    NO_RECIPIENT = 0x8
    NO_BODY = 0x10
    NO_HEADERS = 0x20
    NO_END_OF_HEADER = 0x40
    SILENT_HEADER = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SKIP = 0x400
    """It may answer SKIP: no more of the body."""
    REJECTED_RECIPIENTS = 0x800
    """It wants to hear of recipients that were refused. Not offered."""
    SILENT_CONNECT = 0x1000
    SILENT_HELO = 0x2000
    SILENT_MAIL = 0x4000
    SILENT_RECIPIENT = 0x8000
    SILENT_DATA = 0x10000
    SILENT_UNKNOWN = 0x20000
    SILENT_END_OF_HEADER = 0x40000
    SILENT_BODY = 0x80000
    LEADING_SPACE = 0x100000
    """Header values come and go with the blank after the colon."""


ALL_ACTIONS = Action((1 << 9) - 1)
OFFERED = Protocol((1 << 21) - 1) & ~Protocol.REJECTED_RECIPIENTS


def packet(letter: bytes, *data: bytes) -> bytes:
    size = 1 + sum(map(len, data))
    return b"".join((_LENGTH.pack(size), letter, *data))


def string(text: str | bytes) -> bytes:
    """With its final NUL; what stands in the text is no end of it."""
    octets = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return octets.replace(b"\0", b" ") + b"\0"


def strings(texts: Iterable[str | bytes]) -> bytes:
    return b"".join(map(string, texts))


def split_strings(data: bytes) -> list[bytes]:
    """Those of a packet. A last one without its NUL counts: not every filter writes it."""
    pieces = data.split(b"\0")
    return pieces[:-1] if not pieces[-1] else pieces


def number(data: bytes) -> tuple[int, bytes]:
    """The leading four octets, and the rest. Raises RemoteProtocolError."""
    if len(data) < _LENGTH.size:
        raise RemoteProtocolError("a packet is too short for its number")
    return _LENGTH.unpack_from(data)[0], data[_LENGTH.size :]


def numbers(*values: int) -> bytes:
    return struct.pack(f"!{len(values)}I", *values)


class PacketReader:
    """Packets out of whatever pieces they come in."""

    def __init__(self, longest: int = LONGEST_PACKET) -> None:
        self._longest = longest
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Letter and data of each packet that is complete. Raises RemoteProtocolError."""
        held = self._held
        held += data
        while len(held) >= _LENGTH.size:
            size = _LENGTH.unpack_from(held)[0]
            if not 1 <= size <= self._longest:
                raise RemoteProtocolError(f"a packet of {size} octets")
            end = _LENGTH.size + size
            if len(held) < end:
                return
            whole = bytes(held[_LENGTH.size : end])
            del held[:end]
            yield whole[:1], whole[1:]
