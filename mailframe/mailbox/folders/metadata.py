"""Annotations (RFC 5464): which there may be, and what a folder's file says of them. Pure.

``/shared`` values are one for all, ``/private`` ones each user's own; both are in the file of
the folder. The server's own annotations (name ``""``) are a user's: ``/private`` ones only,
kept with his INBOX. ``/private/specialuse`` of one's own folder is its special use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mailframe.core.folders import Annotation, FolderReason
from mailframe.errors import FolderRefused
from mailframe.mailbox.folder_file import SHARED, FolderTruth
from mailframe.mailbox.folders import special_uses

MAX_ENTRIES = 100
"""Of one user, or of all, on one folder."""
MAX_VALUE = 65_536
"""Octets in one value."""
MAX_FOLDER = 4 << 20
"""Octets in all values of one folder."""

SERVER = "@server"
"""In the INBOX's file, in the place of a user (no account begins so): the server's."""
SPECIAL_USE = "/private/specialuse"

_MAX_NAME = 250
_ENTRY = re.compile(r"/(?:private|shared)(?:/[!-$&-)+-.0-~]+)+")  # no %, * or empty part


def of_folder(
    truth: FolderTruth, user: str, uses: frozenset[str] = frozenset()
) -> list[Annotation]:
    """What the user may see, by name. ``uses``: of a folder of his own."""
    entries = {**truth.annotations.get(SHARED, {}), **truth.annotations.get(user, {})}
    if uses:
        # RFC 6154 section 5.2
        entries[SPECIAL_USE] = " ".join(sorted(uses)).encode()
    return [Annotation(entry, entries[entry]) for entry in sorted(entries)]


def of_server(inbox: FolderTruth, admin: str) -> list[Annotation]:
    """``admin``: a URI of whoever runs the server, or empty."""
    entries = dict(inbox.annotations.get(SERVER, {}))
    if admin:
        # RFC 5464 section 6.2.1
        entries["/shared/admin"] = admin.encode()
    return [Annotation(entry, entries[entry]) for entry in sorted(entries)]


def check(annotations: Sequence[Annotation]) -> None:
    """Raises FolderRefused for a name that cannot be, or a value too large (OVER_QUOTA)."""
    for annotation in annotations:
        entry = annotation.entry
        if len(entry) > _MAX_NAME or entry != entry.lower() or not _ENTRY.fullmatch(entry):
            raise FolderRefused(FolderReason.CANNOT, "There can be no such annotation")
        if annotation.value is not None and len(annotation.value) > MAX_VALUE:
            # RFC 5464 section 4.3
            code = f"METADATA MAXSIZE {MAX_VALUE}"
            raise FolderRefused(FolderReason.OVER_QUOTA, "The value is too long", code)


def altered(truth: FolderTruth, user: str, annotations: Sequence[Annotation]) -> FolderTruth:
    """With these set, or removed. ``user``: whose private ones, or ``SERVER``. Raises
    FolderRefused (LIMIT)."""
    found = {who: dict(entries) for who, entries in truth.annotations.items()}
    for annotation in annotations:
        is_shared = annotation.entry.startswith("/shared/")
        entries = found.setdefault(SHARED if is_shared else user, {})
        if annotation.value is None:
            entries.pop(annotation.entry, None)
        else:
            entries[annotation.entry] = annotation.value
    kept = {who: entries for who, entries in found.items() if entries}
    _require_room(kept)
    return replace(truth, annotations=kept)


def use_in(annotations: Sequence[Annotation]) -> frozenset[str] | None:
    """The special use that is set; None where none is. Raises FolderRefused."""
    values = [each.value or b"" for each in annotations if each.entry == SPECIAL_USE]
    if not values:
        return None
    return special_uses.parse(values[-1].decode("ascii", "replace").split())


def _require_room(annotations: Mapping[str, Mapping[str, bytes]]) -> None:
    if any(len(entries) > MAX_ENTRIES for entries in annotations.values()):
        # RFC 5464 section 4.3
        raise FolderRefused(FolderReason.LIMIT, "Too many annotations", "METADATA TOOMANY")
    everything = (
        len(entry) + len(value)
        for entries in annotations.values()
        for entry, value in entries.items()
    )
    if sum(everything) > MAX_FOLDER:
        raise FolderRefused(FolderReason.LIMIT, "The folder's annotations are too long")
