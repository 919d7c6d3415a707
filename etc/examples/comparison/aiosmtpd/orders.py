"""Mail to orders+NUMBER@shop.test is kept, and its sender told so: on aiosmtpd."""

import asyncio
import logging
import os
import re
import smtplib
import sqlite3
import threading
import uuid
from contextlib import closing
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller

ADDRESS = re.compile(r"orders\+([0-9]{1,18})@shop\.test", re.IGNORECASE)


class Orders:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if not ADDRESS.fullmatch(address):
            return "550 5.1.1 Nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        # Databases and smtplib block, and nobody else would be served meanwhile.
        await asyncio.to_thread(take, envelope)
        return "250 2.0.0 Your order has arrived"

    async def handle_exception(self, error):
        # Without this method it is 500, and a bounce for the sender.
        logging.error("not taken", exc_info=error)
        return "451 4.3.0 Please try again later"


def take(envelope):
    message = message_from_bytes(envelope.content, policy=policy.default)
    body = message.get_body(("plain",))
    for address in envelope.rcpt_tos:
        number = int(ADDRESS.fullmatch(address)[1])
        id = str(message["Message-ID"] or uuid.uuid4())
        keep(id, number, envelope.mail_from, body.get_content() if body else "")
        if envelope.mail_from:
            confirm(envelope.mail_from, address, number)


def keep(*row):
    with closing(sqlite3.connect(os.environ.get("ORDERS_DB", "orders.db"))) as db, db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS mail"
            " (id TEXT PRIMARY KEY, number INTEGER, sender TEXT, text TEXT)"
        )
        db.execute("INSERT OR IGNORE INTO mail VALUES (?, ?, ?, ?)", row)


def confirm(to, address, number):
    reply = EmailMessage()
    reply["From"] = address
    reply["To"] = to
    reply["Subject"] = "Your order"
    reply["Auto-Submitted"] = "auto-replied"
    reply.set_content(f"Order {number} has arrived.")
    host, _, port = os.environ.get("ORDERS_RELAY", "127.0.0.1:2526").partition(":")
    with smtplib.SMTP(host, int(port), timeout=30) as relay:
        relay.send_message(reply, from_addr="", to_addrs=[to])


if __name__ == "__main__":
    port = int(os.environ.get("ORDERS_PORT", "2525"))
    Controller(Orders(), hostname="127.0.0.1", port=port).start()
    threading.Event().wait()
