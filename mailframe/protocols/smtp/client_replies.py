"""Replies as a client hears them: lines in, ``Reply`` values out, nothing trusted.

Bounded in line length, lines and octets a reply, so that an endless reply ends in
RemoteProtocolError and not in memory. The text is kept word for word, for the DSN, except
that what cannot be shown (controls, octets that are not UTF-8) is escaped, and ``for_people``
cuts what nobody would read. Lines may end in a bare LF: some servers do that, and no harm can
come of it on this side.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mailframe.core.reply import Reply
from mailframe.core.status import Status
from mailframe.errors import RemoteProtocolError

# RFC 5321 section 4.5.3.1.5 says 512; Postfix (line_length_limit) reads 2048, so do we.
MAX_LINE = 2048
MAX_LINES = 100
MAX_REPLY = 65_536
MAX_KEPT = 2000
"""Characters of a verdict's text: it is stored, journalled and reported for each recipient."""

# RFC 5321 section 4.2: Reply-code = %x32-35 %x30-35 %x30-39. Second digits up to 9 occur.
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
# RFC 2034 section 4: the status code is the first word of every line.
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)", re.ASCII)
# By table: a call for each octet is 20 ms for 64 KB of them.
_ESCAPED_CONTROLS = {
    octet: f"\\x{octet:02x}" for octet in (*range(9), *range(10, 32), *range(127, 160))
}
_ESCAPED = _ESCAPED_CONTROLS | {octet: f"\\x{octet:02x}" for octet in range(160, 256)}


class ReplyReader:
    """``feed`` what came, then ``next_reply`` until it yields None."""

    def __init__(self) -> None:
        self._data = b""
        self._start = 0
        """Where in ``_data`` the next line begins."""
        self._code = 0
        self._lines: list[str] = []
        self._octets = 0

    def feed(self, data: bytes) -> None:
        self._data = self._data[self._start :] + data
        self._start = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held: no octet and no part of a reply."""
        return self._start == len(self._data) and not self._lines

    def next_reply(self) -> Reply | None:
        """The next complete reply. Raises RemoteProtocolError."""
        while (line := self._next_line()) is not None:
            if not self._lines and line[3:4] != b"-":
                return _reply_of_one_line(line)
            if reply := self._add(line):
                return reply
        return None

    def _next_line(self) -> bytes | None:
        start = self._start
        end = self._data.find(b"\n", start, start + MAX_LINE)
        if end < 0:
            if len(self._data) - start >= MAX_LINE:
                raise RemoteProtocolError(f"a reply line longer than {MAX_LINE} octets")
            return None
        self._start = end + 1
        return self._data[start:end].removesuffix(b"\r")

    def _add(self, line: bytes) -> Reply | None:
        code, text, is_last = _read_line(line)
        # RFC 5321 section 4.2.1: the code is the same on every line.
        if self._lines and code != self._code:
            raise RemoteProtocolError(f"a reply begins with {self._code} and goes on with {code}")
        self._code = code
        self._lines.append(text)
        self._octets += len(line)
        if is_last:
            return self._finish()
        if len(self._lines) >= MAX_LINES or self._octets > MAX_REPLY:
            raise RemoteProtocolError("an endless reply")
        return None

    def _finish(self) -> Reply:
        lines, self._lines, self._octets = self._lines, [], 0
        return build_reply(self._code, lines)


def _read_line(line: bytes) -> tuple[int, str, bool]:
    """Code, text and whether it is the last line of its reply. Raises RemoteProtocolError."""
    match = _LINE.fullmatch(line)
    if not match:
        raise RemoteProtocolError(f"not a reply: {_show(line[:80])!r}")
    return int(match[1]), _show(match[3] or b""), match[2] != b"-"


# Servers say the same few lines to everybody: ``250 2.1.5 Ok`` ten thousand times an hour.
@lru_cache(maxsize=256)
def _reply_of_one_line(line: bytes) -> Reply:
    """Raises RemoteProtocolError."""
    code, text, _ = _read_line(line)
    return build_reply(code, [text])


def build_reply(code: int, lines: list[str]) -> Reply:
    """Take the enhanced status off the text where it fits the code."""
    match = _ENHANCED.match(lines[0])
    parsed = Status.parse(match[1]) if match else None
    # A status of another class contradicts the code: it stays in the text, unbelieved.
    if match is None or parsed is None or parsed[0] != code // 100:
        return Reply(code, None, "\n".join(lines))
    word = match[1]
    return Reply(code, parsed[1], "\n".join(_without(word, line) for line in lines))


def _without(word: str, line: str) -> str:
    """The line after its enhanced status, where that is its first word."""
    first, _, rest = line.partition(" ")
    return rest.lstrip(" ") if first == word else line


def for_people(reply: Reply) -> Reply:
    """As it may be kept, when nothing in it will be looked for any more."""
    if len(reply.text) <= MAX_KEPT:
        return reply
    return reply.with_text(f"{reply.text[:MAX_KEPT].rstrip()} [...]")


def _show(text: bytes) -> str:
    """For people, in one line: what cannot be printed is escaped, and so is all that is not ASCII
    from the first octet on that is not UTF-8."""
    try:
        shown, rest = text.decode(), ""
    except UnicodeDecodeError as error:
        shown, rest = text[: error.start].decode(), text[error.start :].decode("latin-1")
    if not shown.isprintable():
        shown = shown.translate(_ESCAPED_CONTROLS)
    return shown + rest.translate(_ESCAPED)
