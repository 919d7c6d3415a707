"""Big mail with many signatures, on a real reactor with real threads: nobody is kept waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import LoopingCall

from mailframe.mailauth.dkim import DkimLimits, sign_dkim, verify_dkim
from mailframe.runtime.workers import Workers
from tests.unit.mailauth.dkim.dkim_world import (
    ED,
    HEADER,
    NOW,
    RSA,
    hand_signed,
    opener,
    zone,
)

pytestmark = pytest.mark.slow

SIZE = 35 << 20
SIGNATURES = 50
INTERVAL = 0.01
MOST_LATE = 0.25  # seconds; some 5 ms on a quiet machine
BODIES = {
    "text": b"Some text  with blanks \t and so on, about eighty characters in all. \r\n",
    "base64": b"A" * 76 + b"\r\n",
    "blanks": b" \t",
    "line ends": b"\r\n",
    "one line": b"a",
}


class Lateness:
    """How late the reactor came to a call that was due every 10 ms, at worst."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._last: float | None = None
        self._loop = LoopingCall(self._tick)

    def start(self) -> None:
        self._loop.start(INTERVAL)

    def stop(self) -> None:
        self._loop.stop()

    def _tick(self) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.worst = max(self.worst, now - self._last - INTERVAL)
        self._last = now


@pytest.fixture
def lateness() -> Iterator[Lateness]:
    made = Lateness()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def workers() -> Iterator[Workers]:
    from twisted.internet import reactor

    made: Any = Workers("content", 2, 1000, reactor)  # type: ignore[arg-type]
    made.start()
    yield made
    made.stop()


def many_signatures() -> bytes:
    """Of either form, each of another length, so that nothing is computed once for all."""
    header = HEADER
    for number in range(SIGNATURES):
        header = hand_signed(
            header,
            b"",
            RSA if number % 2 else ED,
            c="relaxed/relaxed" if number % 3 else "simple/simple",
            length=str(1 + number * SIZE // SIGNATURES),
        )
    return header


@pytest.mark.parametrize("name", BODIES)
@pytest_twisted.ensureDeferred
async def test_verifying(name: str, workers: Workers, lateness: Lateness) -> None:
    line = BODIES[name]
    body = line * (SIZE // len(line))
    limits = DkimLimits(max_signatures=100)
    header = many_signatures()
    lateness.worst = 0.0
    results = await verify_dkim(zone(), header, opener(body), workers, now=NOW, limits=limits)
    assert len(results) == SIGNATURES
    assert not any(results)
    assert lateness.worst < MOST_LATE


@pytest.mark.parametrize("name", BODIES)
@pytest_twisted.ensureDeferred
async def test_signing(name: str, workers: Workers, lateness: Lateness) -> None:
    line = BODIES[name]
    body = line * (SIZE // len(line))
    signatures = await sign_dkim(HEADER, opener(body), workers, [RSA, ED], now=NOW)
    header = signatures + HEADER
    assert all(await verify_dkim(zone(), header, opener(body), workers, now=NOW))
    assert lateness.worst < MOST_LATE


@pytest_twisted.ensureDeferred
async def test_headers_made_to_be_dear(workers: Workers, lateness: Lateness) -> None:
    """As much of them as the server takes: 256 KB."""
    dear = [b":a" * 16_000, b":from" * 6_000, b"; i=" + b"=40" * 10_000, b"; b=" + b"A " * 16_000]
    fields = [hand_signed(b"", h="from").strip() + b" " + more + b"\r\n" for more in dear]
    header = b"".join(fields * 2) + b"x:\r\n" * 10_000 + HEADER
    results = await verify_dkim(zone(), header, opener(b""), workers, now=NOW)
    assert not any(results)
    assert lateness.worst < MOST_LATE
