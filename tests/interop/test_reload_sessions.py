"""Hundreds of live sessions through fifty reloads with other code each time.

None is dropped, each is answered by one version from its greeting to its end, and an extension
that is broken never stops mail. The application puts its version into what it answers.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from mailframe.app.control import ServerRefused, ask
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import wait_until, workdir

RELOADS = 50
SMTP, IMAP, POP3 = 420, 50, 30
ASKED_EACH_ROUND = 100
USER = "ann@mf.test"

APP = """\
from mailframe import App, Reject

VERSION = {version}
app = App()
{more}

@app.startup
def begin():
    print(f"[began {{VERSION}}]\\n", end="", flush=True)


@app.shutdown
def end():
    print(f"[ended {{VERSION}}]\\n", end="", flush=True)


@app.policy("mail")
def at_mail(envelope):
    if str(envelope.reverse_path).startswith("mail@"):
        raise Reject(550, "5.7.1", f"version {{VERSION}}")


@app.policy("recipient")
async def at_recipient(recipient):
    if recipient.address.local_part == "rcpt":
        return Reject(550, "5.7.1", f"version {{VERSION}}")


@app.policy("message")
def at_message(msg):
    if msg.subject == "message":
        raise Reject(550, "5.7.1", f"version {{VERSION}}")


@app.recipient("{{user}}@app.test")
def whose(user):
    raise Reject(550, "5.1.1", f"version {{VERSION}}")


@app.deliver("kept@mf.test")
def kept(msg):
    print(f"[kept {{msg.subject}} {{VERSION}}]\\n", end="", flush=True)
"""

BROKEN = {
    10: "def (",  # no Python at all
    20: "raise RuntimeError('not today')",
    30: "import a_module_that_is_not_there",
    40: "@app.selftest\ndef test():\n    raise RuntimeError('would not work')\n",
    45: "@app.startup\ndef begin_worse():\n    raise RuntimeError('cannot begin')\n",
}
"""Rounds in which the new version cannot be used, and what is wrong with it."""


@dataclass(slots=True)
class Session:
    """A connection that is there for long."""

    connection: socket.socket
    version: int
    answers: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self.connection.settimeout(20.0)
        self.answers = iter(self.connection.makefile("r", encoding="latin-1", newline="\r\n"))

    def line(self) -> str:
        return next(self.answers).rstrip("\r\n")

    def say(self, line: str) -> str:
        self.connection.sendall(f"{line}\r\n".encode())
        return self.line()

    def look(self) -> None:
        """Whether it is served, and by whom."""
        raise NotImplementedError

    def end(self) -> None:
        self.say("QUIT")
        self.connection.close()


class SmtpSession(Session):
    asked = 0

    def greet(self) -> None:
        assert self.line().startswith("220 ")
        assert self.say("HELO there.test").startswith("250 ")
        self.look()

    def look(self) -> None:
        """At another stage each time."""
        stages = [self.at_mail, self.at_recipient, self.at_resolution, self.at_message]
        answer = stages[self.asked % len(stages)]()
        self.asked += 1
        assert f"version {self.version} " in f"{answer} ", (self.version, answer)

    def at_mail(self) -> str:
        return self.say("MAIL FROM:<mail@x.test>")

    def at_recipient(self) -> str:
        return self.refused_recipient("rcpt@mf.test")

    def at_resolution(self) -> str:
        return self.refused_recipient("whoever@app.test")

    def refused_recipient(self, address: str) -> str:
        assert self.say("MAIL FROM:<a@x.test>").startswith("250 ")
        answer = self.say(f"RCPT TO:<{address}>")
        assert self.say("RSET").startswith("250 ")
        return answer

    def at_message(self) -> str:
        return self.send("message")

    def send(self, subject: str) -> str:
        assert self.say("MAIL FROM:<a@x.test>").startswith("250 ")
        assert self.say("RCPT TO:<kept@mf.test>").startswith("250 ")
        assert self.say("DATA").startswith("354 ")
        return self.say(f"Subject: {subject}\r\n\r\nA message\r\n.")


class ImapSession(Session):
    def greet(self) -> None:
        assert self.line().startswith("* OK")
        assert " OK " in self.tagged(f'LOGIN {USER} "{PASSWORD}"')
        assert " OK " in self.tagged("SELECT INBOX")

    def look(self) -> None:
        assert " OK " in self.tagged("NOOP")

    def tagged(self, command: str) -> str:
        answer = self.say(f"a {command}")
        while not answer.startswith("a "):
            answer = self.line()
        return answer

    def end(self) -> None:
        self.tagged("LOGOUT")
        self.connection.close()


class Pop3Session(Session):
    def greet(self) -> None:
        assert self.line().startswith("+OK")
        assert self.say(f"USER {USER}").startswith("+OK")

    def look(self) -> None:
        assert self.say("NOOP").startswith(("+OK", "-ERR"))  # it is not logged in: one maildrop


class Site:
    def __init__(self, server: Mailframe) -> None:
        self.server = server
        self.version = 0

    def write(self, version: int, more: str = "") -> None:
        text = APP.format(version=version, more=more)
        (self.server.directory / "changing.py").write_text(text)

    def reload(self) -> None:
        ask(str(self.server.base / "run" / "control.sock"), "reload")

    def open(self, kind: type[Session], listener: str) -> Session:
        where = (self.server.address, self.server.ports[listener])
        session = kind(socket.create_connection(where, timeout=20.0), self.version)
        session.greet()  # type: ignore[attr-defined]
        return session


@pytest.fixture
def site() -> Iterator[Site]:
    with workdir("reload") as path:
        server = Mailframe(path)
        site = Site(server)
        server.configure(
            apps=["changing:app"],  # type: ignore[arg-type]
            auth={"allow_plaintext": True},
            limits={
                "connections": 0,
                "imap_connections_per_user": 0,
                "errors_per_session": 0,
                "tarpit": "0s",
            },
        )
        site.write(1)
        server.add_users(USER, "rcpt@mf.test")
        server.start()
        site.version = 1
        try:
            yield site
        finally:
            server.stop()


def next_version(site: Site, number: int) -> None:
    """The files change; the server follows, or says why not."""
    site.write(number, BROKEN.get(number, ""))
    if number not in BROKEN:
        site.reload()
        site.version = number
        return
    with pytest.raises(ServerRefused, match="nothing was changed") as refused:
        site.reload()
    assert refused.value.status == 78


@pytest.mark.slow
def test_none_is_dropped_and_each_sees_one_version(site: Site) -> None:
    kinds: list[tuple[int, Callable[[], Session]]] = [
        (SMTP, lambda: site.open(SmtpSession, "mx")),
        (IMAP, lambda: site.open(ImapSession, "imap")),
        (POP3, lambda: site.open(Pop3Session, "pop3")),
    ]
    sessions = [begin() for number, begin in kinds for _ in range(number)]
    for number in range(2, RELOADS + 2):
        next_version(site, number)
        # Some of the eldest go, others come in their place, of the version of now.
        for old in [each for each in sessions if isinstance(each, SmtpSession)][:5]:
            old.look()
            old.end()
            sessions.remove(old)
            sessions.append(site.open(SmtpSession, "mx"))
        start = number * ASKED_EACH_ROUND % len(sessions)
        for session in (sessions + sessions)[start : start + ASKED_EACH_ROUND]:
            session.look()
    for session in sessions:
        session.look()
    assert len(sessions) == SMTP + IMAP + POP3
    assert len({session.version for session in sessions}) > RELOADS // 2
    last = sessions[-1]
    assert isinstance(last, SmtpSession)
    assert last.send("to the newest").startswith("250 ")
    for session in sessions:
        session.end()
    control = str(site.server.base / "run" / "control.sock")
    wait_until(lambda: ask(control, "plugins")["versions"] == 1, 15.0)
    ended = {int(number) for number in re.findall(r"\[ended (\d+)\]", site.server.log)}
    # A startup that failed has its shutdown as well, for what it had begun.
    assert ended == set(range(1, RELOADS + 1)) - (BROKEN.keys() - {45})
    assert f"[kept to the newest {RELOADS + 1}]" in site.server.log
