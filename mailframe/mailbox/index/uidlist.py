"""Uids of an account that moves in: what Dovecot or Courier gave the messages.

``dovecot-uidlist``, version 3 (``3 V1275660208 N25022 G3f1c...``, then ``uid fields :name``)
and 1 (``1 1275660208 25022``, then ``uid name``); ``courierimapuiddb`` (``1 validity next``,
then ``uid name``). A file that contradicts itself is not taken over, which is logged; single
lines that make no sense are passed over. Synchronous.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from twisted.logger import Logger

from mailframe.runtime.disk import Disk

DOVECOT = "dovecot-uidlist"
COURIER = "courierimapuiddb"
_MAX_OCTETS = 256 << 20
_MAX_UID = 0xF000_0000  # uids must have room to grow
_GUID = re.compile(r"[0-9a-fA-F]{32}")
_log = Logger()


@dataclass(frozen=True, slots=True)
class TakenOver:
    uid_validity: int
    uid_next: int
    guid: str = ""
    uids: dict[str, int] = field(default_factory=dict)
    """By the file's name before the colon."""


def find(disk: Disk, maildir: str) -> TakenOver | None:
    """Raises OSError for trouble of the disk."""
    for name, parse in ((DOVECOT, parse_dovecot), (COURIER, parse_plain)):
        path = os.path.join(maildir, name)
        try:
            with disk.open(path) as file:
                data = file.read(_MAX_OCTETS)
        except FileNotFoundError:
            continue
        try:
            return parse(os.fsdecode(data))
        except ValueError as error:
            _log.error("{path} is not taken over: {error}", path=path, error=error)
    return None


def parse_dovecot(text: str) -> TakenOver:
    """Raises ValueError."""
    head, *lines = text.split("\n")
    version, *fields = head.split()
    if version == "1":
        return parse_plain(text)
    if version != "3":
        raise ValueError(f"version {version[:20]!r}")
    said = {field[0]: field[1:] for field in fields}
    uids: dict[str, int] = {}
    for line in lines:
        numbers, colon, name = line.partition(":")
        if colon and name:
            _note(uids, numbers.partition(" ")[0], name)
    guid = said.get("G", "")
    return _checked(
        _number(said.get("V", "")),
        _number(said.get("N", "1")),
        guid.lower() if _GUID.fullmatch(guid) else "",
        uids,
    )


def parse_plain(text: str) -> TakenOver:
    """Raises ValueError."""
    head, *lines = text.split("\n")
    fields = head.split()
    if len(fields) < 3 or fields[0] != "1":
        raise ValueError(f"first line {head[:60]!r}")
    uids: dict[str, int] = {}
    for line in lines:
        number, space, name = line.partition(" ")
        if space and name:
            _note(uids, number, name)
    return _checked(_number(fields[1]), _number(fields[2]), "", uids)


def _note(uids: dict[str, int], number: str, name: str) -> None:
    if number.isascii() and number.isdigit() and len(number) <= 10:
        uids.setdefault(name.partition(":")[0], int(number))


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise ValueError(f"{text[:20]!r} is no number")
    return int(text)


def _checked(validity: int, uid_next: int, guid: str, uids: dict[str, int]) -> TakenOver:
    if not 0 < validity < 1 << 32:
        raise ValueError(f"UIDVALIDITY {validity}")
    if len(set(uids.values())) != len(uids) or not all(uids.values()):
        raise ValueError("a uid is there twice, or 0")
    uid_next = max(uid_next, max(uids.values(), default=0) + 1, 1)
    if uid_next > _MAX_UID:
        raise ValueError(f"the next uid is {uid_next}")
    return TakenOver(validity, uid_next, guid, uids)
