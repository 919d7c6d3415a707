"""What happens to a mailbox is seen at once, whoever does it; and what it costs."""

from __future__ import annotations

import os
import smtplib
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.peers.imap import ANN, BOB, count, fill, logged_in, message, numbers
from tests.interop.peers.imap_look import ask
from tests.interop.peers.imap_watch import NOTIFY, Watcher, watching
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.pop3 import Pop3

AT_ONCE = 1.0
"""Seconds; the promise is 0.1 on a quiet machine, which the figures printed show."""


def deliver(server: Mailframe, number: int, to: str = ANN) -> float:
    """When it was acknowledged."""
    with smtplib.SMTP(server.address, server.ports["mx"], timeout=20) as client:
        client.sendmail("a@example.org", [to], message(number))
        return time.monotonic()


@pytest.fixture
def watchers(running: Mailframe) -> Iterator[list[Watcher]]:
    """Two of ann's clients in her INBOX."""
    with ExitStack() as ends:
        yield [ends.enter_context(watching(running, command)) for command in ("IDLE", NOTIFY)]


def all_hear(watchers: list[Watcher], pattern: str, since: float) -> list[float]:
    """After how many seconds each did."""
    waited = [max(0.0, watcher.hears(pattern) - since) for watcher in watchers]
    assert max(waited) < AT_ONCE, (pattern, waited)
    return waited


def test_a_delivery_is_told_at_once(running: Mailframe, watchers: list[Watcher]) -> None:
    waited: list[list[float]] = []
    with smtplib.SMTP(running.address, running.ports["mx"], timeout=20) as client:
        for number in range(30):
            client.sendmail("a@example.org", [ANN], message(number))
            waited.append(all_hear(watchers, "EXISTS", time.monotonic()))
    for watcher, seconds in zip(watchers, zip(*waited, strict=True), strict=True):
        median, most = 1000 * statistics.median(seconds), 1000 * max(seconds)
        print(f"{watcher.name}: told {median:.1f} ms after the 250 (median), {most:.1f} at most")


def test_mail_in_a_folder_that_is_not_selected(running: Mailframe) -> None:
    with logged_in(running) as client, watching(running, NOTIFY, "INBOX") as watcher:
        ask(client, "create", "Elsewhere")
        since = time.monotonic()
        fill(client, "Elsewhere", range(1))
        all_hear([watcher], r'STATUS "?Elsewhere"? .*MESSAGES 1', since)


def test_what_another_session_does(running: Mailframe, watchers: list[Watcher]) -> None:
    with logged_in(running) as client:
        ask(client, "create", "Target")
        fill(client, "INBOX", range(4))
        last = count(client, "INBOX")
        for watcher in watchers:
            watcher.hears(f"^\\* {last} EXISTS")

        def happens(pattern: str, command: str, *words: str) -> None:
            ask(client, command, *words)
            all_hear(watchers, pattern, time.monotonic())

        happens(rf"^\* {last} FETCH .*\\Flagged", "store", str(last), "+FLAGS", "\\Flagged word")
        happens(rf"^\* {last} FETCH .*\\Deleted", "store", str(last), "FLAGS", "\\Deleted")
        happens(rf"^\* {last} EXPUNGE", "expunge")
        happens(rf"^\* {last - 1} EXPUNGE", "_simple_command", "MOVE", str(last - 1), "Target")
        ask(client, "select", "Target")
        happens(rf"^\* {last - 1} EXISTS", "copy", "1", "INBOX")
        happens(rf"^\* {last} EXISTS", "_simple_command", "MOVE", "1", "INBOX")


def test_what_pop3_deletes(running: Mailframe, watchers: list[Watcher]) -> None:
    deliver(running, 1)
    all_hear(watchers, "EXISTS", time.monotonic())
    with Pop3(running, ANN) as session:
        session.ask("DELE 1")
    # Of two that were delivered at once, the first by name need not be the first by uid.
    all_hear(watchers, r"^\* \d+ EXPUNGE", time.monotonic())


def test_what_other_programs_do(running: Mailframe, watchers: list[Watcher]) -> None:
    inbox = running.maildir(ANN)

    def happens(pattern: str, change: Callable[[], object]) -> None:
        since = time.monotonic()
        change()
        all_hear(watchers, pattern, since)

    def put(name: str, where: str) -> Path:
        (inbox / "tmp" / name).write_bytes(message(5).replace(b"\r\n", b"\n"))
        os.rename(inbox / "tmp" / name, inbox / where)
        return inbox / where

    dropped: list[Path] = []
    happens("EXISTS", lambda: dropped.append(put("1700000000.1.elsewhere", "new/1700000000.1.e")))
    happens("EXISTS", lambda: put("1700000000.2.elsewhere", "cur/1700000000.2.e:2,"))
    read = inbox / "cur" / "1700000000.2.e:2,FS"
    happens(r"FETCH .*\\Flagged", lambda: os.rename(inbox / "cur" / "1700000000.2.e:2,", read))
    happens("EXPUNGE", read.unlink)


# ---- what a command costs


def test_what_was_read_once_is_not_read_again(running: Mailframe) -> None:
    cached = "(ENVELOPE BODYSTRUCTURE RFC822.SIZE FLAGS INTERNALDATE)"
    with logged_in(running, BOB) as client:
        ask(client, "create", "Cached")
        fill(client, "Cached", range(1, 21))
        count(client, "Cached")
        ask(client, "fetch", "1:*", cached)
        count(client, "Cached")  # the messages are not recent any more
        known = ask(client, "fetch", "1:*", cached)
        found = numbers(client, "SUBJECT", '"message 1"')
        # Something else is in every file now; only who reads them can know.
        files = list((running.maildir(BOB) / ".Cached" / "cur").iterdir())
        assert len(files) == 20
        for path in files:
            size = path.stat().st_size
            with path.open("r+b") as file:
                file.write(b"X" * size)
        count(client, "Cached")
        assert ask(client, "fetch", "1:*", cached) == known
        assert numbers(client, "SUBJECT", '"message 1"') == found
        (_, text), *_ = ask(client, "fetch", "1", "(BODY.PEEK[TEXT])")
        assert b"text" not in text
