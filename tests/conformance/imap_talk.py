"""A blunt IMAP client for suites: sends what it is told, reads responses as trees.

Responses become lists of tokens: ``bytes`` for atoms, strings and literals alike (a suite
compares values, not their spelling), lists for parentheses. What stands in brackets is one
token, blanks and all: ``BODY[HEADER.FIELDS (From)]``, ``[UIDNEXT 4]``.
"""

from __future__ import annotations

import re
import socket

Tokens = list["bytes | Tokens"]

_LITERAL = re.compile(rb"~?\{(\d+)\+?\}\r\n\Z")


class Text(bytes):
    """What follows a response code: not for comparing."""


class Talk:
    def __init__(self, address: str, port: int, timeout: float = 20.0) -> None:
        self._socket = socket.create_connection((address, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self.greeting = self._file.readline()
        self._early: list[bytes] = []
        """What came before a literal was asked for."""

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def response(self) -> bytes:
        """One whole response with its literals, without the last CRLF. EOFError at the end."""
        if self._early:
            return self._early.pop(0)
        return self._read()

    def _read(self) -> bytes:
        whole = self._line()
        while match := _LITERAL.search(whole[-24:]):
            whole += self._exactly(int(match[1])) + self._line()
        return whole.removesuffix(b"\r\n")

    def command(self, line: bytes, tag: bytes = b"x") -> tuple[list[bytes], bytes]:
        """Send it, with a literal's continuation where ``{n}`` CRLF stands; the untagged
        responses and the tagged one."""
        self.send_with_literals(tag + b" " + line)
        return self.until(tag)

    def send_with_literals(self, line: bytes) -> None:
        at = 0
        while match := re.compile(rb"\{(\d+)\}\r\n").search(line, at):
            self.send(line[at : match.end()])
            at = match.end() + int(match[1])
            if not self._go_ahead():
                return
            self.send(line[match.end() : at])
        self.send(line[at:] + b"\r\n")

    def _go_ahead(self) -> bool:
        """Whether the server wants the literal; else it has given its answer."""
        while not (response := self._read()).startswith(b"+"):
            self._early.append(response)
            if not response.startswith(b"* "):
                return False
        return True

    def until(self, tag: bytes) -> tuple[list[bytes], bytes]:
        untagged = []
        while True:
            response = self.response()
            if response.startswith(tag + b" "):
                return untagged, response[len(tag) + 1 :]
            if response.startswith(b"* "):
                untagged.append(response[2:])
            elif not response.startswith(b"+"):
                raise AssertionError(f"unexpected {response!r}")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _line(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(f"the server hung up after {line!r}")
        return line

    def _exactly(self, octets: int) -> bytes:
        data = self._file.read(octets)
        if len(data) < octets:
            raise EOFError("the server hung up in a literal")
        return data


def tokens(text: bytes) -> Tokens:
    """The tree of one response (or of an expected one of a suite)."""
    stack: list[Tokens] = [[]]
    at = 0
    while at < len(text):
        octet = text[at : at + 1]
        if octet in b" \r\n":
            at += 1
        elif octet == b"(":
            stack.append([])
            at += 1
        elif octet == b")" and len(stack) > 1:
            done = stack.pop()
            stack[-1].append(done)
            at += 1
        else:
            token, at = _token(text, at)
            stack[-1].append(token)
    while len(stack) > 1:
        done = stack.pop()
        stack[-1].append(done)
    return stack[0]


def _token(text: bytes, at: int) -> tuple[bytes, int]:
    if match := re.compile(rb"~?\{(\d+)\+?\}\r\n").match(text, at):
        end = match.end() + int(match[1])
        return text[match.end() : end], end
    if text.startswith(b'"', at):
        match = re.compile(rb'"((?:[^"\\]|\\.)*)"?', re.DOTALL).match(text, at)
        assert match is not None
        return re.sub(rb"\\(.)", rb"\1", match[1], flags=re.DOTALL), match.end()
    match = re.compile(rb"[^ ()\[\r\n]*").match(text, at)
    assert match is not None
    end = match.end()
    if text.startswith(b"[", end):
        closing = text.find(b"]", end)
        end = len(text) if closing < 0 else closing + 1
        rest = re.compile(rb"[^ ()\r\n]*").match(text, end)
        assert rest is not None
        end = rest.end()
    return text[at : max(end, at + 1)], max(end, at + 1)
