"""What twisted.mail's ESMTP can do at most: one Maildir, each message synced before its 250.

    python tests/benchmarks/twisted_reference.py PORT MAILDIR [PROCESSES]

The file is synced and then its directory, on threads: the durability that ours has at delivery.
There is no queue, no policy, no account, no log, and no trace but one Received field; so it is a
mark for what a Twisted process can do, not a server.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import time
from typing import Any


def main() -> None:
    port, maildir = int(sys.argv[1]), sys.argv[2]
    processes = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    for name in ("tmp", "new", "cur"):
        os.makedirs(os.path.join(maildir, name), exist_ok=True)
    # Before the reactor is imported: processes cannot share its epoll descriptor.
    for _ in range(processes - 1):
        if not os.fork():
            break
    serve(listening(port, shared=processes > 1), maildir)


def listening(port: int, *, shared: bool) -> socket.socket:
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    own.bind(("127.0.0.1", port))
    own.listen(1024)
    own.setblocking(False)
    return own


def serve(own: socket.socket, maildir: str) -> None:
    from twisted.cred.checkers import AllowAnonymousAccess
    from twisted.cred.portal import IRealm, Portal
    from twisted.internet import reactor
    from twisted.internet.threads import deferToThread
    from twisted.mail.smtp import ESMTP, IMessage, IMessageDelivery, SMTPFactory, rfc822date
    from zope.interface import implementer

    clock: Any = reactor
    numbers = itertools.count()

    @implementer(IMessage)
    class Message:
        def __init__(self) -> None:
            self._lines: list[bytes] = []

        def lineReceived(self, line: bytes) -> None:
            self._lines.append(line)

        def eomReceived(self) -> Any:
            content = b"\n".join([*self._lines, b""])
            return deferToThread(store, maildir, next(numbers), content)

        def connectionLost(self) -> None:
            self._lines.clear()

    @implementer(IMessageDelivery)
    class Delivery:
        def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
            return b"Received: from %b; %b" % (helo[0], rfc822date())

        def validateFrom(self, helo: Any, origin: Any) -> Any:
            return origin

        def validateTo(self, user: Any) -> Any:
            return Message

    @implementer(IRealm)
    class Realm:
        def requestAvatar(self, avatar_id: Any, mind: Any, *interfaces: Any) -> Any:
            return IMessageDelivery, Delivery(), lambda: None

    class Factory(SMTPFactory):
        noisy = False

        def buildProtocol(self, address: Any) -> Any:
            protocol: Any = ESMTP()
            protocol.factory, protocol.portal = self, portal
            protocol.host = b"reference.test"
            return protocol

    portal = Portal(Realm(), [AllowAnonymousAccess()])
    factory: Any = Factory
    clock.adoptStreamPort(own.fileno(), socket.AF_INET, factory())
    clock.run()


def store(maildir: str, number: int, content: bytes) -> None:
    """As the Maildir's rules are, and durable."""
    name = f"{time.time():.6f}.P{os.getpid()}Q{number}.reference"
    made, final = (os.path.join(maildir, place, name) for place in ("tmp", "new"))
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(made, final)
    directory = os.open(os.path.dirname(final), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


if __name__ == "__main__":
    main()
