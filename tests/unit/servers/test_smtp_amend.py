"""What message policies want changed is changed before the message is committed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope
from mailframe.core.reply import Reply
from mailframe.core.resolution import Expanded, Local, Target
from mailframe.core.session import Session
from mailframe.core.verdict import Amendment, HeaderChange, Tag, Verdict
from mailframe.errors import TransientFailure
from mailframe.interfaces import IAcceptedPolicy, IContent, IDisconnectPolicy, IMessagePolicy
from tests.dialogs.smtp_world import World

HEADER = b"Subject: one\r\nX-A: 1\r\nX-A: 2\r\n\t(folded)\r\nX-A: 3\r\n"
BODY = b"text\r\n..dotted\r\n"


@implementer(IMessagePolicy)
class Amends:
    def __init__(self, name: str, amendment: Amendment | None, *headers: tuple[str, str]) -> None:
        self.name = name
        self.tag = Tag("t", headers, amendment=amendment)

    def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        return self.tag


def sent(
    *policies: Any, to: Sequence[str] = ("ann@local.test",), known: Any = None
) -> tuple[World, bytes]:
    world = World(policies=policies, **({"known": known} if known else {}))
    with world.greeted() as peer:
        named = "".join(f"RCPT TO:<{each}>\r\n" for each in to)
        envelope = f"MAIL FROM:<a@far.test>\r\n{named}DATA\r\n".encode()
        return world, peer.ask(envelope + HEADER + b"\r\n" + BODY + b".\r\n")


def kept(*policies: Any) -> bytes:
    """The message from below our trace fields."""
    world, _ = sent(*policies)
    (stored,) = world.spool.stored
    tagged = stored.prefix.partition(b"Received:")[0]
    return tagged + stored.content


TEXT = b"text\r\n.dotted\r\n"


def test_fields_are_changed_and_removed_where_they_stand() -> None:
    changes = (HeaderChange("x-a", 2, None), HeaderChange("Subject", 1, "two\r\n\tlines"))
    made = kept(Amends("a", Amendment(header=changes)))
    assert made == b"Subject: two\r\n\tlines\r\nX-A: 1\r\nX-A: 3\r\n\r\n" + TEXT


def test_what_is_not_there_is_not_changed() -> None:
    changes = (HeaderChange("X-A", 4, None), HeaderChange("X-B", 1, "x"))
    assert kept(Amends("a", Amendment(header=changes))) == HEADER + b"\r\n" + TEXT


def test_each_policy_counts_in_what_it_saw() -> None:
    first = Amends("a", Amendment(header=(HeaderChange("X-A", 1, None),)), ("X-A", "new"))
    second = Amends("b", Amendment(header=(HeaderChange("X-A", 2, "second"),)), ("X-B", "b"))
    made = kept(Amends("0", None, ("X-A", "zero")), first, second, Amends("c", None, ("X-C", "c")))
    # "zero" is the first of three for a; for b, "new" is the first and "1" the second
    assert made == (
        b"X-B: b\r\nX-C: c\r\nX-A: new\r\n"
        b"Subject: one\r\nX-A: second\r\nX-A: 2\r\n\t(folded)\r\nX-A: 3\r\n\r\n" + TEXT
    )


def test_a_new_body() -> None:
    new = b"\xce\xb1\r\n" * 100_000
    world, replies = sent(Amends("a", Amendment(body=new)), Amends("b", Amendment()))
    (stored,) = world.spool.stored
    assert stored.content == HEADER + b"\r\n" + new
    assert stored.envelope.body is Body.EIGHT_BIT
    assert f"Ok: {stored.queue_id}".encode() in replies
    (forgotten,) = world.spool.aborted
    assert forgotten != stored.queue_id
    (step,) = [s for s in world.journal.steps("check") if s["result"] == "amend"]
    assert step["reason"] == f"written again, was {forgotten}"


def test_sender_and_recipients() -> None:
    amendment = Amendment(
        sender=Address.parse("b@far.test"),
        removed=(Address.parse("Ann@local.test"),),
        added=(Address.parse("more@else.test"),),
    )
    world, _ = sent(Amends("a", amendment), to=("ann@local.test", "bob@local.test"))
    (stored,) = world.spool.stored
    assert stored.recipients == ["bob@local.test", "more@else.test"]
    assert str(stored.envelope.reverse_path) == "b@far.test"
    assert world.spool.aborted == [], "an envelope is no reason to write the message again"
    world, _ = sent(Amends("a", Amendment(null_sender=True)))
    assert world.spool.stored[0].envelope.reverse_path is None


def test_an_alias_is_removed_with_all_it_stands_for() -> None:
    targets = tuple(
        Target(Address(each, "local.test"), Local(f"{each}@local.test")) for each in ("ann", "bob")
    )
    known = {"team@local.test": Expanded(targets), "cy@local.test": Local("cy@local.test")}
    removed = Amends("a", Amendment(removed=(Address.parse("team@local.test"),)))
    world, _ = sent(removed, to=("team@local.test", "cy@local.test"), known=known)
    assert world.spool.stored[0].recipients == ["cy@local.test"]


@pytest.mark.parametrize(
    ("amendment", "words"),
    [
        (Amendment(added=(Address.parse("nobody@local.test"),)), b"451 4.3.0 "),
        (Amendment(removed=(Address.parse("ann@local.test"),)), b"451 4.3.0 "),
        (Amendment(header=(HeaderChange("Subject", 1, "two\r\nX-Evil: yes"),)), b"451 4.3.0 "),
    ],
)
def test_what_cannot_be_carried_out_puts_the_message_off(
    amendment: Amendment, words: bytes, logged_errors: Any
) -> None:
    world, replies = sent(Amends("a", amendment))
    assert words in replies
    assert world.spool.stored == []
    assert world.spool.aborted


def test_a_message_may_be_taken_and_forgotten() -> None:
    nobody = Amendment(removes_all=True, may_discard=True)
    later = Amendment(header=(HeaderChange("Subject", 1, "two"),))
    world, replies = sent(Amends("a", nobody), Amends("b", later), to=("ann@local.test",) * 2)
    (id,) = world.spool.aborted
    assert f"250 2.0.0 Ok: {id}".encode() in replies
    assert world.spool.stored == []
    (accepted,) = world.journal.steps("accept")
    assert (accepted["id"], accepted["result"]) == (id, "discarded")
    assert accepted["forward_path"] == ["ann@local.test"]
    assert [step["result"] for step in world.journal.steps("check")] == ["a", "b"]
    assert [step["id"] for step in world.journal.steps("remove")] == [id]


def test_all_may_be_exchanged() -> None:
    other = (Address.parse("bob@local.test"),)
    world, _ = sent(Amends("a", Amendment(removes_all=True, added=other)))
    assert world.spool.stored[0].recipients == ["bob@local.test"]


def test_only_who_says_so_discards() -> None:
    world, replies = sent(Amends("a", Amendment(removes_all=True)))
    assert b"451 4.3.0 " in replies
    assert world.journal.steps("accept") == []


def test_policies_hear_of_a_discarded_message() -> None:
    @implementer(IAcceptedPolicy)
    class Listens:
        name = "listens"
        heard: list[int] = []  # noqa: RUF012

        def accepted(self, session: Session, envelope: Envelope) -> None:
            self.heard.append(len(envelope.recipients))

    sent(Amends("a", Amendment(removes_all=True, may_discard=True)), Listens())
    assert Listens.heard == [0]


def test_no_room_for_the_second_writing_puts_the_message_off() -> None:
    full = TransientFailure(Reply(452, status.SYSTEM_FULL, "No room"), "ENOSPC")

    class Fills(Amends):
        def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
            world.spool.begin_error = full
            return self.tag

    world = World(policies=(Fills("a", Amendment(body=b"x")),))
    with world.greeted() as peer:
        envelope = b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n"
        assert b"452 4.3.1 No room" in peer.ask(envelope + HEADER + b"\r\n" + BODY + b".\r\n")
    assert world.spool.stored == []
    assert len(world.spool.aborted) == 1


def test_policies_hear_when_a_session_ends() -> None:
    @implementer(IDisconnectPolicy)
    class Listens:
        name = "listens"
        ended: list[str] = []  # noqa: RUF012

        def disconnected(self, session: Session) -> None:
            self.ended.append(session.peer_ip)
            raise RuntimeError("a bug")

    world = World(policies=(Listens(),))
    with world.greeted():
        assert Listens.ended == []
    assert len(Listens.ended) == 1
