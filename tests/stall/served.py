"""The ``mailframe`` command with its reactor measured: ``python -m tests.stall.served run ...``

``STALL_SOCKET`` names the Unix socket on which the measurements are had.
"""

from __future__ import annotations

import os
import sys

from twisted.internet import epollreactor

from mailframe.app.cli import main
from tests.stall.turns import Turns, answer_on

if __name__ == "__main__":
    if "run" in sys.argv[1:2] and "STALL_SOCKET" in os.environ:
        epollreactor.install()  # type: ignore[no-untyped-call]
        from twisted.internet import reactor

        answer_on(os.environ["STALL_SOCKET"], Turns(reactor))
    main()
