"""What a quiet client sees meanwhile: the longest answer to a NOOP, asked every 10 ms; and what
the machine itself adds: by how much a sleep of 10 ms was too long.

A process of its own. Every line on standard input ends a round: it answers with the two figures
of it, in milliseconds, and begins the next.
"""

from __future__ import annotations

import select
import socket
import sys
import time

_EVERY = 0.01


def main(host: str, port: str) -> None:
    quiet = socket.create_connection((host, int(port)), 60)
    quiet.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    quiet.recv(1024)
    quiet.sendall(b"EHLO beside.test\r\n")
    quiet.recv(4096)
    worst = overslept = 0.0
    while True:
        begun = time.monotonic()
        ready, _, _ = select.select([sys.stdin], [], [], _EVERY)
        if ready:
            if not sys.stdin.readline():
                return
            print(f"{worst * 1000:.1f} {overslept * 1000:.1f}", flush=True)
            worst = overslept = 0.0
            continue
        overslept = max(overslept, time.monotonic() - begun - _EVERY)
        begun = time.monotonic()
        quiet.sendall(b"NOOP\r\n")
        if not quiet.recv(1024):
            raise SystemExit("the server hung up")
        worst = max(worst, time.monotonic() - begun)


if __name__ == "__main__":
    main(*sys.argv[1:])
