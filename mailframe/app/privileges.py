"""Who the server is: chosen before its ports are bound, become right after.

Started by root, it becomes ``process.user``, or else the owner of ``base``, as the commands
do. Only where ``base`` is root's too does it stay root: a container often has no other user,
and a warning is said every time. ``user = "root"`` says that this is meant.

``settle`` looks at what must hold before anything is begun; ``runtime.privileges`` does it.
"""

from __future__ import annotations

import os

from twisted.internet.error import CannotListenError
from twisted.logger import Logger

import twisted
from mailframe.app.config_schema import Config
from mailframe.runtime.privileges import (
    Identity,
    PrivilegeError,
    give_up,
    identity,
    is_root,
    owner_identity,
)

_log = Logger()

STAYS_ROOT = (
    "the server runs as root: set process.user, or give {base} to a user of its own; "
    'process.user = "root" ends this warning'
)
AT_START = "Ports below 1024 need root, or CAP_NET_BIND_SERVICE, to start the server."
AT_RELOAD = "Ports below 1024 can only be opened by a start: restart the server."
_LOWEST_FREE_PORT = 1024  # Linux has it in net.ipv4.ip_unprivileged_port_start


def settle(config: Config) -> Identity | None:
    """Whom to become; None to stay who we are. Raises OSError and PrivilegeError."""
    wanted, group = config.process.user, config.process.group
    if wanted == "root":
        return None
    if not is_root():
        if wanted and identity(wanted).uid != os.getuid():
            raise PrivilegeError(f"only root can become {wanted} (process.user)")
        return None
    if wanted:
        chosen = identity(wanted, group)
        _check_base(config.base, chosen)
        return chosen
    if os.path.isdir(config.base) and os.stat(config.base).st_uid:
        return owner_identity(config.base)
    return None


def become(chosen: Identity | None) -> None:
    """Give up everything; also it must be possible to live with what is left. Raises
    PrivilegeError."""
    give_up(chosen)
    # Much of Python is imported when it is needed.
    for code in (__file__, str(twisted.__file__), os.__file__):
        if not os.access(code, os.R_OK):
            user = chosen.user if chosen is not None else "this user"
            raise PrivilegeError(f"{user} cannot read {code}: install it where everybody can")


def look_again(config: Config, *, began_as_root: bool, may_be_root: bool = False) -> None:
    """Who we are by now: ``twistd --uid`` has its turn between binding and starting. Raises
    PrivilegeError."""
    if began_as_root and not is_root():
        become(None)
    if is_root() and config.process.user != "root" and not may_be_root:
        _log.warn(STAYS_ROOT, base=config.base)
    check_writable(config.base)


def check_writable(base: str) -> None:
    """Said here, with what to type, rather than by whichever file is opened first. Raises
    PrivilegeError."""
    if os.path.isdir(base) and not os.access(base, os.W_OK | os.X_OK):
        us = owner_identity("/proc/self").owner if os.path.exists("/proc/self") else "USER"
        raise PrivilegeError(f"{base} cannot be written: {_give(base, us)}")


def explained(error: BaseException | None, remedy: str) -> str:
    """What went wrong; ``remedy`` is added where it is a port that not everybody may open."""
    if not isinstance(error, CannotListenError):
        return str(error)
    denied = isinstance(error.socketError, PermissionError)
    low = isinstance(error.port, int) and error.port < _LOWEST_FREE_PORT
    return f"{error} {remedy}" if denied and low else str(error)


def _check_base(base: str, chosen: Identity) -> None:
    """What root would leave as it is and ``chosen`` could not use. Raises PrivilegeError."""
    if not os.path.isdir(base):
        user, _, group = chosen.owner.partition(":")
        todo = f"install -d -m 700 -o {user} -g {group} {base}"
        raise PrivilegeError(f"{base} is missing: {todo}")
    with os.scandir(base) as entries:
        strange = [entry.path for entry in entries if _uid(entry) != chosen.uid]
    if os.stat(base).st_uid != chosen.uid:
        strange.insert(0, base)
    if strange:
        text = f"{strange[0]} does not belong to {chosen.user} (process.user)"
        raise PrivilegeError(f"{text}: {_give(base, chosen.owner)}")


def _uid(entry: os.DirEntry[str]) -> int:
    return entry.stat(follow_symlinks=False).st_uid


def _give(base: str, owner: str) -> str:
    return f"chown -R {owner} {base}"
