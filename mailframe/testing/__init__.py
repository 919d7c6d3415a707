"""testing: for tests of mailframe, and of what others build on it.

What lives here
    ``memory_server``: a whole server without a socket, with ``letters`` to it, ``zones`` (the
    DNS), ``remote`` (hosts elsewhere) and ``surroundings`` (all of that). ``pytest_plugin`` and
    ``case`` hand it to tests. ``inbox``: a real server in a process, for any program that sends
    mail. ``contracts``: what every replaceable part must do.
    Below them, the instruments: ``disk``, a simulated disk that can lose its power; ``network``,
    simulated machines, time, TCP and UDP with faults; ``machine``, both together, as the server's
    ``Machine``; ``crash``, the explorer of every state that a crash may leave.

May import
    Everything. Only the simulation and commands that need a server in memory import it.

Start reading at
    ``memory_server``; ``machine``.

Invariants
    One seed is one history. Nothing here but ``inbox`` touches the real disk, network or clock.

RFCs
    Those of what is simulated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailframe.testing.case import MailframeTestCase as MailframeTestCase
    from mailframe.testing.inbox import MailframeInbox as MailframeInbox
    from mailframe.testing.memory_server import MemoryServer as MemoryServer

_FROM = {
    "MailframeInbox": "mailframe.testing.inbox",
    "MailframeTestCase": "mailframe.testing.case",
    "MemoryServer": "mailframe.testing.memory_server",
}
__all__ = ["MailframeInbox", "MailframeTestCase", "MemoryServer"]


def __getattr__(name: str) -> Any:
    # Each stands on other things, and none of them is wanted by all.
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_FROM[name]), name)
