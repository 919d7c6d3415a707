"""Slow and hostile servers that we ask: the DNS, and where our mail goes."""

from __future__ import annotations

import contextlib
import smtplib
import time
from concurrent.futures import ThreadPoolExecutor

from tests.stall.scenes.scene import scene
from tests.stall.target import Target


def _many_senders(target: Target, count: int, domain: str) -> None:
    def send(number: int) -> None:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            client = target.mailframe.smtp(source=f"127.5.{number}.1", timeout=15)
            client.ehlo(f"h{number}.{domain}")
            client.docmd("MAIL", f"FROM:<x@s{number}.{domain}>")
            client.docmd("RCPT", "TO:<u1@mf.test>")
            client.close()

    with ThreadPoolExecutor(200) as threads:
        list(threads.map(send, range(count)))


@scene("dns: 200 sessions wait for answers that never come", quick=True)
def never(target: Target) -> None:
    target.mode("silent")
    _many_senders(target, 200, "never.test")


@scene("dns: 200 sessions, late answers")
def late(target: Target) -> None:
    target.mode("late")
    _many_senders(target, 200, "late.test")


@scene("dns: 60 KB of TXT for SPF, by TCP")
def large(target: Target) -> None:
    target.mode("full")
    _many_senders(target, 100, "large.test")


@scene("dns: chains of CNAMEs")
def chains(target: Target) -> None:
    target.mode("loop")
    _many_senders(target, 100, "chain.test")


@scene("dns: garbage")
def garbage(target: Target) -> None:
    target.mode("garbage")
    _many_senders(target, 100, "garbage.test")
    time.sleep(0.5)


@scene("dns: answers by TCP, an octet a second")
def drips(target: Target) -> None:
    target.mode("drip")
    _many_senders(target, 100, "drip.test")
