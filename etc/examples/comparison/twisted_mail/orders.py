"""Mail to orders+NUMBER@shop.test is kept, and its sender told so: on Twisted Mail."""

import os
import re
import uuid
from email import message_from_bytes, policy
from email.message import EmailMessage

from twisted.application import internet, service
from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred
from twisted.mail import smtp
from twisted.python import log
from zope.interface import implementer

ADDRESS = re.compile(r"orders\+([0-9]{1,18})@shop\.test", re.IGNORECASE)


@implementer(smtp.IMessageDelivery)
class OrderDelivery:
    def __init__(self, database, relay):
        self.database = database
        self.relay = relay

    def receivedHeader(self, helo, origin, recipients):
        client = helo[0].decode("ascii", "replace")
        return f"Received: from {client} by shop.test; {smtp.rfc822date().decode()}".encode()

    def validateFrom(self, helo, origin):
        return origin

    def validateTo(self, user):
        found = ADDRESS.fullmatch(str(user.dest))
        if not found:
            raise smtp.SMTPBadRcpt(user)
        return lambda: Order(self, int(found[1]), str(user.orig), str(user.dest))


@implementer(smtp.IMessage)
class Order:
    def __init__(self, delivery, number, sender, address):
        self.delivery = delivery
        self.number = number
        self.sender = sender
        self.address = address
        self.lines = []

    def lineReceived(self, line):
        self.lines.append(line)

    def eomReceived(self):
        return Deferred.fromCoroutine(self.take())

    def connectionLost(self):
        self.lines = []

    async def take(self):
        message = message_from_bytes(b"\n".join(self.lines), policy=policy.default)
        body = message.get_body(("plain",))
        id = str(message["Message-ID"] or uuid.uuid4())
        row = (id, self.number, self.sender, body.get_content() if body else "")
        await self.delivery.database.runInteraction(keep, row)
        if self.sender:
            # An error from here on would be 550 for a sender whose order is kept.
            await self.confirm().addErrback(log.err, "no confirmation")

    def confirm(self):
        reply = EmailMessage()
        reply["From"] = self.address
        reply["To"] = self.sender
        reply["Subject"] = "Your order"
        reply["Auto-Submitted"] = "auto-replied"
        reply.set_content(f"Order {self.number} has arrived.")
        host, _, port = self.delivery.relay.partition(":")
        return smtp.sendmail(host.encode(), "", [self.sender], bytes(reply), port=int(port))


def keep(transaction, row):
    transaction.execute(
        "CREATE TABLE IF NOT EXISTS mail"
        " (id TEXT PRIMARY KEY, number INTEGER, sender TEXT, text TEXT)"
    )
    transaction.execute("INSERT OR IGNORE INTO mail VALUES (?, ?, ?, ?)", row)


class OrderFactory(smtp.SMTPFactory):
    protocol = smtp.ESMTP

    def __init__(self, delivery):
        super().__init__()
        self.delivery = delivery

    def buildProtocol(self, addr):
        protocol = super().buildProtocol(addr)
        protocol.delivery = self.delivery
        return protocol


def database(path):
    return adbapi.ConnectionPool("sqlite3", path, check_same_thread=False, cp_max=1)


application = service.Application("orders")
delivery = OrderDelivery(
    database(os.environ.get("ORDERS_DB", "orders.db")),
    os.environ.get("ORDERS_RELAY", "127.0.0.1:2526"),
)
port = int(os.environ.get("ORDERS_PORT", "2525"))
internet.TCPServer(port, OrderFactory(delivery), interface="127.0.0.1").setServiceParent(
    application
)
