"""Milters that are hostile, slow or broken, against the policy: memory transports, one clock."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope, Notify, Recipient
from mailframe.core.resolution import Local
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Tag
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import (
    IConnectPolicy,
    IDisconnectPolicy,
    IHeloPolicy,
    IMailPolicy,
    IMessagePolicy,
    IRecipientPolicy,
)
from mailframe.protocols.milter.wire import ALL_ACTIONS, PacketReader
from mailframe.runtime.aio import as_deferred
from mailframe.scanners import milter_connection
from mailframe.scanners.milter import MilterPolicy
from mailframe.scanners.milter_connection import MilterAddress, parse_milter
from tests.unit.scanners.contents import Content


def pack(letter: bytes, data: bytes = b"") -> bytes:
    return struct.pack("!I", len(data) + 1) + letter + data


CONTINUE = pack(b"c")
Answerer = Callable[[bytes, bytes], bytes | None]


class Transport(StringTransport):
    """Hands what is written to the filter; None for its answer is silence."""

    def __init__(self, filter_: Filter) -> None:
        super().__init__()
        self.filter = filter_
        self.reader = PacketReader()
        self.is_open = True
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        for letter, rest in self.reader.feed(data):
            self.filter.heard.append((letter, rest))
            answer = self.filter.answer(letter, rest)
            if answer is not None:
                self.filter.clock.callLater(0, self.tell, answer)

    def tell(self, octets: bytes) -> None:
        if self.is_open:
            self.protocol.dataReceived(octets)

    def loseConnection(self) -> None:
        self.is_open = False

    def abortConnection(self) -> None:
        self.is_open = False


class Filter:
    """In the place of an endpoint: every connection gets the same answers."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.heard: list[tuple[bytes, bytes]] = []
        self.transports: list[Transport] = []
        self.answers: dict[bytes, bytes | None] = {}
        self.offer = pack(b"O", struct.pack("!III", 6, ALL_ACTIONS, 0))
        self.connecting: Callable[[], Deferred[Any]] | None = None

    def answer(self, letter: bytes, data: bytes) -> bytes | None:
        if letter in b"ADQ":
            return None
        if letter in self.answers:
            return self.answers[letter]
        return self.offer if letter == b"O" else CONTINUE

    def connect(self, factory: Any) -> Deferred[Any]:
        if self.connecting is not None:
            return self.connecting()
        protocol = factory.buildProtocol(None)
        transport = Transport(self)
        transport.protocol = protocol
        self.transports.append(transport)
        protocol.makeConnection(transport)
        return succeed(protocol)

    def letters(self) -> str:
        return b"".join(letter for letter, _ in self.heard).decode().replace("D", "")

    @property
    def open(self) -> int:
        return sum(transport.is_open for transport in self.transports)


class Place:
    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.filter = Filter(self.clock)
        self.policy = MilterPolicy(
            ["inet:127.0.0.1:1"], reactor=self.clock, hostname="mail.example.org", **options
        )
        self.session = Session("S1", Role.MX, "mx", "192.0.2.1", 4711)
        self.envelope = Envelope(Address.parse("x@sender.example"))

    def ask(self, verdict: Any, seconds: float = 0) -> Any:
        outcomes: list[Any] = []
        as_deferred(verdict).addBoth(outcomes.append)
        for _ in range(200):
            if outcomes:
                break
            self.clock.advance(0)
        self.clock.advance(seconds)
        assert outcomes, "still waiting"
        (outcome,) = outcomes
        if isinstance(outcome, Failure):
            assert outcome.check(TransientFailure, PermanentFailure), outcome
            return str(outcome.value.reply)
        return outcome

    def connect(self, seconds: float = 0) -> Any:
        return self.ask(self.policy.connect(self.session), seconds)

    def mail(self, seconds: float = 0) -> Any:
        return self.ask(self.policy.mail(self.session, self.envelope), seconds)

    def rcpt(self) -> Any:
        recipient = Recipient(Address.parse("ann@example.org"), mailbox=Local("ann"))
        args = (self.session, self.envelope, recipient, Local("ann"))
        said = self.ask(self.policy.recipient(*args))
        self.envelope = Envelope(self.envelope.reverse_path, (recipient,))
        return said

    def data(self, content: Content | None = None, seconds: float = 0) -> Any:
        content = content or Content()
        return self.ask(self.policy.message(self.session, self.envelope, content), seconds)

    def helo(self, name: str) -> Any:
        self.session.helo = name
        return self.ask(self.policy.helo(self.session))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoints are made when a session begins, by the filter of the test."""
    monkeypatch.setattr(MilterAddress, "endpoint", lambda self, clock, timeout: FILTERS[id(clock)])


FILTERS: dict[int, Filter] = {}


@pytest.fixture
def place() -> Place:
    return made()


def made(**options: Any) -> Place:
    place = Place(**({"timeout": 30.0} | options))
    FILTERS[id(place.clock)] = place.filter
    return place


UNAVAILABLE = "451 4.3.0 Filter unavailable, please try again later"


def test_it_provides_its_interfaces(place: Place) -> None:
    for interface in (
        IConnectPolicy,
        IHeloPolicy,
        IMailPolicy,
        IRecipientPolicy,
        IMessagePolicy,
        IDisconnectPolicy,
    ):
        verifyObject(interface, place.policy)


def test_the_order_of_things(place: Place) -> None:
    assert place.connect() is None
    assert place.helo("a.example") is None
    for _ in range(2):
        assert place.mail() is None
        assert place.rcpt() is None
        assert place.data().reason == "accepted"
    place.policy.disconnected(place.session)
    assert place.filter.letters() == "OCH" + 2 * "MRTLLLNBE" + "Q"
    assert place.filter.open == 0
    assert len(place.policy) == 0


def test_a_transaction_that_is_given_up_is_aborted(place: Place) -> None:
    place.connect()
    place.mail()
    place.rcpt()
    place.mail()
    place.helo("b.example")
    place.mail()
    assert place.filter.letters() == "OCMRAMAHM"


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (pack(b"r"), "554 5.7.1 Refused by a filter"),
        (pack(b"t"), "421 4.7.1 Put off by a filter, please try again later"),
        (pack(b"y", b"550 5.7.1 No\0"), "554 5.7.1 No"),
        (pack(b"y", b"450 4.7.1 Later\0"), "421 4.7.1 Later"),
        (pack(b"4"), "421 4.7.1 Closed by a filter, please try again later"),
    ],
)
def test_at_connect_only_two_codes_make_sense(place: Place, answer: bytes, reply: str) -> None:
    place.filter.answers[b"C"] = answer
    assert place.connect() == reply


def test_accept_at_connect_is_for_the_whole_session(place: Place) -> None:
    place.filter.answers[b"C"] = pack(b"a")
    place.connect()
    place.helo("a.example")
    place.mail()
    place.rcpt()
    place.data()
    assert place.filter.letters() == "OC"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0\0\0\0",
        b"\x7f\xff\xff\xff" + b"x" * 10,
        pack(b"?"),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        pack(b"h", b"A\0b\0"),
        CONTINUE * 2 + pack(b"?"),
        pack(b"y", b"250 fine\0"),
    ],
)
@pytest.mark.parametrize("stage", [b"O", b"C", b"M", b"R", b"L", b"B", b"E"])
@pytest.mark.parametrize("accepts", [False, True])
def test_garbage_at_any_stage_is_on_error(garbage: bytes, stage: bytes, accepts: bool) -> None:
    if stage == b"E" and garbage == pack(b"h", b"A\0b\0"):
        garbage *= 3_000
    place = made(accepts_on_error=accepts)
    place.filter.answers[stage] = garbage
    said = [place.connect(), place.helo("a.example"), place.mail(), place.rcpt(), place.data()]
    replies = [each for each in said if isinstance(each, str)]
    assert replies == [] if accepts else set(replies) == {UNAVAILABLE}
    assert isinstance(said[-1], Tag) or not accepts
    place.policy.disconnected(place.session)
    assert place.filter.open == 0
    assert place.clock.getDelayedCalls() == []


@pytest.mark.parametrize("stage", [b"O", b"M", b"E"])
def test_silence_costs_the_timeout_and_no_more(stage: bytes) -> None:
    place = made(timeout=7)
    place.filter.answers[stage] = None
    outcomes: list[Any] = []

    async def session() -> None:
        await place.policy.connect(place.session)
        await place.policy.mail(place.session, place.envelope)
        await place.policy.message(place.session, place.envelope, Content())

    as_deferred(session()).addBoth(outcomes.append)
    for _ in range(16):
        place.clock.pump([0] * 40)
        place.clock.advance(0.99)
        if outcomes:
            break
    assert outcomes[0].check(TransientFailure)
    assert "no answer within 7 s" in outcomes[0].value.detail
    assert place.clock.seconds() < (16 if stage == b"O" else 8)
    assert place.filter.open == 0


def test_progress_buys_time_but_not_for_ever() -> None:
    place = made(timeout=10)
    place.filter.answers[b"E"] = None
    place.connect()
    place.mail()
    place.rcpt()
    outcomes: list[Any] = []
    verdict = place.policy.message(place.session, place.envelope, Content())
    as_deferred(verdict).addBoth(outcomes.append)
    place.clock.pump([0] * 40)
    for _ in range(100):
        place.clock.advance(9)
        place.filter.transports[-1].tell(pack(b"p"))
        if outcomes:
            break
    assert 90 <= place.clock.seconds() <= 110
    assert outcomes[0].check(TransientFailure)


def test_a_filter_that_hangs_up_is_tried_again_at_the_next_mail(place: Place) -> None:
    place.connect()
    place.helo("a.example")
    place.mail()
    place.filter.transports[-1].protocol.connectionLost(Failure(ConnectionDone()))
    assert place.rcpt() == UNAVAILABLE
    assert place.data() == UNAVAILABLE
    assert place.mail() is None
    assert place.filter.letters() == "OCHM" + "OCHM"


def test_nobody_listens_until_somebody_does(place: Place) -> None:
    place.filter.connecting = lambda: fail(ConnectionRefusedError())
    assert place.connect() is None
    assert place.helo("a.example") is None
    assert place.mail() == UNAVAILABLE
    place.filter.connecting = None
    assert place.mail() is None
    assert place.filter.letters() == "OCHM"


def test_a_connection_that_never_comes() -> None:
    place = made(timeout=5)
    place.filter.connecting = Deferred
    outcomes: list[Any] = []
    as_deferred(place.policy.connect(place.session)).addBoth(outcomes.append)
    place.clock.advance(4)
    assert outcomes == []
    place.clock.advance(1)
    assert outcomes == [None]


def test_a_session_that_ends_during_a_question_leaves_nothing(place: Place) -> None:
    place.connect()
    place.filter.answers[b"M"] = None
    asking = as_deferred(place.policy.mail(place.session, place.envelope))
    asking.addErrback(lambda _: None)
    place.policy.disconnected(place.session)
    asking.cancel()
    assert place.filter.open == 0
    assert place.clock.getDelayedCalls() == []


def test_a_new_body_without_end_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milter_connection, "_LARGEST_BODY", 100_000)
    place.filter.answers[b"E"] = pack(b"b", b"x" * 60_000) * 2 + CONTINUE
    place.connect()
    place.mail()
    place.rcpt()
    assert place.data() == UNAVAILABLE


def test_line_ends_of_a_new_body_are_made_ours(place: Place) -> None:
    place.filter.answers[b"E"] = pack(b"b", b"a\nb\rc\r") + pack(b"b", b"\nd\n") + CONTINUE
    place.connect()
    place.mail()
    place.rcpt()
    assert place.data().amendment.body == b"a\r\nb\r\nc\r\nd\r\n"


@pytest.mark.parametrize("change", [pack(b"+", b"not an address\0"), pack(b"e", b"<@>\0")])
def test_an_address_that_is_none_is_the_filters_fault(place: Place, change: bytes) -> None:
    place.filter.answers[b"E"] = change + CONTINUE
    place.connect()
    place.mail()
    place.rcpt()
    assert place.data() == UNAVAILABLE


def test_no_recipient_left_is_junk_not_nothing(place: Place) -> None:
    place.filter.answers[b"E"] = pack(b"-", b"<ann@example.org>\0") + CONTINUE
    place.connect()
    place.mail()
    place.rcpt()
    tag = place.data()
    assert (tag.folder, tag.amendment) == ("Junk", None)


def test_fields_are_numbered_as_the_filter_saw_them(place: Place) -> None:
    place.filter.answers[b"E"] = (
        pack(b"i", struct.pack("!I", 0) + b"X-A\0top\0")
        + pack(b"m", struct.pack("!I", 2) + b"x-a\0changed\0")
        + pack(b"m", struct.pack("!I", 3) + b"X-A\0\0")
        + pack(b"m", struct.pack("!I", 9) + b"X-B\0new\0")
        + pack(b"m", struct.pack("!I", 9) + b"X-C\0\0")
        + CONTINUE
    )
    place.connect()
    place.mail()
    place.rcpt()
    tag = place.data(Content(b"X-A: 1\r\nX-A: 2\r\n", added=b""))
    assert tag.headers == (("X-A", "top"), ("X-B", "new"))
    changes = [(c.name, c.occurrence, c.value) for c in tag.amendment.header]
    assert changes == [("X-A", 1, "changed"), ("X-A", 2, None)]


def test_what_is_said_of_the_envelope(place: Place) -> None:
    place.connect()
    place.envelope = Envelope(None, body=Body.EIGHT_BIT, smtputf8=True, declared_size=5)
    place.mail()
    recipient = Recipient(Address.parse("ann@example.org"), frozenset({Notify.NEVER}))
    args = (place.session, place.envelope, recipient, Local("ann"))
    place.ask(place.policy.recipient(*args))
    heard = dict(place.filter.heard)
    assert heard[b"C"] == b"[192.0.2.1]\x004\x12\x67192.0.2.1\0"
    assert heard[b"M"] == b"<>\0SIZE=5\0BODY=8BITMIME\0SMTPUTF8\0"
    assert heard[b"R"] == b"<ann@example.org>\0NOTIFY=NEVER\0"


@pytest.mark.parametrize(
    ("ip", "said"),
    [
        ("::ffff:192.0.2.1", b"4\x12\x67192.0.2.1\0"),
        ("2001:db8::1", b"6\x12\x672001:db8::1\0"),
        ("", b"L\0\0\0"),
    ],
)
def test_what_is_said_of_the_client(place: Place, ip: str, said: bytes) -> None:
    place.session.peer_ip = ip
    place.connect()
    assert dict(place.filter.heard)[b"C"].partition(b"\0")[2] == said


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("inet:127.0.0.1:8891", "127.0.0.1", 8891, ""),
        ("inet:[::1]:8891", "::1", 8891, ""),
        ("inet6:[::1]:8891", "::1", 8891, ""),
        ("inet:filter.example:1", "filter.example", 1, ""),
        ("unix:/run/milter.sock", "", 0, "/run/milter.sock"),
        ("local:/run/milter.sock", "", 0, "/run/milter.sock"),
    ],
)
def test_addresses(text: str, host: str, port: int, path: str) -> None:
    address = parse_milter(text)
    assert (address.host, address.port, address.path) == (host, port, path)


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0.1:1", "inet:1", "inet:h:0", "inet:h:65536", "unix:relative", "inet:8891@h"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not inet|is no port"):
        parse_milter(text)
