"""``python -m mailframe.app.workers NAME BUS``: a worker begins.

Started by a supervisor and by nobody else: the descriptor BUS is its end of the bus, on which
comes first what to serve, and at which sockets. It has nothing else from the process that
started it, so it runs the code that is on the disk now.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from mailframe.app import exits
from mailframe.app.workers.order import keep_to_ourselves, receive


def main() -> int:
    name, number = sys.argv[1:]
    # A terminal sends both to all processes; the supervisor decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    bus = socket.socket(fileno=int(number))
    try:
        told, rest = receive(bus)
    except (EOFError, OSError) as error:
        print(f"mailframe: {error}", file=sys.stderr)
        return exits.TEMPORARY
    keep_to_ourselves(told, bus)
    if told.systemd:
        # An endpoint may name a socket that systemd gave to the supervisor; the names are there.
        os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(told.systemd)}
    from mailframe.app.workers.worker import serve

    return serve(name, told, bus, rest)


if __name__ == "__main__":
    sys.exit(main())
