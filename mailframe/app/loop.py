"""Which reactor ``mailframe run`` waits in. Under ``twistd`` it is whatever ``--reactor`` says."""

from __future__ import annotations

import sys

from twisted.internet.main import installReactor


def install() -> None:
    """Ours, where there is epoll and no reactor already; else it is Twisted's choice."""
    if "twisted.internet.reactor" in sys.modules:
        return
    try:
        from mailframe.app.epoll import Reactor
    except ImportError:
        return
    installReactor(Reactor())
