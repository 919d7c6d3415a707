"""``mailframe dev --until-eof``: ends with its standard input.

Whoever starts it with a pipe for input (``mailframe.testing.inbox``) need not end it: however that
process ends, killed or not, the pipe is closed then, and no server is left behind.
"""

from __future__ import annotations

import contextlib
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.internet.fdesc import readFromFD, setNonBlocking
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

_STDIN = 0


@implementer(IReadDescriptor)
class EndOfInput:
    """Reads and forgets what comes; stops the reactor at the end. OSError where standard input is
    something that cannot be waited for, as a file."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        setNonBlocking(_STDIN)
        reactor.addReader(self)

    def fileno(self) -> int:
        return _STDIN

    def logPrefix(self) -> str:
        return "standard input"

    def doRead(self) -> None:
        if readFromFD(_STDIN, lambda data: None) is not None:
            self._end()

    def connectionLost(self, reason: Failure) -> None:
        """So a poll tells of a pipe whose other end is closed; and the reactor's own end."""
        self._end()

    def _end(self) -> None:
        self._reactor.removeReader(self)
        # It may be on its way out for another reason.
        with contextlib.suppress(ReactorNotRunning):
            self._reactor.stop()
