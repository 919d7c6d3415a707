"""Messages one behind the other on few connections, and what happens to the second when the
first meets with trouble."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost

from mailframe.core.report import DeliveryReport
from mailframe.delivery.session import LONGEST_WAIT
from tests.unit.delivery.delivery_world import Server, Stored, World, batch

DIALLING = 1.0
BEHIND = b"\r\n.\r\nMAIL FROM:"


def slow_to_greet(server: Server) -> None:
    server.wire.net.callLater(DIALLING, server.wire.say, b"220 mx ESMTP\r\n")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True, params=["in a file", "in memory"])
def where_messages_are(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stored, "in_memory", request.param == "in memory")


def serve(world: World, **options: Any) -> list[Server]:
    answers = {"connect": slow_to_greet, **options.pop("answers", {})}
    return world.serve(answers=answers, **options)


def warmed_up(world: World, **options: Any) -> list[Server]:
    """One connection is open, and it is known that dialling takes longer than a message."""
    made = serve(world, **options)
    assert texts(world.send()) == ["250 2.0.0 queued"]
    return made


def start(world: World, count: int) -> list[Deferred[Any]]:
    return [
        world.mx.deliver(batch("dest.example", message=Stored(b"Subject: %d\r\n\r\n" % n)))
        for n in range(count)
    ]


def texts(reports: list[DeliveryReport]) -> list[str]:
    return [str(report.reply) for report in reports]


def results(world: World, sending: list[Deferred[Any]]) -> list[str]:
    return [texts(world.run(each))[0] for each in sending]


def on_the(nth: int, then: Any) -> Callable[[Server], Any]:
    """The usual answer to the end of the content until the ``nth``, that of ``then`` there."""
    ends = 0

    def answer(server: Server) -> Any:
        nonlocal ends
        ends += 1
        return then if ends == nth else b"250 2.0.0 queued\r\n"

    return answer


def test_a_burst_goes_over_one_connection_in_one_go(world: World) -> None:
    (server, *_) = made = warmed_up(world)
    assert results(world, start(world, 4)) == ["250 2.0.0 queued"] * 4
    assert len(made) == 1
    assert [text[:10] for text in server.messages[1:]] == [b"Subject: %d" % n for n in range(4)]
    # The first begins alone, three leave right behind the content of another.
    assert sum(BEHIND in piece for piece in server.heard) == 3
    assert world.net.seconds() < DIALLING + 1


def test_a_change_of_mind_about_the_content_is_heard(world: World) -> None:
    made = serve(world, answers={"DATA": b"354 go\r\n451 4.3.0 no, not that\r\n"})
    assert texts(world.send()) == ["451 4.3.0 no, not that"]
    assert made[0].messages == []


def test_without_pipelining_they_wait_for_their_turn(world: World) -> None:
    (server, *_) = made = warmed_up(world, keywords=("8BITMIME",))
    assert results(world, start(world, 3)) == ["250 2.0.0 queued"] * 3
    assert len(made) == 1
    assert not any(BEHIND in piece for piece in server.heard)


def test_where_nothing_is_known_yet_each_dials(world: World) -> None:
    made = serve(world)
    results(world, start(world, 3))
    assert len(made) == 3


def test_where_messages_take_longer_than_dialling_each_dials(world: World) -> None:
    def slow(server: Server) -> None:
        server.wire.net.callLater(5, server.wire.say, b"250 2.0.0 queued\r\n")

    made = warmed_up(world, answers={"end": slow})
    results(world, start(world, 3))
    assert len(made) == 3


def test_with_chunking_a_reset_goes_before_a_message_behind_another(world: World) -> None:
    keywords = ("PIPELINING", "8BITMIME", "CHUNKING")
    (server, *_) = made = warmed_up(
        world, keywords=keywords, answers={"end": on_the(2, b"554 5.7.1 no\r\n")}
    )
    assert results(world, start(world, 3)) == ["554 5.7.1 no"] + ["250 2.0.0 queued"] * 2
    assert len(made) == 1
    # Of the four, the first is alone and the second finds it done; two are behind another.
    assert server.said.count("RSET") == 2


def test_the_verdict_on_one_is_not_the_others(world: World) -> None:
    made = warmed_up(world, answers={"end": on_the(3, b"554 5.7.1 not this one\r\n")})
    expected = ["250 2.0.0 queued", "554 5.7.1 not this one", "250 2.0.0 queued"]
    assert results(world, start(world, 3)) == expected
    assert len(made) == 1


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"MAIL": b"550 5.7.1 not from you\r\n", "RCPT": b"503 5.5.1 MAIL first\r\n"}, "550 5.7.1"),
        ({"RCPT": b"550 5.1.1 nobody\r\n"}, "550 5.1.1"),
        ({"RCPT": b"550 5.1.1 nobody\r\n", "DATA": b"503 5.5.1 RCPT first\r\n"}, "550 5.1.1"),
        ({"RCPT": b"550 5.1.1 nobody\r\n", "DATA": b"354 go on\r\n"}, "550 5.1.1"),
        ({"DATA": b"452 4.3.1 disk\r\n"}, "452 4.3.1"),
    ],
)
def test_one_that_is_refused_before_its_content_holds_nobody_up(
    world: World, answers: dict[str, bytes], expected: str
) -> None:
    mails = 0

    def only_the_third(verb: str, usual: bytes) -> Callable[[Server], bytes]:
        def answer(server: Server) -> bytes:
            nonlocal mails
            mails += verb == "MAIL"
            return answers.get(verb, usual) if mails == 3 else usual

        return answer

    made = warmed_up(
        world,
        answers={
            "MAIL": only_the_third("MAIL", b"250 2.1.0 ok\r\n"),
            "RCPT": only_the_third("RCPT", b"250 2.1.5 ok\r\n"),
            "DATA": lambda server: (
                answers.get("DATA", b"354 go\r\n" if server._accepted else b"554 nobody\r\n")
                if mails == 3
                else b"354 go\r\n"
            ),
        },
    )
    first, second, third = results(world, start(world, 3))
    assert (first, third) == ("250 2.0.0 queued", "250 2.0.0 queued")
    assert second.startswith(expected)
    if "452" not in expected:  # of which another connection is asked for its opinion
        assert len(made) == 1


def test_a_connection_lost_before_the_verdict_leaves_one_in_doubt_and_the_next_goes_elsewhere(
    world: World,
) -> None:
    made = warmed_up(world, answers={"end": on_the(2, ConnectionLost())})
    doubtful, other = results(world, start(world, 2))
    assert doubtful.startswith("451 4.4.2")
    assert "after the message was sent and before it was confirmed" in doubtful
    assert other == "250 2.0.0 queued"
    assert [len(server.messages) for server in made] == [2, 1]


def test_after_a_421_the_next_goes_elsewhere(world: World) -> None:
    made = warmed_up(world, answers={"end": on_the(2, b"421 4.3.2 closing\r\n")})
    assert results(world, start(world, 2)) == ["421 4.3.2 closing", "250 2.0.0 queued"]
    assert [len(server.messages) for server in made] == [2, 1]


class Forgetful(Server):
    """Says PIPELINING, and throws away what came together with the end of the content."""

    def _finish(self) -> None:
        self._buffer = b""
        super()._finish()


def test_a_server_that_lies_about_pipelining_costs_time_and_nothing_else(world: World) -> None:
    made: list[Server] = []

    def make() -> Server:
        made.append(Forgetful(answers={"connect": slow_to_greet}))
        return made[-1]

    world.net.listen("192.0.2.1", make)
    world.send()
    assert results(world, start(world, 2)) == ["250 2.0.0 queued"] * 2
    assert [len(server.messages) for server in made] == [2, 1]
    # The patience for a reply to MAIL, RFC 5321 section 4.5.3.2.2.
    assert 300 <= world.net.seconds() < 310


class Halting(Server):
    """Stops at the end of its second message, until it is told to go on."""

    halted = False

    def _finish(self) -> None:
        self.halted = len(self.messages) == 2
        super()._finish()

    def _step(self) -> bool:
        return not self.halted and super()._step()

    def go_on(self, saying: bytes) -> None:
        self.halted = False
        self.wire.say(saying)
        self.hear(b"")


def warmed_up_and_halting(world: World) -> list[Halting]:
    made: list[Halting] = []

    def make() -> Halting:
        answers = {"connect": slow_to_greet, "end": on_the(2, None)}
        made.append(Halting(answers=answers))
        return made[-1]

    world.net.listen("192.0.2.1", make)
    world.send()
    return made


def test_behind_a_message_that_takes_long_nobody_waits_for_long(world: World) -> None:
    made = warmed_up_and_halting(world)
    held_up, other = start(world, 2)
    world.settle()
    assert BEHIND in made[0].heard[-1]
    assert texts(world.run(other)) == ["250 2.0.0 queued"]
    assert world.net.seconds() < DIALLING + LONGEST_WAIT + DIALLING + 2
    made[0].go_on(b"250 2.0.0 at last\r\n")
    assert texts(world.run(held_up)) == ["250 2.0.0 at last"]
    assert [len(server.messages) for server in made] == [2, 1]
    world.settle()
    assert not made[0].wire.open  # what was begun there is not gone through with


def test_in_line_nobody_waits_for_long_either(world: World) -> None:
    made = warmed_up(world, keywords=("8BITMIME",))
    made[0].answers = {**made[0].answers, "DATA": None}
    held_up, other = start(world, 2)
    assert texts(world.run(other)) == ["250 2.0.0 queued"]
    assert world.net.seconds() < DIALLING + LONGEST_WAIT + DIALLING + 2
    assert len(made) == 2
    held_up.addErrback(lambda failure: None)
    held_up.cancel()


def test_one_that_is_cancelled_takes_no_verdict_with_it(world: World) -> None:
    made = warmed_up_and_halting(world)
    first, second = start(world, 2)
    world.settle()
    second.addErrback(lambda failure: None)
    second.cancel()
    made[0].go_on(b"250 2.0.0 mine\r\n")
    assert texts(world.run(first)) == ["250 2.0.0 mine"]
    world.settle()
    assert not made[0].wire.open
    assert results(world, start(world, 1)) == ["250 2.0.0 queued"]


def test_the_verdict_on_one_that_is_cancelled_is_nobody_elses(world: World) -> None:
    made = warmed_up_and_halting(world)
    first, second = start(world, 2)
    world.settle()
    first.addErrback(lambda failure: None)
    first.cancel()
    made[0].go_on(b"554 5.7.1 not that one\r\n")
    assert results(world, [second]) == ["250 2.0.0 queued"]
    assert [len(server.messages) for server in made] == [3]


@pytest.mark.parametrize("crowded", [{}, {"RCPT TO:<b@dest.example>": b"452 4.5.3 too many\r\n"}])
def test_all_transactions_of_a_message_come_before_the_next(crowded: dict[str, bytes]) -> None:
    world = World(recipients_per_transaction=2 if crowded else 1)
    made = warmed_up(world)
    made[0].answers |= crowded
    sending = [
        world.mx.deliver(batch("dest.example", "a@dest.example", "b@dest.example")),
        *start(world, 1),
    ]
    if crowded:
        world.settle()
        made[0].answers = {}
    several, one = (texts(world.run(each)) for each in sending)
    assert one == ["250 2.0.0 queued"]
    assert several[0] == "250 2.0.0 queued"
    assert several[1] in ("250 2.0.0 queued", "452 4.5.3 too many")
    recipients = [line for line in made[0].said if line.startswith("RCPT")]
    assert recipients[-1] == "RCPT TO:<bea@dest.example>"
    assert len(made) == 1


def test_one_that_is_cancelled_while_it_waits_holds_nobody_up(world: World) -> None:
    warmed_up(world, keywords=("8BITMIME",))
    first, second, third = start(world, 3)
    second.addErrback(lambda failure: None)
    second.cancel()
    assert results(world, [first, third]) == ["250 2.0.0 queued"] * 2


def test_when_the_last_connection_breaks_all_who_wait_dial(world: World) -> None:
    made = warmed_up(world, keywords=("8BITMIME",), answers={"end": on_the(2, ConnectionLost())})
    doubtful, *others = results(world, start(world, 3))
    assert "before it was confirmed" in doubtful
    assert others == ["250 2.0.0 queued"] * 2
    assert len(made) == 3
    assert world.net.seconds() < DIALLING + LONGEST_WAIT  # they do not wait for the worst


def test_a_connection_that_has_carried_enough_is_replaced() -> None:
    world = World(messages_per_connection=3)
    made = warmed_up(world)
    assert results(world, start(world, 5)) == ["250 2.0.0 queued"] * 5
    assert [len(server.messages) for server in made] == [3, 3]
    assert made[0].said[-1] == "QUIT"


def test_nothing_is_left_behind(world: World) -> None:
    warmed_up(world)
    results(world, start(world, 5))
    world.settle(10)
    world.settle(10)
    assert not world.sender._connections._lines
    assert not world.net.getDelayedCalls()
