"""The control socket: how commands speak to the running server.

A Unix socket in ``run/``, open to the server's own user only. One line of JSON asks, one line
answers, then the connection ends::

    {"command": "status"}
    {"ok": true, "pid": 4711}

The file also tells that a server runs: one that answers keeps a second server off the same
base, one that does not is a remnant and is replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from mailframe.app import exits
from mailframe.errors import MailframeError
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.runtime.disk import Disk

_MAX_LINE = 1 << 20
_SUN_PATH = 107  # octets in sockaddr_un on Linux, without the final NUL (unix(7))

Command = Callable[[Mapping[str, Any]], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]
"""Takes the request and returns the members of the answer."""


class ServerNotRunning(MailframeError):
    """Nobody answers at the control socket."""


class ServerRefused(MailframeError):
    """The server answered that it could not do it; the message is its reason, ``status`` what a
    command should exit with."""

    def __init__(self, reason: str, status: int = exits.PROBLEM) -> None:
        super().__init__(reason)
        self.status = status


class AlreadyRunning(MailframeError):
    """Another server uses the same base directory."""


class ControlServer:
    """Answers at ``path``; ``commands`` maps the words it understands to what they do."""

    def __init__(
        self,
        path: str,
        commands: Mapping[str, Command],
        reactor: Any,
        disk: Disk | None = None,
    ) -> None:
        self._disk = disk if disk is not None else Disk()
        self._path = path
        self._commands = dict(commands)
        self._reactor = reactor
        self._port: IListeningPort | None = None
        self._short_paths = contextlib.ExitStack()

    def start(self) -> None:
        """Listen. Raises AlreadyRunning, OSError, or CannotListenError."""
        self._disk.make_directories(os.path.dirname(self._path))
        path = self._short_paths.enter_context(_short(self._path))
        _remove_stale(path, self._path, self._disk)
        factory = Factory.forProtocol(_ControlProtocol)
        factory.noisy = False
        factory.commands = self._commands  # type: ignore[attr-defined]
        self._port = self._reactor.listenUNIX(path, factory, mode=0o600)

    def stop(self) -> Deferred[None]:
        """Stop listening and remove the socket; answers under way are still sent."""
        port, self._port = self._port, None
        stopped = maybeDeferred(port.stopListening) if port is not None else maybeDeferred(bool)

        def done(result: object) -> None:
            self._short_paths.close()
            if isinstance(result, Failure):
                result.raiseException()

        return stopped.addBoth(done)


class _ControlProtocol(LineOnlyReceiver):
    """One question. No timeout: whoever can connect is the server's own user."""

    log = Logger(namespace="mailframe.control")
    delimiter = b"\n"
    MAX_LENGTH = _MAX_LINE
    _asked = False

    def lineReceived(self, line: bytes) -> None:
        if self._asked:
            return
        self._asked = True
        as_deferred(self._answer(line)).addCallback(self._send)

    async def _answer(self, line: bytes) -> bytes:
        try:
            request = json.loads(line)
            name = request["command"]
            command = self.factory.commands.get(name)
        except (ValueError, TypeError, KeyError, AttributeError):
            return _refusal("the request is not understood")
        if command is None:
            return _refusal(f"unknown command {name!r}")
        try:
            return json.dumps({"ok": True, **await result_of(command(request))}).encode()
        except MailframeError as error:
            return _refusal(str(error), exits.status_of(error.__cause__ or error))
        except Exception:  # noqa: BLE001 - our bug, and the asker must hear of it
            self.log.failure("control command {name} failed", name=name)
            return _refusal("internal error, see the server's log")

    def _send(self, answer: bytes) -> None:
        if self.transport is not None:
            self.transport.write(answer + b"\n")
            self.transport.loseConnection()


def _refusal(why: str, status: int = exits.PROBLEM) -> bytes:
    return json.dumps({"ok": False, "error": why, "status": status}).encode()


def ask(path: str, command: str, timeout: float = 30.0, **arguments: Any) -> dict[str, Any]:
    """Ask the running server; blocks. For the command line.

    Raises ServerNotRunning, ServerRefused, or TimeoutError after ``timeout`` seconds.
    """
    request = json.dumps({"command": command, **arguments}).encode() + b"\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        _connect(connection, path)
        try:
            connection.sendall(request)
            answer = _read_line(connection)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
    if not answer:
        raise ServerNotRunning("the server went away before it answered")
    reply: dict[str, Any] = json.loads(answer)
    if not reply.pop("ok"):
        raise ServerRefused(reply["error"], reply.get("status", exits.PROBLEM))
    return reply


def poke(path: str, command: str) -> bool:
    """Tell the server if it runs; True when it heard. Never raises for want of a server."""
    try:
        ask(path, command, timeout=5.0)
    except (ServerNotRunning, TimeoutError):
        return False
    return True


def _connect(connection: socket.socket, path: str) -> None:
    try:
        with _short(path) as short:
            connection.connect(short)
    except PermissionError as error:
        raise ServerNotRunning(f"no permission to use {path}") from error
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
        raise ServerNotRunning(f"no server answers at {path}") from error


def _read_line(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        received += chunk
    return received


@contextlib.contextmanager
def _short(path: str) -> Iterator[str]:
    """A name for ``path`` that fits into a socket address, valid within the block.

    A home directory on shared hosting may lie deeper than the 107 octets that the kernel
    allows. Linux reaches it through an open descriptor of the directory.
    """
    if len(os.fsencode(path)) <= _SUN_PATH:
        yield path
        return
    directory, name = os.path.split(path)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def _remove_stale(short: str, path: str, disk: Disk) -> None:
    """Remove what a server that was killed left behind. Raises AlreadyRunning."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(short)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            disk.unlink(short)
            return
        except (TimeoutError, BlockingIOError):
            pass  # somebody holds it, if too busy to answer
    raise AlreadyRunning(f"another server uses this base directory (it answers at {path})")
