"""A mailbox name, address, header or filename reaches no shell, no path outside its folder, no
SQL, no format string and no line of its own in the log: each payload is tried at each door.

The server is a real one whose audit events are written down: the programs it starts and the
files it touches. Around it lies what must not change.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import os
import re
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import loopback_address, run, wait_until, workdir

ANN = "ann@mf.test"
LAUNCHER = Path(__file__).parent / "peers" / "audit_launcher.py"
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[|\t")


def payloads(canary: str) -> list[bytes]:
    """Each would leave something in the directory ``canary``, or a trace of its own."""
    deep = "../" * 12
    texts = [
        f"$(touch {canary}/made)",
        f"`touch {canary}/made`",
        f";touch {canary}/made;",
        f"|touch {canary}/made",
        f"&& touch {canary}/made",
        f"x\ntouch {canary}/made",
        f"{deep}{canary}/made",
        f"{canary}/made",
        "..",
        ".",
        "../bob",
        "../../mf.test/bob/Maildir",
        "..\\..\\bob",
        "a/../../../bob",
        ".../....//",
        "%2e%2e%2fbob",
        "bob\0.txt",
        "x\r\nDELE 1",
        "x\r\nRCPT TO:<stranger@away.test>",
        "x\r\na2 DELETE INBOX",
        "%s%n%x%d",
        "{0.__class__.__init__.__globals__}",
        "{log_time}{log_failure}{base}",
        "{",
        "'; DROP TABLE users; --",
        "' OR '1'='1",
        '" OR ""="',
        "x%' ESCAPE '!",
        "*)(uid=*))(|(uid=*",
        "*",
        "\x1b[2J\x1b]0;owned\x07",
        "\u202egnp.exe",
        "bob\u200b",
        "ｂｏｂ",
        "аnn",
        "\u2028\u0085x",
        "${jndi:ldap://x.test/a}",
        "{{7*7}}<script>alert(1)</script>",
        "-oProxyCommand=x",
        "~root",
        "CON",
        "A" * 300,
        "é" * 200,
        "[[" * 50,
        "(a+)+$",
    ]
    return [text.encode() for text in texts] + [b"\xff\xfe\x80", b"\xed\xa0\x80", b"\xc0\xae/"]


class Site:
    def __init__(self, directory: Path) -> None:
        self.canary = directory / "canary"
        self.canary.mkdir()
        self.audit = directory / "audit"
        command = directory / "audited-mailframe"
        command.write_text(
            f'#!/bin/sh\nexport AUDIT={self.audit}\nexec {sys.executable} -P {LAUNCHER} "$@"\n'
        )
        command.chmod(0o755)
        self.server = Mailframe(directory, loopback_address(), command=str(command))
        self.server.configure(
            auth={"allow_plaintext": True, "failures_per_account": 0, "failures_per_ip": 0},
            limits={"errors_per_session": 0, "tarpit": "0s"},
        )
        self.server.add_users(ANN, "bob@mf.test")
        self.server.start()
        self.before = self.tables()
        self.audit.write_text("")

    def talk(self, door: str, data: bytes) -> bytes:
        """Say all of it once greeted, and hear the answers until the server closes."""
        address = (self.server.address, self.server.ports[door])
        with socket.create_connection(address, 20) as connection:
            heard = connection.recv(65536)  # who talks before is not listened to
            connection.sendall(data)
            while piece := connection.recv(65536):
                heard += piece
        assert heard.count(b"\n") > 5, f"the payload was hardly listened to: {heard!r}"
        return heard

    def tables(self) -> dict[str, list[tuple[object, ...]]]:
        """Who is who, and the schema."""
        file = f"file:{self.server.base}/directory.db?mode=ro"
        connection = sqlite3.connect(file, uri=True)
        try:
            names = [n for (n,) in connection.execute("SELECT name FROM sqlite_master")]
            queries = ("SELECT name FROM users", "SELECT name FROM domains")
            return {q: sorted(connection.execute(q)) for q in queries} | {
                "": sorted((n,) for n in names)
            }
        finally:
            connection.close()

    def check(self) -> None:
        """Nothing has happened but what the commands themselves mean."""
        assert list(self.canary.iterdir()) == []
        assert self.tables() == self.before
        self._check_audit()
        self._check_log()
        assert self.server.tracebacks == []

    def _check_audit(self) -> None:
        seen = self.audit.read_text().splitlines()
        assert any(str(self.server.base) in line for line in seen)  # it does watch
        for line in seen:
            event, *words = (ast.literal_eval(word) for word in line.split("\t"))
            if event == "compile":
                assert words[0].endswith(".py") or words[0].startswith("<"), line
                continue
            assert event == "open" or event.startswith(("os.", "sqlite3.")), line
            assert not event.startswith(("os.exec", "os.posix", "os.spawn", "os.fork", "os.sys")), (
                line
            )
            for path in words:
                real = os.path.realpath(path.removeprefix("file:").partition("?")[0])
                assert real.startswith((str(self.server.base), "/dev/null")), line
                assert "/mail/mf.test/bob" not in real, line

    def _check_log(self) -> None:
        # only LF ends a line here: what looks like one to others must not be there either
        for line in self.server.log.split("\n"):
            assert not line or LOG_LINE.match(line), f"a line of somebody else's: {line!r}"
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028]", line), repr(line)
            assert "owned" not in line or "\x1b" not in line


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with workdir("injections") as directory:
        found = Site(directory)
        yield found
        found.server.stop()


def lines(*commands: bytes) -> bytes:
    return b"".join(command + b"\r\n" for command in commands)


def smtp(payload: bytes) -> bytes:
    quoted = b'"' + payload.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    header = (
        b"Subject: " + payload + b"\r\nX-" + payload + b": x\r\nFrom: " + quoted + b" <a@b.test>"
    )
    disposition = b'Content-Disposition: attachment; filename="' + payload + b'"'
    return lines(
        b"EHLO " + payload,
        b"EHLO here.test",
        b"VRFY " + payload,
        b"MAIL FROM:<" + payload + b">",
        b"MAIL FROM:<a@" + payload + b">",
        b"MAIL FROM:<a@b.test> " + payload,
        b"MAIL FROM:<" + quoted + b"@b.test> ENVID=" + payload.hex().encode(),
        b"RSET",
        b"MAIL FROM:<a@b.test>",
        b"RCPT TO:<" + payload + b"@mf.test>",
        b"RCPT TO:<" + quoted + b"@mf.test>",
        b"RCPT TO:<ann+" + payload + b"@mf.test>",
        b"RCPT TO:<ann@mf.test> ORCPT=rfc822;" + payload,
        b"RCPT TO:<ann@mf.test>",
        b"DATA",
        header + b"\r\nMIME-Version: 1.0\r\n" + disposition + b"\r\n\r\nx\r\n.",
        b"AUTH PLAIN " + base64.b64encode(b"\0" + payload + b"\0" + payload),
        payload,
        b"QUIT",
    )


def pop3(payload: bytes) -> bytes:
    digest = b"0" * 32
    return lines(
        *(b"USER " + payload, b"PASS " + payload, b"APOP " + payload + b" " + digest),
        *(b"AUTH PLAIN " + base64.b64encode(b"\0" + payload + b"\0x"), payload + b" 1"),
        *(b"USER ann@mf.test", b"PASS " + PASSWORD.encode()),
        *(b"RETR " + payload, b"TOP " + payload, b"UIDL " + payload, b"LIST " + payload, b"QUIT"),
    )


def imap(payload: bytes) -> bytes:
    """With a literal, which may hold anything, where a string may be."""
    name = b"{%d+}\r\n%s" % (len(payload), payload)
    login = b'"ann@mf.test" "' + PASSWORD.encode() + b'"'
    before = [b"LOGIN " + name + b" " + name, b"ID (" + name + b" " + name + b")"]
    after = [
        b"CREATE " + name,
        b"SELECT " + name,
        b"SUBSCRIBE " + name,
        b"RENAME " + name + b" " + name,
        b"LIST " + name + b" " + name,
        b'LSUB "" ' + name,
        b"STATUS " + name + b" (MESSAGES)",
        b"GETACL " + name,
        b"SETACL INBOX " + name + b" lrs",
        b"SETMETADATA INBOX (" + name + b" " + name + b")",
        b'SETMETADATA INBOX ("/private/comment" ' + name + b")",
        b"GETMETADATA INBOX (" + name + b")",
        b"GETQUOTA " + name,
        b"APPEND " + name + b" {1+}\r\nx",
        b"SELECT INBOX",
        b"SEARCH SUBJECT " + name + b" HEADER " + name + b" " + name,
        b"SEARCH CHARSET " + name + b" ALL",
        b"SORT (SUBJECT) UTF-8 TEXT " + name,
        b"FETCH 1 (BODY[HEADER.FIELDS (" + name + b")])",
        b"STORE 1 +FLAGS (" + re.sub(rb"[^!#$&'+,./:;=?@^_`|~\w-]", b"", payload) + b")",
        b"COPY 1 " + name,
        b"DELETE " + name,
    ]
    commands = [*before, b"LOGIN " + login, *after, b"LOGOUT"]
    return b"".join(b"a%d %s\r\n" % (n, command) for n, command in enumerate(commands))


DOORS = [("mx", smtp), ("submission", smtp), ("lmtp", smtp), ("pop3", pop3), ("imap", imap)]


@pytest.mark.parametrize(("door", "dialog"), DOORS)
def test_every_payload_at_every_door(
    site: Site, door: str, dialog: Callable[[bytes], bytes]
) -> None:
    for payload in payloads(str(site.canary)):
        data = dialog(payload)
        if door == "lmtp":
            data = data.replace(b"EHLO", b"LHLO")
        with contextlib.suppress(ConnectionError):  # it had enough of us
            site.talk(door, data)
    wait_until(lambda: site.server.queue() == [], "all mail is delivered")
    site.check()


def test_braces_are_logged_as_they_came(site: Site) -> None:
    site.talk("mx", smtp(b"{log_time}{base}"))
    wait_until(lambda: "{log_time}{base}" in site.server.log, "the braces are logged")
    assert "<bound method" not in site.server.log


COMMANDS = [
    *(["user", "add", "%", "--generate"], ["user", "rm", "%", "--yes"], ["domain", "add", "%"]),
    *(["alias", "add", "%", "ann@mf.test"], ["trace", "%"], ["route", "%"]),
    *(["queue", "rm", "--to", "%", "--yes"], ["queue", "show", "%"], ["dkim", "show", "%"]),
    *(["mail", "export", "-u", "%", "out"], ["spam", "stats", "--account", "%"]),
]


def test_arguments_of_commands(site: Site, tmp_path: Path) -> None:
    """In one process each: all payloads to one command."""
    script = tmp_path / "all.py"
    texts = [one.decode("utf-8", "surrogateescape") for one in payloads(str(site.canary))]
    texts = [text for text in texts if "\0" not in text]
    script.write_text(ALL_ARGUMENTS.format(commands=COMMANDS, texts=[ascii(t) for t in texts]))
    before = sorted(site.server.base.rglob("*.toml"))
    done = run(
        [sys.executable, "-P", script],
        env=os.environ | {"MAILFRAME_CONFIG": str(site.server.config)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(site.canary.iterdir()) == []
    assert sorted(site.server.base.rglob("*.toml")) == before
    assert {path.name for path in site.server.base.glob("mail/*")} <= {"mf.test"}


ALL_ARGUMENTS = """
import ast, sys
import click
from click.testing import CliRunner
from mailframe.app import exits
from mailframe.app.cli import program

def refuse(event, arguments):
    if event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.fork"):
        raise SystemExit("started a program: " + repr(arguments))

sys.addaudithook(refuse)
for command in {commands}:
    for text in map(ast.literal_eval, {texts}):
        words = [word.replace("%", text) if word == "%" else word for word in command]
        result = CliRunner().invoke(program, words)
        error = result.exception
        if error is None or isinstance(error, (SystemExit, exits.CommandFailed)):
            continue
        if isinstance(error, (click.ClickException, click.Abort)):
            continue
        if exits.status_of(error) == exits.SOFTWARE:
            print(words, repr(error))
            sys.exit(1)
"""
