"""The next hop of relayed mail: takes everything, keeps nothing, counts and times it."""

from __future__ import annotations

import socket

from mailframe.bench.loop import IN, Connection, Loop
from mailframe.bench.mail import MARK
from mailframe.bench.tally import Tally

_BACKLOG = 4096
_ACCEPTS = 100  # connections that are taken before the loop looks round
_END = b"\r\n.\r\n"
_LONGEST_LINE = 1 << 16
_JOINT = 128
_HEADER = 1 << 14  # octets of a message that are searched for the mark
_EHLO = (
    b"250-sink.bench\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n"
    b"250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8\r\n"
)
_OK = b"250 2.0.0 Ok\r\n"
_ANSWERS = {
    b"EHLO": _EHLO,
    b"HELO": b"250 sink.bench\r\n",
    b"MAIL": b"250 2.1.0 Ok\r\n",
    b"RCPT": b"250 2.1.5 Ok\r\n",
    b"DATA": b"354 End with a dot\r\n",
    b"RSET": _OK,
    b"NOOP": _OK,
    b"QUIT": b"221 2.0.0 Bye\r\n",
}


class Sink:
    """Listens at an address. The tally has ``connections``, ``messages`` and ``recipients``, and as
    ``relayed`` the times from when a message of this bench was due at its source."""

    def __init__(self, loop: Loop, tally: Tally, host: str, port: int) -> None:
        """Raises OSError where it cannot listen."""
        self._loop, self.tally = loop, tally
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._socket.setblocking(False)
        _Door(loop, self)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def accept(self) -> None:
        for _ in range(_ACCEPTS):
            try:
                accepted, _ = self._socket.accept()
            except OSError:
                return  # nobody waits, or whoever waited has gone
            self.tally.counts["connections"] += 1
            _Receiver(self._loop, self.tally, accepted)

    @property
    def socket(self) -> socket.socket:
        return self._socket


class _Door(Connection):
    """The listening socket, as the loop sees it."""

    may_be_silent = True

    def __init__(self, loop: Loop, sink: Sink) -> None:
        super().__init__(loop)
        self._sink = sink
        self._take(sink.socket, IN)

    def ready(self, events: int) -> None:
        self._sink.accept()

    def received(self, data: bytearray, count: int) -> None:
        """Never: nothing is read from it."""

    def lost(self, why: str) -> None:
        raise OSError(why)


class _Receiver(Connection):
    may_be_silent = True

    def __init__(self, loop: Loop, tally: Tally, accepted: socket.socket) -> None:
        super().__init__(loop)
        self._tally = tally
        self._kept = b""
        self._in_data = self._marked = False
        self._recipients = self._octets = 0
        self.adopt(accepted)
        self.send(b"220 sink.bench ESMTP\r\n")

    def lost(self, why: str) -> None:
        """Clients may leave as they like."""

    def received(self, data: bytearray, count: int) -> None:
        piece = self._kept + data[:count]
        at = 0
        answers: list[bytes] = []
        while at < len(piece):
            read = self._content if self._in_data else self._command
            end = read(piece, at, answers)
            if end < 0:
                break
            at = end
        if self._in_data:  # a dot or the mark may be in two pieces, the rest has been counted
            at = max(at, len(piece) - _JOINT)
        self._kept = piece[at:]
        if answers:
            self.send(b"".join(answers))
        if answers and answers[-1] == _ANSWERS[b"QUIT"] and self.open:
            self.close()
        elif len(self._kept) > _LONGEST_LINE:
            self.fail("a line does not end")

    def _command(self, piece: bytes, at: int, answers: list[bytes]) -> int:
        """Where the next begins; -1 when the line is not whole."""
        end = piece.find(b"\n", at) + 1
        if not end:
            return -1
        verb = piece[at : at + 4].upper()
        answers.append(_ANSWERS.get(verb, b"502 5.5.1 Not here\r\n"))
        if verb == b"RCPT":
            self._recipients += 1
        elif verb == b"DATA":
            self._in_data, self._octets, self._marked = True, 0, False
            # The dot may be the first line.
            return end - 2
        elif verb in (b"MAIL", b"RSET"):
            self._recipients = 0
        return end

    def _content(self, piece: bytes, at: int, answers: list[bytes]) -> int:
        """Where the next command begins; -1 when there is no dot yet."""
        found = piece.find(_END, at)
        if not self._marked and self._octets < _HEADER:
            self._look_for_mark(piece, at, found)
        if found < 0:
            self._octets += len(piece) - at
            return -1
        self._in_data = False
        counts = self._tally.counts
        counts["messages"] += 1
        counts["recipients"] += self._recipients
        self._tally.ended = self.loop.clock()
        self._recipients = 0
        answers.append(_OK)
        return found + len(_END)

    def _look_for_mark(self, piece: bytes, at: int, end: int) -> None:
        mark = piece.find(MARK, at, end if end >= 0 else len(piece))
        digits = piece[mark + len(MARK) : mark + len(MARK) + 20] if mark >= 0 else b""
        if len(digits) == 20 and digits.isdigit():
            self._marked = True
            now = self.loop.clock()
            self._tally.timing("relayed").add(now - int(digits) / 1e9)
