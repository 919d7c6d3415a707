"""Whether other people's code has forked, and this is the child.

A child of the server has its sockets, locks and databases. Where the code that forked it returns,
it must not go on as a second server.
"""

from __future__ import annotations

import os

_forks = 0


def forks() -> int:
    """How many forks lie between this process and the first one."""
    return _forks


def end_if_child(since: int) -> None:
    """Ends the process, without anything that the parent wanted to do at its end, where it was
    made after ``forks`` returned ``since``."""
    if _forks != since:
        os._exit(0)


def _forked() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_forked)
