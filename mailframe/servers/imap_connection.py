"""One IMAP connection: what ``line_connection`` leaves to the protocol, and compression.

An idle client costs no reader that waits: IDLE is a state of the conversation, and what a
folder has to tell comes back through ``wake``, which looks for work like any input does. So
whatever is pushed takes its turn with the commands and never gets between the pieces of a
response.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from mailframe.core.session import Role, TlsFacts
from mailframe.servers.channel import PeerGone
from mailframe.servers.imap_commands import COMMANDS
from mailframe.servers.imap_conversation import Conversation
from mailframe.servers.imap_deflate import BadStream, Deflated
from mailframe.servers.line_connection import HIGH_WATER, LineConnection

if TYPE_CHECKING:
    from mailframe.servers.imap import ImapFactory

T = TypeVar("T")
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux has it


class ImapConnection(LineConnection["ImapFactory", Conversation]):
    role = Role.IMAP
    name = "IMAP"
    # RFC 5530 section 3: UNAVAILABLE, and RFC 9051 section 7.1.5 for a BYE as the greeting
    too_many = b"* BYE [UNAVAILABLE] Too many connections, please try again later\r\n"

    def __init__(self, factory: ImapFactory) -> None:
        super().__init__(factory)
        self._deflated: Deflated | None = None
        self._awaited: Deferred[Any] | None = None
        """What is under way only to be told to the client."""

    def _converse(self, facts: TlsFacts | None) -> Conversation:
        return Conversation(self._factory, self.session, self, COMMANDS, facts)

    # The conversation's channel

    def flush(self) -> None:
        """Send what the engine has to say."""
        self._flush()

    def compress(self) -> None:
        """From the next octet on, in both directions."""
        self._flush()
        self._deflated = Deflated()

    def logged_out(self) -> None:
        """Nobody is logged in any more (RFC 8437): the time for a login begins anew."""
        self._started = self._clock.seconds()
        self._cancel_timer()
        self._timer = self._clock.callLater(self._factory.limits.login, self._tick)

    async def while_there(self, work: Deferred[T]) -> T:
        """What it yields; it is cancelled, and PeerGone raised, when the connection is lost."""
        if self._lost:
            work.addErrback(lambda _: None)
            work.cancel()
            raise PeerGone
        self._awaited = work
        try:
            return await work
        except CancelledError:
            if self._lost:
                raise PeerGone from None
            raise
        finally:
            self._awaited = None

    # The end

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        if self._busy and self._conversation is not None:
            self._conversation.input_ended()

    def _wake_up(self, failure: Failure) -> None:
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.cancel()
        super()._wake_up(failure)

    # Octets

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Let the client send on. Many write a literal and the CRLF after it apart (Python's
        imaplib does): with Nagle's algorithm the second waits for the ACK of the first, and
        that for the system's timer, 40 ms. Where an answer went out, nothing is left to do."""
        end: socket.socket | None = getattr(self.transport, "socket", None)
        if _QUICK_ACK is not None and end is not None and end.family != socket.AF_UNIX:
            with contextlib.suppress(OSError):  # the connection is lost, which others will tell
                end.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def _look(self) -> None:
        if self._deflated is not None and self._conversation is not None and not self._closing:
            self._inflate(self._deflated)
        super()._look()

    def _hear(self, data: bytes) -> None:
        if self._deflated is None:
            super()._hear(data)
        else:
            self._deflated.receive(data)
            self._inflate(self._deflated)

    def _inflate(self, deflated: Deflated) -> None:
        """One piece a turn: a few octets may swell to the work of many seconds."""
        assert self._conversation is not None
        engine = self._conversation.engine
        if deflated.waits and engine.held < HIGH_WATER:
            try:
                engine.receive(deflated.inflate())
            except BadStream:
                self.abort("bad compressed data")

    def _throttle(self) -> None:
        super()._throttle()
        if self._conversation is None or not self._input_waits():
            return
        if self._conversation.engine.held < HIGH_WATER:
            self.wake()

    def _say(self, data: bytes) -> None:
        super()._say(data if self._deflated is None else self._deflated.deflate(data))

    def _input_waits(self) -> bool:
        return self._deflated is not None and self._deflated.waits

    # Time

    def _remaining(self) -> float:
        limits = self._factory.limits
        now = self._clock.seconds()
        if self.session.account is None:
            return min(self._started + limits.login, self._active + limits.idle) - now
        if self._busy and self._writable:
            return limits.idle  # the server is at work, not the client idle
        return self._active + limits.idle - now

    def _time_is_up(self) -> None:
        if self._busy or not self._writable or self._conversation is None:
            self.abort("timeout")
            return
        # RFC 9051 section 5.4
        self._reason = "timeout"
        self.drain("Too long without a command")
        if not self._closing:
            self.abort("timeout")
