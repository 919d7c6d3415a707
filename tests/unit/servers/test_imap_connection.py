"""IMAP connections: getting in, time, TLS, compression, slow clients, leaving."""

from __future__ import annotations

import socket
import zlib
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport
from twisted.logger import globalLogPublisher
from zope.interface import alsoProvides

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import FolderRefused, MessageGone, TransientFailure
from mailframe.servers.connections import ConnectionCounter
from tests.unit.servers import pop3_house
from tests.unit.servers.imap_house import Client, FolderAuthenticator, House, Tls, message


@pytest.fixture
def failures() -> Any:
    """Tracebacks that were logged."""
    seen: list[dict[str, Any]] = []

    def observe(event: dict[str, Any]) -> None:
        if event.get("log_failure") is not None:
            seen.append(event)

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)


# ---- getting in


def test_greeting_and_login() -> None:
    house = House()
    client = house.client(login=False)
    assert client.greeting.startswith(b"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 ")
    assert client.ok("LOGIN ann secret").tagged.startswith("OK [CAPABILITY ")
    assert house.journal.of("login") == {"account": "ann@example.test", "mechanism": "LOGIN"}
    assert house.recent.noted == [("192.168.1.1", "ann@example.test")]


def test_powers_become_capabilities() -> None:
    names = House().client().ok("CAPABILITY").lines[0].split()
    assert {"SORT", "QRESYNC", "QUOTA", "METADATA", "ACL", "NOTIFY", "MOVE"} <= set(names)
    assert "MESSAGELIMIT=1000000" in names


def test_an_account_without_folders_is_turned_away() -> None:
    house = House()

    class PopOnly(FolderAuthenticator):
        account_class = pop3_house.Account

    house.factory.authenticator = PopOnly(house.store)
    answer = house.client(login=False).no("LOGIN ann secret")
    assert answer.tagged.startswith("NO [CONTACTADMIN]")
    assert house.store.logouts == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TransientFailure(Reply(454, status.SYSTEM_OTHER, "Later")), "UNAVAILABLE"),
        (ValueError("bug"), "SERVERBUG"),
    ],
)
def test_trouble_at_the_login(error: Exception, code: str, failures: Any) -> None:
    house = House()
    house.store.error, house.store.error_in = error, "folders"
    answer = house.client(login=False).no("LOGIN ann secret")
    assert answer.tagged.startswith(f"NO [{code}]")
    assert house.store.logouts == 1
    assert bool(failures) is (code == "SERVERBUG")
    house.store.error = None
    assert len(house.factory._of_user) == 0


def test_wrong_password() -> None:
    house = House()
    client = house.client(login=False)
    assert "[AUTHENTICATIONFAILED]" in client.no("LOGIN ann wrong").tagged
    assert house.journal.of("login")["reason"] == "test"
    client.ok("LOGIN ann secret")


def test_connections_of_one_user() -> None:
    house = House(limits={"per_user": 2})
    first = house.client()
    house.client()
    assert "[LIMIT]" in house.client(login=False).no("LOGIN ann secret").tagged
    first.hang_up()
    house.client()


def test_one_connection_too_many() -> None:
    house = House(connections=ConnectionCounter(1, 0))
    house.client()
    late = Client(house)
    assert late.greeting.startswith(b"* BYE [UNAVAILABLE]")
    assert late.closed
    late.hang_up()
    assert len(house.factory.open) == 1


def test_logging_out_leaves_a_record() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    client.do("LOGOUT")
    assert client.closed
    client.hang_up()
    assert house.store.logouts == 1
    assert house.inbox.listeners == []
    assert house.journal.of("fetch")["account"] == "ann@example.test"
    assert house.journal.of("disconnect")["reason"] == "logout"


def test_unauthenticate() -> None:
    house = House(message())
    client = house.client("ENABLE QRESYNC", "SELECT INBOX", "UNAUTHENTICATE")
    assert house.store.logouts == 1
    assert house.inbox.listeners == []
    assert client.protocol.session.account is None
    client.bad("SELECT INBOX")
    client.ok("LOGIN ann secret")
    assert house.store.logins == 2


def test_after_unauthenticate_there_is_time_for_a_login() -> None:
    house = House()
    client = house.client()
    house.clock.advance(1_000)
    client.ok("UNAUTHENTICATE")
    house.clock.advance(170)
    client.ok("LOGIN ann secret")
    client.ok("UNAUTHENTICATE")
    house.clock.advance(181)
    assert client.closed


# ---- time


def test_login_takes_no_longer_than_it_may() -> None:
    house = House()
    client = house.client(login=False)
    for _ in range(17):
        house.clock.advance(10)
        client.ok("NOOP")
    house.clock.advance(10)
    assert client.heard().startswith(b"* BYE")
    assert client.closed


def test_autologout_says_bye() -> None:
    house = House()
    client = house.client()
    house.clock.advance(1_799)
    client.ok("NOOP")
    house.clock.advance(1_799)
    assert not client.closed
    house.clock.advance(2)
    assert client.heard() == b"* BYE Too long without a command\r\n"
    assert client.closed
    client.hang_up()
    assert house.journal.of("disconnect")["reason"] == "timeout"


def test_autologout_in_idle() -> None:
    house = House()
    client = house.client("SELECT INBOX")
    client.do("IDLE")
    house.clock.advance(1_801)
    assert b"* BYE" in client.heard()
    assert client.closed


def test_nothing_is_left_on_the_clock() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    client.do("IDLE")
    house.inbox.put(message())
    client.hang_up()
    assert house.clock.getDelayedCalls() == []


def test_a_command_that_takes_long_says_so() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    gate: Deferred[None] = Deferred()
    house.inbox.gate = gate
    assert client.send(b"a NOOP\r\n") == b""
    house.clock.advance(10)
    assert client.heard().startswith(b'* OK [INPROGRESS ("a" NIL NIL)]')
    house.clock.advance(10)
    assert b"INPROGRESS" in client.heard()
    house.clock.advance(3_000)  # the server is at work, not the client idle
    assert not client.closed
    client.heard()
    gate.callback(None)
    assert client.heard().startswith(b"a OK")
    house.clock.advance(10)
    assert client.heard() == b""


# ---- STARTTLS and COMPRESS


def test_starttls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailframe.servers.line_connection.tls_facts", lambda transport: None)
    house = House(tls=Tls(), limits={"allow_plaintext": False})
    client = house.client(login=False)
    assert b"LOGINDISABLED" in client.greeting
    assert client.ok("STARTTLS\r\nx NOOP").tagged.startswith("OK")
    assert client.transport.in_tls
    client.protocol.handshakeCompleted()
    assert client.heard() == b""  # what came in clear is forgotten
    client.ok("LOGIN ann secret")


def test_implicit_tls_greets_after_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailframe.servers.line_connection.tls_facts", lambda transport: None)
    house = House()
    protocol = house.factory.buildProtocol(None)
    transport: Any = pop3_house.Transport()
    transport.setTcpNoDelay = lambda on: None
    alsoProvides(transport, ISSLTransport)
    protocol.makeConnection(transport)
    assert transport.value() == b""
    protocol.handshakeCompleted()
    assert transport.value().startswith(b"* OK")


class Zipped:
    """A client that compresses."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._out = zlib.compressobj(9, zlib.DEFLATED, -15)
        self._in = zlib.decompressobj(-15)

    def pack(self, octets: bytes) -> bytes:
        return self._out.compress(octets) + self._out.flush(zlib.Z_SYNC_FLUSH)

    def say(self, octets: bytes) -> bytes:
        return self.hear(self.client.send(self.pack(octets)))

    def hear(self, octets: bytes) -> bytes:
        return self._in.decompress(octets)

    def turn(self) -> bytes:
        self.client.house.clock.advance(0)
        return self.hear(self.client.heard())


def test_compression() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    assert client.ok("COMPRESS DEFLATE").tagged == "OK DEFLATE active"
    zipped = Zipped(client)
    assert zipped.say(b"a NOOP\r\n") == b"a OK Done\r\n"
    assert b"COMPRESS" not in zipped.say(b"b CAPABILITY\r\n")
    assert b"c NO [COMPRESSIONACTIVE]" in zipped.say(b"c COMPRESS DEFLATE\r\n")
    zipped.say(b"d IDLE\r\n")
    house.inbox.put(message())
    assert b"* 2 EXISTS" in zipped.turn()


def test_a_bomb_swells_piece_by_piece() -> None:
    house = House()
    client = house.client("COMPRESS DEFLATE")
    zipped = Zipped(client)
    bomb = zipped.pack(b"a NOOP\r\n" * 100_000)
    assert len(bomb) < 2_000
    answers = zipped.hear(client.send(bomb)).count(b"OK Done")
    assert answers < 10_000
    assert client.protocol._conversation.engine.held < 128 * 1024
    assert client.transport.producerState == "paused"
    # The test's clock does all turns at once.
    assert answers + zipped.turn().count(b"OK Done") == 100_000
    assert client.transport.producerState == "producing"


def test_a_stream_that_is_none() -> None:
    house = House()
    client = house.client("COMPRESS DEFLATE")
    client.send(b"a NOOP\r\n" * 10)
    assert client.closed
    client.hang_up()
    assert house.journal.of("disconnect")["reason"] == "bad compressed data"


# ---- slow and hostile clients


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    house = House(*[message()] * 20)
    client = house.client("SELECT INBOX")
    client.transport.stuck = True
    for _ in range(4_000):
        client.protocol.dataReceived(b"a UID FETCH 1:* (FLAGS)\r\n")
    assert len(client.transport.value()) < 4_000
    assert client.protocol._conversation.engine.held > 64 * 1024
    assert client.transport.producerState == "paused"
    other = house.client("SELECT INBOX")
    other.ok("NOOP")
    client.transport.stuck = False
    client.protocol.resumeProducing()
    house.clock.advance(0)
    assert client.heard().count(b"a OK") == 4_000


def test_news_wait_for_a_slow_reader() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    client.do("IDLE")
    client.transport.stuck = True
    for _ in range(1_000):
        house.inbox.put(message())
        house.clock.advance(0)
    assert len(client.heard()) < 200
    client.transport.stuck = False
    client.protocol.resumeProducing()
    house.clock.advance(0)
    assert b"* 1001 EXISTS" in client.heard()


def test_pipelined_commands_are_answered_in_order() -> None:
    house = House(message())
    client = house.client()
    heard = client.send(b"a SELECT INBOX\r\nb NOOP\r\nc CLOSE\r\nd NOOP\r\ne LOGOUT\r\nf NOOP\r\n")
    tags = [line[:1] for line in heard.split(b"\r\n") if line[1:2] == b" " and line[:1] != b"*"]
    assert tags == [b"a", b"b", b"c", b"d", b"e"]


def test_a_client_that_pipelines_gets_one_turn_after_the_other() -> None:
    house = House()
    client = house.client()
    first = client.send(b"a NOOP\r\n" * 2_000).count(b"a OK")
    assert first < 1_000
    house.clock.advance(0)
    assert first + client.heard().count(b"a OK") == 2_000


def test_end_of_input_is_answered_first() -> None:
    client = House().client()
    client.protocol.dataReceived(b"a NOOP\r\n")
    client.protocol.readConnectionLost()
    assert client.heard() == b"a OK Done\r\n"
    assert client.closed


# ---- errors


@pytest.mark.parametrize(
    ("error", "tagged"),
    [
        (
            TransientFailure(Reply(451, status.SYSTEM_OTHER, "Disk\nbusy")),
            "NO [UNAVAILABLE] Disk b",
        ),
        (TransientFailure(Reply(452, status.MAILBOX_FULL, "Full")), "NO [OVERQUOTA] Full"),
        (MessageGone("7"), "NO [EXPUNGEISSUED]"),
        (KeyError("bug"), "NO [SERVERBUG]"),
    ],
)
def test_errors_tell_the_truth(error: Exception, tagged: str, failures: Any) -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    house.inbox.error = error
    assert client.no("NOOP").tagged.startswith(tagged)
    assert bool(failures) is ("SERVERBUG" in tagged)
    if failures:
        assert failures[0]["session"] == client.protocol.session.id
        assert house.journal.of("refuse")["rule"] == "noop"
    house.inbox.error = None
    client.ok("NOOP")


def test_a_folder_that_is_not_there() -> None:
    client = House().client()
    assert client.no("SELECT Nowhere").tagged.startswith("NO [NONEXISTENT]")


def test_cut_off_in_the_middle_of_a_command() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    gate: Deferred[None] = Deferred()
    house.inbox.gate = gate
    client.send(b"a NOOP\r\n")
    client.hang_up()
    assert house.store.logouts == 0  # not before what was under way has ended
    gate.callback(None)
    assert house.store.logouts == 1
    assert not house.factory.open


@pytest.mark.parametrize(
    "command",
    [
        "SEARCH ALL",
        "SORT (SIZE) UTF-8 ALL",
        "THREAD ORDEREDSUBJECT UTF-8 ALL",
        "ESEARCH IN (personal) ALL",
        "FETCH 1 ENVELOPE",
    ],
)
def test_what_only_reads_ends_with_the_connection(command: str, failures: Any) -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    cancelled: list[Any] = []
    gate: Deferred[None] = Deferred(cancelled.append)
    house.inbox.gate = gate
    client.send(f"a {command}\r\n".encode())
    assert house.inbox.gate is None
    assert not cancelled
    client.hang_up()
    assert cancelled == [gate]
    assert house.store.logouts == 1
    assert not house.factory.open
    assert failures == []


def test_what_changes_something_is_done_to_its_end() -> None:
    house = House(message())
    client = house.client("SELECT INBOX")
    gate: Deferred[None] = Deferred()
    house.inbox.gate = gate
    client.send(b"a STORE 1 +FLAGS (\\Seen)\r\n")
    client.hang_up()
    assert not gate.called
    gate.callback(None)
    assert "\\Seen" in house.inbox.messages[1].flags
    assert house.store.logouts == 1


def test_a_client_that_says_no_more_may_be_gone() -> None:
    """What is sent tells: the first is answered with a reset, which the second meets."""
    house = House(message())
    client = house.client("SELECT INBOX")
    gate: Deferred[None] = Deferred()
    house.inbox.gate = gate
    assert client.send(b"a SEARCH ALL\r\n") == b""
    client.protocol.readConnectionLost()
    for _ in range(3):
        assert client.heard().startswith(b'* OK [INPROGRESS ("a" NIL NIL)]')
        house.clock.advance(1)
    client.heard()
    gate.callback(None)  # it was there
    assert client.heard() == b"* SEARCH 1\r\na OK SEARCH completed\r\n"
    assert client.closed
    house.clock.advance(1)
    assert client.heard() == b""


# ---- the server stops


def test_draining_says_bye_also_to_those_that_idle() -> None:
    house = House(message())
    idle, waiting, busy = house.client("SELECT INBOX"), house.client(), house.client("SELECT INBOX")
    idle.do("IDLE")
    gate: Deferred[None] = Deferred()
    house.inbox.gate = gate
    busy.send(b"a NOOP\r\n")
    done: list[None] = []
    house.factory.drain().addCallback(done.append)
    assert b"* BYE" in idle.heard()
    assert b"* BYE" in waiting.heard()
    assert busy.heard() == b""
    gate.callback(None)
    assert busy.heard().startswith(b"a OK Done\r\n* BYE")
    for client in (idle, waiting, busy):
        assert client.closed
        client.hang_up()
    assert done == [None]


def test_a_client_that_sleeps_does_not_keep_the_server() -> None:
    house = House()
    client = house.client()
    house.factory.drain()
    house.clock.advance(2.9)
    assert not client.transport.aborted
    house.clock.advance(0.1)
    assert client.transport.aborted
    client.hang_up()


def test_abort() -> None:
    house = House()
    client = house.client()
    house.factory.abort()
    assert client.transport.aborted
    client.hang_up()
    assert not house.factory.open


def test_folder_refused_has_its_reason() -> None:
    house = House()
    answer = house.client().no("DELETE INBOX")
    assert answer.tagged == "NO [CANNOT] INBOX stays"
    assert issubclass(FolderRefused, Exception)


def test_what_is_answered_by_nothing_is_acknowledged_at_once() -> None:
    """A client that writes a literal and its CRLF apart must not wait for the system's timer."""
    house = House()
    client = house.client()
    set_options: list[tuple[int, int, int]] = []

    class End:
        family = socket.AF_INET

        def setsockopt(self, *option: int) -> None:
            set_options.append(option)  # type: ignore[arg-type]

    client.transport.socket = End()
    client.send(b"a APPEND INBOX {10}\r\n")
    assert set_options == [(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)]
