"""One IMAP client: logs in, selects, and times one command after the other (RFC 9051)."""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mailframe.bench.client import Client, Visit
from mailframe.bench.crowd import Crowd, Host
from mailframe.bench.loop import Target

_TAG = b"mfb"
_LONGEST_LAST = 8192  # octets of an answer's last line
_PLUS = 0x2B

COMMANDS = {
    "select": "SELECT INBOX",
    "examine": "EXAMINE INBOX",
    "flags": "FETCH 1:* (UID FLAGS)",
    "envelope": "FETCH 1:* (ENVELOPE BODYSTRUCTURE)",
    "bodies": "FETCH 1:* BODY.PEEK[]",
    "search": 'SEARCH TEXT "a phrase that no message has"',
    "search-from": "SEARCH FROM nobody-of-this-name",
    "search-unseen": "SEARCH UNSEEN",
    "store": "STORE 1:* +FLAGS.SILENT (\\Flagged)",
    "unstore": "STORE 1:* -FLAGS.SILENT (\\Flagged)",
    "noop": "NOOP",
    "append": "",
}
"""By the name in reports; ``append`` has a message."""


@dataclass(frozen=True, slots=True)
class ImapLoad:
    target: Target
    users: tuple[str, ...] = ()
    """Log in as one after the other; none: only be greeted."""
    password: str = ""
    starttls: bool = False
    commands: tuple[str, ...] = ("select", "flags", "search-unseen")
    """Names of COMMANDS, in this order; a name may come again."""
    message: bytes = b"Subject: mailframe bench\r\n\r\nThe text.\r\n"
    """To append."""
    literal_plus: bool = False
    """Do not wait before a message that is appended (RFC 7888)."""


class ImapClient(Client):
    """Is greeted, secured and logged in; ``entered`` follows, or ``lost``."""

    def __init__(self, host: Host, load: ImapLoad, number: int) -> None:
        super().__init__(host, load.target)
        self.load = load
        self._user = load.users[number % len(load.users)] if load.users else ""
        self._commands = 0
        self._mark = b""
        """What the last line of the answer begins with."""
        self._tail = b""
        self._then: Callable[[], None] = self.entered
        self._content = b""

    @abc.abstractmethod
    def entered(self) -> None: ...

    def told(self, line: bytes) -> None:
        """A whole piece came that belongs to no command of ours: in IDLE, say."""

    def say(self, step: str, line: bytes, then: Callable[[], None]) -> None:
        """A command; ``then`` is called when it is OK, else the connection fails."""
        self._step, self._then = step, then
        self._commands += 1
        self._mark = b"%b%d " % (_TAG, self._commands)
        self.send(self._mark + line + b"\r\n")

    def append(self, step: str, message: bytes, then: Callable[[], None]) -> None:
        head = b"APPEND INBOX {%d%b}" % (len(message), b"+" * self.load.literal_plus)
        if self.load.literal_plus:
            self.say(step, head + b"\r\n" + message, then)
        else:
            self._content = message + b"\r\n"
            self.say(step, head, then)

    def received(self, data: bytearray, count: int) -> None:
        # The answer is over where the last line that is there begins with the tag. Only that is
        # looked at: an answer may be a whole mailbox.
        if data[count - 1] != 0x0A:
            self._tail = (self._tail + data[max(0, count - _LONGEST_LAST) : count])[-_LONGEST_LAST:]
            return
        piece = self._tail + data[max(0, count - _LONGEST_LAST) : count]
        line = piece[piece.rfind(b"\n", 0, -1) + 1 :]
        if self._step == "connect":
            self._greeted(line)
        elif self._mark and line.startswith(self._mark):
            self._tail = b""
            self._answered(line[len(self._mark) :])
        elif line[0] == _PLUS and self._content:
            self._tail = b""
            content, self._content = self._content, b""
            self.send(content)
        else:
            self._tail = piece[-_LONGEST_LAST:]
            self.told(piece)

    def _answered(self, words: bytes) -> None:
        if words[:2].upper() == b"OK":
            self._mark = b""
            self._then()
        else:
            self.fail(words.decode("utf-8", "replace").strip())

    def _greeted(self, line: bytes) -> None:
        self._step, self._tail = "greeting", b""
        if not line.upper().startswith(b"* OK"):
            self.fail(line.decode("utf-8", "replace").strip())
            return
        self.time("greeting", self._opened)
        if self.load.starttls:
            self.say("STARTTLS", b"STARTTLS", lambda: self.start_tls(self.load.target))
        else:
            self._log_in()

    def secured(self) -> None:
        if self.load.starttls:
            self._log_in()

    def _log_in(self) -> None:
        if self._user:
            name, password = _quoted(self._user), _quoted(self.load.password)
            self.say("LOGIN", b"LOGIN %b %b" % (name, password), self._let_in)
        else:
            self.entered()

    def _let_in(self) -> None:
        self.time("login", self._opened)
        self.entered()


class ImapSession(Visit, ImapClient):
    """A whole visit. The tally has ``commands``, too, and the time of each by its name."""

    def __init__(self, crowd: Crowd, load: ImapLoad, start: float, number: int) -> None:
        super().__init__(crowd, load, number)
        self.crowd = crowd
        self._start = self._asked_at = start
        self._names = deque(load.commands)
        self.dial()

    def entered(self) -> None:
        self._asked_at = self.loop.clock()
        self._next()

    def _next(self) -> None:
        if not self._names:
            self.complete()
            self.say("LOGOUT", b"LOGOUT", self.gone)
            return
        name = self._names.popleft()
        if name == "append":
            self.append(name, self.load.message, self._done)
        else:
            self.say(name, COMMANDS[name].encode(), self._done)

    def _done(self) -> None:
        self._asked_at = self.time(self._step, self._asked_at)
        self.tally.counts["commands"] += 1
        self._next()


def _quoted(text: str) -> bytes:
    """RFC 9051 section 4.3."""
    return b'"%b"' % text.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')
