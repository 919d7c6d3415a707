"""``file:PATH``: users kept in a text file (``passwd_file`` has its syntax).

A credentials checker whose users are accounts as well: the resolver asks it for their names.
The file is looked at for each question and read again when it has changed, on a worker
thread. A file that cannot be read is a temporary failure, never an empty list of users.

An outdated hash is replaced by argon2id at the first right login, in a new file that takes
the place of the old one under the same owner and mode, with every other line as it was. Where
the file or its directory may not be written, that is said once in the log and logins go on.
Software that shares the file must understand argon2id; otherwise make it read-only.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass, field
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials, IUsernamePassword
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailframe.accounts.names import login_key
from mailframe.accounts.passwd_file import Entry, parse, with_password
from mailframe.accounts.passwords import Passwords
from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.interfaces import IWorkers
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.disk import Disk

_UNREADABLE = Reply(451, status.DIRECTORY_FAILURE, "The list of users cannot be read now")


@dataclass(frozen=True, slots=True)
class _Snapshot:
    stamp: tuple[int, ...] = ()
    entries: dict[str, Entry] = field(default_factory=dict)
    accounts: frozenset[str] = frozenset()


@implementer(ICredentialsChecker)
class FileChecker:
    """``default_domain`` completes bare names, in the file and at login; empty: such lines
    are skipped. ``workers`` read the file and, where ``renew`` allows it, write it."""

    log = Logger()
    credentialInterfaces = (IUsernamePassword,)

    def __init__(
        self,
        path: str,
        passwords: Passwords,
        workers: IWorkers,
        *,
        default_domain: str = "",
        renew: bool = True,
        disk: Disk | None = None,
    ) -> None:
        self._path = os.path.realpath(path)
        self._passwords = passwords
        self._workers = workers
        self._default_domain = default_domain
        self._renew = renew
        self._disk = disk if disk is not None else Disk()
        self._snapshot = _Snapshot()
        self._said_so = False
        self._writing = threading.Lock()

    def requestAvatarId(self, credentials: ICredentials) -> Deferred[bytes | tuple[()]]:
        return as_deferred(self._check(credentials))

    async def accounts(self) -> frozenset[str]:
        """Names of all users; the same object as long as the file does not change.
        Raises TransientFailure when the file cannot be read."""
        return (await self._current()).accounts

    async def _check(self, credentials: Any) -> bytes:
        account = login_key(credentials.username, self._default_domain)
        entries = (await self._current()).entries
        entry = entries.get(account or "")
        stored = entry.password if entry is not None else None
        checked = await self._passwords.check(account or "", stored, credentials.password)
        if entry is None or not checked.right:
            raise LoginFailed("no such user in the file" if entry is None else "wrong password")
        if checked.renewed is not None and self._renew:
            await self._workers.run(self._replace, entry, checked.renewed)
        return entry.account.encode()

    async def _current(self) -> _Snapshot:
        self._snapshot = await self._workers.run(self._load, self._snapshot)
        return self._snapshot

    def _load(self, known: _Snapshot) -> _Snapshot:
        """On a worker thread."""
        try:
            stamp = self._stamp()
            if stamp == known.stamp:
                return known
            with self._disk.open(self._path) as file:
                text = file.read()
        except OSError as error:
            raise TransientFailure(_UNREADABLE, f"{self._path}: {error}") from error
        entries, problems = parse(text, self._default_domain)
        for problem in problems:
            self.log.warn("{path}: {problem}", path=self._path, problem=problem)
        return _Snapshot(stamp, entries, frozenset(entries))

    def _stamp(self) -> tuple[int, ...]:
        facts = os.stat(self._path)
        return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino

    def _replace(self, entry: Entry, password: str) -> None:
        """On a worker thread."""
        spelt = _spelt_like(entry, password)
        try:
            with self._writing:
                stamp = self._stamp()
                with self._disk.open(self._path) as file:
                    text = file.read()
                renewed = with_password(text, entry, spelt, self._default_domain)
                if renewed is not None:
                    self._put(renewed, stamp)
        except OSError as error:
            if not self._said_so:
                self._said_so = True
                self.log.warn(
                    "{path}: outdated hashes are not renewed: {error}",
                    path=self._path,
                    error=str(error),
                )

    def _put(self, text: bytes, stamp: tuple[int, ...]) -> None:
        facts = os.stat(self._path)
        if not facts.st_mode & 0o222 or not os.access(self._path, os.W_OK):
            raise PermissionError("the file is read-only")
        beside = f"{self._path}.mailframe-new"
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(beside)  # of a crash; there is one writer, and it holds the lock
        file = self._disk.create(beside)
        try:
            try:
                file.write(text)
                os.chown(beside, facts.st_uid, facts.st_gid)
                os.chmod(beside, facts.st_mode & 0o7777)
                file.sync()
            finally:
                file.close()
            if self._stamp() != stamp:
                raise OSError("the file was changed meanwhile")
            self._disk.rename(beside, self._path)
        except BaseException:
            self._disk.unlink(beside)
            raise
        self._disk.sync_directory(os.path.dirname(self._path))


def _spelt_like(entry: Entry, password: str) -> str:
    """With a scheme where the old hash had one: that is how its other readers write it."""
    return f"{{ARGON2ID}}{password}" if entry.password.startswith("{") else password
