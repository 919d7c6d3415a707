"""Exit statuses, and which error has which.

The numbers are BSD's ``sysexits.h``, which mail software has always used, and 1 for "it ran
and found a problem".
"""

from __future__ import annotations

import sys
import traceback

OK = 0
PROBLEM = 1
USAGE = 64
DATA = 65
NO_INPUT = 66
NO_USER = 67
UNAVAILABLE = 69
SOFTWARE = 70
CANNOT_CREATE = 73
IO_ERROR = 74
TEMPORARY = 75
PERMISSION = 77
CONFIG = 78

# By name, so that asking for a status imports nothing that the command has not imported.
_STATUSES = {
    "ConfigError": CONFIG,
    "RealmError": CONFIG,
    "LoadError": CONFIG,
    "NotReloaded": CONFIG,
    "AppError": CONFIG,
    "NoSuchUser": NO_USER,
    "NoSuchAlias": NO_USER,
    "DirectoryError": DATA,
    "ServerNotRunning": UNAVAILABLE,
    "ServerRefused": PROBLEM,
    "AlreadyRunning": TEMPORARY,
    "PrivilegeError": PERMISSION,
    "UnicodeEncodeError": DATA,
    "DnsTemporary": TEMPORARY,
    "DnsError": PROBLEM,
    "TransientFailure": TEMPORARY,
    "PermanentFailure": PROBLEM,
    "FileNotFoundError": NO_INPUT,
    "IsADirectoryError": NO_INPUT,
    "PermissionError": PERMISSION,
    "TimeoutError": TEMPORARY,
    "ConnectionError": UNAVAILABLE,
    "OSError": IO_ERROR,
    "OperationalError": IO_ERROR,
    "DatabaseError": IO_ERROR,
    "MailframeError": PROBLEM,
}


class CommandFailed(Exception):
    """A command cannot go on: what to say, and the status to leave with."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def report(error: Exception) -> int:
    """Say on stderr what went wrong; returns the exit status."""
    if isinstance(error, CommandFailed):
        print(f"mailframe: {error}", file=sys.stderr)
        return error.status
    status = status_of(error)
    if status != SOFTWARE:
        return _expected(error, status)
    traceback.print_exception(error)
    print("mailframe: this is a bug; please report it with the lines above", file=sys.stderr)
    return SOFTWARE


def status_of(error: BaseException | None) -> int:
    """SOFTWARE for what nobody expects."""
    for kind in type(error).__mro__:
        if kind.__name__ in _STATUSES:
            return _STATUSES[kind.__name__]
    return SOFTWARE


def _expected(error: Exception, status: int) -> int:
    if status == CONFIG:
        print(error, file=sys.stderr)
        count = len(getattr(error, "problems", [error]))
        print(f"{count} problem{'s' * (count != 1)}; nothing was started", file=sys.stderr)
    elif isinstance(error, UnicodeEncodeError):
        # Only arguments can be that: what is on disk or comes by the network is octets here.
        print(f"mailframe: {error.object!a} is not UTF-8", file=sys.stderr)
    else:
        print(f"mailframe: {error}", file=sys.stderr)
    return status
