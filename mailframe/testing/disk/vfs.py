"""SQLite's way to a simulated disk: a VFS, made of Python functions, for each disk.

It does what SQLite's own VFS for Unix does, in the same order: the first sync of a journal or
log that was opened syncs the directory too, a deletion does when it is asked to, an empty file
does not exist. Sectors are 4096 octets; a write harms nothing beside it (power-safe overwrite,
what SQLite takes for granted on Unix) and nothing else is promised. The memory of the log's
index is the process's. Nothing is mapped.

No exception gets through C: trouble with the disk becomes SQLite's code for it, and so does
lost power, which the next call of the seam raises. A mistake in here is raised there as well.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import functools
import sqlite3
import time
import weakref
from collections.abc import Callable
from ctypes import c_char_p, c_void_p, memmove, string_at
from typing import Any
from urllib.parse import quote

from mailframe.runtime.disk import connect_sqlite
from mailframe.testing.disk import sqlite_library as sqlite
from mailframe.testing.disk.nodes import FileNode
from mailframe.testing.disk.ops import PowerLost
from mailframe.testing.disk.vfs_files import OPEN_READONLY, OPEN_READWRITE, NamedFile, UnnamedFile
from mailframe.testing.disk.volume import Volume

_SECTOR = 4096
_POWERSAFE_OVERWRITE = 0x1000
_LONGEST = 1024
_UNLOCK, _LOCK, _SHARED = 1, 2, 4  # flags of xShmLock
_UNIX_EPOCH = 210_866_760_000_000  # ms, in Julian days
_NAP = 0.0005  # s, where SQLite waits for a lock: somebody else's thread may go on

_files: dict[int, NamedFile | UnnamedFile] = {}  # by the address of SQLite's structure
_volumes: dict[int, weakref.ref[Volume]] = {}  # by the address of the VFS
_free: list[_Slot] = []
_slots: list[_Slot] = []
_connections: weakref.WeakSet[SimConnection] = weakref.WeakSet()


class SimConnection(sqlite3.Connection):
    """Where SQLite failed because the machine lost its power, PowerLost is raised instead."""

    volume: Volume | None = None

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*arguments)
        except sqlite3.Error:
            self._check()
            raise

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().executemany(*arguments)
        except sqlite3.Error:
            self._check()
            raise

    def commit(self) -> None:
        try:
            super().commit()
        except sqlite3.Error:
            self._check()
            raise

    def _check(self) -> None:
        if self.volume is not None:
            self.volume.check_power()


class _Slot:
    """A registered VFS. It serves one disk after another and is never unregistered."""

    def __init__(self, number: int) -> None:
        self.name = f"mailframe-disk-{number}"
        self.vfs = sqlite.Vfs(
            iVersion=2,
            szOsFile=ctypes.sizeof(c_void_p),
            mxPathname=_LONGEST,
            zName=c_char_p(self.name.encode()),
            **_calls,
        )
        self.address = ctypes.addressof(self.vfs)
        sqlite.loaded().sqlite3_vfs_register(self.address, 0)


def connect(volume: Volume, path: str, timeout: float) -> sqlite3.Connection:
    """SQLite draws anew from the volume's seed. Raises sqlite3.Error, or
    sqlite_library.Unreachable."""
    connection = connect_sqlite(path, timeout, vfs=_name_of(volume), factory=SimConnection)
    assert isinstance(connection, SimConnection)
    return _known(connection, volume)


def connect_frozen(volume: Volume, path: str) -> sqlite3.Connection:
    """For reading what nobody changes."""
    name = f"file:{quote(path)}?mode=ro&immutable=1&vfs={_name_of(volume)}"
    connection = sqlite3.connect(
        name, isolation_level=None, check_same_thread=False, factory=SimConnection, uri=True
    )
    return _known(connection, volume)


def _known(connection: SimConnection, volume: Volume) -> SimConnection:
    connection.volume = volume
    _connections.add(connection)
    return connection


@atexit.register
def _close_all() -> None:
    """While there are functions to call: C would find none later."""
    for connection in list(_connections):
        connection.close()


def _name_of(volume: Volume) -> str:
    with volume.guard:
        sqlite.seed_randomness(volume.random(f"connection {volume.connections}").getrandbits(31))
        volume.connections += 1
        if not volume.vfs:
            slot = _free.pop() if _free else _new_slot()
            _volumes[slot.address] = weakref.ref(volume)
            volume.vfs = slot.name
            weakref.finalize(volume, _free.append, slot).atexit = False
        return volume.vfs


def _new_slot() -> _Slot:
    slot = _Slot(len(_slots))
    _slots.append(slot)
    return slot


def _answering(failed: int) -> Callable[[Callable[..., int | None]], Callable[..., int]]:
    """Exceptions become SQLite's codes, ``failed`` in general; None is OK."""

    def decorate(function: Callable[..., int | None]) -> Callable[..., int]:
        @functools.wraps(function)
        def answer(first: int, *rest: Any) -> int:
            try:
                return function(first, *rest) or 0
            except OSError as error:
                return sqlite.FULL if error.errno == errno.ENOSPC else failed
            except PowerLost:
                return failed
            except BaseException as error:  # noqa: BLE001 (raised by the next call of the seam)
                _blame(first, error)
                return failed

        return answer

    return decorate


def _blame(address: int, error: BaseException) -> None:
    if address in _files:
        _files[address].volume.broken = error
    elif (volume := _volumes[address]()) is not None:
        volume.broken = error


def _path(address: int) -> str:
    return string_at(address).decode("utf-8", "surrogateescape")


def _volume(address: int) -> Volume:
    volume = _volumes[address]()
    if volume is None:
        raise PowerLost
    return volume


# Calls of the VFS


@_answering(sqlite.CANTOPEN)
def _open(vfs: int, name: int | None, file: int, flags: int, told: Any) -> None:
    c_void_p.from_address(file).value = None
    volume = _volume(vfs)
    if volume.faults.is_read_only and flags & OPEN_READWRITE:
        flags = flags & ~OPEN_READWRITE & ~4 | OPEN_READONLY
    if name is None:
        _files[file] = UnnamedFile(volume, file)
    else:
        _files[file] = NamedFile(volume, _path(name), flags, file)
    c_void_p.from_address(file).value = ctypes.addressof(_methods)
    if told:
        told[0] = flags


@_answering(sqlite.IOERR_DELETE)
def _delete(vfs: int, name: int, sync_directory: int) -> int | None:
    volume, path = _volume(vfs), _path(name)
    try:
        volume.unlink(path, sqlite=True)
    except FileNotFoundError:
        return sqlite.IOERR_DELETE_NOENT
    if sync_directory & 1:
        try:
            volume.sync_directory(path.rpartition("/")[0] or "/", sqlite=True)
        except OSError:
            return sqlite.IOERR_DIR_FSYNC
    return None


@_answering(sqlite.IOERR_ACCESS)
def _access(vfs: int, name: int, flags: int, told: Any) -> None:
    volume = _volume(vfs)
    volume.check_power()
    node = volume.nodes.look_up(_path(name))
    is_there = node is not None and not (isinstance(node, FileNode) and not node.content.size)
    if flags:  # may it be written
        is_there = node is not None and not volume.faults.is_read_only
    told[0] = int(is_there)


@_answering(sqlite.CANTOPEN)
def _full_path(vfs: int, name: int, room: int, told: int) -> int | None:
    path = string_at(name)
    if not path.startswith(b"/"):
        path = b"/" + path
    if len(path) >= room:
        return sqlite.CANTOPEN
    memmove(told, path + b"\0", len(path) + 1)
    return None


def _randomness(vfs: int, octets: int, told: int) -> int:
    volume = _volumes[vfs]()
    seed = volume.random(f"randomness {volume.count}") if volume is not None else None
    memmove(told, seed.randbytes(octets) if seed is not None else bytes(octets), octets)
    return octets


def _sleep(vfs: int, microseconds: int) -> int:
    time.sleep(_NAP)
    return microseconds


@_answering(sqlite.IOERR)
def _time(vfs: int, told: Any) -> None:
    told[0] = (_UNIX_EPOCH + _volume(vfs).now() // 10**6) / 86_400_000


@_answering(sqlite.IOERR)
def _time_ms(vfs: int, told: Any) -> None:
    told[0] = _UNIX_EPOCH + _volume(vfs).now() // 10**6


def _last_error(vfs: int, octets: int, told: int) -> int:
    return 0


# Methods of a file


@_answering(sqlite.IOERR_CLOSE)
def _close(file: int) -> None:
    _files.pop(file).close()


@_answering(sqlite.IOERR_READ)
def _read(file: int, buffer: int, octets: int, offset: int) -> int | None:
    data = _files[file].read(offset, octets)
    if len(data) == octets:
        memmove(buffer, data, octets)
        return None
    memmove(buffer, data.ljust(octets, b"\0"), octets)
    return sqlite.IOERR_SHORT_READ


@_answering(sqlite.IOERR_WRITE)
def _write(file: int, buffer: int, octets: int, offset: int) -> None:
    _files[file].write(offset, string_at(buffer, octets))


@_answering(sqlite.IOERR_TRUNCATE)
def _truncate(file: int, size: int) -> None:
    _files[file].truncate(size)


@_answering(sqlite.IOERR_FSYNC)
def _sync(file: int, flags: int) -> None:
    _files[file].sync()


@_answering(sqlite.IOERR_FSTAT)
def _size(file: int, told: Any) -> None:
    told[0] = _files[file].size()


@_answering(sqlite.IOERR_LOCK)
def _lock(file: int, level: int) -> int:
    return sqlite.OK if _files[file].lock(level) else sqlite.BUSY


@_answering(sqlite.IOERR_UNLOCK)
def _unlock(file: int, level: int) -> None:
    _files[file].unlock(level)


@_answering(sqlite.IOERR_CHECKRESERVEDLOCK)
def _is_reserved(file: int, told: Any) -> None:
    told[0] = int(_files[file].sharing.is_reserved)


def _control(file: int, operation: int, argument: int) -> int:
    return sqlite.NOTFOUND


def _sector(file: int) -> int:
    return _SECTOR


def _characteristics(file: int) -> int:
    return _POWERSAFE_OVERWRITE


@_answering(sqlite.IOERR_SHMMAP)
def _map(file: int, index: int, octets: int, extend: int, told: Any) -> None:
    opened = _files[file]
    with opened.volume.guard:
        told[0] = opened.sharing.region(file, index, octets, bool(extend))


@_answering(sqlite.IOERR_SHMLOCK)
def _lock_slots(file: int, first: int, number: int, flags: int) -> int:
    opened, slots = _files[file], range(first, first + number)
    with opened.volume.guard:
        if flags & _LOCK:
            ask = opened.sharing.share if flags & _SHARED else opened.sharing.exclude
            return sqlite.OK if ask(file, slots) else sqlite.BUSY
        for slot in slots:
            opened.sharing.release(file, slot)
    return sqlite.OK


def _barrier(file: int) -> None:
    """The interpreter's lock is one."""


@_answering(sqlite.IOERR_SHMMAP)
def _unmap(file: int, delete: int) -> None:
    opened = _files[file]
    with opened.volume.guard:
        opened.sharing.unmap(file)


# C must not outlive them: they are kept here for good.
_calls: dict[str, Any] = {
    name: sqlite.CALLS[name](function)
    for name, function in (
        ("xOpen", _open),
        ("xDelete", _delete),
        ("xAccess", _access),
        ("xFullPathname", _full_path),
        ("xRandomness", _randomness),
        ("xSleep", _sleep),
        ("xCurrentTime", _time),
        ("xGetLastError", _last_error),
        ("xCurrentTimeInt64", _time_ms),
    )
}
_methods = sqlite.Methods(
    iVersion=2,
    **{
        name: sqlite.METHODS[name](function)
        for name, function in (
            ("xClose", _close),
            ("xRead", _read),
            ("xWrite", _write),
            ("xTruncate", _truncate),
            ("xSync", _sync),
            ("xFileSize", _size),
            ("xLock", _lock),
            ("xUnlock", _unlock),
            ("xCheckReservedLock", _is_reserved),
            ("xFileControl", _control),
            ("xSectorSize", _sector),
            ("xDeviceCharacteristics", _characteristics),
            ("xShmMap", _map),
            ("xShmLock", _lock_slots),
            ("xShmBarrier", _barrier),
            ("xShmUnmap", _unmap),
        )
    },
)
