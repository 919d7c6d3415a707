"""What must survive the index: ``mailframe-folder`` in a folder's Maildir.

MAILBOXID, UIDVALIDITY, special uses, annotations and access rights, as JSON that a person
can read. The file is replaced as a whole (tmp, sync, rename, sync of the directory), so a
crash leaves the old one or the new one. One that cannot be read counts as missing and is
logged. Beside the Maildirs the account's ``uidvalidity`` holds the highest UIDVALIDITY there
ever was, of whichever folder: a name that is deleted and made again gets a greater one.

Synchronous; runs on worker threads. What is read to be changed is changed under the account's
lock: changes never overtake one another, whichever process they are of.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.logger import Logger

from mailframe.mailbox.paths import account_lock
from mailframe.runtime.disk import Disk, new_file
from mailframe.runtime.exclusion import exclusive

FILE = "mailframe-folder"
HIGHEST = "uidvalidity"
SHARED = ""
"""Whose annotations those are that everybody sees (``/shared``)."""

_MAX_OCTETS = 16 << 20  # far beyond what the limits of METADATA let in
_MAX_UID_VALIDITY = (1 << 32) - 1  # RFC 9051 section 2.3.1.1
_ID = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_replacing = threading.Lock()
_log = Logger()
BAD = (ValueError, TypeError, AttributeError, KeyError, RecursionError)
"""What a file that makes no sense may raise."""


@dataclass(frozen=True, slots=True)
class FolderTruth:
    mailbox_id: str
    uid_validity: int = 0
    """0: not chosen yet; whoever opens the folder first does."""
    special_use: frozenset[str] = frozenset()
    annotations: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    """By user (``SHARED``: for all), then by entry as in ``Annotation.entry``."""
    acl: Mapping[str, str] = field(default_factory=dict)
    """Rights by identifier, those with ``-`` in front included; the owner's are not here."""


def read(disk: Disk, maildir: str) -> FolderTruth | None:
    """None where there is none that can be used. Raises OSError for trouble of the disk."""
    path = os.path.join(maildir, FILE)
    data = _content(disk, path)
    if data is None:
        return None
    try:
        return parse(data)
    except BAD as error:
        _log.error("{path} cannot be used, hence made anew: {error}", path=path, error=error)
        return None


def write(disk: Disk, maildir: str, truth: FolderTruth) -> None:
    """Durable when it returns. Raises OSError; then the old file is still there."""
    replace_file(disk, os.path.join(maildir, FILE), _render(truth))


def change(
    disk: Disk, home: str, maildir: str, account: str, now: float,
    alter: Callable[[FolderTruth], FolderTruth],
) -> FolderTruth:  # fmt: skip
    """Read, alter, write; made first where it is missing. Returns what is written now."""
    with exclusive(disk, account_lock(home)):
        truth = read(disk, maildir)
        altered = alter(truth or FolderTruth(new_mailbox_id(disk, home, account, now)))
        if altered != truth:
            write(disk, maildir, altered)
        return altered


def create(
    disk: Disk, home: str, maildir: str, account: str, now: float,
    special_use: frozenset[str] = frozenset(),
) -> FolderTruth:  # fmt: skip
    """For a folder that was made just now: a new identity, whatever is there."""
    with exclusive(disk, account_lock(home)):
        truth = FolderTruth(new_mailbox_id(disk, home, account, now), special_use=special_use)
        write(disk, maildir, truth)
        return truth


def new_uid_validity(disk: Disk, home: str, now: float) -> int:
    """Greater than every one before in this account; durable when it returns."""
    with exclusive(disk, account_lock(home)):
        last = highest_uid_validity(disk, home)
        chosen = max(int(now), last + 1, 1)
        if chosen > _MAX_UID_VALIDITY:
            # Only a damaged file or clock leads here; to go on is better than to stop.
            chosen = last + 1 if last < _MAX_UID_VALIDITY else 1
        note_uid_validity(disk, home, chosen)
        return chosen


def highest_uid_validity(disk: Disk, home: str) -> int:
    data = _content(disk, os.path.join(home, HIGHEST))
    try:
        return max(0, min(int(data or b"0"), _MAX_UID_VALIDITY))
    except ValueError:
        _log.error("{path} cannot be used", path=os.path.join(home, HIGHEST))
        return 0


def note_uid_validity(disk: Disk, home: str, uid_validity: int) -> None:
    """``uid_validity`` is in use now, for instance one taken over from another program."""
    replace_file(disk, os.path.join(home, HIGHEST), f"{uid_validity}\n".encode())


def new_mailbox_id(disk: Disk, home: str, account: str, now: float) -> str:
    """One that no folder of any account has or had (RFC 8474 section 4)."""
    number = new_uid_validity(disk, home, now)
    digest = hashlib.blake2b(f"{account}\0{number}".encode(), digest_size=15).digest()
    return "F" + base64.b32encode(digest).decode()


def replace_file(disk: Disk, path: str, data: bytes) -> None:
    """Replace ``path`` atomically and durably; no other process may be about it. Raises
    OSError."""
    directory = os.path.dirname(path)
    temporary = f"{path}.tmp"
    with _replacing:  # one writer at a time: the temporary name is always the same
        with contextlib.suppress(FileNotFoundError):
            disk.unlink(temporary)  # of one who died
        with new_file(disk, temporary) as file:
            file.write(data)
            file.sync()
        disk.rename(temporary, path)
        disk.sync_directory(directory)


def _content(disk: Disk, path: str) -> bytes | None:
    try:
        with disk.open(path) as file:
            data = file.read(_MAX_OCTETS + 1)
    except FileNotFoundError:
        return None
    return data if len(data) <= _MAX_OCTETS else b""


def _render(truth: FolderTruth) -> bytes:
    fields = {
        "mailbox_id": truth.mailbox_id,
        "uid_validity": truth.uid_validity,
        "special_use": sorted(truth.special_use),
        "annotations": {
            user: {entry: _as_json(value) for entry, value in entries.items()}
            for user, entries in truth.annotations.items()
        },
        "acl": dict(truth.acl),
    }
    return (json.dumps(fields, indent=1, sort_keys=True) + "\n").encode()


def parse(data: bytes) -> FolderTruth:
    """Raises one of ``BAD``."""
    fields = json.loads(data)
    mailbox_id, uid_validity = fields["mailbox_id"], fields["uid_validity"]
    # RFC 8474 section 7: objectid is 1 to 255 of these characters
    if not isinstance(mailbox_id, str) or not 0 < len(mailbox_id) <= 255:
        raise ValueError("bad mailbox_id")
    if not set(mailbox_id) <= _ID:
        raise ValueError("bad mailbox_id")
    if type(uid_validity) is not int or not 0 <= uid_validity <= _MAX_UID_VALIDITY:
        raise ValueError("bad uid_validity")
    return FolderTruth(
        mailbox_id,
        uid_validity,
        frozenset(_text(use) for use in fields.get("special_use", ())),
        {
            _text(user): {_text(entry): _from_json(value) for entry, value in entries.items()}
            for user, entries in fields.get("annotations", {}).items()
        },
        {_text(who): _text(rights) for who, rights in fields.get("acl", {}).items()},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value


def _as_json(value: bytes) -> Any:
    """Text as it is; what is none in base64."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _from_json(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(value["base64"], validate=True)
    except binascii.Error as error:
        raise ValueError("bad base64") from error
