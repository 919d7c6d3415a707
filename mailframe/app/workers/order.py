"""What a supervisor tells a worker first, in one line on the bus.

Read before anything of Twisted is imported: what that finds in the environment (sockets of
systemd's) it looks for when it is imported.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Told:
    path: str | None
    """The configuration's file."""
    text: str
    """What was in it when the server began, or was last reloaded: the same for all workers."""
    listeners: Mapping[str, int]
    """Sockets to accept at: names, and descriptors in the worker."""
    process: int
    """As of ``House``."""
    systemd: int
    """How many sockets the server has from systemd."""
    python_path: str | None
    """PYTHONPATH as programs are to see it that the worker starts; its own was made for it."""
    apps: Sequence[str] = ()
    """Applications beside those of the configuration."""

    def line(self) -> bytes:
        """Without its end."""
        return json.dumps(asdict(self)).encode()


def receive(bus: socket.socket) -> tuple[Told, bytes]:
    """The order, and what came after it. Blocks. Raises OSError, and EOFError when the supervisor
    has died."""
    bus.settimeout(_SECONDS)
    received = b""
    while b"\n" not in received:
        chunk = bus.recv(1 << 16)
        if not chunk:
            raise EOFError("the supervisor has gone")
        received += chunk
    bus.setblocking(False)
    line, _, rest = received.partition(b"\n")
    return Told(**json.loads(line)), rest


def keep_to_ourselves(told: Told, bus: socket.socket) -> None:
    """Programs that the worker starts have no part in its sockets, and another environment."""
    os.environ.pop("PYTHONPATH", None)
    if told.python_path is not None:
        os.environ["PYTHONPATH"] = told.python_path
    bus.set_inheritable(False)
    for descriptor in told.listeners.values():
        os.set_inheritable(descriptor, False)
