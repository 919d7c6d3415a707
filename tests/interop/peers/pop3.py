"""Fetching by POP3 without a library's opinion of what a line is."""

from __future__ import annotations

import re
import socket
from types import TracebackType
from typing import Self

from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate

# Up to the date: a message may begin with a line that looks like more of the field.
_TRACE = re.compile(
    rb"Return-Path: <[^\r\n]*>\r\nDelivered-To: [^\r\n]+\r\n"
    rb"Received: [^;]+;\s+\w{3}, [^\r\n]+ [+-]\d{4}\r\n"
)


class Pop3:
    """A session over TLS, logged in; a context that ends with QUIT."""

    def __init__(self, server: Mailframe, user: str, *before_login: str) -> None:
        address = (server.address, server.ports["pop3s"])
        bare = socket.create_connection(address, 60)
        self._socket = any_certificate().wrap_socket(bare)
        self._stream = self._socket.makefile("rwb")
        self.line()
        for command in (*before_login, f"USER {user}", f"PASS {PASSWORD}"):
            self.ask(command)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if error is None:
            self.ask("QUIT")
        self._stream.close()
        self._socket.close()

    def line(self) -> bytes:
        return self._stream.readline()

    def ask(self, command: str) -> str:
        """The line of the answer, which must be +OK."""
        self._stream.write(command.encode() + b"\r\n")
        self._stream.flush()
        answer = self.line().decode()
        assert answer.startswith("+OK"), (command, answer)
        return answer

    def many(self, command: str) -> bytes:
        """What a multi-line answer holds, octet for octet."""
        self.ask(command)
        received = bytearray(b"\r\n")
        while not received.endswith(b"\r\n.\r\n"):
            received += self.line()
        # RFC 1939 section 3: lines that begin with a dot have one more
        return bytes(received[:-3]).replace(b"\r\n..", b"\r\n.")[2:]

    def sizes(self) -> list[int]:
        return [int(line.split()[1]) for line in self.many("LIST").splitlines()]

    def retrieve(self, number: int) -> bytes:
        return self.many(f"RETR {number}")

    def everything(self) -> list[bytes]:
        """Fetch and delete; each message is as long as was announced."""
        found = []
        for number, size in enumerate(self.sizes(), 1):
            found.append(self.retrieve(number))
            assert len(found[-1]) == size, (number, size, found[-1][:300])
            self.ask(f"DELE {number}")
        return found


def take(server: Mailframe, user: str) -> list[bytes]:
    """Empty a mailbox."""
    with Pop3(server, user) as session:
        return session.everything()


def without_trace(message: bytes) -> bytes:
    """The message as it came, without the trace fields that we put on top."""
    found = _TRACE.match(message)
    assert found, message[:500]
    return message[found.end() :]
