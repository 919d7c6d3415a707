"""The MX courier against scripted DNS and servers: who is tried, and what is reported."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.envelope import Body, Recipient
from mailframe.core.report import DeliveryReport, Outcome
from mailframe.errors import DnsTemporary, MessageGone
from mailframe.interfaces import ICourier
from tests.unit.delivery.delivery_world import TEXT, Source, Stored, World, batch

DONE = {Outcome.RELAYED}


@pytest.fixture
def world() -> World:
    return World()


def outcomes(reports: list[DeliveryReport]) -> list[str]:
    return [f"{report.outcome.value} {report.reply.code}" for report in reports]


def status_of(report: DeliveryReport) -> str:
    return f"{report.reply.code} {report.reply.enhanced}"


def test_it_provides_the_interface(world: World) -> None:
    verifyObject(ICourier, world.mx)


def test_a_message_arrives_as_it_is(world: World) -> None:
    (made,) = [world.serve()]
    (report,) = world.send()
    assert report.outcome is Outcome.RELAYED
    assert str(report.reply) == "250 2.0.0 queued"
    assert (report.remote, report.remote_ip) == ("mx.dest.example", "192.0.2.1")
    assert report.detail == "plain text"
    assert made[0].messages == [TEXT]
    assert made[0].said[0] == "EHLO mail.sender.example"


def test_chunking_and_dsn_are_used_when_offered(world: World) -> None:
    made = world.serve(keywords=("PIPELINING", "CHUNKING", "DSN"))
    (report,) = world.send()
    assert report.outcome is Outcome.PASSED_ON
    assert made[0].messages == [TEXT]
    assert f"BDAT {len(TEXT)} LAST" in made[0].said


def test_each_recipient_has_its_own_result(world: World) -> None:
    world.serve(
        answers={
            "RCPT TO:<b@dest.example>": b"550 5.1.1 who?\r\n",
            "RCPT TO:<c@dest.example>": b"450 4.2.1 later\r\n",
        }
    )
    reports = world.send("a@dest.example", "b@dest.example", "c@dest.example")
    assert outcomes(reports) == ["relayed 250", "failed 550", "deferred 450"]
    assert str(reports[1].reply) == "550 5.1.1 who?"


def test_many_recipients_go_in_several_transactions() -> None:
    world = World(recipients_per_transaction=2)
    made = world.serve()
    reports = world.send(*(f"u{n}@dest.example" for n in range(5)))
    assert {report.outcome for report in reports} == DONE
    assert len(made) == 1
    assert len(made[0].messages) == 3


def test_the_servers_own_limit_is_kept(world: World) -> None:
    made = world.serve(keywords=("PIPELINING", "LIMITS RCPTMAX=1"))
    world.send("a@dest.example", "b@dest.example")
    assert len(made[0].messages) == 2


def test_too_many_recipients_for_one_transaction_go_in_another(world: World) -> None:
    def crowded(server: Any) -> bytes:
        return b"250 ok\r\n" if server._accepted < 2 else b"452 4.5.3 too many\r\n"

    made = world.serve(answers={"RCPT": crowded})
    reports = world.send(*(f"u{n}@dest.example" for n in range(5)))
    assert {report.outcome for report in reports} == DONE
    assert len(made[0].messages) == 3


# DNS


@pytest.mark.parametrize(
    ("mxs", "hosts", "expected"),
    [
        ({}, {}, "550 5.1.2"),
        ({"dest.example": DnsTemporary("?")}, {}, "451 4.4.3"),
        ({"dest.example": [(0, "")]}, {"dest.example": ("192.0.2.1",)}, "556 5.1.10"),
        ({"dest.example": []}, {}, "550 5.1.2"),
        ({"dest.example": []}, {"dest.example": ()}, "550 5.1.2"),
        ({"dest.example": []}, {"dest.example": DnsTemporary("?")}, "451 4.4.3"),
        ({"dest.example": [(1, "gone.example")]}, {}, "550 5.1.2"),
        (
            {"dest.example": [(1, "gone.example"), (2, "broken.example")]},
            {"broken.example": DnsTemporary("?")},
            "451 4.4.3",
        ),
    ],
)
def test_what_the_dns_can_say(
    world: World, mxs: dict[str, Any], hosts: dict[str, Any], expected: str
) -> None:
    world.names.mxs, world.names.hosts = mxs, hosts
    (report,) = world.send()
    assert status_of(report) == expected
    assert report.outcome is (Outcome.FAILED if expected[0] == "5" else Outcome.DEFERRED)
    assert world.net.dialled == []


def test_without_mx_the_domain_itself(world: World) -> None:
    world.names.mxs = {"dest.example": []}
    world.names.hosts = {"dest.example": ("192.0.2.1",)}
    world.serve()
    (report,) = world.send()
    assert report.outcome is Outcome.RELAYED
    assert report.remote == "dest.example"


def test_with_mx_the_domain_itself_is_never_tried(world: World) -> None:
    world.names.hosts = {"mx.dest.example": ("192.0.2.1",), "dest.example": ("192.0.2.2",)}
    world.serve("192.0.2.2")
    (report,) = world.send()
    assert status_of(report) == "451 4.4.1"
    assert world.net.dialled == [("192.0.2.1", 25)]


def test_hosts_in_order_of_preference_and_a_host_without_address_is_skipped(world: World) -> None:
    world.names.mxs["dest.example"] = [(30, "c.example"), (10, "a.example"), (20, "b.example")]
    world.names.hosts = {"c.example": ("192.0.2.3",), "b.example": ("2001:db8::2", "192.0.2.2")}
    world.serve("192.0.2.3")
    (report,) = world.send()
    assert [ip for ip, _ in world.net.dialled] == ["2001:db8::2", "192.0.2.2", "192.0.2.3"]
    assert report.remote == "c.example"


def test_names_of_hosts_that_are_not_needed_are_not_looked_up(world: World) -> None:
    world.names.mxs["dest.example"] = [(10, "mx.dest.example"), (20, "b.example")]
    world.serve()
    world.send()
    assert "b.example" not in world.names.asked


def test_equals_take_turns(world: World) -> None:
    names = [f"m{n}.example" for n in range(3)]
    world.names.mxs["dest.example"] = [(10, name) for name in names]
    world.names.hosts = {name: (f"192.0.2.{n}",) for n, name in enumerate(names)}
    for n in range(3):
        world.serve(f"192.0.2.{n}")
    first = {world.send()[0].remote for _ in range(40) if world.sender.close() is None}
    assert first == set(names)


def test_the_search_is_bounded() -> None:
    world = World(max_hosts=3, max_addresses=4)
    world.names.mxs["dest.example"] = [(n, f"m{n}.example") for n in range(50)]
    world.names.hosts = {f"m{n}.example": (f"192.0.2.{n}", f"198.51.100.{n}") for n in range(50)}
    (report,) = world.send()
    assert len(world.net.dialled) == 4
    # That nobody answered are our words, not those of a remote (RFC 3464 section 2.3.5).
    assert report.reply.text.startswith("No connection to ")
    assert not report.remote


@pytest.mark.parametrize(
    ("preferences", "dialled"),
    [
        ({"us": 10, "other": 20}, None),
        ({"us": 10, "other": 10}, None),
        ({"us": 20, "other": 10}, ["192.0.2.2"]),
        ({"us": 20, "other": 10, "worse": 30}, ["192.0.2.2"]),
    ],
)
@pytest.mark.parametrize("by", ["name", "address"])
def test_mail_is_not_relayed_to_ourselves(
    preferences: dict[str, int], dialled: list[str] | None, by: str
) -> None:
    world = World(
        own_names=["US.example."] if by == "name" else [],
        listens_on=lambda ip, port: by == "address" and (ip, port) == ("192.0.2.1", 25),
    )
    world.names.mxs["dest.example"] = [(p, f"{name}.example") for name, p in preferences.items()]
    world.names.hosts = {
        "us.example": ("192.0.2.1",),
        "other.example": ("192.0.2.2",),
        "worse.example": ("192.0.2.3",),
    }
    (report,) = world.send()
    if dialled is None:
        assert status_of(report) == "554 5.4.6"
    assert [ip for ip, _ in world.net.dialled] == (dialled or [])


def test_a_host_that_calls_itself_by_our_name_is_ourselves(world: World) -> None:
    world.serve(answers={"EHLO": b"250-MAIL.sender.example\r\n250 SIZE\r\n"})
    (report,) = world.send()
    assert status_of(report) == "554 5.4.6"


@pytest.mark.parametrize("literal", ["[192.0.2.1]", "[IPv6:2001:db8::1]"])
def test_address_literals_are_dialled_without_dns(world: World, literal: str) -> None:
    world.serve("192.0.2.1")
    world.serve("2001:db8::1")
    (report,) = world.send(f"bea@{literal}", next_hop=literal)
    assert report.outcome is Outcome.RELAYED
    assert world.names.asked == []


def test_an_unknown_kind_of_literal(world: World) -> None:
    (report,) = world.send("bea@[x400:abc]", next_hop="[x400:abc]")
    assert status_of(report) == "550 5.1.2"


# connections


def two_hosts(world: World, first: dict[str, Any]) -> list[DeliveryReport]:
    world.names.mxs["dest.example"] = [(10, "mx.dest.example"), (20, "b.example")]
    world.names.hosts["b.example"] = ("192.0.2.2",)
    world.serve("192.0.2.1", answers=first)
    world.serve("192.0.2.2")
    return world.send()


@pytest.mark.parametrize(
    "first",
    [
        {"connect": b"421 busy\r\n"},
        {"connect": b"554 no SMTP here\r\n"},
        {"connect": b"garbage\r\n"},
        {"connect": None},
        {"connect": ConnectionLost()},
        {"EHLO": b"421 busy\r\n"},
        {"EHLO": ConnectionDone()},
        {"MAIL": b"451 4.3.0 later\r\n"},
        {"MAIL": ConnectionLost()},
        {"MAIL": None},
        {"RCPT": b"450 4.2.1 greylisted\r\n"},
        {"DATA": b"451 4.3.0 later\r\n"},
        {"DATA": b"250 what?\r\n"},
        {"end": b"451 4.3.0 later\r\n"},
    ],
    ids=lambda first: " ".join(f"{k} {v!r}" for k, v in first.items()),
)
def test_the_next_host_is_tried(world: World, first: dict[str, Any]) -> None:
    (report,) = two_hosts(world, first)
    assert report.outcome is Outcome.RELAYED
    assert report.remote == "b.example"


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ({"MAIL": b"550 5.7.1 no\r\n"}, "failed 550"),
        ({"RCPT": b"550 5.1.1 no\r\n"}, "failed 550"),
        ({"DATA": b"554 5.7.1 no\r\n"}, "failed 554"),
        ({"end": b"554 5.7.1 spam\r\n"}, "failed 554"),
        ({"end": ConnectionLost()}, "deferred 451"),
        ({"end": None}, "deferred 451"),
        ({"end": b"354 more\r\n"}, "deferred 451"),
    ],
)
def test_no_other_host_is_tried(world: World, first: dict[str, Any], expected: str) -> None:
    reports = two_hosts(world, first)
    assert outcomes(reports) == [expected]
    assert [ip for ip, _ in world.net.dialled] == ["192.0.2.1"]


def test_the_window_of_doubt_is_named(world: World) -> None:
    (report,) = two_hosts(world, {"end": ConnectionLost()})
    assert "before it was confirmed" in report.reply.text


def test_a_hanging_connect_is_given_up_after_30_seconds(world: World) -> None:
    world.net.listen("192.0.2.1", None)
    (report,) = world.send()
    assert status_of(report) == "451 4.4.1"
    assert 30 <= world.net.seconds() < 40


@pytest.mark.parametrize(
    ("silent", "seconds"),
    [("connect", 300), ("EHLO", 300), ("MAIL", 300), ("RCPT", 300), ("DATA", 120), ("end", 600)],
)
def test_patience_is_what_the_rfc_asks(world: World, silent: str, seconds: int) -> None:
    world.serve(answers={silent: None}, keywords=())
    (report,) = world.send()
    assert report.outcome is Outcome.DEFERRED
    assert seconds <= world.net.seconds() <= seconds + 10
    assert "too slow" in report.reply.text


def test_replies_that_trickle_in_do_not_extend_the_time(world: World) -> None:
    def trickle(server: Any) -> None:
        for second in range(1, 1000):
            server.wire.net.callLater(second, server.wire._hear, b"2" if second == 1 else b"5")

    world.serve(answers={"MAIL": trickle}, keywords=())
    (report,) = world.send()
    assert report.outcome is Outcome.DEFERRED
    assert world.net.seconds() <= 310


def test_a_permanent_greeting_is_not_believed_at_once(world: World) -> None:
    world.serve(answers={"connect": b"554 5.7.1 blocked\r\n"})
    (report,) = world.send()
    assert report.outcome is Outcome.DEFERRED
    assert "554 blocked" in str(report.reply)


def test_helo_where_ehlo_is_not_known(world: World) -> None:
    made = world.serve(answers={"EHLO": b"502 what?\r\n"})
    (report,) = world.send()
    assert report.outcome is Outcome.RELAYED
    assert made[0].said[:3] == [
        "EHLO mail.sender.example",
        "HELO mail.sender.example",
        "MAIL FROM:<ann@sender.example>",
    ]


def test_an_unreadable_message_of_ours_defers_and_sends_no_half(world: World) -> None:
    class Broken(Stored):
        async def open(self) -> Any:
            raise OSError("disk")

    made = world.serve()
    (report,) = world.send(message=Broken())
    assert status_of(report) == "451 4.3.0"
    assert made[0].messages == []
    world.settle()
    assert made[0].gone


# idle connections


def test_a_connection_serves_several_messages(world: World) -> None:
    made = world.serve()
    for _ in range(3):
        assert world.send()[0].outcome is Outcome.RELAYED
    assert len(made) == 1
    assert len(made[0].messages) == 3
    assert "RSET" not in made[0].said


def test_a_host_that_deferred_on_a_kept_connection_is_not_asked_again_at_once(
    world: World,
) -> None:
    made = world.serve()
    world.send()
    made[0].answers["RCPT"] = b"450 4.2.1 later\r\n"
    report = world.send()[0]
    assert (report.outcome, report.reply.code) == (Outcome.DEFERRED, 450)
    assert len(made) == 1


@pytest.mark.parametrize("verb", ["DATA", "end"])
def test_a_server_that_has_no_room_is_not_asked_again_and_again(world: World, verb: str) -> None:
    full = b"452 4.3.1 Insufficient system storage\r\n"
    made = world.serve(answers={verb: full})
    reports = world.send("bea@dest.example", "cem@dest.example")
    assert [report.reply.code for report in reports] == [452, 452]
    assert sum(line.startswith("MAIL") for server in made for line in server.said) == 1


def test_an_idle_connection_is_closed_after_a_while(world: World) -> None:
    made = world.serve()
    world.send()
    world.settle(4)
    assert not made[0].gone
    world.settle(2)
    assert made[0].said[-1] == "QUIT"
    assert made[0].gone
    world.send()
    assert len(made) == 2


def test_a_connection_is_not_used_for_ever() -> None:
    world = World(messages_per_connection=2)
    made = world.serve()
    for _ in range(4):
        world.send()
    assert [len(server.messages) for server in made] == [2, 2]


def test_idle_connections_are_bounded() -> None:
    world = World(keep_total=2)
    for n in range(4):
        world.names.mxs[f"d{n}.example"] = [(1, f"m{n}.example")]
        world.names.hosts[f"m{n}.example"] = (f"192.0.2.{n}",)
        world.serve(f"192.0.2.{n}")
        world.send(next_hop=f"d{n}.example")
    world.settle()
    assert [server.gone for server in world.servers] == [True, True, False, False]


def test_another_next_hop_gets_another_connection(world: World) -> None:
    world.names.mxs["other.example"] = [(1, "mx.dest.example")]
    made = world.serve()
    world.send()
    world.send(next_hop="other.example")
    assert len(made) == 2


@pytest.mark.parametrize("death", [ConnectionLost(), ConnectionDone(), b"421 4.4.2 idle\r\n"])
def test_a_reused_connection_that_is_dead_is_replaced_unnoticed(world: World, death: Any) -> None:
    def second(server: Any) -> Any:
        return death if server.messages else b"250 ok\r\n"

    made = world.serve(answers={"MAIL": second})
    world.send()
    (report,) = world.send()
    assert report.outcome is Outcome.RELAYED
    assert len(made) == 2


def test_a_dead_connection_uses_up_none_of_the_hosts(world: World) -> None:
    world.names.mxs["dest.example"] = [(10, "mx.dest.example"), (20, "b.example")]
    world.names.hosts["b.example"] = ("192.0.2.2",)
    first = world.serve("192.0.2.1", answers={"end": b"250 ok\r\n"})
    world.serve("192.0.2.2")
    world.send()
    first[0].answers["MAIL"] = ConnectionLost()
    world.serve("192.0.2.1", answers={"RCPT": b"450 4.2.1 greylisted\r\n"})
    (report,) = world.send()
    assert report.outcome is Outcome.RELAYED
    assert report.remote == "b.example"


def test_an_idle_connection_that_the_server_closes_is_forgotten(world: World) -> None:
    made = world.serve()
    world.send()
    made[0].wire.say(b"421 bye\r\n")
    made[0].wire.loseConnection()
    world.settle()
    assert len(world.sender._connections) == 0
    assert world.send()[0].outcome is Outcome.RELAYED
    assert len(made) == 2


def test_after_a_refusal_the_connection_is_reset_and_used_again(world: World) -> None:
    made = world.serve(answers={"RCPT TO:<bad@dest.example>": b"550 no\r\n"})
    world.send("bad@dest.example")
    world.send("good@dest.example")
    assert len(made) == 1
    assert made[0].said.count("RSET") == 1
    assert len(made[0].messages) == 1


def test_closing_down_says_goodbye(world: World) -> None:
    made = world.serve()
    world.send()
    world.sender.close()
    world.settle()
    assert made[0].said[-1] == "QUIT"


def test_nothing_is_left_behind(world: World) -> None:
    world.serve(answers={"end": b"451 no\r\n"})
    world.send()
    world.sender.close()
    world.settle(10)
    assert world.net.getDelayedCalls() == []


# what the server can take


def test_a_message_too_big_is_not_even_tried(world: World) -> None:
    made = world.serve(keywords=("SIZE 10",))
    (report,) = world.send()
    assert status_of(report) == "552 5.3.4"
    assert not any(line.startswith("MAIL") for line in made[0].said)


EIGHT_BIT = (
    b"From: a@sender.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe to you all\r\n"
)
SIGNED = (
    b"MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    b"\r\n\xc3\xbc\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
)


def test_8_bit_is_sent_as_it_is_where_that_is_taken(world: World) -> None:
    made = world.serve(keywords=("8BITMIME",))
    world.send(message=Stored(EIGHT_BIT, body=Body.EIGHT_BIT))
    assert "MAIL FROM:<ann@sender.example> BODY=8BITMIME" in made[0].said
    assert made[0].messages == [EIGHT_BIT]


def test_8_bit_is_converted_where_it_is_not_taken(world: World) -> None:
    made = world.serve(keywords=())
    (report,) = world.send(message=Stored(EIGHT_BIT, body=Body.EIGHT_BIT))
    assert report.outcome is Outcome.RELAYED
    assert b"R3LDvMOfZSB0byB5b3UgYWxs" in made[0].messages[0]
    assert made[0].messages[0].isascii()


def test_a_signed_part_is_not_converted(world: World) -> None:
    made = world.serve(keywords=())
    (report,) = world.send(message=Stored(SIGNED, body=Body.EIGHT_BIT))
    assert status_of(report) == "554 5.6.3"
    assert made[0].messages == []


def test_binary_goes_by_bdat_or_is_converted(world: World) -> None:
    binary = EIGHT_BIT + b"\0\n\r"
    message = Stored(binary, body=Body.BINARY)
    made = world.serve(keywords=("CHUNKING", "BINARYMIME", "8BITMIME"))
    world.send(message=message)
    assert made[0].messages == [binary]
    world.sender.close()
    plain = world.serve(keywords=("8BITMIME", "CHUNKING"))
    (report,) = world.send(message=message)
    assert report.outcome is Outcome.RELAYED
    assert b"Content-Transfer-Encoding: base64" in plain[0].messages[0]


GREEK = Address.parse("μαρία@dest.example")


def test_smtputf8_where_it_is_taken(world: World) -> None:
    made = world.serve(keywords=("SMTPUTF8", "8BITMIME"))
    (report,) = world.send(Recipient(GREEK))
    assert report.outcome is Outcome.RELAYED
    assert "MAIL FROM:<ann@sender.example> SMTPUTF8" in made[0].said


def test_smtputf8_where_it_is_not_taken(world: World) -> None:
    made = world.serve()
    reports = world.send(Recipient(GREEK), "bea@dest.example")
    assert [status_of(report) for report in reports] == ["553 5.6.7", "250 2.0.0"]
    assert len(made[0].messages) == 1
    (report,) = world.send(message=Stored(reverse_path=GREEK, smtputf8=True))
    assert status_of(report) == "553 5.6.7"
    header = "Subject: γειά\r\n\r\n".encode()
    (report,) = world.send(message=Stored(header, smtputf8=True))
    assert status_of(report) == "553 5.6.7"
    (report,) = world.send(message=Stored(smtputf8=True))  # needed nothing after all
    assert report.outcome is Outcome.RELAYED


def test_a_u_label_goes_as_a_label(world: World) -> None:
    made = world.serve()
    world.send("bea@bücher.example")
    assert "RCPT TO:<bea@xn--bcher-kva.example>" in made[0].said


# flow


def test_content_waits_for_the_peer_and_a_stuck_one_is_given_up(world: World) -> None:
    message = Stored(b"y" * 500_000)
    world.serve(stuck_after=200_000)
    sending = world.mx.deliver(batch("dest.example", message=message))
    world.settle()
    (source,) = message.sources
    assert 200_000 < len(source._data) < 350_000
    (report,) = world.run(sending)
    assert report.outcome is Outcome.DEFERRED
    assert "too slow" in report.reply.text
    assert 180 <= world.net.seconds() < 200
    assert source.closed


def test_content_goes_on_when_the_peer_takes_it(world: World) -> None:
    made = world.serve(stuck_after=100_000)
    sending = world.mx.deliver(batch("dest.example", message=Stored(b"y" * 500_000)))
    for _ in range(20):
        world.settle(100)
        if made[0].wire.producer is not None:
            made[0].wire.producer.resumeProducing()
    (report,) = world.run(sending)
    assert report.outcome is Outcome.RELAYED


def test_after_a_stop_amid_the_content_the_verdict_has_all_its_time(world: World) -> None:
    made = world.serve(stuck_after=100_000, answers={"end": None})
    sending = world.mx.deliver(batch("dest.example", message=Stored(b"y" * 200_000)))
    for _ in range(10):
        world.settle(10)
        if made[0].wire.producer is not None:
            made[0].wire.producer.resumeProducing()
    (report,) = world.run(sending)
    assert "end of data" in report.reply.text
    assert 600 <= world.net.seconds() < 710


class SlowToEnd(Source):
    """Its end comes when ``ended`` fires."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.ended: Deferred[bytes] = Deferred()

    async def read(self, octets: int) -> bytes:
        return await super().read(octets) or await self.ended


@pytest.mark.parametrize("octets", [100, 100_000])
def test_a_connection_lost_before_the_end_was_read_is_no_doubt(world: World, octets: int) -> None:
    made = world.serve(answers={"end": ConnectionLost()})
    other = world.serve("192.0.2.2")
    world.names.hosts["mx.dest.example"] = ("192.0.2.1", "192.0.2.2")
    message = Stored(b"y" * octets)
    slow = SlowToEnd(message.data)
    sources = iter([slow, Source(message.data)])

    async def opened() -> Source:
        return next(sources)

    message.open = opened  # type: ignore[method-assign]
    sending = world.mx.deliver(batch("dest.example", message=message))
    world.settle()
    made[0].wire.lose()
    slow.ended.callback(b"")
    (report,) = world.run(sending)
    assert report.outcome is Outcome.RELAYED
    assert (len(made[0].messages), len(other[0].messages)) == (0, 1)


def test_a_refusal_amid_the_content_is_heard_while_waiting(world: World) -> None:
    made = world.serve(stuck_after=100_000)
    sending = world.mx.deliver(batch("dest.example", message=Stored(b"y" * 500_000)))
    world.settle()
    made[0].wire.say(b"552 5.3.4 enough\r\n")
    (report,) = world.run(sending)
    assert outcomes([report]) == ["failed 552"]
    assert world.net.seconds() < 5


def test_a_message_that_is_removed_meanwhile_is_no_bug(world: World) -> None:
    class Removed(Stored):
        async def open(self) -> Any:
            raise MessageGone("TESTQUEUEID1 has left the queue")

    failures: list[Any] = []

    def observe(event: Any) -> None:
        failures.extend(filter(None, [event.get("log_failure")]))

    world.serve()
    globalLogPublisher.addObserver(observe)
    try:
        report = world.send(message=Removed())[0]
    finally:
        globalLogPublisher.removeObserver(observe)
    assert (report.outcome, report.reply.code) == (Outcome.DEFERRED, 451)
    assert failures == []
