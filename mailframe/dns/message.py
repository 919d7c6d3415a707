"""A DNS message, read no further than we need it, and with bounded work.

What a hostile server sends is read on the reactor thread, so the cost of the worst 64 KB counts:
a general codec spends seconds on names that point at names. Here records of types we did not ask
for are stepped over, names are read once for each place they stand at, and a message with more
than ``MAX_RECORDS`` records or ``MAX_LABELS`` labels to read is refused.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any

from mailframe.interfaces import MxHost

MAX_RECORDS = 500
MAX_LABELS = 3_000
_MAX_NAME = 255  # octets, RFC 1035 section 2.3.4

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, OPT = 1, 2, 5, 6, 12, 15, 16, 28, 41
IN = 1

Name = tuple[bytes, ...]
"""Labels in lower case, without the root."""


class Malformed(ValueError):
    """No DNS message, or one that costs too much to read."""


@dataclass(frozen=True, slots=True)
class Record:
    owner: Name
    type: int
    ttl: int
    value: Any
    """str for A, AAAA, PTR, CNAME's is a Name, bytes for TXT, MxHost for MX, the MINIMUM for SOA,
    None for NS."""


@dataclass(frozen=True, slots=True)
class Header:
    id: int
    flags: int
    counts: tuple[int, int, int, int]
    """Questions, answers, authority, additional."""


def read_header(wire: bytes) -> Header:
    """Raises Malformed."""
    if len(wire) < 12:
        raise Malformed("shorter than a header")
    id_, flags, *counts = struct.unpack_from("!HHHHHH", wire)
    return Header(id_, flags, (counts[0], counts[1], counts[2], counts[3]))


class Reader:
    """Walks one message from the question on. All methods raise Malformed."""

    def __init__(self, wire: bytes, header: Header) -> None:
        if sum(header.counts) > MAX_RECORDS:
            raise Malformed(f"more than {MAX_RECORDS} records")
        self._wire = wire
        self._at = 12
        self._labels = 0
        self._names: dict[int, Name] = {}

    def question(self) -> tuple[Name, int, int]:
        """Name, type and class."""
        name = self._name_here()
        type_, class_ = self._unpack("!HH")
        return name, type_, class_

    def section(self, count: int, wanted: frozenset[int]) -> Iterator[Record]:
        """The next ``count`` records, of them those of the types that are wanted."""
        for _ in range(count):
            start = self._at
            self._skip_name()
            type_, class_, ttl, length = self._unpack("!HHIH")
            data = self._at
            if data + length > len(self._wire):
                raise Malformed("a record beyond the end")
            if type_ in wanted and (class_ == IN or type_ == OPT):
                owner, _ = self._name(start)
                value = _VALUES[type_](self, data, length)
                # RFC 2181 section 8
                yield Record(owner, type_, ttl if ttl < 1 << 31 or type_ == OPT else 0, value)
            self._at = data + length

    def _unpack(self, form: str) -> tuple[int, ...]:
        try:
            values = struct.unpack_from(form, self._wire, self._at)
        except struct.error:
            raise Malformed("cut off") from None
        self._at += struct.calcsize(form)
        return values

    def _name_here(self) -> Name:
        name, self._at = self._name(self._at)
        return name

    def _skip_name(self) -> None:
        wire, at = self._wire, self._at
        try:
            while length := wire[at]:
                if length >= 0xC0:
                    at += 1
                    break
                at += 1 + length
        except IndexError:
            raise Malformed("a name beyond the end") from None
        self._at = at + 1

    def _name(self, start: int) -> tuple[Name, int]:
        """The name at ``start``, and where it ends."""
        labels: list[bytes] = []
        octets, at, end = 0, start, 0
        while True:
            # a name that was read before, from here on
            if (known := self._names.get(at)) is not None:
                labels += known
                octets += sum(map(len, known)) + len(known)
                end = end or self._end_of(at)
                break
            label, following = self._label(at)
            if isinstance(label, int):
                end = end or following
                # RFC 1035 section 4.1.4: "a prior occurance"; so there are no circles
                if label >= at:
                    raise Malformed("a name that points ahead")
                at = label
                continue
            at = following
            if not label:
                end = end or at
                break
            labels.append(label)
            octets += len(label) + 1
        if octets >= _MAX_NAME:
            raise Malformed("a name longer than 255 octets")
        name = tuple(labels)
        self._names[start] = name
        return name, end

    def _label(self, at: int) -> tuple[bytes | int, int]:
        """The label at ``at`` in lower case, or where it points; and what follows it."""
        self._labels += 1
        if self._labels > MAX_LABELS:
            raise Malformed(f"more than {MAX_LABELS} labels")
        wire = self._wire
        if at + 1 >= len(wire) and not (at < len(wire) and wire[at] == 0):
            raise Malformed("a name beyond the end")
        length = wire[at]
        if length >= 0xC0:
            return (length & 0x3F) << 8 | wire[at + 1], at + 2
        if length > 63 or at + 1 + length > len(wire):
            raise Malformed("a malformed label")
        return wire[at + 1 : at + 1 + length].lower(), at + 1 + length

    def _end_of(self, at: int) -> int:
        here, self._at = self._at, at
        self._skip_name()
        end, self._at = self._at, here
        return end

    # values

    def _ipv4(self, at: int, length: int) -> str:
        if length != 4:
            raise Malformed("an address of another length")
        return inet_ntop(AF_INET, self._wire[at : at + 4])

    def _ipv6(self, at: int, length: int) -> str:
        if length != 16:
            raise Malformed("an address of another length")
        return inet_ntop(AF_INET6, self._wire[at : at + 16])

    def _strings(self, at: int, length: int) -> bytes:
        """RFC 7208 section 3.3: the strings of a record make one text."""
        texts, end = [], at + length
        while at < end:
            size = self._wire[at]
            if at + 1 + size > end:
                raise Malformed("a string beyond its record")
            texts.append(self._wire[at + 1 : at + 1 + size])
            at += 1 + size
        return b"".join(texts)

    def _target(self, at: int, length: int) -> Name:
        name, end = self._name(at)
        if end != at + length:
            raise Malformed("a name and something else")
        return name

    def _target_text(self, at: int, length: int) -> str:
        return as_text(self._target(at, length))

    def _exchange(self, at: int, length: int) -> MxHost:
        if length < 3:
            raise Malformed("an MX record without a host")
        preference = int.from_bytes(self._wire[at : at + 2], "big")
        return MxHost(preference, as_text(self._target(at + 2, length - 2)))

    def _minimum(self, at: int, length: int) -> int:
        if length < 22:
            raise Malformed("a short SOA")
        return int.from_bytes(self._wire[at + length - 4 : at + length], "big")

    def _nothing(self, at: int, length: int) -> None:
        return None


_VALUES: dict[int, Callable[[Reader, int, int], Any]] = {
    A: Reader._ipv4,
    AAAA: Reader._ipv6,
    CNAME: Reader._target,
    PTR: Reader._target_text,
    MX: Reader._exchange,
    TXT: Reader._strings,
    SOA: Reader._minimum,
    NS: Reader._nothing,
    OPT: Reader._nothing,
}


@functools.lru_cache(maxsize=256)  # hundreds of records may name one host
def as_text(name: Name) -> str:
    """``example.org``; the root is empty. Octets that no text has are escaped as in zone files,
    and the result is no name that anybody asks for."""
    return ".".join(_escaped(label) for label in name)


def _escaped(label: bytes) -> str:
    if all(0x20 < octet < 0x7F and octet not in b".\\" for octet in label):
        return label.decode("ascii")
    return "".join(
        chr(octet) if 0x20 < octet < 0x7F and octet not in b".\\" else f"\\{octet:03d}"
        for octet in label
    )
