"""asyncio's awaitables, where the reactor is asyncio's, and where it is not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import warnings
from typing import Any

import pytest

import mailframe
from mailframe.runtime.futures import NoLoop, aio

SCRIPT = """
from twisted.internet import asyncioreactor
asyncioreactor.install()
import asyncio
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
import mailframe
from mailframe.runtime.aio import as_deferred
from mailframe.runtime.stepping import step_named, stepped

async def library(value):
    async with asyncio.timeout(5):
        await asyncio.sleep(0)
    return value

async def broken():
    await asyncio.sleep(0)
    raise KeyError("asyncio's")

cancelled = []

async def hangs():
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        cancelled.append(1)
        raise

async def hook():
    print(await mailframe.aio(library("a coroutine")))
    print(await mailframe.aio(asyncio.ensure_future(library("a task"))))
    try:
        await mailframe.aio(broken())
    except KeyError as error:
        print("raised", error)
    waiting = mailframe.aio(hangs())
    reactor.callLater(0.05, waiting.cancel)
    try:
        await waiting
    except BaseException as error:
        print(type(error).__name__, cancelled)

def begin():
    whole = stepped(hook(), step_named("hook x", lambda seconds: None))
    async def main():
        await whole
    as_deferred(main()).addErrback(print).addCallback(lambda _: reactor.stop())

reactor.{when}
reactor.run()
"""


@pytest.mark.parametrize("when", ["callWhenRunning(begin)", "callLater(0.01, begin)"])
def test_under_asyncios_reactor(when: str) -> None:
    script = SCRIPT.replace("{when}", when)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "a coroutine",
        "a task",
        'raised "asyncio\'s"',
        "CancelledError [1]",
    ]


def test_elsewhere_it_is_said_at_once() -> None:
    async def library() -> None:
        await asyncio.sleep(0)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(NoLoop, match="--reactor=asyncio"):
            aio(library())


def test_it_is_exported() -> None:
    exported: Any = mailframe.aio
    assert exported is aio
