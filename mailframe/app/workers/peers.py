"""The other workers, over the bus: ``IPeers``, and questions to one of them.

Everybody on the bus has a ``Peers``: each worker, and the supervisor, whose name is not among
``names`` and who hears nothing that is told. The first word of a line says who it is for; the
rest is a JSON list: its kind, who says it, and what the kind needs::

    * ["tell","w1-5f0c","connections",{"198.51.100.7":1}]
    w2-77ab ["ask","w1-5f0c",12,"metrics",null]
    w1-5f0c ["answer","w2-77ab",12,{"accepted":4711}]

A worker that joins is told by each of the others what it could not have heard (``welcome``).
What they told before that is contained in it, and is left out: nothing is counted twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.errors import MailframeError
from mailframe.interfaces import IPeers

SUPERVISOR = "supervisor"
EVERYBODY = "*"
ANSWER_SECONDS = 5.0
WELCOME_SECONDS = 2.0

_encode = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps makes one each time
_Listener = Callable[[Any, str], None]
_Send = Callable[[str, bytes], None]


class PeerFailed(MailframeError):
    """The one who was asked could not do it (the message says why), or has ended."""


class PeerSilent(PeerFailed):
    """It did not answer in time; it may do so yet."""


class _Call:
    """A question under way."""

    __slots__ = ("answered", "timer", "to")

    def __init__(self, to: str, answered: Deferred[Any], timer: IDelayedCall | None) -> None:
        self.to = to
        self.answered = answered
        self.timer = timer

    def done(self) -> Deferred[Any]:
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        return self.answered


@implementer(IPeers)
class Peers:
    """``send(to, line)`` puts a line on the bus; ``received`` is given those for us."""

    log = Logger()

    def __init__(self, own: str, clock: Any, send: _Send) -> None:
        self.own = own
        self._clock = clock
        self._send = send
        self._others: set[str] = set()
        self._unwelcomed: set[str] = set()
        """Others of whom we have not heard yet what was before us."""
        self._welcomed: Deferred[None] | None = None
        self._has_joined = False
        self._early: list[bytes] = []
        self._calls: dict[int, _Call] = {}
        self._last_call = 0
        self._listeners: dict[str, list[_Listener]] = {}
        self._welcomes: dict[str, list[Callable[[], Iterable[Any]]]] = {}
        self._answerers: dict[str, Callable[[Any], Any]] = {}
        self._lost: list[Callable[[str], None]] = []

    # ---- IPeers

    def names(self) -> tuple[str, ...]:
        return tuple(sorted({self.own, *self._others}))

    def tell(self, topic: str, note: Any) -> None:
        if not self._has_joined:
            self._early.append(line("tell", self.own, topic, note))
        elif self._others:
            self._send(EVERYBODY, line("tell", self.own, topic, note))

    def hear(self, topic: str, listener: _Listener) -> None:
        self._listeners.setdefault(topic, []).append(listener)

    def welcome(self, topic: str, notes: Callable[[], Iterable[Any]]) -> None:
        self._welcomes.setdefault(topic, []).append(notes)

    def lost(self, listener: Callable[[str], None]) -> None:
        self._lost.append(listener)

    def ask(self, topic: str, note: Any) -> Deferred[dict[str, Any]]:
        others = sorted(self._others)
        calls = [self.call(name, topic, note) for name in others]
        everybody: Deferred[Any] = DeferredList(calls, consumeErrors=True)
        return everybody.addCallback(
            lambda results: {
                name: answer
                for name, (has_answered, answer) in zip(others, results, strict=True)
                if has_answered
            }
        )

    def answer(self, topic: str, answerer: Callable[[Any], Any]) -> None:
        self._answerers[topic] = answerer

    # ---- one of them

    def call(
        self, to: str, topic: str, note: Any = None, seconds: float | None = ANSWER_SECONDS
    ) -> Deferred[Any]:
        """What ``to`` answers. Fails with PeerFailed; where ``seconds`` is None only when it says
        so or ends."""
        self._last_call += 1
        number = self._last_call
        answered: Deferred[Any] = Deferred()
        timer = None
        if seconds is not None:
            timer = self._clock.callLater(seconds, self._give_up, number)
        self._calls[number] = _Call(to, answered, timer)
        self._send(to, line("ask", self.own, number, topic, note))
        return answered

    # ---- joining

    def join(self) -> Deferred[None]:
        """Fires when all others have said what was before; of one that takes longer than
        ``WELCOME_SECONDS`` it comes later. Fails with PeerFailed without a supervisor."""
        return self.call(SUPERVISOR, "join", self.own, None).addCallback(self._joined)

    def _joined(self, others: list[str]) -> Deferred[None]:
        self._others.update(others)
        self._unwelcomed.update(others)
        self._has_joined = True
        early, self._early = self._early, []
        for said in early:
            self._send(EVERYBODY, said)
        welcomed: Deferred[None] = Deferred()
        self._welcomed = welcomed
        timer = self._clock.callLater(WELCOME_SECONDS, self._go_on)
        self._look_round()

        def done(result: None) -> None:
            if timer.active():
                timer.cancel()

        return welcomed.addCallback(done)

    def _look_round(self) -> None:
        if not self._unwelcomed:
            self._go_on()

    def _go_on(self) -> None:
        welcomed, self._welcomed = self._welcomed, None
        if welcomed is not None:
            welcomed.callback(None)

    def _welcome(self, newcomer: str) -> None:
        for topic, sources in self._welcomes.items():
            for notes in sources:
                try:
                    for note in notes():
                        self._send(newcomer, line("welcome", self.own, topic, note))
                except Exception:  # noqa: BLE001 - one topic's bug is not the others'
                    self.log.failure("a newcomer is not told all of {topic}", topic=topic)
        self._send(newcomer, line("welcomed", self.own))

    # ---- hearing

    def received(self, said: bytes) -> None:
        """A line for us, without the word before it. Never raises."""
        try:
            kind, sender, *rest = json.loads(said)
            hear = self._KINDS[kind]
            hear(self, sender, *rest)
        except Exception:  # noqa: BLE001 - a line that makes no sense, or a listener's bug
            self.log.failure("a line on the bus is left out: {line}", line=said[:200])

    def _told(self, sender: str, topic: str, note: Any) -> None:
        if sender not in self._unwelcomed:
            self._hear(sender, topic, note)

    def _hear(self, sender: str, topic: str, note: Any) -> None:
        for listener in self._listeners.get(topic, ()):
            try:
                listener(note, sender)
            except Exception:  # noqa: BLE001 - one listener's bug is not the others'
                self.log.failure("a note about {topic} was not understood", topic=topic)

    def _end_of_welcome(self, sender: str) -> None:
        self._unwelcomed.discard(sender)
        self._look_round()

    def _another(self, sender: str, name: str) -> None:
        self._others.add(name)
        self._welcome(name)

    def _one_less(self, sender: str, name: str) -> None:
        self._others.discard(name)
        for number in [number for number, call in self._calls.items() if call.to == name]:
            self._calls.pop(number).done().errback(PeerFailed(f"{name} has ended"))
        for listener in self._lost:
            try:
                listener(name)
            except Exception:  # noqa: BLE001 - one listener's bug is not the others'
                self.log.failure("the end of {name} was not seen to", name=name)
        self._end_of_welcome(name)

    # ---- questions and answers

    def _asked(self, sender: str, number: int, topic: str, note: Any) -> None:
        answerer = self._answerers.get(topic)
        if answerer is None:
            self._send(sender, line("failed", self.own, number, f"nobody answers {topic!r}"))
            return

        def answered(result: Any) -> None:
            self._send(sender, line("answer", self.own, number, result))

        def failed(failure: Failure) -> None:
            if failure.check(MailframeError):
                why = str(failure.value)
            else:
                self.log.failure("a question about {topic} failed", failure, topic=topic)
                why = "internal error, see the server's log"
            self._send(sender, line("failed", self.own, number, why))

        maybeDeferred(answerer, note).addCallback(answered).addErrback(failed)

    def _answered(self, sender: str, number: int, note: Any) -> None:
        call = self._calls.pop(number, None)  # None: it came too late
        if call is not None:
            call.done().callback(note)

    def _failed(self, sender: str, number: int, why: str) -> None:
        call = self._calls.pop(number, None)
        if call is not None:
            call.done().errback(PeerFailed(why))

    def _give_up(self, number: int) -> None:
        call = self._calls.pop(number)
        call.answered.errback(PeerSilent(f"{call.to} does not answer"))

    def close(self) -> None:
        """The bus is gone: who waits for an answer gets none."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.done().errback(PeerFailed("the bus is closed"))

    _KINDS: ClassVar[dict[str, Callable[..., None]]] = {
        "tell": _told,
        "welcome": _hear,
        "welcomed": _end_of_welcome,
        "ask": _asked,
        "answer": _answered,
        "failed": _failed,
        "joined": _another,
        "lost": _one_less,
    }


def line(*parts: Any) -> bytes:
    """A line as ``Peers.received`` understands it."""
    # No end of line can be in it: JSON writes those of strings as \\n.
    return _encode(parts).encode()
