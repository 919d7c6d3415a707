"""Is a set what its manifest says? Counted, measured, hashed; and are its databases sound?

Nothing is written, so that a set may lie on a medium that cannot be written to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailframe.backup import manifest
from mailframe.backup.files import Found, digest_of, order, walk
from mailframe.backup.manifest import BadBackup, Entry, Total
from mailframe.runtime.disk import Disk
from mailframe.runtime.soundness import faults_of_frozen, is_database

_ASIDE = "base/damaged/"
"""What ``mail fsck`` set aside is known to be damaged."""
Progress = Callable[[int], None]
"""Hears how many octets were read by now."""


@dataclass(frozen=True, slots=True)
class Difference:
    path: str
    what: str
    is_of_old: bool = False
    """Its octets are those of the manifest: it was so when the backup was made."""


def check_set(
    disk: Disk, directory: str, total: Total, progress: Progress = lambda octets: None
) -> Iterator[Difference]:
    """Everything that is not as it was; ``total`` counts what is."""
    try:
        for entry, found in _side_by_side(disk, directory):
            if what := _difference(disk, directory, entry, found):
                yield Difference(entry.path if entry else found.path if found else "", what)
            elif entry is not None:
                total.add(entry)
                progress(total.octets)
                if what := _damage(disk, directory, entry):
                    yield Difference(entry.path, what, is_of_old=True)
    except BadBackup as error:
        yield Difference(manifest.FILE, str(error))


def _difference(disk: Disk, directory: str, entry: Entry | None, found: Found | None) -> str:
    if entry is None:
        return "is not in the manifest"
    if found is None:
        return "is missing"
    if entry.is_directory:
        return "" if found.is_directory else "is no directory any more"
    if not found.is_file:
        return "is no file any more"
    if found.status.st_size != entry.size:
        return f"has {found.status.st_size} octets, not {entry.size}"
    path = os.path.join(directory, entry.path)
    try:
        _, digest = digest_of(disk, path)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "has other content" if digest != entry.sha256 else ""


def _damage(disk: Disk, directory: str, entry: Entry) -> str:
    path = os.path.join(directory, entry.path)
    if entry.is_directory or not entry.path.endswith(".db") or entry.path.startswith(_ASIDE):
        return ""
    return "; ".join(faults_of_frozen(disk, path)) if is_database(disk, path) else ""


def _side_by_side(disk: Disk, directory: str) -> Iterator[tuple[Entry | None, Found | None]]:
    """The manifest and the directory, in order; None where one of them has nothing."""
    said = manifest.entries(disk, directory)
    there = (f for f in walk(disk, directory) if f.path != manifest.FILE)
    entry, found = next(said, None), next(there, None)
    while entry is not None or found is not None:
        if entry is None or (found is not None and order(found.path) < order(entry.path)):
            yield None, found
            found = next(there, None)
        elif found is None or order(entry.path) < order(found.path):
            yield entry, None
            entry = next(said, None)
        else:
            yield entry, found
            entry, found = next(said, None), next(there, None)
