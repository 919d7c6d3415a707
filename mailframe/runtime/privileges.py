"""Giving up what the process was started with: its user, groups and capabilities, for good.

``give_up`` is called once, after the ports are bound and before anything else is opened. It
promises that nothing in this process, nor a program that it starts, gets back what was given
up, and makes sure: the kernel is asked what is left, and root is asked for once more. What
does not hold raises ``PrivilegeError``, and then the process must end without having served.

Linux keeps capabilities by thread, so there may be one thread only at that time; later ones
inherit what it has. Elsewhere there are no capabilities, and user and groups are all there is.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from mailframe.errors import MailframeError

# linux/prctl.h and linux/capability.h
_CAPBSET_READ, _CAPBSET_DROP = 23, 24
_SET_NO_NEW_PRIVS = 38
_CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_SETPCAP = 8
_NOTHING_LEFT = ("CapInh", "CapPrm", "CapEff", "CapAmb")


class PrivilegeError(MailframeError):
    """They cannot be given up, or would not be gone. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user of this machine, as a process has it."""

    user: str
    """Its name, or its number where it has none."""
    uid: int
    gid: int
    groups: tuple[int, ...]
    """All of them, ``gid`` too."""

    @property
    def owner(self) -> str:
        """As chown(1) wants it."""
        try:
            return f"{self.user}:{grp.getgrgid(self.gid).gr_name}"
        except KeyError:
            return f"{self.user}:{self.gid}"


def identity(user: str, group: str = "") -> Identity:
    """Of a user by name; ``group`` instead of the user's own. Raises PrivilegeError."""
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise PrivilegeError(f"there is no user {user!r} on this machine") from None
    try:
        gid = grp.getgrnam(group).gr_gid if group else found.pw_gid
    except KeyError:
        raise PrivilegeError(f"there is no group {group!r} on this machine") from None
    # A key may be readable by a group such as ssl-cert, so the user's other groups stay.
    groups = {gid, *os.getgrouplist(user, gid)}
    return Identity(user, found.pw_uid, gid, tuple(sorted(groups)))


def owner_identity(path: str) -> Identity:
    """Of whoever a file or directory belongs to, whether or not the number has a name.
    Raises OSError and PrivilegeError."""
    facts = os.stat(path)
    try:
        return identity(pwd.getpwuid(facts.st_uid).pw_name)
    except KeyError:
        return Identity(str(facts.st_uid), facts.st_uid, facts.st_gid, (facts.st_gid,))


def is_root() -> bool:
    return 0 in os.getresuid()


def is_privileged() -> bool:
    """Whether there is anything to give up."""
    return is_root() or any(_capabilities())


def give_up(to: Identity | None = None) -> None:
    """Become ``to``, who is not root, or only lose all capabilities. There is no way back.

    Raises PrivilegeError.
    """
    try:
        _cap_what_can_be_gained()
        if to is not None:
            os.setgroups(to.groups)
            os.setresgid(to.gid, to.gid, to.gid)
            os.setresuid(to.uid, to.uid, to.uid)
        _clear_capabilities()
    except OSError as error:
        raise PrivilegeError(f"privileges cannot be given up: {error.strerror}") from error
    _make_sure(to)


def _make_sure(to: Identity | None) -> None:
    """Raises PrivilegeError."""
    if to is not None:
        if os.getresuid() != (to.uid,) * 3 or os.getresgid() != (to.gid,) * 3:
            raise PrivilegeError(f"the process is not {to.owner} after all")
        if stray := set(os.getgroups()) - set(to.groups):
            raise PrivilegeError(f"the process is still in groups {sorted(stray)}")
        try:
            os.setuid(0)
        except PermissionError:
            pass
        else:
            raise PrivilegeError("the process could become root again")
    if any(_capabilities()):
        raise PrivilegeError("a thread of the process still has capabilities")


def _capabilities() -> Iterator[int]:
    """What each thread has of the sets that matter, as bit masks."""
    if sys.platform != "linux":
        return
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/status", encoding="ascii", errors="replace") as file:
            facts = dict(line.rstrip("\n").split(":", 1) for line in file if ":" in line)
        for name in _NOTHING_LEFT:
            yield int(facts.get(name, "0"), 16)


def _cap_what_can_be_gained() -> None:
    """By running a file that is setuid or has capabilities: a program of a ``pipe:`` route
    cannot do more than the server could. Raises OSError."""
    if sys.platform != "linux":
        return
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _prctl(_CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL)
    # Who lacks CAP_SETPCAP cannot lower the bounding set, and need not: no_new_privs keeps
    # whatever is in it out of reach.
    if next(_effective()) >> _SETPCAP & 1:
        for capability in range(64):
            if _library().prctl(_CAPBSET_READ, capability, 0, 0, 0) == 1:
                _prctl(_CAPBSET_DROP, capability)


def _effective() -> Iterator[int]:
    with open("/proc/thread-self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("CapEff:"):
                yield int(line.split()[1], 16)
    yield 0


def _clear_capabilities() -> None:
    """Of this thread. Becoming another user does most of it, unless securebits(7) say
    otherwise, and leaves the inheritable ones. Raises OSError."""
    if sys.platform != "linux":
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if _library().capset(header, nothing):
        _fail()


def _prctl(option: int, argument: int) -> None:
    if _library().prctl(option, argument, 0, 0, 0):
        _fail()


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
