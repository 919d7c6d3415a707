"""The table of scenes. A scene is a function of the target; its first line of doc is its name."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.stall.target import Target

Attack = Callable[[Target], object]


@dataclass(frozen=True)
class Scene:
    name: str
    attack: Attack
    prepare: Attack | None = None
    """What it needs in the victim's mailbox; done before anything is measured."""
    quick: bool = False
    """One of those that CI plays."""


SCENES: dict[str, Scene] = {}
patience = {"most": 60.0}
"""Seconds that an attack which could go on for ever goes on at most; CI has less."""


def scene(
    name: str, *, prepare: Attack | None = None, quick: bool = False
) -> Callable[[Attack], Attack]:
    def add(attack: Attack) -> Attack:
        SCENES[name] = Scene(name, attack, prepare, quick)
        return attack

    return add


def pour(line: socket.socket, data: bytes, seconds: float = 20.0, *, read: bool = True) -> int:
    """Write as fast as it is taken, reading what comes back meanwhile; ends when all is written
    and nothing has come for a second, or the time is over. Returns how much came."""
    line.setblocking(False)
    end = time.monotonic() + min(seconds, patience["most"])
    view, came = memoryview(data), 0
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < end:
            wanted = [line] if len(view) else []
            ready, writable, _ = select.select([line] if read else [], wanted, [], 1.0)
            if not ready and not writable:
                break
            if ready:
                got = line.recv(1 << 20)
                if not got:
                    break
                came += len(got)
            if writable:
                view = view[line.send(view[: 1 << 20]) :]
    line.close()
    return came
