"""Who sends the orders, and remembers what was said."""

from __future__ import annotations

import queue
import smtplib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.comparison.surroundings import CUSTOMER

SHOP = "orders+{}@shop.test"
_PAUSE = 0.1


@dataclass
class Said:
    """``acknowledged``: orders that were answered with 250; ``replies``: code -> how often."""

    acknowledged: set[int] = field(default_factory=set)
    replies: Counter[int] = field(default_factory=Counter)
    refused: set[int] = field(default_factory=set)
    """Orders that were answered with 5yz: their sender gives up."""


def text_of(order: int) -> str:
    return (
        f"From: {CUSTOMER}\r\nTo: {SHOP.format(order)}\r\nSubject: An order\r\n"
        "Date: Thu, 26 Nov 2026 19:00:00 +0000\r\n"
        f"Message-ID: <{order}@customer.test>\r\n\r\nNumber {order}: two, please.\r\n"
    )


def send_once(
    port: int, order: int, *, to: str = "", source: str = "127.0.0.1"
) -> tuple[int, str, str]:
    """Code, text, and the command that it answered. The connection's end is code 0."""
    stage = "connect"
    try:
        with smtplib.SMTP(
            "127.0.0.1", port, "client.customer.test", timeout=60, source_address=(source, 0)
        ) as client:
            client.ehlo()
            stage = "MAIL"
            code, said = client.mail(CUSTOMER)
            if code == 250:
                stage = "RCPT"
                code, said = client.rcpt(to or SHOP.format(order))
            if code == 250:
                stage = "message"
                code, said = client.data(text_of(order))
            return code, said.decode("utf-8", "replace"), stage
    except smtplib.SMTPDataError as refused:  # of the DATA command
        return refused.smtp_code, str(refused.smtp_error), "DATA"
    except (smtplib.SMTPException, OSError) as lost:
        return 0, str(lost), stage


class Crowd:
    """Several clients send ``orders`` on connections that they keep, each order until it is
    answered with 250 or 5yz, as mail servers do, though these wait a tenth of a second only."""

    def __init__(self, port: int, orders: range, clients: int = 4, seconds: float = 240.0) -> None:
        self.said = Said()
        self._port = port
        self._end = time.monotonic() + seconds
        self._orders: queue.SimpleQueue[int] = queue.SimpleQueue()
        for order in orders:
            self._orders.put(order)
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send) for _ in range(clients)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def is_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def wait(self) -> Said:
        for thread in self._threads:
            thread.join()
        return self.said

    def _send(self) -> None:
        client: smtplib.SMTP | None = None
        while True:
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                break
            while time.monotonic() < self._end:
                try:
                    if client is None:
                        client = smtplib.SMTP(
                            "127.0.0.1", self._port, "client.customer.test", timeout=30
                        )
                        client.ehlo()
                    code = self._transact(client, order)
                except (smtplib.SMTPException, OSError):
                    client, code = None, 0
                if self._note(order, code):
                    break
                time.sleep(_PAUSE)
        if client is not None:
            client.close()

    def _transact(self, client: smtplib.SMTP, order: int) -> int:
        code = client.mail(CUSTOMER)[0]
        if code == 250:
            code = client.rcpt(SHOP.format(order))[0]
        if code == 250:
            code = client.data(text_of(order))[0]
        if code != 250:
            client.rset()
        return code

    def _note(self, order: int, code: int) -> bool:
        with self._lock:
            self.said.replies[code] += 1
            if code == 250:
                self.said.acknowledged.add(order)
            if code >= 500:
                self.said.refused.add(order)
        return code == 250 or code >= 500
