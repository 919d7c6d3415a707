"""``mailframe mail export``: an account's mail as a Maildir, as mbox files, or as .eml files.

Reads only, with the server up or down; what vanishes meanwhile is passed over. A Maildir
keeps everything: names (hence uids), flags, times, folders. mbox is written as mboxrd, one
file a folder, and has no place for flags. .eml files are in wire format, one a message,
folders as directories. Run again, an export to a Maildir or .eml adds what is new.
"""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailframe.mailbox import mbox
from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import FileName
from mailframe.mailbox.newlines import to_wire
from mailframe.mailbox.paths import folder_directory, maildir_of
from mailframe.runtime.disk import Disk

Progress = Callable[[int, int], None]


class Form(enum.Enum):
    MAILDIR = "maildir"
    MBOX = "mbox"
    EML = "eml"


@dataclass(frozen=True, slots=True)
class _Stored:
    """One message with its content as it is on disk."""

    path: str
    name: FileName
    content: bytes
    modified: float


def export_mail(
    base: str,
    account: str,
    target: str,
    form: Form,
    disk: Disk,
    *,
    progress: Progress = lambda done, total: None,
) -> int:
    """Write all folders of the account below ``target``, a directory made as needed.

    For mbox it gets ``INBOX.mboxrd`` and one file a folder, none of which may exist. Returns
    the number of messages written. ``progress`` hears octets done and in all. Raises OSError.
    """
    target = os.path.abspath(target)
    folders = [("", Maildir(maildir_of(base, account), disk))]
    folders += folders[0][1].named_folders()
    total = sum(maildir.usage()[0] for _, maildir in folders)
    write = {Form.MAILDIR: _to_maildir, Form.MBOX: _to_mbox, Form.EML: _to_eml}[form]
    done = written = 0
    for folder, maildir in folders:
        for stored, is_new in write(target, folder, _messages(maildir), disk):
            done += len(stored.content)
            written += is_new
            progress(done, total)
    return written


def _messages(maildir: Maildir) -> Iterator[_Stored]:
    for path, name in maildir.in_order():
        if (found := maildir.read(path, name)) is not None:
            yield _Stored(path, name, *found)


def _to_maildir(
    target: str, folder: str, messages: Iterator[_Stored], disk: Disk
) -> Iterator[tuple[_Stored, bool]]:
    maildir = Maildir(folder_directory(target, folder), disk)
    maildir.ensure()
    present = {name.base for _, name in maildir.files()}
    for stored in messages:
        if is_new := stored.name.base not in present:
            where = os.path.basename(os.path.dirname(stored.path))
            final = os.path.join(maildir.subdirectory(where), stored.name.full)
            _write(disk, maildir.subdirectory("tmp"), final, stored.content, stored.modified)
        yield stored, is_new
    for where in ("new", "cur"):
        disk.sync_directory(maildir.subdirectory(where))


def _to_mbox(
    target: str, folder: str, messages: Iterator[_Stored], disk: Disk
) -> Iterator[tuple[_Stored, bool]]:
    disk.make_directories(target)
    # Folder names become file names as the Maildir writes them: safe, and one file each.
    name = os.path.basename(folder_directory("", folder))[1:] or "INBOX"
    file = disk.create(os.path.join(target, f"{name}.mboxrd"))
    try:
        for stored in messages:
            received = stored.name.received or stored.modified
            mbox.write(file.write, stored.content, received)
            yield stored, True
        file.sync()
    finally:
        file.close()
    disk.sync_directory(target)


def _to_eml(
    target: str, folder: str, messages: Iterator[_Stored], disk: Disk
) -> Iterator[tuple[_Stored, bool]]:
    names = [_file_name(part) for part in folder.split("/")] if folder else []
    directory = os.path.join(target, *names)
    disk.make_directories(directory)
    present = {entry.name for entry in disk.scan(directory)}
    for stored in messages:
        name = _file_name(f"{stored.name.uid}.eml")
        if is_new := name not in present:
            is_wire = stored.name.wire_size == len(stored.content)
            content = stored.content if is_wire else to_wire(stored.content)
            _write(disk, directory, os.path.join(directory, name), content, stored.modified)
        yield stored, is_new
    disk.sync_directory(directory)


def _write(disk: Disk, tmp: str, path: str, content: bytes, modified: float) -> None:
    """A file that is there whole or not at all."""
    partial = os.path.join(tmp, f"{os.path.basename(path)}.partial"[-255:])
    file = disk.create(partial)
    try:
        try:
            file.write(content)
            file.set_modified(modified)
            file.sync()
        finally:
            file.close()
        disk.rename(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.unlink(partial)
        raise


def _file_name(text: str) -> str:
    return "_" + text[1:] if text.startswith(".") else text
