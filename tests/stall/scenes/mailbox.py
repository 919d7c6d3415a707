"""What the owner of an account can do to others: large folders, giant messages, dear commands."""

from __future__ import annotations

import contextlib
import socket
import time
import zlib

from tests.interop.peers.raw_imap import Hangup
from tests.stall.scenes.content import _parts, boundaries, forwarded, header, nested
from tests.stall.scenes.scene import pour, scene
from tests.stall.target import DROP, HOARDER, MANY, PASSWORD, VICTIM, Target

_LOGIN = f'a LOGIN {VICTIM} "{PASSWORD}"\r\n'.encode()
_HOARD = f"USER {HOARDER}\r\nPASS {PASSWORD}\r\n".encode()


def _many(target: Target) -> None:
    with target.imap(b"Many") as client:
        assert client.ok(b"STATUS Many (MESSAGES)")


def _many_commands(name: str, *commands: bytes, quick: bool = False) -> None:
    @scene(f"imap: {name}, {MANY:,} messages", prepare=_many, quick=quick)
    def attack(target: Target) -> None:
        with target.imap(b"Many") as client, contextlib.suppress(Hangup):
            for command in commands:
                client.command(command)


_many_commands(
    "SELECT", b"EXAMINE Many", b"SELECT Many", b"STATUS Many (MESSAGES UNSEEN SIZE DELETED)"
)
_many_commands("FETCH FULL", b"FETCH 1:* FULL")
_many_commands("FETCH headers", b"FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])")
_many_commands("FETCH bodies", b"FETCH 1:* (UID BODY.PEEK[])")
_many_commands("FETCH FLAGS", b"FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)", quick=True)
_many_commands(
    "SEARCH all kinds",
    b"SEARCH UNSEEN",
    b"SEARCH TEXT zq",
    b"SEARCH BODY hello",
    b"SEARCH FROM a1",
    b"SEARCH HEADER X-Y z",
    b"SEARCH SENTSINCE 1-Jan-2020",
    b"SEARCH NOT OR SUBJECT x OR BODY y TO z",
    b"UID SEARCH RETURN (ALL COUNT) ALL",
    quick=True,
)
_many_commands("SORT", b"SORT (SUBJECT REVERSE DATE FROM) UTF-8 ALL", quick=True)
_many_commands(
    "THREAD", b"THREAD REFERENCES UTF-8 ALL", b"THREAD ORDEREDSUBJECT UTF-8 ALL", quick=True
)
_many_commands(
    "STORE",
    b"STORE 1:* +FLAGS (\\Flagged x1 x2)",
    b"STORE 1:* -FLAGS (\\Flagged)",
    b"STORE 1:* FLAGS.SILENT (\\Seen)",
    quick=True,
)
_many_commands(
    "every other message",
    b"FETCH " + b",".join(b"%d" % n for n in range(1, MANY, 2)) + b" FLAGS",
    b"UID STORE " + b",".join(b"%d" % n for n in range(1, MANY, 2)) + b" +FLAGS (y)",
)
_many_commands(
    "COPY, EXPUNGE",
    b"CREATE Two",
    b"COPY 1:* Two",
    b"SELECT Two",
    b"STORE 1:* +FLAGS.SILENT (\\Deleted)",
    b"EXPUNGE",
    quick=True,
)
_many_commands(
    "QRESYNC",
    b"ENABLE QRESYNC",
    b"UNSELECT",
    b"SELECT Many (QRESYNC (1 1 1:%d))" % MANY,
    b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
)
_many_commands(
    "SEARCH with 10^4 keys",
    b"SEARCH " + b"OR SUBJECT a " * 1000 + b"SUBJECT b",
    b"SEARCH " + b"NOT " * 5_000 + b"SEEN",
    b"SEARCH " + b"(" * 5000 + b"SEEN" + b")" * 5000,
    b"SEARCH " + b"BODY hello " * 500,
)
_many_commands(
    "10^4 keywords",
    *(
        b"STORE %d +FLAGS (%b)" % (n, b" ".join(b"k%d" % (n * 100 + i) for i in range(100)))
        for n in range(1, 100)
    ),
    b"FETCH 1:* FLAGS",
)


# a maildrop


def _hoard(target: Target) -> None:
    """One login, since the first looks at every message."""
    target.hoard()
    _hoarder(target).close()


def _hoarder(target: Target) -> socket.socket:
    """Logged in, as soon as nobody else is."""
    while True:
        line = target.connect("pop3")
        line.settimeout(300)
        line.sendall(_HOARD)
        try:
            _until(line, b"messages\r\n")
        except InUse:
            line.close()
            time.sleep(0.1)
        else:
            return line


class InUse(Exception):
    """The session before is still there."""


def _until(line: socket.socket, end: bytes) -> None:
    held = b""
    while not held.endswith(end):
        got = line.recv(1 << 20)
        if b"-ERR [IN-USE]" in got:
            raise InUse
        if not got or b"-ERR" in got:
            raise RuntimeError(f"POP3: {(held + got)[-200:]!r}")
        held = (held + got)[-1000:]


def _maildrop(name: str, *commands: bytes, quick: bool = False) -> None:
    @scene(f"pop3: {name}, {DROP:,} messages", prepare=_hoard, quick=quick)
    def attack(target: Target) -> None:
        pour(_hoarder(target), b"".join(commands), 30)


_maildrop("login", b"STAT\r\nQUIT\r\n")
_maildrop("UIDL and LIST", b"UIDL\r\nLIST\r\nSTAT\r\n" * 3 + b"RSET\r\nQUIT\r\n")
_maildrop(
    "UIDL and LIST of each", *(b"UIDL %d\r\nLIST %d\r\n" % (n, n) for n in range(1, DROP + 1))
)
_maildrop("RETR and TOP", *(b"RETR %d\r\nTOP %d 1\r\n" % (n, n) for n in range(1, 5_001)))
_maildrop(
    "DELE of all, RSET",
    *(b"DELE %d\r\n" % number for number in range(1, DROP + 1)),
    b"STAT\r\nLIST\r\nRSET\r\nQUIT\r\n",
)


@scene(f"pop3: five who ask and do not read, {DROP:,} messages", prepare=_hoard)
def deaf(target: Target) -> None:
    """One after the other, since a maildrop is one session's."""
    for _ in range(5):
        line = _hoarder(target)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(b"UIDL\r\n" * 1_000)
        time.sleep(0.3)
        line.close()


@scene(f"pop3: DELE of all and QUIT, {DROP:,} messages", prepare=_hoard)
def dele_all(target: Target) -> None:
    """The last of these: it leaves an empty maildrop."""
    line = _hoarder(target)
    dele = b"".join(b"DELE %d\r\n" % number for number in range(1, DROP + 1))
    pour(line, dele + b"QUIT\r\n", 55)


# giant messages


def _giant(name: str, message: bytes, quick: bool = False) -> None:
    folder = b"Giant-" + name.replace(" ", "-").encode()

    def prepare(target: Target) -> None:
        target.append(message, folder)

    @scene(f"imap: {name}", prepare=prepare, quick=quick)
    def attack(target: Target) -> None:
        commands = [
            b"FETCH 1 (ENVELOPE BODYSTRUCTURE BODY)",
            b"FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.1.1.MIME])",
            b"FETCH 1 (PREVIEW)",
            b"FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])",
            b"FETCH 1 (BODY.PEEK[HEADER.FIELDS.NOT (X-A X-B)])",
            b"SEARCH TEXT zzz",
            b"SEARCH BODY zzz",
            b"SEARCH HEADER X-Y zzz",
            b"SORT (SUBJECT) UTF-8 ALL",
            b"THREAD REFERENCES UTF-8 ALL",
        ]
        with target.imap(folder) as client, contextlib.suppress(Hangup):
            for command in commands:
                client.command(command)


_giant("10^5 parts", _parts(100_000), quick=True)
_giant("nested 10^4", nested(10_000))
_giant("messages in messages 10^4", forwarded(10_000))
_giant("near delimiters", boundaries())
_giant("10^5 fields", header("fields", b"X-Trace: some value here\r\n" * 100_000) + b"\r\nx\r\n")
_giant(
    "a field of 10 MB", header("folded", b"X-Long: x\r\n" + b" x\r\n" * 2_500_000) + b"\r\nx\r\n"
)
_giant(
    "10^5 addresses",
    header("to", b"Cc: a@b.c" + b",\r\n <abcd@example.org>" * 100_000 + b"\r\n") + b"\r\nx\r\n",
    quick=True,
)
_giant(
    "10^5 references",
    header("refs", b"References:" + b"\r\n <abcd@example.org>" * 100_000 + b"\r\n") + b"\r\nx\r\n",
)
_giant(
    "10^5 encoded words",
    header("words", b"X-W:" + b"\r\n =?utf-8?q?=CE=B1?=" * 100_000 + b"\r\n") + b"\r\nx\r\n",
)
_giant(
    "10^5 encoded words of a subject",
    header("w", b"Subject:" + b"\r\n =?utf-8?q?=CE=B1?=" * 100_000 + b"\r\n") + b"\r\nx\r\n",
)
_giant(
    "10^4 parameters",
    header("p", b"Content-Type: text/plain" + b";\r\n a=b" * 100_000 + b"\r\n") + b"\r\nx\r\n",
)
_giant(
    "30 MB of text", header("text") + b"\r\n" + b"Some words, and no end of them.\r\n" * 1_000_000
)
_giant(
    "20 MB of html",
    header("html", b"Content-Type: text/html\r\n") + b"\r\n" + b"<p a='b<i c=\"&#1;" * 1_200_000,
)
_giant(
    "20 MB of base64",
    header("b", b"Content-Type: text/plain; charset=utf-7\r\nContent-Transfer-Encoding: base64\r\n")
    + b"\r\n"
    + b"K0FHRS0rQUdFLStBR0UtK0FHRS0rQUdFLStBR0UtK0FHRS0r\r\n" * 400_000,
)


_giant("quotes without end", header("q", b'References: <"' + b'\\"' * 400 + b"\r\n") + b"\r\nx\r\n")


# folders


def _folders(target: Target) -> None:
    base = target.mailframe.maildir(VICTIM)
    for number in range(3_000):
        for name in ("cur", "new", "tmp"):
            (base / f".f{number % 50}.g{number // 50}.{'a' * 20}" / name).mkdir(
                parents=True, exist_ok=True
            )
    with target.imap() as client:
        client.ok(b'LIST "" *')


@scene("imap: LIST with wildcards, 3,000 folders", prepare=_folders, quick=True)
def listing(target: Target) -> None:
    with target.imap() as client, contextlib.suppress(Hangup):
        for pattern in (b"*", b"%", b"*a" * 20 + b"b", b"%*" * 100 + b"b", b"*" * 200 + b"zz"):
            client.command(b'LIST "" "%b"' % pattern)
        client.command(b'LIST "" (' + b" ".join(b'"*a*a*a*b%d"' % n for n in range(200)) + b")")
        client.command(b'LIST "" * RETURN (STATUS (MESSAGES UNSEEN) SPECIAL-USE SUBSCRIBED)')
        client.command(b'LSUB "" *')
        client.command(b"NOTIFY SET (PERSONAL (MESSAGENEW MESSAGEEXPUNGE FLAGCHANGE))")


# octets


@scene("imap: APPEND of 40 MB, then FETCH", quick=True)
def large(target: Target) -> None:
    message = header("l") + b"\r\n" + b"Some words, and no end of them.\r\n" * 1_200_000
    with target.imap() as client:
        client.append(b"INBOX", message)
        client.ok(b"SELECT INBOX")
        client.command(b"FETCH * BODY.PEEK[]")
        client.command(b"STORE * +FLAGS (\\Deleted)")
        client.command(b"EXPUNGE")


@scene("imap: MULTIAPPEND of 10^4")
def multiappend(target: Target) -> None:
    one = header("m") + b"\r\nx\r\n"
    with target.imap() as client:
        client.command(b"CREATE Multi")
        client.command(b"APPEND Multi" + b" {%d+}\r\n%b" % (len(one), one) * 10_000)


@scene("imap: COMPRESS, a bomb of 200 MB", quick=True)
def compressed(target: Target) -> None:
    _compressed(target, b"c NOOP\r\n" * (200_000_000 // 8))


@scene("imap: COMPRESS, a line of 500 MB")
def compressed_line(target: Target) -> None:
    _compressed(target, b"x" * 500_000_000)


def _compressed(target: Target, text: bytes) -> None:
    line = target.connect("imap")
    line.recv(4096)
    line.sendall(_LOGIN + b"b COMPRESS DEFLATE\r\n")
    time.sleep(0.5)
    line.recv(65536)
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(
        packed.compress(text[at : at + (1 << 20)]) for at in range(0, len(text), 1 << 20)
    )
    pour(line, data + packed.flush(zlib.Z_SYNC_FLUSH), 15)


@scene("imap: junk of all kinds")
def junk(target: Target) -> None:
    for login in (b"", _LOGIN + b"b SELECT INBOX\r\n"):
        for data in (
            b"a FETCH 1 " + b"(" * 1_000_000 + b"\r\n",
            b"a SEARCH " + b"(" * 60_000 + b"\r\n",
            b"a FETCH " + b",".join(b"%d" % n for n in range(1, 100_001)) + b" FLAGS\r\n",
            b"a FETCH " + b",".join(b"%d:%d" % (n, n * 2) for n in range(1, 6_000)) + b" FLAGS\r\n",
            b"a NOOP " + b"x" * 20_000_000,
            b"\0" * 10_000_000,
            b"\r\n" * 1_000_000,
            b"a LOGIN {60000+}\r\n" + b"x" * 60_000 + b" {60000+}\r\n" + b"y" * 60_000 + b"\r\n",
            b"a ID (" + b'"k" "v" ' * 100_000 + b")\r\n",
            b"a STORE 1 FLAGS (" + b"k " * 30_000 + b")\r\n",
            b"a FETCH 1 (" + b"BODY[1.1.1.1.1.1] " * 3_000 + b")\r\n",
            b"a SEARCH " + b"SUBJECT {1+}\r\nx " * 3_000 + b"\r\n",
        ):
            line = target.connect("imap")
            line.recv(4096)
            pour(line, login + data, 4)


@scene("imap: 30 readers that do not read 30 MB")
def slow_readers(target: Target) -> None:
    lines = []
    for _ in range(30):
        line = target.connect("imap")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(_LOGIN + b"b SELECT Giant-30-MB-of-text\r\nc FETCH 1 BODY.PEEK[]\r\n" * 3)
        lines.append(line)
    time.sleep(4)
    for line in lines:
        line.close()
