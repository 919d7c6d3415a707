"""What hooks answer before the 250 becomes what the peer hears, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailframe.core.address import Address
from mailframe.core.authentication import Authentication, Result, SpfResult
from mailframe.core.envelope import Envelope
from mailframe.core.resolution import Expanded, Local, Target
from mailframe.core.session import Role, Session
from mailframe.core.verdict import Tag, Verdict
from mailframe.hooks.app import App
from mailframe.hooks.judging import judging
from mailframe.hooks.verdicts import (
    Accept,
    Defer,
    Discard,
    Quarantine,
    Redirect,
    Reject,
)
from mailframe.interfaces import (
    IAuthPolicy,
    IConnectPolicy,
    IContent,
    IHeloPolicy,
    IMailPolicy,
    IMessagePolicy,
    IRecipientPolicy,
)
from tests.dialogs.smtp_world import World
from tests.unit.hooks.house import House, logged, texts

LOGIN = b"AUTH PLAIN AGFubkBsb2NhbC50ZXN0AHNlY3JldA==\r\n"  # ann@local.test, secret
HEADER = b"Subject: one\r\nFrom: a@far.test\r\n\r\n"


def asking(*apps: App, **more: Any) -> tuple[House, World]:
    house = House(apps).start()
    return house, house.world(**more)


def send(world: World, *to: str, body: bytes = b"text\r\n", sender: str = "a@far.test") -> bytes:
    with world.greeted() as peer:
        named = "".join(f"RCPT TO:<{each}>\r\n" for each in to or ("ann@local.test",))
        said = peer.ask(f"MAIL FROM:<{sender}>\r\n{named}DATA\r\n".encode())
        if b"354" in said:
            said += peer.ask(HEADER + body + b".\r\n")
        return said


def says(answer: Any) -> Any:
    def hook() -> Any:
        return answer

    return hook


# ---- each stage


INTERFACES = {
    "connect": IConnectPolicy,
    "helo": IHeloPolicy,
    "auth": IAuthPolicy,
    "mail": IMailPolicy,
    "recipient": IRecipientPolicy,
    "message": IMessagePolicy,
}


@pytest.mark.parametrize("stage", INTERFACES)
def test_each_is_a_policy_of_its_stage(stage: str) -> None:
    app = App("shop")
    app.policy(stage)(says(None))
    (policy,) = (p for p in House([app]).running.policies if p.name == "shop.hook")
    verifyObject(INTERFACES[stage], policy)
    assert [i for i in INTERFACES.values() if i.providedBy(policy)] == [INTERFACES[stage]]


@pytest.mark.parametrize("stage", ["helo", "mail", "recipient", "message"])
def test_a_refusal_is_the_reply_and_named_in_the_story(stage: str) -> None:
    app = App("shop")
    app.policy(stage)(says(Reject(554, "5.7.1", "not you")))
    _, world = asking(app)
    said = world.connect().ask(b"EHLO far.test\r\n") if stage == "helo" else send(world)
    assert b"554 5.7.1 not you" in said
    (refusal, *_) = world.journal.steps("refuse")
    assert refusal["rule"] == "shop.hook"
    assert world.spool.stored == []


def test_a_refusal_at_connect_has_a_code_that_may_be_said_there() -> None:
    for answer, words in ((Reject(550, "5.7.1", "no"), b"554 "), (Defer(), b"421 ")):
        app = App("shop")
        app.policy("connect")(says(answer))
        _, world = asking(app)
        assert world.connect().read().startswith(words)


def test_at_auth_a_refusal_undoes_the_login() -> None:
    app = App("shop")
    seen: list[Session] = []

    @app.policy("auth")
    def hook(session: Session) -> Reject:
        seen.append(session)
        return Reject(535, "5.7.8", "not today")

    _, world = asking(app)
    with world.greeted() as peer:
        assert b"535 5.7.8 not today" in peer.ask(LOGIN)
    assert seen[0].account is None


def test_hooks_get_what_their_stage_knows() -> None:
    app = App("shop")
    seen: dict[str, Any] = {}

    @app.policy("mail")
    def mail(session: Session, envelope: Envelope) -> None:
        seen["mail"] = (session.peer_ip, str(envelope.reverse_path))

    @app.policy("recipient")
    async def rcpt(address: Address, resolution: Any, envelope: Envelope) -> None:
        seen.setdefault("rcpt", []).append((str(address), resolution, len(envelope.recipients)))

    @app.policy("message")
    def message(msg: Any) -> None:
        seen["message"] = (msg.subject, msg.text.strip(), msg.sender, msg.session.peer_ip)

    _, world = asking(app)
    assert b"250 2.0.0 Ok" in send(world, "ann@local.test", "bob@local.test")
    assert seen["mail"] == ("192.0.2.7", "a@far.test")
    assert seen["rcpt"] == [
        ("ann@local.test", Local("ann@local.test"), 0),
        ("bob@local.test", Local("bob@local.test"), 1),
    ]
    assert seen["message"] == ("one", "text", "a@far.test", "192.0.2.7")


def test_a_mistake_is_451_and_under_the_messages_id() -> None:
    app = App("shop")
    ids: list[str] = []

    @app.policy("message")
    def broken(msg: Any) -> None:
        ids.append(msg.id)
        raise RuntimeError("secret")

    _, world = asking(app)
    with logged() as events:
        said = send(world)
    assert b"451 4.3.0" in said
    assert b"secret" not in said
    assert ids[0] in texts(events)
    (refusal,) = world.journal.steps("refuse")
    assert (refusal["rule"], refusal["reason"]) == (
        "shop.broken",
        "shop.broken failed: RuntimeError: secret",
    )


# ---- verdicts


def test_discard_is_250_and_nothing_is_kept() -> None:
    app = App("shop")
    app.policy("message")(says(Discard("enough")))
    _, world = asking(app)
    said = send(world, "ann@local.test", "bob@local.test")
    assert b"250 2.0.0 Ok: " in said
    id = said.split(b"Ok: ")[1].split(b" ")[0].strip().decode()
    assert world.spool.stored == []
    assert world.spool.aborted == [id]
    (accepted,) = world.journal.steps("accept")
    assert (accepted["id"], accepted["result"]) == (id, "discarded")
    assert accepted["forward_path"] == ["ann@local.test", "bob@local.test"]
    (check,) = world.journal.steps("check")
    assert (check["result"], check["reason"]) == ("shop.hook", "enough")
    assert [step["id"] for step in world.journal.steps("remove")] == [id]


def test_the_session_goes_on_after_a_discarded_message() -> None:
    app = App("shop")
    answers: list[Any] = [Discard(), None]
    app.policy("message")(lambda: answers.pop(0))
    _, world = asking(app)
    with world.greeted() as peer:
        for _ in range(2):
            peer.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n")
            assert b"250 2.0.0 Ok" in peer.ask(HEADER + b"x\r\n.\r\n")
    assert len(world.spool.stored) == 1


@pytest.mark.parametrize("stage", ["connect", "helo", "mail", "message"])
def test_redirect_exchanges_all_recipients(stage: str) -> None:
    app = App("shop")
    app.policy(stage)(says(Redirect("bob@local.test", "else@where.test")))
    _, world = asking(app)
    assert b"250 2.0.0 Ok" in send(world)
    assert world.spool.stored[0].recipients == ["bob@local.test", "else@where.test"]


def test_redirect_to_nobody_puts_the_message_off() -> None:
    app = App("shop")
    app.policy("message")(says(Redirect("nobody@local.test")))
    _, world = asking(app)
    assert b"451 4.3.0" in send(world)
    assert world.spool.stored == []


@pytest.mark.parametrize("stage", ["connect", "helo", "mail"])
def test_discard_before_there_is_a_message(stage: str) -> None:
    app = App("shop")
    app.policy(stage)(says(Discard("not wanted")))
    _, world = asking(app)
    assert b"250 2.0.0 Ok" in send(world)
    assert world.spool.stored == []
    (check,) = (s for s in world.journal.steps("check") if s["result"] == "apps")
    assert check["reason"] == "shop.hook: not wanted"


def test_what_is_said_of_a_recipient_is_about_that_one() -> None:
    app = App("shop")
    answers = {
        "ann@local.test": Discard(),
        "bob@local.test": Redirect("else@where.test"),
        "team@local.test": Quarantine("odd", folder="Odd"),
    }

    @app.policy("recipient")
    def each(address: Address) -> Any:
        return answers.get(address.key)

    targets = tuple(
        Target(Address(each, "local.test"), Local(f"{each}@local.test")) for each in ("cy", "di")
    )
    known = {"team@local.test": Expanded(targets), "ed@local.test": Local("ed@local.test")}
    _, world = asking(app, known=known)
    to = ("Ann@local.test", "bob@local.test", "team@local.test", "ed@local.test")
    assert b"250 2.0.0 Ok" in send(world, *to)
    (stored,) = world.spool.stored
    assert stored.recipients == [
        "cy@local.test",
        "di@local.test",
        "ed@local.test",
        "else@where.test",
    ]
    folders = [r.mailbox.folder for r in stored.envelope.recipients if r.mailbox]
    assert folders == ["Odd", "Odd", ""]


def test_discarding_each_recipient_discards_the_message() -> None:
    app = App("shop")
    app.policy("recipient")(says(Discard()))
    _, world = asking(app)
    assert b"250 2.0.0 Ok" in send(world, "ann@local.test", "bob@local.test")
    assert world.spool.stored == []


@pytest.mark.parametrize("stage", ["connect", "helo", "mail", "message"])
def test_quarantine_is_filed(stage: str) -> None:
    app = App("shop")
    app.policy(stage)(says(Quarantine("odd")))
    _, world = asking(app)
    send(world)
    (recipient,) = world.spool.stored[0].envelope.recipients
    assert recipient.mailbox is not None
    assert recipient.mailbox.folder == "Junk"


def test_what_was_said_of_one_transaction_is_over_with_it() -> None:
    app = App("shop")
    answers: list[Any] = [Discard(), None]
    app.policy("mail")(lambda: answers.pop(0))
    _, world = asking(app)
    with world.greeted() as peer:
        for _ in range(2):
            peer.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n")
            peer.ask(HEADER + b"x\r\n.\r\n")
    assert len(world.spool.stored) == 1


def test_two_messages_of_a_session_that_is_discarded() -> None:
    app = App("shop")
    app.policy("connect")(says(Discard()))
    _, world = asking(app)
    with world.greeted() as peer:
        for _ in range(2):
            peer.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n")
            assert b"250 2.0.0 Ok" in peer.ask(HEADER + b"x\r\n.\r\n")
    assert world.spool.stored == []


# ---- order, and Accept


def test_hooks_of_all_applications_in_order() -> None:
    one, two = App("one"), App("two")
    asked: list[str] = []
    one.policy("message", order=500, name="b")(lambda: asked.append("one.b"))
    one.policy("message", order=100, name="a")(lambda: asked.append("one.a"))
    two.policy("message", order=200, name="a")(lambda: asked.append("two.a"))
    _, world = asking(one, two)
    send(world)
    assert asked == ["one.a", "two.a", "one.b"]


def test_accept_silences_its_own_application_only() -> None:
    one, two = App("one"), App("two")
    one.policy("mail")(says(Accept()))
    one.policy("message")(says(Reject()))
    asked: list[int] = []
    two.policy("message")(lambda: asked.append(1))
    _, world = asking(one, two)
    assert b"250 2.0.0 Ok" in send(world)
    assert asked == [1]


def test_accept_at_mail_holds_for_its_transaction_only() -> None:
    app = App("shop")
    answers: list[Any] = [Accept(), None]
    app.policy("mail")(lambda: answers.pop(0))
    app.policy("message", name="strict")(says(Reject()))
    _, world = asking(app)
    assert b"250 2.0.0 Ok" in (first := send_two(world))[0]
    assert b"550 5.7.1" in first[1]


def send_two(world: World) -> list[bytes]:
    said = []
    with world.greeted() as peer:
        for _ in range(2):
            peer.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n")
            said.append(peer.ask(HEADER + b"x\r\n.\r\n"))
    return said


def test_accept_of_a_recipient_is_about_that_one() -> None:
    app = App("shop")

    @app.policy("recipient", order=1)
    def known(address: Address) -> Any:
        return Accept() if address.local_part == "ann" else None

    app.policy("recipient", order=2, name="strict")(says(Reject(550, "5.7.1", "unknown")))
    _, world = asking(app)
    said = send(world, "ann@local.test", "bob@local.test")
    assert said.count(b"550 5.7.1 unknown") == 1
    assert world.spool.stored[0].recipients == ["ann@local.test"]


# ---- the message


def test_the_message_is_read_once_for_all_hooks() -> None:
    app = App("shop")
    seen: list[Any] = []
    app.policy("message", order=1, name="a")(lambda msg: seen.append(msg))
    app.policy("message", order=2, name="b")(lambda msg: seen.append(msg))
    app.filter(lambda msg: seen.append(msg))
    opened: list[int] = []

    @implementer(IMessagePolicy)
    class Counts:
        name = "counts"

        def message(self, session: Session, envelope: Envelope, content: Any) -> Verdict:
            opening = content.open

            def counted() -> Any:
                opened.append(1)
                return opening()

            content.open = counted
            return None

    counting = House([app]).start()
    world = World(policies=(Counts(), *counting.running.filters, *counting.running.policies))
    assert b"250 2.0.0 Ok" in send(world)
    assert opened == [1]
    assert len(seen) == 3
    assert seen[0] is seen[1] is seen[2], "nothing was found out in between"


def test_each_hook_sees_what_was_found_out_before_it() -> None:
    app = App("shop")
    seen: list[Any] = []
    app.filter(lambda msg: seen.append(msg))
    app.policy("message")(lambda msg: seen.append(msg))

    @implementer(IMessagePolicy)
    class Finds:
        name = "finds"

        def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
            spf = SpfResult(Result.PASS, "far.test")
            return Tag("found", headers=(("X-Found", "yes"),), auth=Authentication(spf=spf))

    house = House([app]).start()
    send(World(policies=(*house.running.filters, Finds(), *house.running.policies)))
    before, after = seen
    assert not before.auth.spf
    assert "X-Found" not in before.headers
    assert after.auth.spf
    assert after.headers["X-Found"] == "yes"


@pytest.mark.parametrize("how", ["accepted", "refused", "mistake", "left", "discarded", "next"])
def test_memory_is_given_back(how: str) -> None:
    app = App("shop")
    late: Deferred[None] = Deferred()

    @app.policy("message")
    async def hook(msg: Any) -> Any:
        assert house.running._room.taken == msg.size
        if how == "refused":
            return Reject()
        if how == "mistake":
            raise RuntimeError
        if how == "discarded":
            return Discard()
        if how == "left":
            await late
        return None

    house, world = asking(app)
    with logged(), world.greeted() as peer:
        peer.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n")
        peer.ask(HEADER + b"x\r\n.\r\n")
        if how == "left":
            assert house.running._room.taken > 0
            peer.leave()
        assert house.running._room.taken == 0


def test_messages_wait_for_room_and_are_put_off() -> None:
    app = App("shop")
    late: list[Deferred[None]] = []

    @app.policy("message")
    async def hook(msg: Any) -> None:
        late.append(Deferred())
        await late[-1]

    house = House([app], memory=100).start()
    world = house.world()
    peers = [world.connect() for _ in range(3)]
    for peer in peers:
        peer.ask(b"HELO x\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n")
        peer.ask(HEADER + b"x" * 60 + b"\r\n.\r\n")
    assert len(late) == 1
    late[0].callback(None)
    assert len(late) == 2
    assert b"250 2.0.0 Ok" in peers[0].read()
    house.clock.advance(30)
    assert b"451 4.3.2" in peers[2].read()


def test_a_peer_that_leaves_while_its_message_waits_for_room() -> None:
    app = App("shop")
    late: list[Deferred[None]] = []

    @app.policy("message")
    async def hook(msg: Any) -> None:
        late.append(Deferred())
        await late[-1]

    house = House([app], memory=100).start()
    world = house.world()
    peers = [world.connect() for _ in range(2)]
    for peer in peers:
        peer.ask(b"HELO x\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<ann@local.test>\r\nDATA\r\n")
        peer.ask(HEADER + b"x" * 60 + b"\r\n.\r\n")
    peers[1].leave()
    late[0].callback(None)
    assert len(late) == 1
    assert house.running._room.taken == 0
    assert house.running._room.waiting == 0


def test_no_more_is_read_than_the_limit() -> None:
    app = App("shop")
    seen: list[int] = []
    app.policy("message")(lambda msg: seen.append(len(msg.raw)))
    house = House([app], server_more={"message_size": 50}).start()
    send(house.world(), body=b"x" * 500 + b"\r\n")
    assert seen == [50]


def test_nobody_can_send_from_a_policy() -> None:
    app = App("shop")
    app.policy("message")(lambda msg: msg.reply("hello"))
    _, world = asking(app)
    with logged() as events:
        assert b"451 4.3.0" in send(world)
    assert "no mail can be sent" in str(events[0]["log_failure"].value)


# ---- filters


def test_points_become_symbols() -> None:
    app = App("shop")
    app.filter(order=1, name="plain")(lambda: 2.5)
    app.filter(order=2, name="named")(lambda msg: msg.score("ODD", -1, "why"))
    app.filter(order=3, name="many")(lambda msg: [msg.score("A", 1), msg.score("B", 2)])
    app.filter(order=4, name="none")(lambda: None)
    app.filter(order=5, name="zero")(lambda: 0)
    found: list[Any] = []

    @implementer(IMessagePolicy)
    class Looks:
        name = "looks"

        def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
            found.extend(session.found.symbols)
            return None

    _, world = asking(app, before=(Looks(),))
    assert b"250 2.0.0 Ok" in send(world)
    told = [(symbol.name, symbol.weight) for symbol in found]
    assert told == [("SHOP_PLAIN", 2.5), ("ODD", -1.0), ("A", 1.0), ("B", 2.0)]
    checks = {step["result"]: step["reason"] for step in world.journal.steps("check")}
    assert checks["shop.named"] == "ODD -1 why"


@pytest.mark.parametrize("answer", [True, "5", float("nan"), float("inf"), [1], [None], object()])
def test_points_that_are_none(answer: Any) -> None:
    app = App("shop")
    app.filter(says(answer))
    _, world = asking(app)
    with logged() as events:
        assert b"451 4.3.0" in send(world)
    assert "answered" in texts(events)


def test_a_filter_may_refuse() -> None:
    app = App("shop")
    app.filter(says(Reject(550, "5.7.1", "no")))
    _, world = asking(app)
    assert b"550 5.7.1 no" in send(world)


# ---- before the 250


def orders(**more: Any) -> tuple[App, list[Any]]:
    app = App("shop")
    calls: list[Any] = []

    @app.deliver("orders+{number:int}@shop.test", before_ack=True, **more)
    def order(msg: Any, number: int, address: Address) -> Any:
        calls.append((number, msg.id, str(address)))
        return None

    return app, calls


def test_it_is_asked_before_the_reply_and_the_recipient_knows() -> None:
    app, calls = orders()
    _, world = asking(app)
    assert b"250 2.0.0 Ok" in send(world, "Orders+42@shop.test")
    (stored,) = world.spool.stored
    assert calls == [(42, stored.queue_id, "Orders+42@shop.test")]
    (recipient,) = stored.envelope.recipients
    assert recipient.mailbox is not None
    assert (recipient.mailbox.courier, recipient.mailbox.account) == ("app", "orders+42@shop.test")
    assert recipient.mailbox.headers[0][0] == "X-Mailframe-Answered"
    assert b"Mailframe-Answered" not in stored.prefix + stored.content


def test_what_it_refuses_is_refused() -> None:
    for answer, words in ((Reject(550, "5.1.1", "no"), b"550 5.1.1"), (Defer(), b"451 4.3.2")):
        app = App("shop")
        app.deliver("orders@shop.test", before_ack=True)(says(answer))
        _, world = asking(app)
        assert words in send(world, "orders@shop.test")
        assert world.spool.stored == []


def test_what_it_writes_is_sent_when_it_has_succeeded() -> None:
    app = App("shop")
    answers: list[Any] = [Reject(), None]

    @app.deliver("orders@shop.test", before_ack=True)
    def order(msg: Any) -> Any:
        msg.reply("thank you")
        return answers.pop(0)

    house, world = asking(app)
    assert b"550 " in send(world, "orders@shop.test")
    assert house.outbox.posted == []
    assert b"250 2.0.0 Ok" in send(world, "orders@shop.test")
    ((_, to, _),) = house.outbox.posted
    assert [str(each) for each in to] == ["a@far.test"]


def test_what_cannot_be_sent_puts_the_message_off() -> None:
    app = App("shop")
    app.deliver("orders@shop.test", before_ack=True)(lambda msg: msg.reply("thank you"))
    house, world = asking(app)
    house.outbox.failures = [OSError("disk")]
    assert b"451 4.3.0" in send(world, "orders@shop.test")
    assert world.spool.stored == []


def test_strangers_are_asked_to_bring_them_one_at_a_time() -> None:
    app, calls = orders()
    _, world = asking(app)
    said = send(world, "orders+1@shop.test", "orders+2@shop.test", "ann@local.test")
    assert said.count(b"452 4.5.3") == 2
    assert [number for number, _, _ in calls] == [1]
    said = send(world, "ann@local.test", "bob@local.test", "orders+2@shop.test")
    assert said.count(b"452 4.5.3") == 1
    assert world.spool.stored[-1].recipients == ["ann@local.test", "bob@local.test"]
    said = send(world, "orders+1@shop.test", "orders+1@shop.test")
    assert b"452" not in said, "the same one again"


def test_mail_programs_may_bring_them_together() -> None:
    app, calls = orders()
    house = House([app]).start()
    world = house.world(role=Role.SUBMISSION)
    with world.greeted() as peer:
        peer.ask(LOGIN)
        peer.ask(
            b"MAIL FROM:<ann@local.test>\r\nRCPT TO:<orders+1@shop.test>\r\n"
            b"RCPT TO:<orders+2@shop.test>\r\nRCPT TO:<bob@local.test>\r\nDATA\r\n"
        )
        assert b"250 2.0.0 Ok" in peer.ask(HEADER + b"x\r\n.\r\n")
    assert [number for number, _, _ in calls] == [1, 2]
    marked = [
        bool(r.mailbox.headers) for r in world.spool.stored[0].envelope.recipients if r.mailbox
    ]
    assert marked == [True, True, False]


def test_each_hook_is_asked_for_its_own_recipients_only() -> None:
    app, calls = orders()
    others: list[str] = []

    @app.deliver("help@shop.test", before_ack=True)
    def ask(address: Address) -> None:
        others.append(str(address))

    house = House([app]).start()
    world = house.world(role=Role.SUBMISSION)
    with world.greeted() as peer:
        peer.ask(LOGIN)
        peer.ask(
            b"MAIL FROM:<ann@local.test>\r\nRCPT TO:<orders+1@shop.test>\r\n"
            b"RCPT TO:<help@shop.test>\r\nDATA\r\n"
        )
        assert b"250 2.0.0 Ok" in peer.ask(HEADER + b"x\r\n.\r\n")
    assert [number for number, _, _ in calls] == [1]
    assert others == ["help@shop.test"]


def test_other_hooks_can_refuse_before_it_is_asked() -> None:
    app, calls = orders()
    app.policy("message", order=10_000)(says(Reject()))
    _, world = asking(app)
    assert b"550" in send(world, "orders+1@shop.test")
    assert calls == []


def test_a_version_without_hooks_has_no_policies() -> None:
    app = App("shop")
    running = House([app]).running
    assert (running.policies, running.filters, running.sources, running.sink) == ([], [], [], None)
    assert running.courier.name == "app"


def test_what_it_knows_of_a_session_is_in_the_session() -> None:
    session = Session("S1", Role.MX, "mx", "192.0.2.7")
    assert judging(session) is judging(session)
    assert judging(session) is not judging(Session("S2", Role.MX, "mx", "192.0.2.7"))
