"""File names in a Maildir: what ours say, and what can be told from those of others.

Ours are ``SECONDS.MmicrosRkey.HOST,S=octets,W=octets[:2,FLAGS]``: S counts the octets on
disk, W those on the wire, as Dovecot and Courier write them, so that listing a mailbox needs
no stat and no read. ``key`` derives from the delivery's token: a repeated delivery finds its
earlier self. The part before the first comma is unique by Maildir's own rules and never
changes; it is what uids are made of.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from typing import NamedTuple

MAX_UID = 70  # RFC 1939 section 7
_LATEST = 1 << 33  # a name whose seconds lie beyond the year 2242 tells no time
_HOST_OCTETS = 60  # of the 255 of a file name, leaving room for sizes, flags and keywords
_UID = re.compile(rf"[\x21-\x7e]{{1,{MAX_UID}}}")
_TIME = re.compile(r"(\d{1,10})[._]")
_MICROS = re.compile(r"\d[._]M(\d{1,6})(?!\d)")
_SIZE = re.compile(r",S=(\d{1,15})(?![^,])")
_WIRE = re.compile(r",W=(\d{1,15})(?![^,])")
_KEY = re.compile(r"R([A-Z2-7]{16})\.")
# Names such as ours and Dovecot's in one step: a mailbox may have a hundred thousand.
_USUAL = re.compile(
    r"(\d{1,10})[._]M(\d{1,6})(?!\d)[^,:]*,S=(\d{1,15}),W=(\d{1,15})(?::(.*))?", re.DOTALL
)


class FileName(NamedTuple):
    """One entry of ``new`` or ``cur``, read from its name alone."""

    full: str
    base: str
    """All before the colon of the flags."""
    flags: str
    """The letters after ``:2,``, in whatever order the name has them."""
    size: int | None
    """Octets on disk, where the name says so."""
    wire_size: int | None
    """Octets on the wire, where the name says so."""
    received: int | None
    """Seconds since the epoch, where the name says so."""
    micros: int

    @classmethod
    def parse(cls, full: str) -> FileName:
        usual = _USUAL.fullmatch(full)
        if usual is None:
            return cls._parse_unusual(full)
        time, micros, size, wire_size, info = usual.groups()
        seconds = int(time)
        return cls(
            full,
            full[: usual.end(4)],
            _flags(info) if info else "",
            int(size),
            int(wire_size),
            seconds if 0 < seconds < _LATEST else None,
            int(micros),
        )

    @classmethod
    def _parse_unusual(cls, full: str) -> FileName:
        base, _, info = full.partition(":")
        time = _TIME.match(base)
        micros = _MICROS.search(base)
        seconds = int(time[1]) if time else 0
        return cls(
            full,
            base,
            _flags(info),
            _number(_SIZE, base),
            _number(_WIRE, base),
            seconds if 0 < seconds < _LATEST else None,
            int(micros[1]) if micros else 0,
        )

    @property
    def unique(self) -> str:
        return self.base.partition(",")[0]

    @property
    def uid(self) -> str:
        return uid_of(self.unique)


def uid_of(text: str) -> str:
    """``text`` itself where RFC 1939 allows it as a unique-id, else a digest of it."""
    return text if _UID.fullmatch(text) else _digest(os.fsencode(text), 20)


def key_of(token: str) -> str:
    """16 characters that stand for a delivery token in file names."""
    return _digest(token.encode("utf-8", "surrogateescape"), 10)


def key_in(name: str) -> str:
    """The key of the delivery that made a file of this name; empty where it tells none."""
    found = _KEY.search(name.partition(",")[0])
    return found[1] if found else ""


def new_name(seconds: float, micros: int, key: str, host: str) -> str:
    """The unique part of a name. ``micros`` orders messages of the same second."""
    return f"{int(seconds)}.M{micros % 1_000_000:06}R{key}.{host}"


def with_sizes(unique: str, size: int, wire_size: int) -> str:
    return f"{unique},S={size},W={wire_size}"


def host_part(hostname: str) -> str:
    """The host name as names carry it: Maildir writes its ``/`` and ``:`` in octal."""
    safe = hostname.replace("/", "\\057").replace(":", "\\072").replace(",", "\\054")
    printable = "".join(c if c.isascii() and c.isprintable() and c != " " else "_" for c in safe)
    return printable[:_HOST_OCTETS] or "localhost"


def _flags(info: str) -> str:
    """The letters of what stands after the colon."""
    return info[2:] if info.startswith("2,") else ""


def _number(pattern: re.Pattern[str], base: str) -> int | None:
    found = pattern.search(base)
    return int(found[1]) if found else None


def _digest(data: bytes, octets: int) -> str:
    digest = hashlib.blake2b(data, digest_size=octets).digest()
    return base64.b32encode(digest).decode()
