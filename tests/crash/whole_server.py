"""The whole server on a simulated machine, and clients that speak to it by TCP.

The real wiring with everything on: IMAP, policies, the content filter, signing. ``House`` is one
incarnation; each call drives the simulated network until it is done.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from mailframe.accounts.admin import DirectoryAdmin
from mailframe.accounts.schema import MIGRATIONS as DIRECTORY_SCHEMA
from mailframe.app.config import Config, config_of
from mailframe.app.server import MailServer
from mailframe.runtime.database import Database
from mailframe.testing.disk import SimDisk
from mailframe.testing.machine import SimMachine
from mailframe.testing.network import SimNetwork
from tests.crash.ground import settle
from tests.crash.letters import Letter, recognize
from tests.crash.rooms import ACCOUNTS, ANN, BASE, BOB, HERE, HOST, Taken

SECRET = "secret"
TEAM = f"team@{HERE}"
_SERVER, _PEER = "10.0.0.1", "10.0.0.2"
_PATIENCE = 120.0
_PORTS = {"mx": 25, "submission": 587, "pop3": 110, "imap": 143}


def configuration() -> Config:
    data: dict[str, Any] = {
        "hostname": HOST,
        "base": BASE,
        "listen": {
            role: {"endpoint": f"tcp:{port}:interface={_SERVER}", "role": role}
            for role, port in _PORTS.items()
        },
        "auth": {
            "allow_plaintext": True,
            "checkers": ["memory:" + ":".join(f"{account}:{SECRET}" for account in ACCOUNTS)],
        },
        "dns": {"servers": ["10.0.0.53:53"], "timeouts": ["1s"]},
        "relay": {"smarthost": f"smtp://{_PEER}:25?tls=off"},
        "policy": {"greylist": {"enabled": False}},
    }
    return config_of(data, "/")


class Talk(Protocol):
    """Collects what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.is_over = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_over = True


class House:
    """A started server. ``answer`` is what the other host says to a RCPT for an address;
    ``heard`` is told what it took, before it says so. It begins ``later`` than the first one."""

    def __init__(
        self,
        disk: SimDisk,
        heard: Callable[[Taken], None] = lambda taken: None,
        answer: Callable[[str], str] = lambda address: "250 2.1.5 ok",
        later: float = 0.0,
    ) -> None:
        self.network = SimNetwork(0)
        self.network.now += later
        self.log = self.network.capture_log()
        self.machine = SimMachine(self.network, "mx", _SERVER, disk)
        self._peer = self.network.host("far", _PEER)
        if not self._peer.reactor.alive:
            self._peer.boot()
        # What is said is heard before anything else happens: a 250 that goes out ahead of its
        # commit is held against the disk as it is then.
        self.network.link("mx", "far").set(delay=0.0, jitter=0.0)
        factory = Factory.forProtocol(lambda: _Far(heard, answer))
        factory.noisy = False
        self._peer.reactor.listenTCP(25, factory, interface=_PEER)
        self.server = MailServer(configuration(), self.machine)
        self._do(self._start)

    def close(self) -> None:
        self._do(self.server.stop)
        self.log.stop()
        self.network.close()

    def rest(self, seconds: float = 3.0) -> None:
        """Let the queue do what is due."""
        self.network.run(seconds)

    def call(self, role: str) -> Client:
        talk = Talk()
        factory = Factory.forProtocol(lambda: talk)
        factory.noisy = False
        self._peer.reactor.connectTCP(_SERVER, _PORTS[role], _Once(talk))
        return Client(self.network, talk)

    async def _start(self) -> None:
        await self.server.bind()
        await self.server.start()

    def _do(self, work: Callable[[], Any]) -> None:
        ended: list[object] = []
        done: Deferred[Any] = self.machine.start(work)
        done.addBoth(ended.append)
        assert self.network.run_until(lambda: ended, _PATIENCE), "it takes too long"
        if isinstance(ended[0], Failure):
            ended[0].raiseException()


class _Once(Factory):
    noisy = False

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def buildProtocol(self, addr: object) -> Talk:
        return self._talk

    def startedConnecting(self, connector: object) -> None:
        pass

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._talk.connectionLost(reason)

    def clientConnectionLost(self, connector: object, reason: Failure) -> None:
        pass


class Client:
    """A blocking client, as far as the simulation is concerned."""

    def __init__(self, network: SimNetwork, talk: Talk) -> None:
        self._network = network
        self._talk = talk

    def say(self, data: bytes) -> None:
        transport: Any = self._talk.transport
        transport.write(data)

    def hear(self, mark: bytes) -> bytes:
        """All up to and with ``mark``."""
        talk = self._talk
        self._network.run_until(lambda: mark in talk.heard or talk.is_over, _PATIENCE)
        assert mark in talk.heard, f"no {mark!r} in {talk.heard[-300:]!r}"
        end = talk.heard.index(mark) + len(mark)
        data, talk.heard = talk.heard[:end], talk.heard[end:]
        return data

    def ask(self, data: bytes, mark: bytes) -> bytes:
        self.say(data)
        return self.hear(mark)


def send(house: House, letter: Letter, *addresses: str, sender: str = "zoe@sender.example") -> None:
    """By the MX door; by the submission door where the sender is at home here."""
    if sender in ACCOUNTS:
        client = house.call("submission")
        client.hear(b"220 ")
        client.hear(b"\r\n")
        client.ask(b"EHLO there\r\n", b"\r\n250 ")
        client.hear(b"\r\n")
        word = base64.b64encode(f"\0{sender}\0{SECRET}".encode())
        client.ask(b"AUTH PLAIN " + word + b"\r\n", b"235 ")
    else:
        client = house.call("mx")
        client.hear(b"220 ")
        client.ask(b"EHLO there.example\r\n", b"\r\n250 ")
    client.hear(b"\r\n")
    client.ask(f"MAIL FROM:<{sender}>\r\n".encode(), b"250 ")
    for address in addresses:
        client.hear(b"\r\n")
        client.ask(f"RCPT TO:<{address}>\r\n".encode(), b"250 ")
    client.hear(b"\r\n")
    client.ask(b"DATA\r\n", b"354 ")
    client.hear(b"\r\n")
    client.ask(letter.content.replace(b"\r\n.", b"\r\n..") + b".\r\n", b"250 2.0.0 Ok")
    client.say(b"QUIT\r\n")


def fetch_and_remove(house: House, account: str, begin: Callable[[list[str]], None]) -> list[str]:
    """By POP3: every message that is there; ``begin`` hears their letters before they go."""
    client = house.call("pop3")
    client.hear(b"+OK")
    client.hear(b"\r\n")
    client.ask(f"USER {account}\r\nPASS {SECRET}\r\nSTAT\r\n".encode(), b"+OK")
    client.hear(b"+OK")
    client.hear(b"+OK ")
    number = int(client.hear(b"\r\n").split()[0])
    names = []
    for each in range(1, number + 1):
        octets = client.ask(b"RETR %d\r\n" % each, b"\r\n.\r\n")
        names.append(recognize(octets[octets.index(b"\r\n") + 2 : -3]).name)
        client.ask(b"DELE %d\r\n" % each, b"+OK")
        client.hear(b"\r\n")
    begin(names)
    client.ask(b"QUIT\r\n", b"+OK")
    return names


class Imap:
    """A session, logged in."""

    def __init__(self, house: House, account: str) -> None:
        self._client = house.call("imap")
        self._tags = 0
        self._client.hear(b"* OK")
        self._client.hear(b"\r\n")
        self.ask(f"LOGIN {account} {SECRET}")

    def ask(self, command: str, literal: bytes | None = None) -> bytes:
        """All that is answered. AssertionError where it is not OK."""
        self._tags += 1
        tag = b"t%d " % self._tags
        if literal is not None:
            self._client.ask(tag + f"{command} {{{len(literal)}}}\r\n".encode(), b"+ ")
            self._client.say(literal)
            self._client.say(b"\r\n")
        else:
            self._client.say(tag + command.encode() + b"\r\n")
        answer = self._client.hear(tag + b"OK")
        return answer + self._client.hear(b"\r\n")

    def folders(self) -> list[str]:
        lines = self.ask('LIST "" *').split(b"\r\n")
        return [
            line.rpartition(b" ")[2].strip(b'"').decode() for line in lines if b"* LIST" in line
        ]

    def letters(self, folder: str) -> list[tuple[str, bool]]:
        """What lies there, and whether it is whole."""
        answer = self.ask(f"SELECT {folder}")
        if b"* 0 EXISTS" in answer:
            return []
        answer = self.ask("FETCH 1:* (UID BODY.PEEK[])")
        found = []
        while b"BODY[] {" in answer:
            _, _, rest = answer.partition(b"BODY[] {")
            size, _, rest = rest.partition(b"}\r\n")
            sight = recognize(rest[: int(size)])
            found.append((sight.name, sight.is_whole))
            answer = rest[int(size) :]
        return found


class _Far(Protocol):
    """A host that relays nothing and takes what it is told to take."""

    def __init__(self, heard: Callable[[Taken], None], answer: Callable[[str], str]) -> None:
        self._heard = heard
        self._answer = answer
        self._lines = b""
        self._content: list[bytes] | None = None
        self._recipients: list[str] = []

    def connectionMade(self) -> None:
        self._say("220 far.example ESMTP")

    def dataReceived(self, data: bytes) -> None:
        self._lines += data
        while b"\r\n" in self._lines:
            line, _, self._lines = self._lines.partition(b"\r\n")
            if self._content is None:
                self._command(line.decode())
            elif line == b".":
                self._taken(b"".join(self._content))
            else:
                self._content.append(line.removeprefix(b".") + b"\r\n")

    def _command(self, line: str) -> None:
        verb = line[:4].upper()
        if verb == "RCPT":
            address = line.partition("<")[2].partition(">")[0]
            reply = self._answer(address)
            if reply.startswith("2"):
                self._recipients.append(address)
            self._say(reply)
        elif verb == "DATA" and self._recipients:
            self._content = []
            self._say("354 go on")
        elif verb == "DATA":
            self._say("503 5.5.1 nobody")
        elif verb == "QUIT":
            self._say("221 2.0.0 bye")
            self._transport().loseConnection()
        else:
            self._recipients.clear()
            self._say("250 far.example")

    def _taken(self, content: bytes) -> None:
        sight = recognize(content)
        for address in self._recipients:
            self._heard(Taken(sight, address))
        self._content = None
        self._recipients.clear()
        self._say("250 2.0.0 taken")

    def _say(self, line: str) -> None:
        self._transport().write(line.encode() + b"\r\n")

    def _transport(self) -> Any:
        return self.transport


@functools.cache
def _template() -> SimDisk:
    disk = SimDisk()
    disk.make_directories(BASE)
    opened = Database(f"{BASE}/directory.db", DIRECTORY_SCHEMA, None, disk=disk)
    opened.open()
    admin = DirectoryAdmin(opened, lambda: 1_750_000_000.0, lambda octets: b"\1" * octets)
    admin.add_domain(HERE)
    for account in ACCOUNTS:
        admin.add_user(account, None)
    admin.add_alias(TEAM, [ANN, BOB])
    opened.close()
    House(disk).close()
    return settle(disk)


def started_once() -> SimDisk:
    """A base on which a server has been started and stopped."""
    return _template().snapshot()
