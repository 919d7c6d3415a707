"""Slow and hostile servers that we ask: the DNS, and where our mail goes."""

from __future__ import annotations

import contextlib
import smtplib
import time
from concurrent.futures import ThreadPoolExecutor

from tests.stall.remotes import HOSTS
from tests.stall.scenes.scene import patience, scene
from tests.stall.target import Target


def _many_senders(target: Target, count: int, domain: str, *, apart: bool = True) -> None:
    """``apart``: each has a domain of its own below ``domain``, else all have that."""

    def send(number: int) -> None:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            source = f"127.5.{number % 250}.{1 + number // 250}"
            client = target.mailframe.smtp(source=source, timeout=15)
            client.ehlo(f"h{number}.{domain}" if apart else domain)
            client.docmd("MAIL", f"FROM:<x@s{number}.{domain}>" if apart else f"FROM:<x@{domain}>")
            client.docmd("RCPT", "TO:<u1@mf.test>")
            client.close()

    with ThreadPoolExecutor(count) as threads:
        list(threads.map(send, range(count)))


@scene("dns: 200 sessions wait for answers that never come", quick=True)
def never(target: Target) -> None:
    target.mode("silent")
    _many_senders(target, 200, "never.test")


@scene("dns: 200 sessions, late answers")
def late(target: Target) -> None:
    target.mode("late")
    _many_senders(target, 200, "late.test")


@scene("dns: 500 sessions wait for one answer", quick=True)
def together(target: Target) -> None:
    target.mode("late")
    _many_senders(target, 500, "together.test", apart=False)


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


# where our mail goes


def _remote(
    name: str,
    kind: str,
    *,
    messages: int = 5,
    hosts: int = HOSTS,
    each: int = 1,
    octets: int = 1_000,
    seconds: float = 6.0,
    quick: bool = False,
) -> None:
    """``messages`` for ``each`` recipients at so many ``hosts``; what has not gone out after
    ``seconds`` is taken out of the queue."""

    @scene(f"remote: {name}", quick=quick)
    def attack(target: Target) -> None:
        target.remotes.serve(kind)
        domains = target.remotes.domains(kind)[:hosts]
        recipients = [f"x{number}@{domain}" for domain in domains for number in range(each)]
        message = f"From: {target.users[0]}\r\nSubject: {kind}\r\n\r\n".encode()
        message += b"All is well.\r\n" * (octets // 14)
        for _ in range(messages):
            target.send(message, *recipients)
        time.sleep(min(seconds, patience["most"]))
        target.mailframe.cli("queue", "rm", "--all", "--yes")


_remote("a banner of 10^5 lines", "long-banner")
_remote("an EHLO answer of 10^5 lines", "long-hello")
_remote("a line of 50 MB", "endless-line")
_remote("an octet a second", "drip", seconds=10)
_remote("all replies twice", "everything-twice")
_remote("10^5 replies to each command", "thousand-replies", quick=True)
_remote("hangs up at each stage", "hang-up")
_remote("10 MB of garbage for TLS", "garbage-for-tls")
_remote("plain text for TLS", "plain-text-for-tls")
_remote("handshakes with 10,000 bits", "dear-tls", quick=True)
_remote("a banner of 20 MB in TLS", "long-banner-in-tls")
_remote("100 refusals of 60 KB", "long-refusals", messages=1, hosts=5, each=100, quick=True)
_remote("no answer to the content", "mute")
_remote("20 MB that are not taken", "full", messages=3, octets=20_000_000)
_remote("SCRAM with 600,000 rounds", "many-rounds", messages=1)
_remote("LOGIN asks without end", "questions-without-end")
