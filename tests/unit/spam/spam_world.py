"""A filter over a file, everything at once on the calling thread, and messages to teach it."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from twisted.internet.task import Clock

from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.database import Database
from mailframe.runtime.workers import InlineWorkers
from mailframe.spam.filter import LearningFilter
from mailframe.spam.schema import MIGRATIONS

T = TypeVar("T")
ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.net"
HOST = "mail.example.org"


class Filtering:
    """One process with the file open. ``share`` by domain; the default is ``domain``."""

    def __init__(self, path: str, share: dict[str, str] | None = None, **settings: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000.0)
        self.file = Database(path, MIGRATIONS, None)
        self.file.open()
        self.share = share or {}
        self.filter = LearningFilter(
            self.file,
            InlineWorkers(),
            self.clock,
            share=lambda domain: self.share.get(domain, "domain"),
            hostname=HOST,
            **settings,
        )

    def close(self) -> None:
        self.file.close()

    def learn(self, message: bytes, account: str, is_spam: bool) -> bool:
        return now(self.filter.learn(message, account, is_spam, "test"))

    def train(self, account: str, numbers: range, *, is_spam: bool) -> None:
        for number in numbers:
            self.clock.advance(1.0)
            self.learn(spam(number) if is_spam else ham(number), account, is_spam)

    def probability(self, message: bytes, account: str) -> float:
        return now(self.filter.judge(message, account)).probability

    def digest(self, scope: str) -> str:
        return now(self.filter.digest(scope))


def now(coroutine: Awaitable[T]) -> T:
    assert isinstance(coroutine, Coroutine)
    return fired(as_deferred(coroutine))


def ham(number: int) -> bytes:
    return message(number, "Minutes of the meeting", f"Dear all, the agenda for week {number}.")


def spam(number: int) -> bytes:
    return message(number, "Cheap watches", f"Buy replica watches now, offer {number}!")


def message(number: int, subject: str, text: str) -> bytes:
    return (
        f"From: Someone <s{number}@example.com>\r\nTo: ann@example.org\r\n"
        f"Subject: {subject}\r\nMessage-ID: <{number}.{subject.split()[0]}@example.com>\r\n"
        "Date: Tue, 01 Jul 2025 10:00:00 +0000\r\n\r\n"
        f"{text}\r\n"
    ).encode()
