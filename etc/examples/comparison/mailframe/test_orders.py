import sqlite3

import pytest

DMARC = {"_dmarc.customer.test": "v=DMARC1; p=none"}
ANN = "ann@customer.test"


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("ORDERS_DB", str(tmp_path / "orders.db"))
    return tmp_path / "orders.db"


@pytest.fixture
def mail(mailframe_app, path):
    return mailframe_app("orders:app", dns=DMARC)


def test_an_order(mail, outbox, path):
    assert mail.send(ANN, "orders+42@shop.test", "Two, please", dkim="customer.test").code == 250
    mail.run_deliveries()
    rows = sqlite3.connect(path).execute("SELECT number, sender, text FROM mail").fetchall()
    assert [(number, sender, text.strip()) for number, sender, text in rows] == [
        (42, ANN, "Two, please")
    ]
    assert outbox[0].to == [ANN]
    assert "Order 42" in outbox[0].text


def test_nobody(mail):
    for address in ("orders+x@shop.test", "sales@shop.test"):
        reply = mail.send(ANN, address, "Hello", dkim="customer.test")
        assert (reply.code, reply.stage) == (550, "rcpt")


def test_a_stranger_who_says_to_be_ann(mail):
    reply = mail.send(ANN, "orders+42@shop.test", "Two, please", ip="198.51.100.9")
    assert (reply.code, reply.status) == (550, "5.7.26")


def test_a_database_that_is_away(mail, path, clock, outbox, monkeypatch):
    monkeypatch.setenv("ORDERS_DB", str(path.parent / "away" / "orders.db"))
    assert mail.send(ANN, "orders+42@shop.test", "Two, please", dkim="customer.test").code == 250
    mail.run_deliveries()
    assert len(mail.flush_errors(sqlite3.OperationalError)) == 1
    assert not outbox
    monkeypatch.setenv("ORDERS_DB", str(path))
    clock.advance(3600)
    mail.run_deliveries()
    assert "Order 42" in outbox[0].text
