"""What each process of a run does, for every kind of load."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailframe.bench.cost import Measured, pss, rss
from mailframe.bench.crowd import Crowd, Make
from mailframe.bench.idle import Gathering, IdleImap, IdlePop3, IdleSmtp
from mailframe.bench.idle import Make as MakeIdle
from mailframe.bench.imap import ImapLoad, ImapSession
from mailframe.bench.loop import Loop, Target
from mailframe.bench.mail import Messages, Recipients
from mailframe.bench.pace import Pace
from mailframe.bench.pop3 import Pop3Load, Pop3Session
from mailframe.bench.processes import Work, allow_open_files
from mailframe.bench.push import Pushing
from mailframe.bench.smtp import SmtpLoad, SmtpSession
from mailframe.bench.tally import Tally


@dataclass(frozen=True, slots=True)
class Extent:
    """How much, of everything together. ``total`` and ``seconds`` may both be given; one is."""

    sessions: int
    """At a time."""
    total: int | None = None
    """Messages for SMTP, visits for POP3 and IMAP."""
    seconds: float | None = None
    rate: float | None = None
    """Starts a second, or as many as can be."""

    def split(self, processes: int) -> list[Extent]:
        """Shares that add up to it. No more than there are sessions."""
        processes = min(processes, self.sessions)
        sessions = _split(self.sessions, processes)
        totals = [None] * processes if self.total is None else _split(self.total, processes)
        rate = None if self.rate is None else self.rate / processes
        return [
            dataclasses.replace(self, sessions=size, total=total, rate=rate)
            for size, total in zip(sessions, totals, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Mail:
    """What an SMTP load sends."""

    sender: str
    recipients: Sequence[str]
    each: int = 1
    """Recipients of a message."""
    octets: int = 1024
    run: int = 0
    """Tells this run's messages from others'."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How SMTP sessions go."""

    target: Target
    hello: str = "bench.mailframe"
    reuse: bool = False
    pipelining: bool = False
    starttls: bool = False
    login: tuple[str, str] | None = None

    def load(self, mail: Mail, place: int, step: int) -> SmtpLoad:
        """For the process ``place`` of ``step``: numbers and recipients are not the others'."""
        numbers = itertools.count(place, step)
        first = place * len(mail.recipients) // step
        return SmtpLoad(
            self.target,
            Messages(mail.sender, mail.octets, numbers, mail.run),
            Recipients(mail.recipients, mail.each, first),
            mail.sender,
            self.hello,
            self.reuse,
            self.pipelining,
            self.starttls,
            self.login,
        )


def smtp_works(manner: Manner, mail: Mail, extent: Extent, processes: int) -> list[Work]:
    def make(place: int, step: int) -> Make:
        load = manner.load(mail, place, step)
        return lambda crowd, start: SmtpSession(crowd, load, start)

    return _works(extent.split(processes), make)


def pop3_works(load: Pop3Load, extent: Extent, processes: int) -> list[Work]:
    def make(place: int, step: int) -> Make:
        numbers = itertools.count(place, step)
        return lambda crowd, start: Pop3Session(crowd, load, start, next(numbers))

    return _works(extent.split(processes), make)


def imap_works(load: ImapLoad, extent: Extent, processes: int) -> list[Work]:
    def make(place: int, step: int) -> Make:
        numbers = itertools.count(place, step)
        return lambda crowd, start: ImapSession(crowd, load, start, next(numbers))

    return _works(extent.split(processes), make)


def push_work(load: ImapLoad, extent: Extent) -> Work:
    def work(loop: Loop, tally: Tally) -> None:
        allow_open_files(2 * extent.sessions)
        pace = Pace(loop.clock(), total=extent.total, seconds=extent.seconds, rate=extent.rate)
        pushing = Pushing(loop, tally, load, extent.sessions, pace)
        pushing.start()
        loop.run(pushing.working)

    return work


def idle_work(
    load: SmtpLoad | Pop3Load | ImapLoad, size: int, seconds: float, measured: Measured | None
) -> Work:
    """Afterwards the tally has the server's ``pss_before``, ``rss_before``, ``pss_held`` and
    ``rss_held`` in octets, where it is measured."""

    def work(loop: Loop, tally: Tally) -> None:
        allow_open_files(size)

        def look(name: str) -> None:
            if measured is not None:
                processes = measured.processes()
                tally.counts[f"pss_{name}"] = pss(processes)
                tally.counts[f"rss_{name}"] = rss(processes)

        look("before")
        gathering = Gathering(
            loop, tally, _idle_sessions(load), size, seconds, lambda held: look("held")
        )
        gathering.start()
        loop.run(gathering.working)

    return work


def _idle_sessions(load: SmtpLoad | Pop3Load | ImapLoad) -> MakeIdle:
    match load:
        case SmtpLoad():
            return lambda gathering, number: IdleSmtp(gathering, load)
        case Pop3Load():
            return lambda gathering, number: IdlePop3(gathering, load, number)
        case ImapLoad():
            return lambda gathering, number: IdleImap(gathering, load, number)


def _works(shares: Sequence[Extent], make: Callable[[int, int], Make]) -> list[Work]:
    """``make`` gets the process's place among so many."""
    return [_crowded(share, make(place, len(shares))) for place, share in enumerate(shares)]


def _crowded(extent: Extent, make: Make) -> Work:
    def work(loop: Loop, tally: Tally) -> None:
        allow_open_files(extent.sessions)
        pace = Pace(loop.clock(), total=extent.total, seconds=extent.seconds, rate=extent.rate)
        crowd = Crowd(loop, pace, tally, extent.sessions, make)
        crowd.start()
        loop.run(crowd.working)

    return work


def _split(number: int, parts: int) -> list[int]:
    return [number // parts + (place < number % parts) for place in range(parts)]
