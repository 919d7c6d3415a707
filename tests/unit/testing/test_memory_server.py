"""The server in memory, used as a test of somebody's application would use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mailframe import App, Defer
from mailframe.errors import ConfigError, PermanentFailure
from mailframe.hooks.mail import Message
from mailframe.interfaces import Step
from mailframe.testing.memory_server import MemoryServer

ANN = "ann@mail.example"
USERS = {ANN: "secret", "bob@mail.example": "hidden"}


@pytest.fixture
def mail() -> Iterator[MemoryServer]:
    with MemoryServer(users=USERS) as server:
        yield server


def test_a_message_is_delivered(mail: MemoryServer) -> None:
    answer = mail.send("zoe@far.test", ANN, "Καλημέρα", subject="Γεια", html="<p>Καλημέρα</p>")

    assert (answer.code, answer.status, answer.stage) == (250, "2.0.0", "message")
    mail.run_deliveries()
    (found,) = mail.inbox(ANN)
    assert (found.sender, found.to) == ("zoe@far.test", [ANN])
    assert (found.subject, found.text) == ("Γεια", "Καλημέρα\n")
    assert found.html == "<p>Καλημέρα</p>\n"
    assert mail.queue() == []


def test_attachments_and_headers_arrive(mail: MemoryServer) -> None:
    mail.send(
        "zoe@far.test",
        ANN,
        headers={"X-Order": "42", "From": "Zoe <zoe@far.test>"},
        attachments=[("list.csv", b"a,b\r\n", "text/x"), ("my.pdf", b"%PDF"), ("n.txt", "\xe9")],
    )
    mail.run_deliveries()
    (found,) = mail.inbox(ANN)
    assert found.headers["x-order"] == "42"
    assert [(each.name, each.type, each.content) for each in found.attachments] == [
        ("list.csv", "text/x", b"a,b\r\n"),
        ("my.pdf", "application/pdf", b"%PDF"),
        ("n.txt", "text/plain", b"\xc3\xa9"),
    ]
    assert found.attachments[2].text == "\xe9"


def test_what_is_no_attachment(mail: MemoryServer) -> None:
    wrong: list[Any] = ["list.csv"]
    with pytest.raises(TypeError, match="no attachment"):
        mail.send("zoe@far.test", ANN, attachments=wrong)
    assert mail.inbox(ANN) == []


def test_dead_letters_are_tried_again() -> None:
    app = App()
    mended: list[bool] = []
    taken: list[str] = []

    @app.deliver("orders@shop.test")
    def order(msg: Message) -> None:
        if not mended:
            raise Defer(text="the shop is shut")
        taken.append(msg.subject)

    with MemoryServer(app, config={"queue": {"retry": ["1s"], "expire": "5s"}}) as mail:
        ids = [mail.send("zoe@far.test", "orders@shop.test", subject=s).id for s in ("one", "two")]
        assert mail.replay() == []
        mail.advance(10)
        assert [each.queue_name for each in mail.queue()] == ["dead", "dead"]
        assert mail.outbox == []  # it does not bounce
        mended.append(True)
        mail.run_deliveries()
        assert taken == []
        began = mail.world.seconds()
        assert mail.replay(ids[1]) == [ids[1]]
        mail.run_deliveries()
        assert taken == ["two"]
        assert mail.world.seconds() - began < 5  # the queue is told of it
        assert mail.replay() == [ids[0]]
        mail.run_deliveries()
        assert taken == ["two", "one"]
        assert mail.queue() == []


def test_who_is_refused(mail: MemoryServer) -> None:
    answer = mail.send("zoe@far.test", "nobody@mail.example", "x")
    assert (answer.code, answer.status, answer.stage) == (550, "5.1.1", "rcpt")
    assert mail.trace(answer.id)[-1]["step"] in ("refuse", "disconnect")
    relayed = mail.send("zoe@far.test", "x@elsewhere.test", "x")
    assert (relayed.code, relayed.status) == (550, "5.7.1")


def test_one_of_two_recipients_is_refused(mail: MemoryServer) -> None:
    answer = mail.send("zoe@far.test", [ANN, "nobody@mail.example"], "x")
    assert answer.code == 250
    assert [reply[:3] for reply in answer.replies["rcpt"]] == ["250", "550"]
    mail.run_deliveries()
    assert len(mail.inbox(ANN)) == 1


def test_mail_goes_out(mail: MemoryServer) -> None:
    answer = mail.send(ANN, ["x@far.test", "y@far.test"], "out", login=ANN)
    mail.run_deliveries()
    (found,) = mail.outbox
    assert found.to == ["x@far.test", "y@far.test"]
    assert (found.sender, found.text) == (ANN, "out\n")
    assert [step["step"] for step in mail.trace(answer.id)][-1] == "remove"


def test_a_wrong_password(mail: MemoryServer) -> None:
    answer = mail.send(ANN, "x@far.test", "out", login=(ANN, "wrong"))
    assert (answer.code, answer.stage) == (535, "auth")


def test_a_host_elsewhere_follows_its_script(mail: MemoryServer) -> None:
    host = mail.world.remote_mx("slow.test", ["421 busy", {"data": "451 4.3.0 later"}, 250])
    mail.send(ANN, "x@slow.test", "patience", login=ANN)
    mail.run_deliveries()
    (queued,) = mail.queue()
    assert "421 busy" in queued.recipients[0].delay_reason
    for _ in range(2):
        mail.advance(3600)
        mail.run_deliveries()
    assert mail.queue() == []
    assert len(host.messages) == 1


def test_a_refusal_elsewhere_bounces(mail: MemoryServer) -> None:
    mail.world.remote_mx("no.test", ["550 5.1.1 nobody of that name"])
    mail.send(ANN, "x@no.test", "lost", login=ANN)
    mail.run_deliveries()
    (bounce,) = mail.inbox(ANN)
    assert bounce.sender == ""
    assert "nobody of that name" in bounce.raw.decode()


def test_what_hangs_up_before_its_reply_is_tried_again(mail: MemoryServer) -> None:
    host = mail.world.remote_mx("twice.test", ["drop", 250])
    mail.send(ANN, "x@twice.test", "twice", login=ANN)
    mail.run_deliveries()
    mail.advance(3600)
    mail.run_deliveries()
    assert host.attempts == 2
    assert len(host.messages) == 2


@pytest.mark.parametrize(
    ("records", "result"),
    [
        ({"far.test": "v=spf1 ip4:198.51.100.25 -all"}, "pass"),
        ({"far.test": "v=spf1 -all"}, "fail"),
        ({"far.test": "SERVFAIL"}, "temperror"),
        ({"far.test": "TIMEOUT"}, "temperror"),
        ({"far.test": "NXDOMAIN"}, "none"),
    ],
)
def test_the_dns_is_what_the_test_says(records: dict[str, str], result: str) -> None:
    with MemoryServer(users=USERS, dns=records) as mail:
        answer = mail.send("zoe@far.test", ANN, "x")
        story = mail.trace(answer.id)
        spf = [step["reason"] for step in story if step.get("result") == "spf"]
        assert result in str(spf), story


def test_a_signature_passes(mail: MemoryServer) -> None:
    mail.dns["_dmarc.far.test"] = "v=DMARC1; p=reject"
    assert mail.send("zoe@far.test", ANN, "signed", dkim="far.test").code == 250
    mail.run_deliveries()
    (found,) = mail.inbox(ANN)
    assert "dmarc=pass" in found.headers["Authentication-Results"]
    refused = mail.send("zoe@far.test", ANN, "not signed")
    assert (refused.code, refused.stage) == (550, "message")


@pytest.mark.parametrize("how", ["kill", "power"])
def test_what_was_acknowledged_survives(mail: MemoryServer, how: str) -> None:
    for number in range(5):
        assert mail.send("zoe@far.test", ANN, f"{number}").code == 250
    mail.restart(how=how)
    mail.run_deliveries()
    assert sorted(found.text for found in mail.inbox(ANN)) == [f"{n}\n" for n in range(5)]


def test_lmtp_and_raw_messages(mail: MemoryServer) -> None:
    answer = mail.send("zoe@far.test", ANN, raw=b"Subject: raw\r\n\r\n.dot\r\n", role="lmtp")
    assert answer.code == 250
    mail.run_deliveries()
    assert mail.inbox(ANN)[0].raw.endswith(b"Subject: raw\r\n\r\n.dot\r\n")


def test_settings_are_those_of_the_file() -> None:
    with MemoryServer(users=USERS, config={"limits": {"message_size": 1000}}) as mail:
        assert mail.send("zoe@far.test", ANN, "x" * 2000).code == 552
    with pytest.raises(ConfigError, match="messige_size"):
        MemoryServer(config={"limits": {"messige_size": 1000}})


def test_a_reload_keeps_what_is_there(mail: MemoryServer) -> None:
    mail.send("zoe@far.test", ANN, "before")
    mail.reload(config={"limits": {"message_size": 1000}})
    assert mail.send("zoe@far.test", ANN, "x" * 2000).code == 552
    mail.run_deliveries()
    assert len(mail.inbox(ANN)) == 1


def test_an_error_in_the_log_fails_the_test() -> None:
    def broken(address: object) -> object:
        raise ValueError("a mistake")

    mail = MemoryServer(users=USERS)
    mail.server.house.desk.directory.user = broken  # type: ignore[method-assign,assignment]
    assert mail.send(ANN, "x@far.test", "x", login=ANN).code == 451
    with pytest.raises(AssertionError, match="a mistake"):
        mail.close()
    with MemoryServer(users=USERS) as mail:
        mail.server.house.desk.directory.user = broken  # type: ignore[method-assign,assignment]
        mail.send(ANN, "x@far.test", "x", login=ANN)
        assert len(mail.flush_errors(ValueError)) == 1


def test_mail_of_a_schedule_that_is_refused_fails_the_test() -> None:
    app = App("shop")

    @app.schedule("every 1h")
    async def report() -> None:
        await app.send(to="nobody@mail.example", subject="Report", text="All is well")

    server = MemoryServer(app, users=USERS)
    server.advance(3700)
    with pytest.raises(AssertionError, match=r"PermanentFailure: 550 5\.1\.1"):
        server.close()


def test_and_may_be_expected() -> None:
    app = App("shop")

    @app.on("deliver")
    async def report(event: Step) -> None:
        await app.send(to="nobody@mail.example", subject="Report", text="All is well")

    with MemoryServer(app, users=USERS) as server:
        server.send("zoe@far.test", ANN, "hello")
        server.run_deliveries()
        (error,) = server.flush_errors(PermanentFailure)
        assert str(error).startswith("550 5.1.1 ")
