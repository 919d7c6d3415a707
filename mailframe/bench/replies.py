"""SMTP replies as they come, several at once or in pieces (RFC 5321 section 4.2.1)."""

from __future__ import annotations

import abc

from mailframe.bench.client import Client
from mailframe.bench.crowd import Host
from mailframe.bench.loop import Target

_LONGEST = 1 << 16  # octets of an unfinished reply
_SPACE, _NEWLINE = 0x20, 0x0A


class ReplyReader(Client):
    """Calls ``replied`` with the code of each reply; ``text`` is the reply's, where it is a
    refusal or has several lines."""

    def __init__(self, host: Host, target: Target) -> None:
        super().__init__(host, target)
        self._kept = b""
        self.text = b""

    @abc.abstractmethod
    def replied(self, code: int) -> None: ...

    def received(self, data: bytearray, count: int) -> None:
        # One whole line, as nearly always.
        if (
            not self._kept
            and data[3] == _SPACE
            and data.find(_NEWLINE, 0, count) == count - 1
            and count > 4
        ):
            try:
                code = int(data[:3])
            except ValueError:
                self.fail("that is no SMTP reply: " + _words(data[:count]))
                return
            if code >= 400:
                self.text = bytes(data[:count])
            self.replied(code)
            return
        self._in_pieces(self._kept + data[:count])

    def _in_pieces(self, data: bytes) -> None:
        begin = line = 0
        while self.open and (end := data.find(b"\n", line) + 1):
            if data[line + 3 : line + 4] != b"-":
                code = data[line : line + 3]
                if not code.isdigit():
                    self.fail("that is no SMTP reply: " + _words(data[line:end]))
                    return
                self.text = data[begin:end]
                begin = end
                self.replied(int(code))
            line = end
        self._kept = data[begin:] if self.open else b""
        if len(self._kept) > _LONGEST:
            self.fail("a reply does not end")


def _words(data: bytes | bytearray) -> str:
    return data[:80].decode("ascii", "backslashreplace").rstrip()
