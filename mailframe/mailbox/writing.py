"""One message on its way into a Maildir: tmp, sync, rename, sync of the directory.

States, as a crash may leave them: a file in ``tmp`` (nothing happened; swept after 36 hours),
a file in ``new`` whose name is not durable yet (complete, not reported), the same durable
(``sync_name`` has returned). Synchronous; runs on worker threads and in the command line.
"""

from __future__ import annotations

import contextlib
import os

from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.names import with_sizes
from mailframe.mailbox.newlines import ToDisk
from mailframe.runtime.disk import DiskFile


class Writing:
    """``unique`` comes from ``names.new_name``; nothing is on disk before the first write."""

    def __init__(self, maildir: Maildir, unique: str) -> None:
        self._maildir = maildir
        self._unique = unique
        self._format = ToDisk()
        self._file: DiskFile | None = None
        self._in_tmp = False
        self._path = ""
        self.is_doubtful = False
        """It failed, and may lie in ``new`` nevertheless: look before writing it again."""

    @property
    def has_begun(self) -> bool:
        return self._in_tmp

    @property
    def disk_size(self) -> int:
        return self._format.disk_size

    @property
    def wire_size(self) -> int:
        return self._format.wire_size

    @property
    def base(self) -> str:
        """Its name before the colon, once complete."""
        return with_sizes(self._unique, self._format.disk_size, self._format.wire_size)

    @property
    def unique(self) -> str:
        return self._unique

    @property
    def directory(self) -> str:
        """Where it was published."""
        return os.path.dirname(self._path)

    def write(self, chunk: bytes) -> None:
        """Add octets in wire format. Raises OSError; then ``abort``."""
        if self._file is None:
            self._file = self._create()
            self._in_tmp = True
        if data := self._format.feed(chunk):
            self._file.write(data)

    def complete(self, modified: float | None = None) -> None:
        """Nothing more follows. ``modified``: its time, else now."""
        if self._file is None:
            self.write(b"")
        assert self._file is not None
        if rest := self._format.finish():
            self._file.write(rest)
        if modified is not None:
            self._file.set_modified(modified)

    def begin_sync(self) -> None:
        """Have the disk begin with it; ``sync`` follows."""
        assert self._file is not None
        self._file.begin_sync()

    def sync(self) -> None:
        """Make the content durable."""
        assert self._file is not None
        self._file.sync()
        self._file.close()

    def publish(self, subdirectory: str = "new", info: str = "") -> str:
        """Give it its name, with ``info`` (``:2,FLAGS``); returns the path. Not durable
        until that directory is synced."""
        path = os.path.join(self._maildir.subdirectory(subdirectory), self.base + info)
        # A rename would replace silently. Only who holds the name in tmp can come here, so
        # nobody takes the target between this look and the rename.
        if _exists(self._maildir, path):
            raise FileExistsError(f"{path} is there already")
        self._maildir.disk.rename(self._tmp_path, path)
        self._in_tmp = False
        self._path = path
        return path

    def sync_name(self) -> None:
        """Make its name durable, and those of all others in the same directory."""
        self._maildir.disk.sync_directory(self.directory)

    def withdraw(self) -> None:
        """Its name could not be made durable. It is reported as failed, hence delivered
        again: this one must not stay. After a power cut it may be there all the same."""
        self.is_doubtful = True
        with contextlib.suppress(OSError):
            self._maildir.disk.unlink(self._path)

    def abort(self) -> None:
        """Forget it. Litter that cannot be removed is left to the sweep of ``tmp``."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        if self._in_tmp:
            self._in_tmp = False
            with contextlib.suppress(OSError):
                self._maildir.disk.unlink(self._tmp_path)

    @property
    def _tmp_path(self) -> str:
        return os.path.join(self._maildir.subdirectory("tmp"), self._unique)

    def _create(self) -> DiskFile:
        try:
            return self._maildir.disk.create(self._tmp_path)
        except FileNotFoundError:
            self._maildir.ensure()
            return self._maildir.disk.create(self._tmp_path)


def _exists(maildir: Maildir, path: str) -> bool:
    try:
        maildir.disk.status(path)
    except FileNotFoundError:
        return False
    return True
