import smtplib
import socket
import sqlite3

import pytest
from aiosmtpd.controller import Controller
from orders import Orders

TEXT = "From: ann@customer.test\r\nMessage-ID: <1@customer.test>\r\n\r\nTwo, please\r\n"
ANN = "ann@customer.test"


class Relay:
    def __init__(self):
        self.messages = []

    async def handle_DATA(self, server, session, envelope):
        self.messages.append(envelope)
        return "250 Ok"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def relay(monkeypatch):
    handler, port = Relay(), free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    monkeypatch.setenv("ORDERS_RELAY", f"127.0.0.1:{port}")
    yield handler
    controller.stop()


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("ORDERS_DB", str(tmp_path / "orders.db"))
    return tmp_path / "orders.db"


@pytest.fixture
def client(path, relay):
    controller = Controller(Orders(), hostname="127.0.0.1", port=free_port())
    controller.start()
    with smtplib.SMTP(controller.hostname, controller.port) as client:
        yield client
    controller.stop()


def test_an_order(client, relay, path):
    assert client.sendmail(ANN, ["orders+42@shop.test"], TEXT) == {}
    rows = sqlite3.connect(path).execute("SELECT number, sender, text FROM mail").fetchall()
    assert [(number, sender, text.strip()) for number, sender, text in rows] == [
        (42, ANN, "Two, please")
    ]
    assert relay.messages[0].rcpt_tos == [ANN]
    assert b"Order 42" in relay.messages[0].content


def test_nobody(client):
    client.ehlo()
    for address in ("orders+x@shop.test", "sales@shop.test"):
        client.mail(ANN)
        assert client.rcpt(address)[0] == 550
        client.rset()


def test_a_database_that_is_away(client, relay, path, monkeypatch):
    monkeypatch.setenv("ORDERS_DB", str(path.parent / "away" / "orders.db"))
    with pytest.raises(smtplib.SMTPDataError, match="451"):
        client.sendmail(ANN, ["orders+42@shop.test"], TEXT)
    assert not relay.messages
