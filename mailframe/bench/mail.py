"""What is sent: recipients in turn, and messages that differ in one header field."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

MARK = b"X-Mailframe-Bench: "
"""The field that a sink finds a message by: nanoseconds of the clock at its start, a number."""
_LINE = b"mailframe bench: all lines of this text have the same length, as far as they go..\r\n"
_PER_LINE = len(_LINE)


def addresses(patterns: Sequence[str], mailboxes: int) -> list[str]:
    """``{n}`` of the patterns becomes 1 to ``mailboxes``; the patterns take turns."""
    numbers = range(1, mailboxes + 1 if any("{n}" in each for each in patterns) else 2)
    return [pattern.replace("{n}", str(n)) for n in numbers for pattern in patterns]


class Recipients:
    """So many of the addresses for a message, going round."""

    def __init__(self, addresses: Sequence[str], each: int, first: int = 0) -> None:
        lines = [b"RCPT TO:<%b>\r\n" % address.encode() for address in addresses]
        self._each = each
        self._always = tuple(lines * each) if len(lines) == 1 else ()
        begin = first % len(lines)
        self._lines = itertools.islice(itertools.cycle(lines), begin, None)

    def next(self) -> Sequence[bytes]:
        """Lines of the command."""
        return self._always or tuple(itertools.islice(self._lines, self._each))


class Messages:
    """Of ``octets`` each, the header included, as they go over the wire, with the final dot."""

    def __init__(self, sender: str, octets: int, numbers: Iterator[int], run: int) -> None:
        head = (
            f"From: <{sender}>\r\nTo: undisclosed-recipients:;\r\n"
            "Subject: mailframe bench\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
        ).encode()
        marked = len(MARK) + 20 + 1 + 7 + len(_identified(0, 0, run)) + 10
        body = max(2, octets - len(head) - marked - 2)
        lines = _LINE * (body // _PER_LINE) + _LINE[-(body % _PER_LINE) :] * bool(body % _PER_LINE)
        self._rest = head + b"\r\n" + lines.rstrip(b"\r\n") + b"\r\n.\r\n"
        self._numbers = numbers
        self._run = run

    def next(self, start: float) -> bytes:
        """``start``: seconds of the clock when it was due."""
        number, due = next(self._numbers), int(start * 1e9)
        return b"%b%020d %07d\r\n%b%b" % (
            *(MARK, due, number, _identified(due, number, self._run), self._rest),
        )


def _identified(due: int, number: int, run: int) -> bytes:
    return b"Message-ID: <%x.%x.%08x@bench.mailframe>\r\n" % (due, number, run)
