"""Is a list alive, and does it know any more whom it lists?

Lists die in two ways: they answer nothing, or they answer everything. RFC 5782 section 5 gives
each a point that must be listed and one that must not. Both are asked before the list is used
for the first time, then every hour, and whenever an answer was odd. Who needs the list meanwhile
waits for the outcome. A list that fails is set aside: it counts nothing until a later check, which
comes after one minute, and after twice the time with every failure, up to an hour.

IPv4 and IPv6 are checked apart: many lists have no IPv6 part, and no test points in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailframe.errors import DnsTemporary, NoSuchDomain
from mailframe.interfaces import IResolver
from mailframe.policy.dnsbl_lists import is_answer
from mailframe.runtime.aio import as_deferred

T = TypeVar("T")
_SOUND_FOR = 3600.0  # seconds until the next check
_FIRST_RETRY = 60.0


@dataclass(frozen=True, slots=True)
class TestPoints:
    """What stands before the zone (RFC 5782 section 5)."""

    listed: str
    unlisted: str


# ::FFFF:7F00:2 and ::FFFF:7F00:1 but for the last nibble
_MAPPED = "0.0.0.0.0.f.7.f.f.f.f." + ".".join("0" * 20)
IPV6 = TestPoints(f"2.{_MAPPED}", f"1.{_MAPPED}")
# 127.0.0.2 and 127.0.0.1
IPV4 = TestPoints("2.0.0.127", "1.0.0.127")
DOMAINS = TestPoints("test", "invalid")


class ListHealth:
    """Of one zone as asked by one kind of name. ``trouble`` is why it is set aside; empty: it is
    sound, or not checked yet."""

    log = Logger()

    def __init__(
        self,
        zone: str,
        points: TestPoints,
        resolver: IResolver,
        clock: IReactorTime,
        timeout: float,
    ) -> None:
        self.trouble = ""
        self._zone = zone
        self._points = points
        self._resolver = resolver
        self._clock = clock
        self._timeout = timeout
        self._next_check = clock.seconds()
        self._retry_after = _FIRST_RETRY
        self._waiting: list[Deferred[None]] | None = None

    async def is_sound(self) -> bool:
        """Whether its answers may be used; waits for the check where one is due."""
        if self._waiting is None and self._clock.seconds() >= self._next_check:
            self._waiting = []
            # for everybody: it goes on should the session that came first end
            as_deferred(self._check()).addErrback(self._bug).addCallback(self._tell)
        if self._waiting is not None:
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            await waiter
        return not self.trouble

    def suspect(self) -> None:
        """An answer was odd, or did not come: check before the list is used again."""
        if not self.trouble:
            self._next_check = self._clock.seconds()

    async def _check(self) -> str:
        """What is wrong; empty: nothing."""
        both = [
            as_deferred(self._ask(each)) for each in (self._points.listed, self._points.unlisted)
        ]
        (listed, trouble), (unlisted, also) = [await each for each in both]
        if trouble or also:
            return f"does not answer ({trouble or also})"
        if listed and not any(map(is_answer, listed)):
            return f"answers {listed[0]}: it refuses us, or is no list any more"
        if unlisted:
            return f"lists everything, even its test point {self._points.unlisted}: {unlisted[0]}"
        if not listed:
            return f"does not list its test point {self._points.listed}"
        return ""

    async def _ask(self, point: str) -> tuple[tuple[str, ...], str]:
        """The answers, and why there are none where that is a failure."""
        name = f"{point}.{self._zone}"
        try:
            return await answers_within(self._resolver, name, self._timeout, self._clock), ""
        except DnsTemporary as error:
            return (), str(error)

    def _bug(self, failure: Failure) -> str:
        self.log.failure("checking the list {zone} failed", failure, zone=self._zone)
        return "could not be checked"

    def _tell(self, trouble: str) -> None:
        waiting, self._waiting = self._waiting or [], None
        self._note(trouble)
        for waiter in waiting:
            waiter.callback(None)

    def _note(self, trouble: str) -> None:
        if trouble:
            wait, self._retry_after = self._retry_after, min(self._retry_after * 2, _SOUND_FOR)
        else:
            wait, self._retry_after = _SOUND_FOR, _FIRST_RETRY
        self._next_check = self._clock.seconds() + wait
        if trouble and not self.trouble:
            self.log.warn("list {zone} set aside: it {trouble}", zone=self._zone, trouble=trouble)
        elif self.trouble and not trouble:
            self.log.info("list {zone} is sound again", zone=self._zone)
        self.trouble = trouble


async def answers_within(
    resolver: IResolver, name: str, timeout: float, clock: IReactorTime
) -> tuple[str, ...]:
    """The A records of ``name``; none where it does not exist. Raises DnsTemporary, also where
    it takes more than ``timeout`` seconds."""
    return await within(lambda: resolver.ipv4(name), timeout, clock)


async def within(
    ask: Callable[[], Deferred[tuple[T, ...]]], timeout: float, clock: IReactorTime
) -> tuple[T, ...]:
    try:
        return await ask().addTimeout(timeout, clock)
    except NoSuchDomain:
        return ()
    except TimeoutError:
        raise DnsTemporary(f"no answer within {timeout:g} s") from None
