"""The SQLite that Python's sqlite3 module uses, reached by its C interface.

``library`` finds it through the module's own shared object, whose dependencies the loader
searches too, and makes sure that it is the same one. Where the module hides its SQLite, as a
static build may, ``Unreachable`` says so: tests that need it skip with its words.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_double, c_int, c_int64, c_void_p
from functools import cache
from typing import Any

OK, BUSY, READONLY, IOERR, NOTFOUND, FULL, CANTOPEN = 0, 5, 8, 10, 12, 13, 14
IOERR_READ, IOERR_SHORT_READ, IOERR_WRITE, IOERR_FSYNC, IOERR_DIR_FSYNC = (
    IOERR | n << 8 for n in (1, 2, 3, 4, 5)
)
IOERR_TRUNCATE, IOERR_FSTAT, IOERR_UNLOCK, IOERR_RDLOCK, IOERR_DELETE = (
    IOERR | n << 8 for n in (6, 7, 8, 9, 10)
)
IOERR_ACCESS, IOERR_CHECKRESERVEDLOCK, IOERR_LOCK, IOERR_CLOSE = (
    IOERR | n << 8 for n in (13, 14, 15, 16)
)
IOERR_SHMLOCK, IOERR_SHMMAP, IOERR_DELETE_NOENT = (IOERR | n << 8 for n in (20, 21, 23))

_SEED = 28  # SQLITE_TESTCTRL_PRNG_SEED

_File = c_void_p
_Vfs = c_void_p

METHODS: dict[str, Any] = {
    "xClose": CFUNCTYPE(c_int, _File),
    "xRead": CFUNCTYPE(c_int, _File, c_void_p, c_int, c_int64),
    "xWrite": CFUNCTYPE(c_int, _File, c_void_p, c_int, c_int64),
    "xTruncate": CFUNCTYPE(c_int, _File, c_int64),
    "xSync": CFUNCTYPE(c_int, _File, c_int),
    "xFileSize": CFUNCTYPE(c_int, _File, POINTER(c_int64)),
    "xLock": CFUNCTYPE(c_int, _File, c_int),
    "xUnlock": CFUNCTYPE(c_int, _File, c_int),
    "xCheckReservedLock": CFUNCTYPE(c_int, _File, POINTER(c_int)),
    "xFileControl": CFUNCTYPE(c_int, _File, c_int, c_void_p),
    "xSectorSize": CFUNCTYPE(c_int, _File),
    "xDeviceCharacteristics": CFUNCTYPE(c_int, _File),
    "xShmMap": CFUNCTYPE(c_int, _File, c_int, c_int, c_int, POINTER(c_void_p)),
    "xShmLock": CFUNCTYPE(c_int, _File, c_int, c_int, c_int),
    "xShmBarrier": CFUNCTYPE(None, _File),
    "xShmUnmap": CFUNCTYPE(c_int, _File, c_int),
}

CALLS: dict[str, Any] = {
    "xOpen": CFUNCTYPE(c_int, _Vfs, c_void_p, _File, c_int, POINTER(c_int)),
    "xDelete": CFUNCTYPE(c_int, _Vfs, c_void_p, c_int),
    "xAccess": CFUNCTYPE(c_int, _Vfs, c_void_p, c_int, POINTER(c_int)),
    "xFullPathname": CFUNCTYPE(c_int, _Vfs, c_void_p, c_int, c_void_p),
    "xDlOpen": c_void_p,
    "xDlError": c_void_p,
    "xDlSym": c_void_p,
    "xDlClose": c_void_p,
    "xRandomness": CFUNCTYPE(c_int, _Vfs, c_int, c_void_p),
    "xSleep": CFUNCTYPE(c_int, _Vfs, c_int),
    "xCurrentTime": CFUNCTYPE(c_int, _Vfs, POINTER(c_double)),
    "xGetLastError": CFUNCTYPE(c_int, _Vfs, c_int, c_void_p),
    "xCurrentTimeInt64": CFUNCTYPE(c_int, _Vfs, POINTER(c_int64)),
}


class Methods(ctypes.Structure):
    """sqlite3_io_methods, version 2: shared memory, no mapped pages."""

    _fields_ = (("iVersion", c_int), *METHODS.items())


class Vfs(ctypes.Structure):
    """sqlite3_vfs, version 2."""

    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        *CALLS.items(),
    )


class Unreachable(RuntimeError):
    """The simulated disk cannot put SQLite's files where it wants them."""


@cache
def loaded() -> ctypes.CDLL:
    """Raises Unreachable."""
    path: Any = getattr(_sqlite3, "__file__", None)  # none in an interpreter made in one piece
    try:
        found = ctypes.CDLL(path)
        register, source = found.sqlite3_vfs_register, found.sqlite3_sourceid
        seed = found.sqlite3_test_control
    except (OSError, AttributeError) as error:
        raise Unreachable(f"the sqlite3 module does not show its SQLite: {error}") from error
    register.argtypes, register.restype = (c_void_p, c_int), c_int
    source.argtypes, source.restype = (), c_char_p
    seed.restype = c_int
    used = sqlite3.connect(":memory:")
    try:
        (identity,) = used.execute("SELECT sqlite_source_id()").fetchone()
    finally:
        used.close()
    if source().decode() != identity:
        raise Unreachable("the SQLite that was found is not the one that the module uses")
    return found


def seed_randomness(seed: int) -> None:
    """What SQLite draws from now on, in this process: salts of logs, rowids, random()."""
    loaded().sqlite3_test_control(_SEED, c_int(seed & 0x7FFFFFFF or 1), c_void_p(None))
