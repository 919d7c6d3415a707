"""What all contract suites are made of.

A suite is a class to inherit. It runs under pytest as it is (``class TestMine(MailboxContract)``)
and under trial or unittest with a test case beside it (``class MineTest(MailboxContract,
SynchronousTestCase)``). A method may answer with a value, a Deferred or a coroutine, as everywhere
in mailframe; where it waits for something, ``turn`` is what lets that happen. No reactor runs.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn, TypeVar
from unittest import SkipTest

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from mailframe.errors import Failure as MailFailure

E = TypeVar("E", bound=BaseException)

_MOST_TURNS = 10_000
_SHOWN = 30  # octets on both sides of where messages begin to differ


class Contract:
    """Root of all suites: what they ask with, and what whoever inherits may give them."""

    _endings: list[Callable[[], object]] | None = None

    # ---- for whoever inherits

    def turn(self) -> bool:
        """Let time pass a little: advance a clock, run a simulated network, wait for a thread.
        False: there is nothing that could go on. Called until what is waited for is there."""
        return False

    def at_end(self, ending: Callable[[], object]) -> None:
        """Call ``ending`` when the test is over, the last one first; what it answers is waited
        for."""
        self._start_test()
        assert self._endings is not None
        self._endings.append(ending)

    # ---- for the suites

    def not_given(self, method: str) -> NoReturn:
        """What whoever inherits has to say, and has not."""
        raise TypeError(f"{type(self).__name__} has no {method}(): the contract cannot know that")

    def wait(self, value: Any) -> Any:
        """What comes of a value, a Deferred or a coroutine; raises what it fails with.
        AssertionError where nothing does, and ``turn`` has nothing more to let happen."""
        outcome = self._come_of(value)
        if isinstance(outcome, Failure):
            outcome.raiseException()
        return outcome

    def must_raise(self, kinds: type[E] | tuple[type[E], ...], call: Callable[[], Any]) -> E:
        """The error that a call, or what comes of it, ends with; AssertionError for none, and for
        another."""
        try:
            found = self.wait(call())
        except kinds as error:
            return error
        except AssertionError:
            raise
        except BaseException as error:
            raise AssertionError(f"{_named(kinds)} was wanted, {error!r} was raised") from error
        raise AssertionError(f"{_named(kinds)} was wanted, {found!r} was the answer")

    def may_fail(self, call: Callable[[], Any], *also: type[BaseException]) -> Any:
        """What comes of it, or the ``mailframe.errors.Failure`` (or one of ``also``) that it ends
        with: what an extension may do with input that no sane peer sends. Anything else counts as
        its bug, of which the peer hears 451."""
        expected: tuple[type[BaseException], ...] = (MailFailure, *also)
        try:
            return self.wait(call())
        except expected as error:
            return error
        except AssertionError:
            raise
        except BaseException as error:
            raise AssertionError(
                f"it ended with {error!r}, which counts as a bug: 451, and a traceback"
            ) from error

    def same(
        self, found: Sequence[bytes], expected: Sequence[bytes], why: str = "it was changed"
    ) -> None:
        """These contents are those, one by one. What differs is shown where it begins to: a test
        runner that looks for all differences of two long messages takes minutes or hours."""
        assert len(found) == len(expected), (
            f"{why}: {len(found)} messages were found, {len(expected)} expected"
        )
        for is_there, wanted in zip(found, expected, strict=True):
            if is_there != wanted:
                raise AssertionError(f"{why}: {_difference(bytes(is_there), wanted)}")

    def provides(self, interface: Any, thing: object) -> None:
        """It says that it provides the interface, and has all of it."""
        assert interface.providedBy(thing), (
            f"{thing!r} does not say that it provides {interface.__name__}: "
            "@implementer is missing, and nobody will ask it"
        )
        try:
            verifyObject(interface, thing)
        except Invalid as error:
            raise AssertionError(f"{thing!r} is no {interface.__name__}: {error}") from error

    def needs(self, interface: Any, thing: object) -> None:
        """Skip where an optional power is not there."""
        if not interface.providedBy(thing):
            raise SkipTest(f"it does not provide {interface.__name__}")
        self.provides(interface, thing)

    def give_up_on(self, value: Any) -> object:
        """Cancel it, as happens when a peer has gone; what it ends with, None where it had ended
        already. A Deferred that never fires after it was cancelled is an AssertionError."""
        if not hasattr(value, "__await__"):
            return None
        found: list[Any] = []
        deferred = _deferred(value).addBoth(found.append)
        if found:
            return None
        deferred.cancel()
        for _ in range(_MOST_TURNS):
            if found or not self.turn():
                break
        assert found, "it never ends after it was cancelled: the session of the peer that has gone"
        assert not isinstance(found[0], Failure) or found[0].check(CancelledError, MailFailure), (
            f"cancelled, it ended with {found[0]!r}"
        )
        return found[0]

    # ---- under whatever runs it

    def _come_of(self, value: Any) -> Any:
        if not hasattr(value, "__await__"):
            return value
        found: list[Any] = []
        _deferred(value).addBoth(found.append)
        for _ in range(_MOST_TURNS):
            if found or not self.turn():
                break
        assert found, "it waits for something: let that happen in the method `turn` of the suite"
        return found[0]

    def setup_method(self, method: object = None) -> None:
        self._start_test()

    def teardown_method(self, method: object = None) -> None:
        self._end_test()

    def setUp(self) -> None:
        above = getattr(super(), "setUp", None)
        if above is not None:
            above()
        self._start_test()

    def tearDown(self) -> None:
        self._end_test()
        above = getattr(super(), "tearDown", None)
        if above is not None:
            above()

    def _start_test(self) -> None:
        if self._endings is None:
            self._endings = []

    def _end_test(self) -> None:
        endings, self._endings = self._endings or [], None
        for ending in reversed(endings):
            self._come_of(ending())


def _deferred(value: Any) -> Deferred[Any]:
    if isinstance(value, Deferred):
        return value
    if isinstance(value, Coroutine):
        return Deferred.fromCoroutine(value)

    async def awaiting() -> Any:
        return await value

    return Deferred.fromCoroutine(awaiting())


def _difference(found: bytes, expected: bytes) -> str:
    pairs = enumerate(zip(found, expected, strict=False))
    shorter = min(len(found), len(expected))
    at = next((at for at, (one, other) in pairs if one != other), shorter)
    begin, end = max(0, at - _SHOWN), at + _SHOWN
    return (
        f"{found[begin:end]!r} was found, {expected[begin:end]!r} expected from octet {begin} on "
        f"(of {len(found)} and {len(expected)})"
    )


def _named(kinds: type[BaseException] | tuple[type[BaseException], ...]) -> str:
    several = kinds if isinstance(kinds, tuple) else (kinds,)
    return " or ".join(kind.__name__ for kind in several)
