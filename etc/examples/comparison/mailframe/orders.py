"""Mail to orders+NUMBER@shop.test is kept, and its sender told so: on mailframe."""

import os
import sqlite3
from contextlib import closing

from mailframe import App, Reject

app = App()


def keep(*row):
    with closing(sqlite3.connect(os.environ.get("ORDERS_DB", "orders.db"))) as db, db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS mail"
            " (id TEXT PRIMARY KEY, number INTEGER, sender TEXT, text TEXT)"
        )
        db.execute("INSERT OR IGNORE INTO mail VALUES (?, ?, ?, ?)", row)


@app.policy("message")
def authenticated(msg):
    if not msg.auth.dmarc:
        raise Reject(550, "5.7.26", "We take orders only from where they say they come from")


@app.deliver("orders+{number:int}@shop.test")
def order(msg, number):
    keep(msg.message_id or msg.id, number, msg.sender, msg.text)
    msg.reply(f"Order {number} has arrived.")
