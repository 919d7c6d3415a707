"""Tests that were written for two public helpers, which stand on aiosmtpd, hold for the inbox with
one import changed: each of these runs with the original, where it is installed, and with ours."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from mailframe.testing import familiar


def signup(address: str, host: str, port: int) -> None:
    """What is tested: a program that sends mail."""
    mail = EmailMessage()
    mail["From"] = "shop@shop.test"
    mail["To"] = address
    mail["Subject"] = "Welcome"
    mail.set_content("Your code is 482913.\n")
    with smtplib.SMTP(host, port) as smtp:
        smtp.send_message(mail, to_addrs=[address, "audit@shop.test"])


# ---- written for smtpdfix, whose fixture is called smtpd


@pytest.fixture(params=["smtpdfix", "mailframe"])
def smtpd(request: pytest.FixtureRequest) -> Iterator[Any]:
    made: Any = familiar
    if request.param == "smtpdfix":
        made = pytest.importorskip("smtpdfix")
    with made.SMTPDFix() as server:
        yield server


def test_smtpdfix_messages(smtpd: Any) -> None:
    assert smtpd.messages == []
    signup("ann@x.test", smtpd.hostname, smtpd.port)
    assert len(smtpd.messages) == 1
    (message,) = smtpd.messages
    assert message["Subject"] == "Welcome"
    assert message["from"] == "shop@shop.test"
    assert "482913" in message.get_payload()
    assert message["X-MailFrom"] == "shop@shop.test"
    assert message["X-RcptTo"] == "ann@x.test, audit@shop.test"


def test_smtpdfix_keeps_the_order_and_hands_out_copies(smtpd: Any) -> None:
    for name in ("ann", "bob", "550"):
        signup(f"{name}@x.test", smtpd.hostname, smtpd.port)
    smtpd.messages.clear()
    assert [each["X-RcptTo"].split(", ")[0] for each in smtpd.messages] == [
        "ann@x.test",
        "bob@x.test",
        "550@x.test",  # mailframe dev alone would refuse that one
    ]


# ---- written for pytest-localserver, whose fixture is called smtpserver


@pytest.fixture(params=["pytest_localserver", "mailframe"])
def smtpserver(request: pytest.FixtureRequest) -> Iterator[Any]:
    made: Any = familiar
    if request.param == "pytest_localserver":
        made = pytest.importorskip("pytest_localserver.smtp")
    server = made.Server()
    server.start()
    yield server
    server.stop()


def test_localserver_outbox(smtpserver: Any) -> None:
    assert smtpserver.outbox == []
    signup("ann@x.test", *smtpserver.addr)
    assert len(smtpserver.outbox) == 1
    message = smtpserver.outbox[0]
    assert message["Subject"] == "Welcome"
    assert "482913" in message.get_payload()
    assert message.details.mailfrom == "shop@shop.test"
    assert message.details.rcpttos == ["ann@x.test", "audit@shop.test"]


def test_localserver_outbox_can_be_emptied(smtpserver: Any) -> None:
    signup("ann@x.test", *smtpserver.addr)
    del smtpserver.outbox[:]
    assert smtpserver.outbox == []
    signup("bob@x.test", *smtpserver.addr)
    smtpserver.outbox.clear()
    signup("eve@x.test", *smtpserver.addr)
    assert [each["To"] for each in smtpserver.outbox] == ["eve@x.test"]


def test_localserver_stops_twice(smtpserver: Any) -> None:
    host, port = smtpserver.addr
    smtpserver.stop()
    smtpserver.stop()
    with pytest.raises(OSError, match="refused"):
        signup("ann@x.test", host, port)


# ---- what ours does not do, it says


def test_recipients_in_order() -> None:
    """Others have that of RCPT."""
    text = "To: Zoe <ZOE@x.test>, ann@x.test\r\nCc: mia@x.test\r\n\r\n"
    hidden = ["eve@x.test", "bob@x.test"]
    with familiar.SMTPDFix() as server:
        with smtplib.SMTP(server.hostname, server.port) as client:
            client.sendmail("", [*hidden, "mia@x.test", "zoe@x.test", "ann@x.test"], text)
        assert server.messages[0]["X-RcptTo"] == (
            "zoe@x.test, ann@x.test, mia@x.test, bob@x.test, eve@x.test"
        )
        assert server.messages[0]["X-MailFrom"] == ""


def test_one_message_cannot_be_taken_out() -> None:
    server = familiar.Server()
    server.start()
    try:
        signup("ann@x.test", *server.addr)
        with pytest.raises(TypeError, match="only all"):
            del server.outbox[0]
        assert len(server.outbox) == 1
        assert not hasattr(server.outbox[0].details, "peer")
    finally:
        server.stop()


def test_the_options_of_mailframe_dev() -> None:
    with (
        familiar.SMTPDFix(options=["--tls"]) as server,
        smtplib.SMTP(server.hostname, server.port) as client,
    ):
        client.ehlo()
        assert client.has_extn("starttls")
