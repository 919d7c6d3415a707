import sqlite3

import orders
from twisted.internet import defer
from twisted.internet.testing import StringTransport
from twisted.mail import smtp
from twisted.trial import unittest

ANN = "ann@customer.test"
TEXT = b"From: ann@customer.test\r\nMessage-ID: <1@customer.test>\r\n\r\nTwo, please\r\n.\r\n"


class OrdersTest(unittest.TestCase):
    def setUp(self):
        self.sent = []
        self.patch(smtp, "sendmail", self.sendmail)
        self.path = self.mktemp()

    def sendmail(self, host, sender, recipients, message, port):
        self.sent.append((recipients, message))
        return defer.succeed(None)

    def connect(self, path):
        database = orders.database(path)
        self.addCleanup(database.close)
        self.transport = StringTransport()
        delivery = orders.OrderDelivery(database, "127.0.0.1:2526")
        self.protocol = orders.OrderFactory(delivery).buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        self.addCleanup(self.protocol.setTimeout, None)

    def say(self, line):
        self.transport.clear()
        self.protocol.dataReceived(line)
        return self.transport.value()

    async def order(self):
        """What is said after the text, as soon as it is."""
        self.say(b"EHLO customer.test\r\n")
        self.say(b"MAIL FROM:<ann@customer.test>\r\n")
        self.say(b"RCPT TO:<orders+42@shop.test>\r\n")
        self.assertIn(b"354", self.say(b"DATA\r\n"))
        answered = defer.Deferred()
        answer = self.protocol.sendCode
        self.patch(self.protocol, "sendCode", lambda *a: (answer(*a), answered.callback(a[0])))
        self.say(TEXT)
        return await answered

    async def test_an_order(self):
        self.connect(self.path)
        self.assertEqual(await self.order(), 250)
        rows = sqlite3.connect(self.path).execute("SELECT number, sender, text FROM mail")
        self.assertEqual(rows.fetchall(), [(42, ANN, "Two, please")])
        ((recipients, message),) = self.sent
        self.assertEqual(recipients, [ANN])
        self.assertIn(b"Order 42", message)

    def test_nobody(self):
        self.connect(self.path)
        self.say(b"EHLO customer.test\r\n")
        self.say(b"MAIL FROM:<ann@customer.test>\r\n")
        for address in (b"orders+x@shop.test", b"sales@shop.test"):
            self.assertIn(b"550", self.say(b"RCPT TO:<" + address + b">\r\n"))

    async def test_a_database_that_is_away(self):
        self.connect(self.mktemp() + "/away/orders.db")
        self.assertEqual(await self.order(), 550)
        self.assertEqual(len(self.flushLoggedErrors(sqlite3.OperationalError)), 1)
        self.assertEqual(self.sent, [])
