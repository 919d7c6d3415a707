"""The idle and the busy: everybody who must not notice. A process of its own.

Idle: SMTP sessions after EHLO, and IMAP sessions in IDLE. Busy: submission, IMAP and POP3
sessions that do what programs do, with a pause of some seconds after each round. Whoever is hung
up on comes again. Prints ``ready`` when all are there; any line on standard input is answered with
the number of rounds done and of sessions lost since the last.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import random
import resource
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.interop.peers.mailframe import PASSWORD

_PAUSE = 4.0  # seconds between the rounds of a busy one, half to one and a half times
_STAY = 100.0  # seconds after which an idle SMTP client says that it is there
_AT_ONCE = 40  # connections being made


@dataclass
class Crowd:
    host: str
    smtp: int
    submission: int
    imap: int
    pop3: int
    users: list[str]
    rounds: int = 0
    lost: int = 0
    there: int = 0
    expected: int = 0
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    _doors: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def stay(self, what: Callable[[Crowd, Line, int], Awaitable[None]], port: int) -> None:
        """Be there, for ever."""
        number = next(self._numbers)
        first = True
        while True:
            try:
                async with self._doors:
                    line = await Line.to(self.host, port, number)
                    await _ENTERS[port == self.imap, port == self.pop3](self, line, number)
                if first:
                    first = False
                    self.there += 1
                    if self.there == self.expected:
                        self.complete.set()
                await what(self, line, number)
            except (OSError, EOFError, asyncio.IncompleteReadError, Unexpected):
                self.lost += 1
                await asyncio.sleep(1)
            finally:
                with contextlib.suppress(Exception):
                    line.close()

    def user(self, number: int) -> str:
        return self.users[number % len(self.users)]


class Unexpected(Exception):
    pass


class Line:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.close = writer.close

    @classmethod
    async def to(cls, host: str, port: int, number: int) -> Line:
        source = f"127.9.{number % 100}.{1 + number % 50}"
        return cls(*await asyncio.open_connection(host, port, local_addr=(source, 0)))

    async def hear(self) -> bytes:
        line = await self._reader.readline()
        if not line:
            raise EOFError
        return line

    async def smtp(self, command: bytes = b"") -> bytes:
        if command:
            self._writer.write(command + b"\r\n")
        while (line := await self.hear())[3:4] == b"-":
            pass
        if line[:1] not in b"23":
            raise Unexpected(line)
        return line

    async def imap(self, command: bytes, end: bytes = b"a ") -> None:
        self._writer.write(b"a " + command + b"\r\n" if command else b"DONE\r\n")
        while not (line := await self.hear()).startswith(end):
            pass
        if not line.startswith((b"a OK", b"+")):
            raise Unexpected(line)

    async def pop3(self, command: bytes, dots: bool = False) -> None:
        if command:
            self._writer.write(command + b"\r\n")
        line = await self.hear()
        if not line.startswith(b"+OK"):
            raise Unexpected(line)
        while dots and line != b".\r\n":
            line = await self.hear()


async def _enter_smtp(crowd: Crowd, line: Line, number: int) -> None:
    await line.smtp()
    await line.smtp(b"EHLO client.test")


async def _enter_imap(crowd: Crowd, line: Line, number: int) -> None:
    await line.hear()
    await line.imap(b'LOGIN %b "%b"' % (crowd.user(number).encode(), PASSWORD.encode()))
    await line.imap(b"SELECT INBOX")


async def _enter_pop3(crowd: Crowd, line: Line, number: int) -> None:
    await line.pop3(b"")


_ENTERS = {(False, False): _enter_smtp, (True, False): _enter_imap, (False, True): _enter_pop3}


async def _idle_smtp(crowd: Crowd, line: Line, number: int) -> None:
    while True:
        await asyncio.sleep(random.uniform(0.5, 1) * _STAY)
        await line.smtp(b"NOOP")


async def _idle_imap(crowd: Crowd, line: Line, number: int) -> None:
    # Most watch folders in which little happens; a busy INBOX has a few watchers.
    if number % 20:
        await line.imap(b"SELECT Quiet")
    await line.imap(b"IDLE", b"+")
    while True:
        await line.hear()


async def _think() -> None:
    await asyncio.sleep(random.uniform(0.5, 1.5) * _PAUSE)


async def _busy_submission(crowd: Crowd, line: Line, number: int) -> None:
    user = crowd.user(number)
    proof = base64.b64encode(f"\0{user}\0{PASSWORD}".encode())
    await line.smtp(b"AUTH PLAIN " + proof)
    message = b"From: %b\r\nTo: %b\r\nSubject: busy\r\n\r\n" % (user.encode(), user.encode())
    message += b"All is well, and there is much to do.\r\n" * 40 + b"."
    while True:
        await _think()
        await line.smtp(b"MAIL FROM:<%b>" % user.encode())
        await line.smtp(b"RCPT TO:<%b>" % crowd.user(number + 1).encode())
        await line.smtp(b"DATA")
        await line.smtp(message)
        crowd.rounds += 1


async def _busy_imap(crowd: Crowd, line: Line, number: int) -> None:
    while True:
        await _think()
        await line.imap(b"NOOP")
        await line.imap(b"FETCH *:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
        await line.imap(b"SEARCH UNSEEN SUBJECT busy")
        await line.imap(b"STORE * +FLAGS.SILENT (\\Seen)")
        crowd.rounds += 1


async def _busy_pop3(crowd: Crowd, line: Line, number: int) -> None:
    user = crowd.user(number).encode()
    await _think()
    await line.pop3(b"USER " + user)
    await line.pop3(b"PASS " + PASSWORD.encode())
    await line.pop3(b"UIDL", dots=True)
    await line.pop3(b"RETR 1", dots=True)
    await line.pop3(b"QUIT")
    crowd.rounds += 1
    line.close()


async def main(crowd: Crowd, idle: int, busy: int) -> None:
    parts: list[tuple[int, Callable[[Crowd, Line, int], Awaitable[None]], int]] = [
        (idle * 2 // 3, _idle_smtp, crowd.smtp),
        (idle - idle * 2 // 3, _idle_imap, crowd.imap),
        (busy // 2, _busy_submission, crowd.submission),
        (busy - busy // 2 - min(len(crowd.users), busy // 10), _busy_imap, crowd.imap),
        (min(len(crowd.users), busy // 10), _busy_pop3, crowd.pop3),
    ]
    tasks = [
        asyncio.create_task(crowd.stay(what, port)) for number, what, port in parts
        for _ in range(number)
    ]  # fmt: skip
    crowd.expected = len(tasks)
    await crowd.complete.wait()
    print("ready", flush=True)
    crowd.lost = crowd.rounds = 0
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(crowd.rounds, crowd.lost, flush=True)
        crowd.rounds = crowd.lost = 0


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    for name in ("smtp", "submission", "imap", "pop3", "idle", "busy"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("users", nargs="+")
    given = parser.parse_args()
    crowd = Crowd(given.host, given.smtp, given.submission, given.imap, given.pop3, given.users)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(crowd, given.idle, given.busy))
