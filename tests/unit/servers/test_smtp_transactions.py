"""What a transaction of the SMTP server does with recipients, policies, spool and failures."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Notify
from mailframe.core.reply import Reply
from mailframe.core.resolution import Expanded, Local, Moved, Target
from mailframe.core.session import Role
from mailframe.core.verdict import Tag
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import (
    IAuthPolicy,
    IConnectPolicy,
    IHeloPolicy,
    IMailPolicy,
    IMessagePolicy,
    IRecipientPolicy,
)
from mailframe.servers.smtp import SmtpFactory, SmtpLimits
from tests.dialogs.smtp_world import World

MESSAGE = b"Subject: x\r\nMessage-ID: <1@far.test>\r\n\r\ntext\r\n"
FULL_DISK = TransientFailure(Reply(452, status.SYSTEM_FULL, "No room"), "ENOSPC")
LIMITS = {"tarpit": 0, "allow_plaintext": True}


def limits(**some: Any) -> SmtpLimits:
    return SmtpLimits(**{**LIMITS, **some})


def send(world: World, *recipients: str, message: bytes = MESSAGE, mail: str = "") -> bytes:
    """One message in one connection; the replies after EHLO."""
    with world.greeted() as peer:
        to = "".join(f"RCPT TO:<{recipient}>\r\n" for recipient in recipients)
        envelope = f"MAIL FROM:<a@far.test>{mail}\r\n{to}DATA\r\n".encode()
        return peer.ask(envelope + message + b".\r\n")


# --- recipients -----------------------------------------------------------------------------


def test_the_trace_field_names_a_single_recipient() -> None:
    world = World()
    send(world, "ann@local.test")
    send(world, "ann@local.test", "bob@local.test")
    one, two = (message.prefix for message in world.spool.stored)
    assert one.startswith(b"Received: from client.test ([192.0.2.7])")
    assert b"for <ann@local.test>;" in one
    assert b" for <" not in two


@pytest.mark.parametrize("subject", ["α", "a"])
def test_the_trace_field_is_not_the_first_to_need_utf8(subject: str) -> None:
    """Else no host without SMTPUTF8 could be given the message."""
    world = World(known={"άννα@local.test": Local("ann@local.test")})
    with world.greeted() as peer:
        envelope = "MAIL FROM:<a@far.test> SMTPUTF8\r\nRCPT TO:<άννα@local.test>\r\nDATA\r\n"
        peer.ask(f"{envelope}Subject: {subject}\r\n\r\nx\r\n.\r\n".encode())
    field = world.spool.stored[0].prefix.decode()
    assert ("<άννα@local.test>" in field) == (subject == "α")
    assert field.isascii() == (subject == "a")


def test_an_alias_becomes_its_targets() -> None:
    known = {
        "team@local.test": Expanded(
            (
                Target(Address("ann", "local.test"), Local("ann@local.test")),
                Target(Address("far", "else.test"), None),
            )
        )
    }
    world = World(known=known)
    with world.greeted() as peer:
        peer.ask(
            b"MAIL FROM:<a@far.test>\r\nRCPT TO:<team@local.test> NOTIFY=SUCCESS,DELAY\r\n"
            b"RCPT TO:<ann@local.test>\r\nDATA\r\n" + MESSAGE + b".\r\n"
        )
    ann, far, team = world.spool.stored[0].envelope.recipients
    assert (str(ann.address), ann.mailbox) == ("ann@local.test", Local("ann@local.test"))
    assert (str(far.address), far.mailbox) == ("far@else.test", None)
    assert {ann.orcpt, far.orcpt, team.orcpt} == {"rfc822;team@local.test"}
    assert str(far.original) == "team@local.test"
    # success is told once, of the alias
    assert ann.notify == far.notify == {Notify.DELAY}
    assert (str(team.address), team.mailbox, team.notify) == (
        "team@local.test",
        None,
        {Notify.SUCCESS},
    )
    assert team.is_expanded
    assert not ann.is_expanded
    assert not far.is_expanded
    [step] = world.journal.steps("alias")
    assert step["targets"] == ["ann@local.test", "far@else.test"]
    assert step["id"] == world.spool.stored[0].queue_id


@pytest.mark.parametrize(
    ("notify", "passed_on"),
    [("SUCCESS", ["NEVER"] * 2), ("FAILURE", ["FAILURE"] * 2), ("NEVER", ["NEVER"] * 2)],
)
def test_targets_never_report_success(notify: str, passed_on: list[str]) -> None:
    targets = tuple(Target(Address(name, "else.test"), None) for name in "ab")
    world = World(known={"team@local.test": Expanded(targets)})
    with world.greeted() as peer:
        rcpt = f"RCPT TO:<team@local.test> NOTIFY={notify}\r\nDATA\r\n".encode()
        peer.ask(b"MAIL FROM:<a@far.test>\r\n" + rcpt + MESSAGE + b".\r\n")
    recipients = world.spool.stored[0].envelope.recipients
    told = [keyword.value for r in recipients if not r.is_expanded for keyword in r.notify or ()]
    assert told == passed_on
    assert any(r.is_expanded for r in recipients) == (notify == "SUCCESS")


def test_one_target_takes_the_wishes_with_it() -> None:
    only = Expanded((Target(Address("far", "else.test"), None),))
    world = World(known={"alias@local.test": only})
    with world.greeted() as peer:
        rcpt = b"RCPT TO:<alias@local.test> NOTIFY=SUCCESS\r\nDATA\r\n"
        peer.ask(b"MAIL FROM:<a@far.test>\r\n" + rcpt + MESSAGE + b".\r\n")
    [recipient] = world.spool.stored[0].envelope.recipients
    assert (str(recipient.address), recipient.notify) == ("far@else.test", {Notify.SUCCESS})


def test_the_same_mailbox_by_two_names_gets_one_copy() -> None:
    world = World(known={"annie@local.test": Local("ann@local.test")})
    replies = send(world, "ann@local.test", "annie@local.test", "ANN@local.test")
    assert replies.count(b"250 2.1.5") == 3
    assert world.spool.stored[0].recipients == ["ann@local.test"]


def test_addresses_elsewhere_are_the_same_only_if_spelt_alike() -> None:
    world = World()
    world.permission.networks.add("192.0.2.7")
    wanted = ["Ann@else.test", "ann@else.test", "straße@else.test", "strasse@else.test"]
    send(world, *wanted, "ann@ELSE.test", mail=" SMTPUTF8")
    assert world.spool.stored[0].recipients == wanted


def test_who_moved_and_who_is_full() -> None:
    world = World(known={"old@local.test": Moved(Address("new", "else.test"))})
    world.store.full.add("bob@local.test")
    replies = send(world, "old@local.test", "bob@local.test")
    assert b"551 5.1.6 User not local; please try <new@else.test>" in replies
    assert b"452 4.2.2" in replies


def test_a_program_has_no_mailbox_that_could_be_full() -> None:
    world = World(known={"shop@local.test": Local("shop@local.test", courier="app")})
    world.store.full.add("shop@local.test")
    assert b"250 2.0.0 Ok" in send(world, "shop@local.test")
    [recipient] = world.spool.stored[0].envelope.recipients
    assert recipient.mailbox == Local("shop@local.test", courier="app")


def test_relaying_takes_permission() -> None:
    world = World()
    assert b"550 5.7.1 Relaying denied" in send(world, "who@else.test")
    world.permission.networks.add("192.0.2.7")
    assert b"250 2.0.0 Ok" in send(world, "who@else.test")
    assert world.spool.stored[0].envelope.recipients[0].mailbox is None


def test_lmtp_never_relays() -> None:
    world = World(role=Role.LMTP)
    world.permission.networks.add("192.0.2.7")
    with world.greeted(hello=b"LHLO client.test\r\n") as peer:
        replies = peer.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<who@else.test>\r\n")
    assert b"550 5.7.1" in replies


def test_the_parameters_arrive_in_the_envelope() -> None:
    world = World()
    send(world, "ann@local.test", mail=" RET=HDRS ENVID=Q+2B1 BODY=8BITMIME SIZE=99 AUTH=<>")
    envelope = world.spool.stored[0].envelope
    assert envelope.envid == "Q+1"
    assert envelope.declared_size == 99
    assert envelope.body.value == "8BITMIME"
    assert envelope.ret is not None
    assert envelope.extra == {"AUTH": "<>"}


# --- policies -------------------------------------------------------------------------------


class Rule:
    """A policy that gives one verdict at every stage it provides."""

    def __init__(self, verdict: Any, name: str = "rule") -> None:
        self.name = name
        self.verdict = verdict
        self.asked: list[tuple[Any, ...]] = []

    def ask(self, *facts: Any) -> Any:
        self.asked.append(facts)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    connect = helo = auth = mail = recipient = message = ask


STAGES = {
    "connect": implementer(IConnectPolicy)(type("ConnectRule", (Rule,), {})),
    "helo": implementer(IHeloPolicy)(type("HeloRule", (Rule,), {})),
    "auth": implementer(IAuthPolicy)(type("AuthRule", (Rule,), {})),
    "mail": implementer(IMailPolicy)(type("MailRule", (Rule,), {})),
    "recipient": implementer(IRecipientPolicy)(type("RecipientRule", (Rule,), {})),
    "message": implementer(IMessagePolicy)(type("MessageRule", (Rule,), {})),
}
REFUSAL = Reply(550, status.MESSAGE_REFUSED, "Not from you")
LOGIN = b"AUTH PLAIN AGFubkBsb2NhbC50ZXN0AHNlY3JldA==\r\n"


def everything(world: World) -> bytes:
    peer = world.connect()
    return peer.read() + peer.ask(
        b"EHLO x\r\n" + LOGIN + b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n"
        + MESSAGE + b".\r\n"
    )  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_a_policy_refuses_at_its_stage(stage: str) -> None:
    world = World(policies=(STAGES[stage](REFUSAL),))
    replies = everything(world)
    assert b"550 5.7.1 Not from you (ref " in replies
    [refusal] = [r for r in world.journal.steps("refuse") if r["rule"] == "rule"]
    assert refusal["reply"] == "550 5.7.1 Not from you"
    # Whom a HELO policy refuses may not send; a refused login leaves a stranger.
    assert len(world.spool.stored) == (1 if stage == "auth" else 0)


@pytest.mark.parametrize("stage", STAGES)
def test_the_error_of_a_policy_is_temporary(stage: str) -> None:
    world = World(policies=(STAGES[stage](ZeroDivisionError("a bug")),))
    replies = everything(world)
    assert b"451 4.3.0" in replies
    assert b"a bug" not in replies
    assert len(world.spool.stored) == (1 if stage == "auth" else 0)


@pytest.mark.parametrize("stage", STAGES)
def test_a_positive_refusal_is_a_bug(stage: str) -> None:
    world = World(policies=(STAGES[stage](Reply(250, status.OTHER, "fine")),))
    assert b"451 4.3.0" in everything(world)


def test_a_failure_of_a_policy_is_its_reply() -> None:
    world = World(policies=(STAGES["mail"](PermanentFailure(REFUSAL, "secret detail")),))
    replies = everything(world)
    assert b"550 5.7.1 Not from you" in replies
    assert b"secret" not in replies
    assert world.journal.steps("refuse")[0]["reason"] == "secret detail"


def test_the_first_refusal_wins() -> None:
    later = STAGES["mail"](Reply(554, status.MESSAGE_REFUSED, "later"), "later")
    world = World(policies=(STAGES["mail"](REFUSAL, "first"), later))
    everything(world)
    assert world.journal.steps("refuse")[0]["rule"] == "first"
    assert later.asked == []


def test_tags_add_fields_and_choose_the_folder() -> None:
    tags = [
        STAGES["connect"](Tag("c", (("X-Connect", "1"),))),
        STAGES["recipient"](Tag("r", folder="Lists")),
        STAGES["message"](Tag("m", (("X-Spam", "yes\r\n\tfolded"),), folder="Junk")),
    ]
    world = World(policies=tuple(tags))
    everything(world)
    [message] = world.spool.stored
    assert message.prefix.startswith(
        b"X-Connect: 1\r\nX-Spam: yes\r\n\tfolded\r\nReceived: from x "
    )
    assert message.envelope.recipients[0].mailbox == Local("ann@local.test", "Junk")


def test_the_tags_of_a_recipient_stay_in_its_transaction() -> None:
    rule = STAGES["recipient"](Tag("r", (("X-Rcpt", "1"),)))
    world = World(policies=(rule,))
    everything(world)
    rule.verdict = None
    everything(world)
    first, second = world.spool.stored
    assert b"X-Rcpt" in first.prefix
    assert b"X-Rcpt" not in second.prefix


def test_a_field_that_is_two_is_a_bug() -> None:
    world = World(policies=(STAGES["message"](Tag("m", (("X-Bad", "1\r\nBcc: evil"),))),))
    assert b"451 4.3.0" in everything(world)
    assert world.spool.stored == []
    assert len(world.spool.aborted) == 1


def test_a_message_policy_sees_header_and_content() -> None:
    rule = STAGES["message"](None)
    world = World(policies=(rule,))
    everything(world)
    [(_, envelope, content)] = rule.asked
    assert content.header == b"Subject: x\r\nMessage-ID: <1@far.test>\r\n"
    assert content.size == len(MESSAGE)
    assert [str(recipient.address) for recipient in envelope.recipients] == ["ann@local.test"]


# --- the spool ------------------------------------------------------------------------------


def test_no_room_at_data_leaves_the_envelope() -> None:
    world = World()
    world.spool.begin_error = FULL_DISK
    with world.greeted() as peer:
        assert b"452 4.3.1 No room" in peer.ask(
            b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n"
        )
        world.spool.begin_error = None
        assert b"250 2.0.0 Ok" in peer.ask(b"DATA\r\n" + MESSAGE + b".\r\n")


def test_no_room_at_bdat_swallows_the_chunk() -> None:
    world = World()
    world.spool.begin_error = FULL_DISK
    with world.greeted() as peer:
        said = peer.ask(
            b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\n"
            b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"
        )
    codes = [line[:3] for line in said.splitlines()]
    assert codes == [b"250", b"250", b"452", b"503", b"250"]


@pytest.mark.parametrize("error", [FULL_DISK, OSError("disk on fire")])
def test_a_write_that_fails_is_told_at_the_end(error: Exception) -> None:
    world = World()
    world.spool.write_result = lambda: fail(error)
    replies = send(world, "ann@local.test", message=MESSAGE + b"MAIL FROM:<evil@far.test>\r\n")
    wanted = b"452 4.3.1 No room" if error is FULL_DISK else b"451 4.3.0"
    assert replies.split(b"354 ")[1].split(b"\r\n")[1].startswith(wanted)
    assert world.spool.stored == []
    assert len(world.spool.aborted) == 1


@pytest.mark.parametrize("error", [FULL_DISK, OSError("disk on fire")])
def test_a_commit_that_fails_is_no_250(error: Exception) -> None:
    world = World()
    world.spool.commit_result = lambda: fail(error)
    replies = send(world, "ann@local.test")
    assert b"250 2.0.0 Ok" not in replies
    assert (b"452 4.3.1" if error is FULL_DISK else b"451 4.3.0") in replies
    assert world.journal.steps("accept") == []


def test_250_waits_for_the_commit() -> None:
    world = World()
    waiting: Deferred[None] = Deferred()
    world.spool.commit_result = lambda: waiting
    with world.greeted() as peer:
        peer.send(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n")
        peer.send(MESSAGE + b".\r\nNOOP\r\n")
        assert peer.read().endswith(b"<CR><LF>.<CR><LF>\r\n")
        waiting.callback(None)
        replies = peer.read().split(b"\r\n")
        assert replies[0].startswith(b"250 2.0.0 Ok: ")
        assert replies[1] == b"250 2.0.0 Ok"


def test_the_resolver_breaks() -> None:
    world = World(known={"ann@local.test": RuntimeError("no database")})
    replies = send(world, "ann@local.test", "bob@local.test")
    assert b"451 4.3.0" in replies
    assert world.spool.stored[0].recipients == ["bob@local.test"]


def test_a_temporary_failure_of_the_resolver_is_its_reply() -> None:
    failure = TransientFailure(Reply(451, status.DIRECTORY_FAILURE, "Ask again"), "timeout")
    assert b"451 4.4.3 Ask again" in send(World(known={"x@local.test": failure}), "x@local.test")


# --- header section -------------------------------------------------------------------------


def test_a_loop_is_cut() -> None:
    world = World(limits=limits(received_hops=3))
    hops = b"Received: from a by b; date\r\n"
    assert b"250 2.0.0 Ok" in send(world, "ann@local.test", message=hops * 3 + MESSAGE)
    assert b"554 5.4.6" in send(world, "ann@local.test", message=hops * 4 + MESSAGE)
    # without an empty line, and with Received in the body
    assert b"554 5.4.6" in send(world, "ann@local.test", message=hops * 4)
    assert b"250 2.0.0 Ok" in send(world, "ann@local.test", message=MESSAGE + hops * 4)


def test_a_header_section_has_a_limit() -> None:
    world = World(limits=limits(header_size=100))
    assert b"552 5.3.4" in send(world, "ann@local.test", message=b"X: y\r\n" * 17 + b"\r\n")
    assert b"250 2.0.0 Ok" in send(world, "ann@local.test", message=b"X: y\r\n" * 16 + b"\r\n")
    assert b"250 2.0.0 Ok" in send(world, "ann@local.test", message=b"\r\n" + b"x" * 200 + b"\r\n")


@pytest.mark.parametrize("header", [b"A: b\0\r\n", b"A: b\nC: d\r\n", b"A: b\rC: d\r\n"])
@pytest.mark.parametrize("rest", [b"\r\nx\0\r\n", b""])
def test_a_header_section_is_never_binary(header: bytes, rest: bytes) -> None:
    def send_binary(message: bytes) -> bytes:
        envelope = b"MAIL FROM:<a@far.test> BODY=BINARYMIME\r\nRCPT TO:<ann@local.test>\r\n"
        with World().greeted() as peer:
            return peer.ask(envelope + b"BDAT %d LAST\r\n" % len(message) + message)

    assert b"550 5.6.11" in send_binary(header + rest)
    assert b"250 2.0.0 Ok" in send_binary(b"A: b\r\n\r\n" + header + rest)


def test_the_journal_knows_the_message_id() -> None:
    world = World()
    send(world, "ann@local.test", "nobody@local.test")
    [accept] = world.journal.steps("accept")
    assert accept["message_id"] == "<1@far.test>"
    assert accept["forward_path"] == ["ann@local.test"]
    assert accept["size"] == len(MESSAGE) + len(world.spool.stored[0].prefix)
    [refuse] = world.journal.steps("refuse")
    assert refuse["forward_path"] == "nobody@local.test"
    assert refuse["reverse_path"] == "a@far.test"


# --- one transaction never reaches another --------------------------------------------------


def test_a_slow_recipient_stays_in_its_transaction() -> None:
    slow: Deferred[Any] = Deferred()
    world = World()
    original = world.resolver.resolve
    world.resolver.resolve = (  # type: ignore[method-assign]
        lambda address: slow if address.local_part == "ann" else original(address)
    )
    with world.greeted() as peer:
        peer.send(
            b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nRSET\r\n"
            b"MAIL FROM:<b@far.test>\r\nRCPT TO:<bob@local.test>\r\nDATA\r\n" + MESSAGE + b".\r\n"
        )
        assert peer.read() == b"250 2.0.0 Sender ok\r\n"
        slow.callback(Local("ann@local.test"))
        replies = peer.read()
    assert replies.split(b"\r\n")[0].startswith(b"250 2.1.5")
    [message] = world.spool.stored
    assert message.recipients == ["bob@local.test"]
    assert str(message.envelope.reverse_path) == "b@far.test"


# --- VRFY and EXPN --------------------------------------------------------------------------

LIST = Expanded(
    (
        Target(Address("ann", "local.test"), Local("ann@local.test")),
        Target(Address("far", "else.test"), None),
    ),
    is_list=True,
)
VERIFIABLE = {
    "list@local.test": LIST,
    "old@local.test": Moved(Address("new", "else.test")),
    "fwd@local.test": Expanded((Target(Address("far", "else.test"), None),)),
    "ann@mx.local.test": Local("ann@mx.local.test"),
}
QUESTIONS = [
    (b"VRFY ann@local.test", b"250 2.1.5 <ann@local.test>"),
    (b"VRFY <ann@local.test>", b"250 2.1.5 <ann@local.test>"),
    (b"VRFY ann", b"250 2.1.5 <ann@mx.local.test>"),
    (b"VRFY postmaster", b"250 2.1.5 <postmaster>"),
    (b"VRFY list@local.test", b"250 2.1.5 <list@local.test> is a list"),
    (b"VRFY fwd@local.test", b"251 2.1.5 User not local; will forward to <far@else.test>"),
    (b"VRFY old@local.test", b"551 5.1.6 User not local; please try <new@else.test>"),
    (b"VRFY nobody@local.test", b"550 5.1.1 No such user here"),
    (b"VRFY who@else.test", b"252 2.0.0 "),
    (b"VRFY two words", b"553 5.1.3 "),
    (b"EXPN list@local.test", b"250-2.1.5 <ann@local.test>\r\n250 2.1.5 <far@else.test>"),
    (b"EXPN ann@local.test", b"250 2.1.5 <ann@local.test>"),
    (b"EXPN nobody@local.test", b"550 5.1.1 "),
]


@pytest.mark.parametrize(("question", "answer"), QUESTIONS)
def test_those_who_may_relay_get_answers(question: bytes, answer: bytes) -> None:
    world = World(known=dict(VERIFIABLE))
    world.permission.networks.add("192.0.2.7")
    with world.greeted() as peer:
        assert peer.ask(question + b"\r\n").startswith(answer)


@pytest.mark.parametrize("question", [question for question, _ in QUESTIONS])
def test_strangers_hear_always_the_same(question: bytes) -> None:
    world = World(known=dict(VERIFIABLE))
    with world.greeted() as peer:
        assert peer.ask(question + b"\r\n").startswith(b"252 2.0.0 Cannot verify")


def test_expn_is_offered_to_those_who_get_answers() -> None:
    world = World()
    assert b"EXPN" not in world.connect().ask(b"EHLO x\r\n")
    world.permission.networks.add("192.0.2.7")
    assert b"250-EXPN\r\n" in world.connect().ask(b"EHLO x\r\n")


def test_other_roles_are_refused() -> None:
    world = World()
    parts = world.factory.parts
    with pytest.raises(ValueError, match="pop3"):
        SmtpFactory(
            "h", Role.POP3, "x", spool=parts.spool, resolver=parts.resolver,
            permission=parts.permission, policies=(), authenticator=None, store=None,
            journal=parts.journal, ids=parts.ids, tls=None, connections=world.connections,
            clock=world.clock, nonce=str,
        )  # fmt: skip
