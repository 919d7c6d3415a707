"""The system's user database, asked so that "nobody" and "cannot be known" differ.

Python's ``pwd`` says KeyError for both, and users may be kept by a server that is down.
"""

from __future__ import annotations

import ctypes
import errno
import sys
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p
from dataclasses import dataclass

# getpwnam_r(3): what implementations say of a name that is not there.
_ABSENT = frozenset({0, errno.ENOENT, errno.ESRCH, errno.EBADF, errno.EPERM})
_LARGEST = 1 << 20


class UsersUnknown(Exception):
    """The database cannot be asked now."""


@dataclass(frozen=True, slots=True)
class SystemUser:
    name: str
    uid: int


class _Passwd(Structure):
    """As glibc and musl have it."""

    _fields_ = (
        ("name", c_char_p),
        ("password", c_char_p),
        ("uid", c_uint),
        ("gid", c_uint),
        ("gecos", c_char_p),
        ("directory", c_char_p),
        ("shell", c_char_p),
    )


def system_user(name: str) -> SystemUser | None:
    """By its name, which has no NUL. Blocks. Raises UsersUnknown."""
    if not sys.platform.startswith("linux"):
        return _by_python(name)
    libc = ctypes.CDLL(None)
    ask = libc.getpwnam_r
    ask.argtypes = (c_char_p, POINTER(_Passwd), c_void_p, c_size_t, POINTER(POINTER(_Passwd)))
    ask.restype = c_int
    size = 4096
    while True:
        entry, found = _Passwd(), POINTER(_Passwd)()
        room = ctypes.create_string_buffer(size)
        status = ask(name.encode(), byref(entry), ctypes.cast(room, c_void_p), size, byref(found))
        if status == 0 and found:
            return SystemUser((entry.name or b"").decode(errors="replace"), entry.uid)
        if status == errno.ERANGE and size < _LARGEST:
            size *= 4
        elif status in _ABSENT:
            return None
        elif status != errno.EINTR:
            raise UsersUnknown(f"the user database: {errno.errorcode.get(status, status)}")


def _by_python(name: str) -> SystemUser | None:
    import pwd

    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return SystemUser(found.pw_name, found.pw_uid)
