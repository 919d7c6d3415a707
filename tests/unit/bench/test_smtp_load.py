"""The SMTP generator against servers that take, refuse, dawdle and lie."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence

import pytest

from mailframe.bench.loop import Target
from mailframe.bench.tally import Tally
from mailframe.bench.works import Extent, Mail, Manner, smtp_works
from tests.unit.bench.fakes import Client, performed, serving, smtp

MANNERS = [(False, False), (False, True), (True, False), (True, True)]


def send(
    target: Target,
    messages: int = 5,
    sessions: int = 1,
    to: Sequence[str] = ("user@host.test",),
    *,
    reuse: bool = False,
    pipelining: bool = False,
    each: int = 1,
    octets: int = 1024,
    rate: float | None = None,
    patience: float = 5.0,
) -> Tally:
    manner = Manner(target, reuse=reuse, pipelining=pipelining)
    mail = Mail("from@client.test", to, each, octets, run=7)
    (work,) = smtp_works(manner, mail, Extent(sessions, messages, rate=rate), 1)
    return performed(work, patience)


@pytest.mark.parametrize(("reuse", "pipelining"), MANNERS)
def test_every_message_is_sent_once(reuse: bool, pipelining: bool) -> None:
    seen: list[bytes] = []
    with serving(smtp(seen=seen)) as target:
        tally = send(target, 12, 3, reuse=reuse, pipelining=pipelining)
    assert tally.counts["messages"] == tally.counts["recipients"] == 12
    assert tally.counts["connections"] == (3 if reuse else 12)
    assert tally.failures == {}
    contents = [each for each in seen if each.startswith(b"X-Mailframe-Bench: ")]
    names = {re.search(rb"Message-ID: (<.*>)", each)[1] for each in contents}  # type: ignore[index]
    assert len(contents) == len(names) == 12
    assert seen.count(b"QUIT") == tally.counts["connections"]
    assert tally.timing("message").count == 12
    assert 0 < tally.timing("message").most < 5


@pytest.mark.parametrize("octets", [300, 1024, 10_240, 1 << 20])
def test_the_size_is_as_asked(octets: int) -> None:
    seen: list[bytes] = []
    with serving(smtp(seen=seen)) as target:
        send(target, 2, octets=octets)
    contents = [each for each in seen if each.startswith(b"X-")]
    for content in contents:
        assert octets - 120 <= len(content) <= octets + 120
        assert b"\r\n\r\n" in content
        assert max(map(len, content.split(b"\r\n"))) < 100


def test_recipients_take_turns() -> None:
    seen: list[bytes] = []
    with serving(smtp(seen=seen)) as target:
        tally = send(target, 3, to=["a@x", "b@x", "c@x"], each=2)
    asked = [each[9:-1] for each in seen if each.startswith(b"RCPT")]
    assert asked == [b"a@x", b"b@x", b"c@x", b"a@x", b"b@x", b"c@x"]
    assert (tally.counts["messages"], tally.counts["recipients"]) == (3, 6)


@pytest.mark.parametrize(("reuse", "pipelining"), MANNERS)
def test_some_recipients_are_refused(reuse: bool, pipelining: bool) -> None:
    answers = {b"RCPT": [b"250 ok", b"550 5.1.1 nobody"]}
    with serving(smtp(answers)) as target:
        tally = send(target, 1, to=["a@x", "b@x"], each=2, reuse=reuse, pipelining=pipelining)
    assert (tally.counts["messages"], tally.counts["recipients"]) == (1, 1)
    assert tally.failures == {"RCPT 550": 1}
    assert tally.texts["RCPT 550"] == "550 5.1.1 nobody"


@pytest.mark.parametrize(("reuse", "pipelining"), MANNERS)
@pytest.mark.parametrize("verb", [b"MAIL", b"RCPT", b"DATA", b"DOT"])
def test_a_refused_message_is_counted_and_the_next_is_sent(
    verb: bytes, reuse: bool, pipelining: bool
) -> None:
    answers: dict[bytes, Sequence[bytes] | bytes] = {verb: [b"451 4.7.1 later", b"250 ok"]}
    if verb == b"MAIL" and pipelining:
        # What follows a refused MAIL is refused too.
        answers |= {b"RCPT": [b"503 no", b"250 ok"], b"DATA": [b"503 no", b"354 go"]}
    if verb == b"RCPT" and pipelining:
        answers |= {b"DATA": [b"554 no", b"354 go"]}
    if verb == b"DATA":
        answers = {verb: [b"451 4.7.1 later", b"354 go"]}
    with serving(smtp(answers)) as target:
        tally = send(target, 3, reuse=reuse, pipelining=pipelining)
    step = {b"DOT": "content"}.get(verb, verb.decode())
    assert (tally.counts["messages"], tally.counts["failed"]) == (2, 1)
    assert tally.failures[f"{step} 451"] == 1
    assert tally.texts[f"{step} 451"] == "451 4.7.1 later"


def test_data_goes_on_although_every_recipient_was_refused() -> None:
    seen: list[bytes] = []
    answers = {b"RCPT": [b"550 no", b"250 ok"], b"DOT": [b"554 no recipients", b"250 ok"]}
    with serving(smtp(answers, seen)) as target:
        tally = send(target, 2, reuse=True, pipelining=True)
    assert (tally.counts["messages"], tally.counts["failed"]) == (1, 1)
    assert b"" in seen  # nothing but the dot


@pytest.mark.parametrize("greeting", [b"421 4.3.2 busy", b"554 5.7.1 not you"])
def test_a_greeting_that_refuses(greeting: bytes) -> None:
    with serving(smtp({b"GREETING": greeting})) as target:
        tally = send(target, 4)
    assert (tally.counts["messages"], tally.counts["failed"]) == (0, 4)
    assert tally.failures == {f"greeting {greeting[:3].decode()}": 4}


def test_421_in_a_session_ends_it_and_another_takes_its_place() -> None:
    with serving(smtp({b"MAIL": [b"250 ok", b"421 4.3.2 going", b"250 ok"]})) as target:
        tally = send(target, 4, reuse=True)
    assert (tally.counts["messages"], tally.counts["failed"]) == (3, 1)
    assert tally.counts["connections"] == 2


def test_nobody_listens_and_it_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = probe.getsockname()
    tally = send(Target(socket.AF_INET, address), 100_000, 10)
    assert tally.failures.keys() == {"connect"}
    assert tally.texts["connect"] == "connection refused"
    assert 100 <= tally.counts["failed"] <= 120


def test_replies_in_pieces_and_of_several_lines() -> None:
    def talk(client: Client) -> None:
        client.say(b"2", b"20-one\r\n220", b"-two\r", b"\n220 three\r\n")
        for reply in (
            (b"250-fake\r\n250-", b"SIZE\r\n250 ok\r\n"),
            (b"250 ", b"ok\r\n"),
            (b"250-many\r\n250 ok\r\n",),
            (b"354 go\r\n",),
        ):
            client.line()
            client.say(*reply)
        client.content()
        client.say(b"250 stored\r\n")
        client.line()
        client.say(b"221 bye\r\n")

    with serving(talk) as target:
        tally = send(target, 1)
    assert tally.counts["messages"] == 1
    assert tally.failures == {}


@pytest.mark.parametrize("words", [b"hello there\r\n", b"22x no\r\n", b"x" * 70_000])
def test_what_is_no_smtp_is_told(words: bytes) -> None:
    with serving(lambda client: client.say(words)) as target:
        tally = send(target, 1)
    assert tally.counts["failed"] == 1
    (text,) = tally.texts.values()
    assert "reply" in text


def test_a_server_that_hangs_up_in_the_middle() -> None:
    def talk(client: Client) -> None:
        client.say(b"220 fake\r\n")
        client.line()
        client.say(b"250 ok\r\n")
        client.line()

    with serving(talk) as target:
        tally = send(target, 2)
    assert tally.failures == {"MAIL": 2}
    assert "closed" in tally.texts["MAIL"]


def test_a_server_that_does_not_answer() -> None:
    def talk(client: Client) -> None:
        client.say(b"220 fake\r\n")
        client.line()
        client.line()  # until the client gives up

    with serving(talk) as target:
        tally = send(target, 1, patience=0.5)
    assert tally.failures == {"EHLO": 1}
    assert tally.texts["EHLO"] == "nothing came for 0.5 s"


def test_latency_at_a_rate_counts_from_when_a_message_was_due() -> None:
    """No coordinated omission: one that stalls delays all that were due meanwhile."""
    stalled = []

    def talk(client: Client) -> None:
        if not stalled:
            stalled.append(True)
            time.sleep(0.5)
        smtp()(client)

    with serving(talk) as target:
        tally = send(target, 20, 1, rate=50.0)
    times = tally.timing("message")
    assert times.count == 20
    # Due every 20 ms: while the first waited 500 ms nearly all the others were.
    assert times.percentile(50) > 0.25
    assert times.most < 0.7


def test_at_a_rate_it_is_not_faster() -> None:
    with serving(smtp()) as target:
        tally = send(target, 20, 5, rate=40.0, reuse=True)
    assert 0.45 < tally.seconds < 1.5
    assert tally.counts["messages"] == 20
    assert tally.timing("message").percentile(50) < 0.1


def test_a_server_that_hangs_up_on_who_waits_for_work() -> None:
    def talk(client: Client) -> None:
        client.say(b"220 fake\r\n")
        for _ in range(4):
            client.say(b"354 go\r\n" if client.line() == b"DATA" else b"250 ok\r\n")
        client.content()
        client.say(b"250 stored\r\n", b"421 idle\r\n")

    with serving(talk) as target:
        tally = send(target, 4, 1, rate=10.0, reuse=True)
    assert tally.counts["messages"] == 4
    assert tally.counts["connections"] == 4
    assert tally.failures["waiting 421"] >= 3
