"""The POP3 server in memory: logins, mailboxes that misbehave, time, flow, goodbyes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import LoginThrottled, PermanentFailure, TransientFailure
from mailframe.protocols.sasl import client_mechanism
from mailframe.servers.connections import ConnectionCounter
from tests.unit.servers.pop3_house import Client, House, Source, Store, Tls

ONE = b"Subject: one\r\n\r\n.dot\r\nbody\r\n"
TWO = b"Subject: two\r\n\r\nbody\r\n"


def given_back(store: Store) -> bool:
    return not store.locked and store.logins == store.logouts and store.locks == store.unlocks


# Sessions that go well


def test_a_session_from_greeting_to_goodbye():
    house = House(ONE, TWO)
    client = house.client()
    assert client.greeting == b"+OK mail.example.test POP3 server ready\r\n"
    assert client.say("USER ann").startswith(b"+OK")
    assert client.say("PASS secret") == b"+OK Logged in, 2 messages\r\n"
    assert house.store.locked
    assert client.say("RETR 1") == b"+OK %d octets\r\n" % len(ONE) + (
        b"Subject: one\r\n\r\n..dot\r\nbody\r\n.\r\n"
    )
    client.say("DELE 1")
    assert client.say("QUIT") == b"+OK Bye\r\n"
    assert client.closed
    assert given_back(house.store)
    client.hang_up()
    assert list(house.store.messages) == ["uid2"]
    assert house.journal.steps() == ["connect", "login", "fetch", "disconnect"]
    assert house.journal.of("fetch") == {
        "account": "ann@example.test",
        "retrieved": 1,
        "removed": 1,
        "size": len(ONE),
    }
    assert house.recent.noted == [("192.168.1.1", "ann@example.test")] * 2
    assert given_back(house.store)
    assert not house.factory.open
    assert not house.clock.getDelayedCalls()
    assert all(source.closed for source in house.store.sources)


def test_everything_in_one_segment():
    house = House(ONE, TWO)
    client = house.client()
    answer = client.send(
        b"USER ann\r\nPASS secret\r\nSTAT\r\nRETR 2\r\nDELE 2\r\nQUIT\r\nRETR 1\r\n"
    )
    assert answer.count(b"+OK") == 6
    assert answer.endswith(b"+OK Bye\r\n")
    assert list(house.store.messages) == ["uid1"]


def test_octet_by_octet():
    house = House(ONE)
    client = house.client()
    heard = b"".join(
        client.send(bytes([o])) for o in b"USER ann\r\nPASS secret\r\nRETR 1\r\nQUIT\r\n"
    )
    assert heard.endswith(b"..dot\r\nbody\r\n.\r\n+OK Bye\r\n")


def test_no_quit_no_deletion():
    house = House(ONE)
    client = house.client(login=True)
    client.say("DELE 1")
    client.hang_up()
    assert list(house.store.messages) == ["uid1"]
    assert given_back(house.store)
    assert house.journal.of("fetch")["removed"] == 0


def test_scram():
    house = House(ONE)
    client = house.client()
    mechanism = client_mechanism("SCRAM-SHA-256", "ann", b"secret", {}, "c")
    answer = client.say(b"AUTH SCRAM-SHA-256 " + base64.b64encode(mechanism.initial()))
    answer = client.say(base64.b64encode(mechanism.respond(base64.b64decode(answer[2:]))))
    mechanism.respond(base64.b64decode(answer[2:]))
    mechanism.verify_done()
    assert client.say("").startswith(b"+OK Logged in")
    assert house.journal.of("login")["mechanism"] == "SCRAM-SHA-256"


def test_a_wrong_scram_proof_is_counted_by_the_authenticator():
    house = House(ONE)
    client = house.client()
    mechanism = client_mechanism("SCRAM-SHA-256", "ann", b"wrong", {}, "c")
    answer = client.say(b"AUTH SCRAM-SHA-256 " + base64.b64encode(mechanism.initial()))
    answer = client.say(base64.b64encode(mechanism.respond(base64.b64decode(answer[2:]))))
    assert answer.startswith(b"-ERR [AUTH]")
    assert house.authenticator.failures == ["ann"]


@pytest.mark.parametrize(("secret", "answer"), [(b"secret", b"+OK"), (b"wrong", b"-ERR [AUTH]")])
def test_apop(secret, answer):
    house = House(ONE, mechanisms=["PLAIN", "APOP"])
    client = house.client()
    timestamp = client.greeting.split()[-1]
    assert timestamp.startswith(b"<1.")
    digest = hashlib.md5(timestamp + secret).hexdigest()
    assert client.say(f"APOP ann {digest}").startswith(answer)
    assert house.client().greeting.split()[-1].startswith(b"<2.")


# Logins that fail

UNAVAILABLE = Reply(451, status.SYSTEM_OTHER, "Directory unavailable\ntry later")
DISABLED = Reply(550, status.ACCOUNT_DISABLED, "Account disabled")


def test_a_wrong_password():
    house = House(ONE)
    client = house.client()
    client.say("USER ann")
    assert client.say("PASS wrong") == b"-ERR [AUTH] Wrong login or password\r\n"
    assert house.journal.of("login")["account"] == "ann"
    client.say("USER nobody")
    assert client.say("PASS secret") == b"-ERR [AUTH] Wrong login or password\r\n"
    client.say("USER ann")
    assert client.say("PASS secret").startswith(b"+OK")


def test_three_wrong_passwords():
    client = House(ONE).client()
    for _ in range(3):
        assert not client.closed
        client.send(b"USER ann\r\nPASS wrong\r\n")
    assert client.closed


@pytest.mark.parametrize("where", ["login", "inbox", "lock", "messages"])
@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (LoginThrottled(), b"-ERR [SYS/TEMP] Too many failed"),
        (TransientFailure(UNAVAILABLE), b"-ERR [SYS/TEMP] Directory unavailable try later\r\n"),
        (PermanentFailure(DISABLED), b"-ERR [SYS/PERM] Account disabled\r\n"),
    ],
)
def test_a_login_that_cannot_be_served(where, error, answer):
    house = House(ONE)
    house.store.error, house.store.error_in = error, where
    client = house.client()
    client.say("USER ann")
    assert client.say("PASS secret").startswith(answer)
    assert given_back(house.store)
    assert client.say("STAT").startswith(b"-ERR")
    house.store.error = None
    client.say("USER ann")
    assert client.say("PASS secret").startswith(b"+OK")


@pytest.mark.parametrize("where", ["login", "inbox", "lock", "messages", "scram"])
def test_our_bug_at_login(where, logged_errors):
    house = House(ONE)
    house.store.error, house.store.error_in = ZeroDivisionError("secret detail"), where
    client = house.client()
    if where == "scram":
        answer = client.say(b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=ann,r=c"))
    else:
        client.say("USER ann")
        answer = client.say("PASS secret")
    assert answer == b"-ERR [SYS/TEMP] Internal error, please try again later\r\n"
    assert given_back(house.store)
    assert logged_errors(ZeroDivisionError) == 1


def test_a_mailbox_in_use():
    house = House(ONE)
    first, second = house.client(login=True), house.client()
    second.say("USER ann")
    assert second.say("PASS secret").startswith(b"-ERR [IN-USE]")
    assert second.protocol.session.account is None
    first.say("QUIT")
    second.say("USER ann")
    assert second.say("PASS secret").startswith(b"+OK")
    second.hang_up()
    assert given_back(house.store)


def test_a_client_that_leaves_during_the_login():
    house = House(ONE)
    house.authenticator.waiting = []
    client = house.client()
    client.send(b"USER ann\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n")
    client.hang_up()
    assert house.factory.open
    house.authenticator.waiting[0].callback(None)
    assert given_back(house.store)
    assert house.store.logouts == 1
    assert list(house.store.messages) == ["uid1"]
    assert not house.factory.open


def test_commands_wait_for_the_login():
    house = House(ONE)
    house.authenticator.waiting = []
    client = house.client()
    assert client.send(b"USER ann\r\nPASS secret\r\nSTAT\r\n").count(b"\r\n") == 1
    house.authenticator.waiting[0].callback(None)
    assert client.heard().startswith(b"+OK Logged in, 1 messages\r\n+OK 1 ")


def flooding(house: House):
    """A client that sends on behind a slow login, until nothing more is read."""
    house.authenticator.waiting = []
    client = house.client()
    client.send(b"USER ann\r\nPASS secret\r\n")
    for _ in range(3):
        client.send(b"NOOP\r\n" * 5000)
    assert client.transport.producerState == "paused"
    return client


def test_a_flood_behind_a_slow_login_stops_the_reading():
    house = House(ONE)
    client = flooding(house)
    house.authenticator.waiting[0].callback(None)
    assert client.transport.producerState == "producing"
    assert client.heard().count(b"+OK") == 15_001


def test_a_goodbye_is_read_although_the_reading_was_stopped():
    """TLS does not end otherwise before the linger is over."""
    house = House(ONE)
    client = flooding(house)
    house.factory.drain()
    house.authenticator.waiting[0].callback(None)
    assert client.transport.disconnecting
    assert client.transport.producerState == "producing"


# Messages that cannot be read


def test_a_vanished_message_costs_only_itself():
    house = House(ONE, TWO)
    house.store.gone = {"uid1"}
    client = house.client(login=True)
    assert client.say("RETR 1").startswith(b"-ERR [SYS/TEMP]")
    assert client.say("TOP 1 0").startswith(b"-ERR [SYS/TEMP]")
    assert client.say("RETR 2").startswith(b"+OK")
    assert client.say("STAT").startswith(b"+OK 2 ")


def test_an_unreadable_message_is_an_err():
    house = House(ONE)
    house.store.broken = {"uid1": 0}
    client = house.client(login=True)
    assert client.say("RETR 1").startswith(b"-ERR [SYS/TEMP]")
    assert house.store.sources[0].closed
    assert not client.closed


def test_a_message_that_breaks_off_never_ends():
    house = House(b"x" * 400_000)
    house.store.broken = {"uid1": 100_000}
    client = house.client(login=True)
    answer = client.say("RETR 1")
    assert answer.startswith(b"+OK 400000 octets\r\nxxx")
    assert not answer.endswith(b"\r\n")
    assert client.transport.aborted
    assert house.store.sources[0].closed
    client.hang_up()
    assert given_back(house.store)
    assert house.journal.of("disconnect")["reason"] == "message broke off"
    assert house.journal.of("fetch")["retrieved"] == 0


@pytest.mark.parametrize("said", [0, 1, 128 * 1024, 10**9])
def test_a_wrong_size_neither_cuts_a_message_nor_keeps_it(said, monkeypatch):
    monkeypatch.setattr(Source, "size", property(lambda self: said, lambda self, size: None), False)
    message = b"x" * 300_000 + b"\r\n"
    house = House(message, TWO)
    client = house.client(login=True)
    assert client.say("RETR 1") == b"+OK %d octets\r\n" % said + message + b".\r\n"
    assert client.say("RETR 2").endswith(b"body\r\n.\r\n")
    assert house.store.sources[0].closed


def test_our_bug_while_opening(logged_errors):
    house = House(ONE)
    client = house.client(login=True)
    house.store.error, house.store.error_in = ZeroDivisionError(), "open"
    assert client.say("RETR 1").startswith(b"-ERR [SYS/TEMP] Internal error")
    assert logged_errors(ZeroDivisionError) == 1
    house.store.error = None
    assert client.say("RETR 1").startswith(b"+OK")


def test_our_bug_while_reading(logged_errors, monkeypatch):
    house = House(b"x" * 400_000)
    client = house.client(login=True)
    read = Source.read
    monkeypatch.setattr(
        Source, "read", lambda s, n: read(s, n) if s._position < 100_000 else 1 // 0
    )
    assert not client.say("RETR 1").endswith(b".\r\n")
    assert client.transport.aborted
    assert logged_errors(ZeroDivisionError) == 1
    client.hang_up()
    assert given_back(house.store)


# The end


def test_what_cannot_be_removed_is_told():
    house = House(ONE, TWO)
    house.store.stubborn = {"uid1"}
    client = house.client(login=True)
    client.say("DELE 1")
    client.say("DELE 2")
    assert client.say("QUIT") == b"-ERR [SYS/TEMP] 1 deleted messages not removed\r\n"
    assert house.journal.of("fetch")["removed"] == 1
    assert given_back(house.store)


def test_our_bug_while_removing(logged_errors):
    house = House(ONE)
    client = house.client(login=True)
    client.say("DELE 1")
    house.store.error, house.store.error_in = ZeroDivisionError(), "remove"
    assert client.say("QUIT").startswith(b"-ERR [SYS/TEMP]")
    assert logged_errors(ZeroDivisionError) == 1
    assert given_back(house.store)


def test_a_lock_that_cannot_be_given_back_still_logs_out(logged_errors):
    house = House(ONE)
    client = house.client(login=True)
    house.store.error, house.store.error_in = ZeroDivisionError(), "unlock"
    client.hang_up()
    assert house.store.logouts == 1
    assert logged_errors(ZeroDivisionError) == 1
    assert not house.factory.open


def test_a_half_closed_connection_is_served_to_the_end():
    house = House(ONE)
    client = house.client()
    house.authenticator.waiting = []
    client.send(b"USER ann\r\nPASS secret\r\nSTAT\r\n")
    client.protocol.readConnectionLost()
    assert not client.closed
    house.authenticator.waiting[0].callback(None)
    assert b"+OK 1 " in client.heard()
    assert client.closed
    client.hang_up()
    assert given_back(house.store)


# Time


def test_nobody_stays_in_front_of_the_login():
    house = House(ONE)
    client = house.client()
    for _ in range(17):
        house.clock.advance(10)
        client.say("CAPA")
    assert not client.closed
    house.clock.advance(10)
    assert client.transport.aborted
    client.hang_up()
    assert house.journal.of("disconnect")["reason"] == "timeout"


def test_an_idle_client_is_cut_without_a_word_or_a_deletion():
    house = House(ONE)
    client = house.client(login=True)
    house.clock.advance(500)
    client.say("DELE 1")
    house.clock.pump([100] * 5)
    assert not client.closed
    house.clock.advance(101)
    assert client.transport.aborted
    assert client.heard() == b""
    client.hang_up()
    assert list(house.store.messages) == ["uid1"]
    assert given_back(house.store)


def test_a_busy_client_is_cut_in_the_end():
    house = House(ONE, limits={"session": 3600.0})
    client = house.client(login=True)
    for _ in range(35):
        house.clock.advance(100)
        client.say("NOOP")
    assert not client.closed
    house.clock.pump([50, 51])
    assert client.transport.aborted


def test_a_slow_update_is_not_cut(monkeypatch):
    house = House(ONE)
    client = house.client(login=True)
    client.say("DELE 1")
    gate = Deferred()
    monkeypatch.setattr("tests.unit.servers.pop3_house.Mailbox.remove", lambda self, uids: gate)
    client.say("QUIT")
    house.clock.pump([100] * 50)
    assert not client.closed
    gate.callback(frozenset())
    assert client.heard() == b"+OK Bye\r\n"


def test_an_update_goes_on_without_the_client(monkeypatch):
    house = House(ONE)
    client = house.client(login=True)
    client.say("DELE 1")
    gate = Deferred()
    monkeypatch.setattr("tests.unit.servers.pop3_house.Mailbox.remove", lambda self, uids: gate)
    client.say("QUIT")
    client.hang_up()
    assert house.store.locked
    assert house.factory.open
    gate.callback(frozenset())
    assert given_back(house.store)
    assert not house.factory.open


def test_a_client_that_does_not_take_the_goodbye():
    house = House(ONE)
    client = house.client(login=True)
    client.say("QUIT")
    assert not client.transport.aborted
    house.clock.advance(16)
    assert client.transport.aborted


# Flow


def test_a_stuck_client_makes_no_memory_grow():
    house = House(b"x" * 5_000_000)
    client = house.client(login=True)
    client.transport.stuck = True
    client.send(b"RETR 1\r\n" * 100)
    assert client.transport.most_held < 300_000
    assert len(house.store.sources) == 1
    total = 0
    while len(house.store.sources) < 2:
        client.protocol.resumeProducing()
        total += len(client.heard())
    assert total > 4_800_000
    assert client.transport.most_held < 300_000
    client.hang_up()
    assert all(source.closed for source in house.store.sources)
    assert given_back(house.store)


def test_answers_are_not_piled_up_for_a_stuck_client():
    house = House(*[ONE] * 500)
    client = house.client(login=True)
    client.transport.stuck = True
    heard = client.send(b"LIST\r\n" * 5000)
    assert client.transport.most_held < 100_000
    client.transport.stuck = False
    client.protocol.resumeProducing()
    assert (heard + client.heard()).count(b"+OK") == 5000


def test_ten_thousand_pipelined_retrs():
    house = House(ONE)
    client = house.client(login=True)
    assert client.send(b"RETR 1\r\n" * 10_000).count(b"+OK") == 10_000


# Messages that are in memory before they are asked for


def house_ahead(*messages: bytes, at_hand: Sequence[int]) -> House:
    store = Store(*messages)
    store.at_hand = {f"uid{number}" for number in at_hand}
    return House(store=store)


def test_what_is_at_hand_is_the_same_as_what_is_read():
    unended = b"Subject: three\r\n\r\n.\r\nno end"
    messages = [ONE, TWO, unended, b""]
    ahead = house_ahead(*messages, at_hand=[1, 3, 4])
    read = House(*messages)
    commands = b"".join(b"RETR %d\r\nTOP %d 0\r\nTOP %d 1\r\n" % (n, n, n) for n in range(1, 5))
    answers = []
    for house in (ahead, read):
        client = house.client(login=True)
        answers.append(client.send(commands + b"QUIT\r\n"))
        assert house.journal.of("fetch")["retrieved"] == 4
        assert house.journal.of("fetch")["size"] == sum(map(len, messages))
    assert answers[0] == answers[1]
    assert len(ahead.store.sources) == 3, "of the second one alone"


def test_what_is_at_hand_is_not_piled_up_for_a_stuck_client():
    message = b"x" * 10_000 + b"\r\n"
    house = house_ahead(message, at_hand=[1])
    client = house.client(login=True)
    client.transport.stuck = True
    answer = client.send(b"RETR 1\r\n" * 200)
    assert len(answer) < 64 * 1024 + 2 * len(message)
    answers = 0
    while answer:
        answers += answer.count(b"+OK")
        client.protocol.resumeProducing()
        answer = client.heard()
    assert answers == 200


def test_a_client_that_leaves_in_the_middle_of_a_message():
    house = House(b"x" * 5_000_000)
    client = house.client(login=True)
    client.transport.stuck = True
    client.send(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
    client.hang_up()
    assert [source.closed for source in house.store.sources] == [1]
    assert list(house.store.messages) == ["uid1"]
    assert given_back(house.store)
    assert not house.factory.open
    assert not house.clock.getDelayedCalls()


# The door


def test_too_many_connections():
    house = House(ONE, connections=ConnectionCounter(0, 1))
    first = house.client()
    second = house.client()
    assert second.greeting.startswith(b"-ERR [SYS/TEMP]")
    assert second.closed
    assert second.say("USER ann") == b""
    house.clock.advance(16)
    assert second.transport.aborted
    second.hang_up()
    first.hang_up()
    assert len(house.factory.connections) == 0
    assert house.client().greeting.startswith(b"+OK")


def test_stls():
    house = House(ONE, tls=Tls(), limits={"allow_plaintext": False})
    client = house.client()
    assert client.send(b"USER ann\r\n").startswith(b"-ERR")
    assert client.send(b"STLS\r\nCAPA\r\n") == b"+OK Begin TLS negotiation\r\n"
    assert client.transport.in_tls
    client.protocol.handshakeCompleted()
    assert client.heard() == b""
    assert client.say("USER ann").startswith(b"+OK")
    assert client.say("PASS secret").startswith(b"+OK")
    client.hang_up()


def test_a_handshake_that_never_ends():
    house = House(ONE, tls=Tls())
    client = house.client()
    client.say("STLS")
    house.clock.advance(181)
    assert client.transport.aborted
    client.hang_up()
    assert not house.factory.open


# Draining


def test_draining():
    house = House(b"x" * 300_000)
    idle, busy = house.client(), house.client(login=True)
    busy.transport.stuck = True
    busy.send(b"RETR 1\r\nSTAT\r\n")
    drained = house.factory.drain()
    assert idle.heard() == b"-ERR [SYS/TEMP] The server is shutting down\r\n"
    assert idle.closed
    idle.hang_up()
    assert not busy.closed
    busy.transport.stuck = False
    heard = busy.heard()
    busy.protocol.resumeProducing()
    heard += busy.heard()
    assert heard.endswith(b"\r\n.\r\n-ERR [SYS/TEMP] The server is shutting down\r\n")
    assert busy.closed
    assert not drained.called
    busy.hang_up()
    assert drained.called
    assert given_back(house.store)


def test_draining_an_empty_house():
    assert House().factory.drain().called


def test_aborting():
    house = House(ONE)
    client = house.client(login=True)
    house.factory.abort()
    assert client.transport.aborted
    client.hang_up()
    assert given_back(house.store)


def test_two_factories_may_share_a_counter():
    counter = ConnectionCounter(1, 0)
    first, second = House(ONE, connections=counter), House(ONE, connections=counter)
    client = first.client()
    assert Client(second).greeting.startswith(b"-ERR")
    client.hang_up()
    assert Client(second).greeting.startswith(b"+OK")
