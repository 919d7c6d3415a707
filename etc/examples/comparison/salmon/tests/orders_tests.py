import sqlite3

import pytest
from config import settings, testing  # noqa: F401 - it sets the router up
from salmon.server import SMTPError
from salmon.testing import RouterConversation

ANN = "ann@customer.test"


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("ORDERS_DB", str(tmp_path / "orders.db"))
    return tmp_path / "orders.db"


@pytest.fixture
def client(path, monkeypatch):
    monkeypatch.chdir(path.parent)  # the conversation empties run/queue
    (path.parent / "run").mkdir()
    client = RouterConversation(ANN, "An order")
    client.begin()
    settings.relay.sent.clear()
    return client


def test_an_order(client, path):
    client.say("orders+42@shop.test", "Two, please")
    rows = sqlite3.connect(path).execute("SELECT number, sender, text FROM mail").fetchall()
    assert [(number, sender, text.strip()) for number, sender, text in rows] == [
        (42, ANN, "Two, please")
    ]
    assert settings.relay.sent == [(ANN, "Order 42 has arrived.")]


def test_nobody(client):
    for address in ("orders+x@shop.test", "sales@shop.test"):
        with pytest.raises(SMTPError, match="550"):
            client.say(address, "Hello")


def test_a_database_that_is_away(client, path, monkeypatch):
    monkeypatch.setenv("ORDERS_DB", str(path.parent / "away" / "orders.db"))
    with pytest.raises(SMTPError, match="451"):
        client.say("orders+42@shop.test", "Two, please")
    assert settings.relay.sent == []
