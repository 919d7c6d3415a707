"""Several servers with the same content: which one is asked, and what is said about it.

They are tried in their order; one that failed rests for a few seconds, so that nobody waits for it
again and again. One that answers, but not with what can be used, does not rest: what is asked comes
from strangers, and a question that it stumbles over must not take it away from everybody. Where all
of them rest the answer is at once that nothing can be known now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import TransientFailure

REST_SECONDS = 5.0

CANNOT_ASK = Reply(451, status.DIRECTORY_FAILURE, "The list of users cannot be asked now")


class ServerDown(Exception):
    """It cannot be asked; another one may. The text says why, for the log."""


class UnusableAnswer(ServerDown):
    """It was asked, and what it said to this question is of no use; another one may do better, and
    so may the next question."""


class Labelled(Protocol):
    @property
    def label(self) -> str:
        """For logs, without a password."""


S = TypeVar("S", bound=Labelled)
T = TypeVar("T")


class Rotation(Generic[S]):
    """``name`` is that of the source."""

    log = Logger()

    def __init__(self, name: str, servers: Sequence[S], clock: IReactorTime) -> None:
        self._name = name
        self.servers = tuple(servers)
        self._clock = clock
        self._down: dict[int, tuple[float, str]] = {}
        """By place: since when, and why."""

    async def ask(self, question: Callable[[S], Awaitable[T]]) -> T:
        """Of the first server that answers. Raises TransientFailure."""
        unusable: list[str] = []
        for place, server in enumerate(self.servers):
            if self._rests(place):
                continue
            try:
                answer = await question(server)
            except UnusableAnswer as error:
                unusable.append(f"{server.label}: {error}")
                self.log.info("{name}: {why}", name=self._name, why=unusable[-1])
            except ServerDown as error:
                self._failed(place, str(error))
            else:
                self._answered(place)
                return answer
        whys = [f"{self.servers[place].label}: {why}" for place, (_, why) in self._down.items()]
        whys += unusable
        raise TransientFailure(CANNOT_ASK, f"{self._name}: {'; '.join(whys)}")

    def _rests(self, place: int) -> bool:
        since, _ = self._down.get(place, (0.0, ""))
        return place in self._down and 0 <= self._clock.seconds() - since < REST_SECONDS

    def _failed(self, place: int, why: str) -> None:
        if place not in self._down:
            self.log.warn(
                "{name}: {server} cannot be asked: {why}",
                name=self._name,
                server=self.servers[place].label,
                why=why,
            )
        self._down[place] = self._clock.seconds(), why

    def _answered(self, place: int) -> None:
        if self._down.pop(place, None) is not None:
            self.log.info(
                "{name}: {server} answers again",
                name=self._name,
                server=self.servers[place].label,
            )
