"""Mail to orders+NUMBER@shop.test is kept, and its sender told so: on Salmon."""

import os
import smtplib
import sqlite3
import uuid
from contextlib import closing

from config import settings
from salmon.routing import route, stateless
from salmon.server import SMTPError


@route("orders\\+(number)@(host)", number="[0-9]{1,18}")
@stateless
def ORDER(message, number=None, host=None):
    try:
        id = str(message["Message-ID"] or uuid.uuid4())
        keep(id, int(number), message.From, message.body() or "")
        if not message.is_bounce():
            settings.relay.reply(message, message.To, "Your order", f"Order {number} has arrived.")
    except (sqlite3.Error, smtplib.SMTPException, OSError) as error:
        # What is not caught here is 250 for the sender, and lies in run/undeliverable.
        raise SMTPError(451, "4.3.0 Please try again later") from error


@route("(address)@(host)", address="(?!orders\\+[0-9]{1,18}@).+", host=".+")
@stateless
def NOBODY(message, address=None, host=None):
    raise SMTPError(550, "5.1.1 Nobody of that name")


def keep(*row):
    with closing(sqlite3.connect(os.environ.get("ORDERS_DB", "orders.db"))) as db, db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS mail"
            " (id TEXT PRIMARY KEY, number INTEGER, sender TEXT, text TEXT)"
        )
        db.execute("INSERT OR IGNORE INTO mail VALUES (?, ?, ?, ?)", row)
