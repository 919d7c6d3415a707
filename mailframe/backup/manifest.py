"""What a set says of itself: one JSON object a line, sorted as ``files.order`` has it.

::

    {"mailframe-backup": 1, "made": 1795646400.0, "hostname": "mail.example.org", ...}
    {"path": "base/directory.db", "size": 53248, "mode": "600", "sha256": "9f86..."}
    {"path": "base/mail", "mode": "700"}
    {"end": true, "files": 1, "octets": 53248, "sha256": "2c26..."}

The last line counts what is above and has the digest of those lines, so that a manifest that
was cut off or changed is known for one. Paths are as the file system has them, octets that
are no UTF-8 as lone surrogates escaped by JSON.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from mailframe.errors import MailframeError
from mailframe.runtime.disk import Disk

FILE = "manifest"
FORMAT = 1
_MAX_LINE = 1 << 20
_LAST_LINE = 400  # octets; more than it ever has
_NO_FILE = {errno.EINVAL, errno.ELOOP, errno.ENXIO}
"""``Disk.open``: a directory or FIFO, a symbolic link, a socket."""


class BadBackup(MailframeError):
    """There is no backup there, or not one that can be used; says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, or a directory, which has neither size nor digest."""

    path: str
    mode: int
    size: int = 0
    sha256: str = ""

    @property
    def is_directory(self) -> bool:
        return not self.sha256


@dataclass(frozen=True, slots=True)
class Header:
    made: float
    """Seconds since the epoch: nothing that was acknowledged before is missing."""
    version: str
    """Of mailframe."""
    hostname: str
    base: str
    """Where it came from."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Counts and warnings, for people."""


@dataclass(slots=True)
class Total:
    files: int = 0
    octets: int = 0

    def add(self, entry: Entry) -> None:
        if not entry.is_directory:
            self.files += 1
            self.octets += entry.size


class ManifestWriter:
    """``entries`` in order, then ``end``; nothing counts before ``publish``."""

    def __init__(self, disk: Disk, directory: str, header: Header) -> None:
        self.total = Total()
        self._disk = disk
        self._path = os.path.join(directory, FILE)
        self._file = disk.create(f"{self._path}.tmp")
        self._digest = hashlib.sha256()
        self._line(
            {
                "mailframe-backup": FORMAT,
                "made": header.made,
                "version": header.version,
                "hostname": header.hostname,
                "base": header.base,
                "notes": header.notes,
            }
        )

    def add(self, entry: Entry) -> None:
        fields: dict[str, Any] = {"path": entry.path, "mode": f"{entry.mode:o}"}
        if not entry.is_directory:
            fields |= {"size": entry.size, "sha256": entry.sha256}
        self.total.add(entry)
        self._line(fields)

    def publish(self) -> None:
        """Synced and under its name when it returns; its entry is the directory's to sync."""
        total = self.total
        end = {"end": True, "files": total.files, "octets": total.octets}
        self._line({**end, "sha256": self._digest.hexdigest()})
        self._file.sync()
        self._file.close()
        self._disk.rename(f"{self._path}.tmp", self._path)

    def abort(self) -> None:
        self._file.close()

    def _line(self, fields: dict[str, Any]) -> None:
        line = json.dumps(fields).encode() + b"\n"
        self._digest.update(line)
        self._file.write(line)


def read_header(disk: Disk, directory: str) -> Header:
    """Raises BadBackup, OSError."""
    with _open(disk, directory) as file:
        return _header(_fields(file.readline(_MAX_LINE)))


def entries(disk: Disk, directory: str) -> Iterator[Entry]:
    """All of them, in order. Raises BadBackup where it is not whole (at the latest after the
    last one), OSError."""
    digest = hashlib.sha256()
    total = Total()
    with _open(disk, directory) as file:
        line = file.readline(_MAX_LINE)
        _header(_fields(line))
        digest.update(line)
        while line := file.readline(_MAX_LINE):
            fields = _fields(line)
            if fields.get("end"):
                said = (fields.get("files"), fields.get("octets"), fields.get("sha256"))
                if said != (total.files, total.octets, digest.hexdigest()) or file.read(1):
                    raise BadBackup(f"the manifest of {directory} was changed")
                return
            digest.update(line)
            entry = _entry(fields)
            total.add(entry)
            yield entry
    raise BadBackup(f"the manifest of {directory} is cut off")


def read_total(disk: Disk, directory: str) -> Total:
    """As its last line says. Raises BadBackup, OSError."""
    with _open(disk, directory) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LAST_LINE))
        fields = _fields(file.read().rstrip(b"\n").rpartition(b"\n")[2])
    if not fields.get("end"):
        raise BadBackup(f"the manifest of {directory} is cut off")
    try:
        return Total(int(fields["files"]), int(fields["octets"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadBackup(f"the manifest of {directory} was changed") from error


def _open(disk: Disk, directory: str) -> BinaryIO:
    try:
        return disk.open(os.path.join(directory, FILE))
    except (FileNotFoundError, NotADirectoryError):
        raise BadBackup(f"{directory} is no backup: it has no manifest") from None
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise BadBackup(f"{directory} is no backup: its manifest is no file") from error


def _fields(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise BadBackup("a line of the manifest cannot be read")
    return fields


def _header(fields: dict[str, Any]) -> Header:
    found = fields.get("mailframe-backup")
    if found != FORMAT:
        raise BadBackup(f"the manifest has format {found!r}; this mailframe knows {FORMAT}")
    try:
        return Header(
            float(fields["made"]),
            str(fields["version"]),
            str(fields["hostname"]),
            str(fields["base"]),
            dict(fields["notes"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadBackup(f"the first line of the manifest cannot be read: {error}") from error


def _entry(fields: dict[str, Any]) -> Entry:
    try:
        path, mode = str(fields["path"]), int(fields["mode"], 8)
        if "sha256" not in fields:
            entry = Entry(path, mode)
        else:
            entry = Entry(path, mode, int(fields["size"]), str(fields["sha256"]))
        os.fsencode(path)  # a surrogate that stands for no octet is in no path
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadBackup(f"a line of the manifest cannot be read: {error}") from error
    # Its paths are followed: what was put there by somebody else must not lead elsewhere.
    if not all(part not in ("", ".", "..") for part in path.split("/")) or "\0" in path:
        raise BadBackup(f"the manifest names {path!r}")
    return entry
