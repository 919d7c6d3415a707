"""Commands of mailframe without the half second in which Python imports them.

A process that has imported them forks for each. The fork has the arguments, environment, folder,
input and output of a command from a shell, and ends with its status; what it does not show is
that the script starts, so whoever plays all tests (``MAILFRAME_TESTS=all``) or names a command
of their own (``MAILFRAME_BIN``) has each run as from a shell.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any, Literal, TextIO

from mailframe.app import cli, commands

_LONGEST_REQUEST = 100_000  # octets; arguments, and an environment
_DIGITS = 12  # of a process's number, or of its status


def can_be_used(environment: Mapping[str, str]) -> bool:
    """Not where Python itself is to run otherwise than it did for those before."""
    return _for_python(environment) == _FOR_PYTHON


def _for_python(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("PYTHON")}


_FOR_PYTHON = _for_python(os.environ)


def run(
    words: Sequence[str],
    *,
    text: str | None,
    environment: Mapping[str, str],
    seconds: float,
) -> subprocess.CompletedProcess[str]:
    """As of ``subprocess.run``; ``words`` begin with the name of the command."""
    with contextlib.ExitStack() as files:
        given, said, complaints = (
            files.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in range(3)
        )
        given.write(text or "")
        given.seek(0)
        child = Child(words, (given, said, complaints), environment=environment)
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        for stream in (said, complaints):
            stream.seek(0)
        return subprocess.CompletedProcess(words, status, said.read(), complaints.read())


class Child:
    """A command that runs; as much of ``subprocess.Popen`` as tests use."""

    def __init__(
        self,
        words: Sequence[str],
        streams: Sequence[IO[Any]],
        *,
        environment: Mapping[str, str],
        start_new_session: bool = False,
    ) -> None:
        """``streams``: its standard input, output and error."""
        self.args = list(words)
        self.returncode: int | None = None
        request = {
            "words": self.args,
            "environment": dict(environment),
            "folder": os.getcwd(),
            "umask": _umask(),
            "session": start_new_session,
        }
        self._told, end = os.pipe()
        numbers = [*(stream.fileno() for stream in streams), end]
        socket.send_fds(_started(), [json.dumps(request).encode()], numbers)
        os.close(end)
        self.pid = self._next_number()

    def poll(self) -> int | None:
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._look(timeout)
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            told = select.poll()
            told.register(self._told, select.POLLIN)
            if told.poll(None if seconds is None else seconds * 1000):
                self.returncode = self._next_number()
                os.close(self._told)
        return self.returncode

    def _next_number(self) -> int:
        number = os.read(self._told, _DIGITS)
        assert number, "the process that forks has ended"
        return int(number)


def _umask() -> int:
    """It cannot be asked for, only exchanged."""
    now = os.umask(0o077)
    os.umask(now)
    return now


@functools.cache
def _started() -> socket.socket:
    """Its other end is with the process that forks, which ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # -P: the files beside this one have names of well-known modules
    command = [sys.executable, "-P", __file__, str(theirs.fileno())]
    subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    theirs.close()
    return ours


# ---- in the process that forks


def _serve(requests: socket.socket) -> None:
    """Until the other end is closed; in a child, until its command has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that watch
    while True:
        request, streams, _, _ = socket.recv_fds(requests, _LONGEST_REQUEST, 4)
        if not request:
            break
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            _watch(streams.pop())
            _become(json.loads(request), streams)
            cli.main()
            break
        for stream in streams:
            os.close(stream)


def _watch(end: int) -> None:
    """Tell how the child ends, in which this returns."""
    child = os.fork()
    if child == 0:
        os.close(end)
        return
    os.closerange(0, 3)  # who reads what tests print does not wait for a server that was left
    os.write(end, b"%*d" % (_DIGITS, child))
    _, status = os.waitpid(child, 0)
    os.write(end, b"%*d" % (_DIGITS, os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _become(request: Mapping[str, Any], streams: Sequence[int]) -> None:
    """What a new process would be."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = _reopened(0, "rb", sys.stdin)
    sys.stdout = _reopened(1, "wb", sys.stdout)
    sys.stderr = _reopened(2, "wb", sys.stderr)
    if request["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    os.umask(request["umask"])
    sys.argv = request["words"]


def _reopened(number: int, mode: Literal["rb", "wb"], before: TextIO) -> TextIO:
    stream = open(number, mode, closefd=False)  # noqa: SIM115 - as long as the process
    return io.TextIOWrapper(
        stream, encoding=before.encoding, errors=before.errors, line_buffering=number == 2
    )


def _import_all() -> None:
    """But the reactor: it cannot be shared with a parent, and each command chooses its own."""
    for module in pkgutil.iter_modules(commands.__path__, f"{commands.__name__}."):
        importlib.import_module(module.name)
    for name in ("mailframe.app.config", "mailframe.app.people", "mailframe.app.server"):
        importlib.import_module(name)
    assert "twisted.internet.reactor" not in sys.modules


if __name__ == "__main__":
    _import_all()
    _serve(socket.socket(fileno=int(sys.argv[1])))
