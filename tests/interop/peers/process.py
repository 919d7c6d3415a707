"""Starting foreign programs for a test and ending exactly those again."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import pytest

from tests.interop.peers import preloaded

_loopback = itertools.count(1)
_given: set[int] = set()


def need(*programs: str) -> None:
    """Skip the test where a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def need_root(what: str) -> None:
    if os.geteuid() != 0:
        pytest.skip(f"{what} needs root")


def free_port(host: str = "127.0.0.1") -> int:
    return free_ports(host, 1)[0]


def free_ports(host: str, number: int) -> list[int]:
    """All different, and none that this run was given before, at whatever address: a server
    that listens at several ports may have had them one by one."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < number:
            probe = held.enter_context(socket.socket())
            probe.bind((host, 0))
            port = probe.getsockname()[1]
            if port not in _given:
                _given.add(port)
                found.append(port)
    return found


def loopback_address() -> str:
    """One of 127/8 that no other test of this run uses, nor another run beside it."""
    return f"127.{10 + os.getpid() % 200}.{os.getpid() // 200 % 250}.{next(_loopback)}"


@contextlib.contextmanager
def workdir(name: str) -> Iterator[Path]:
    """A new directory that daemons under their own users can reach, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix=f"mailframe-{name}-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def wait_until(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Poll until ``condition`` is true; fails the test, saying ``what`` did not happen."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)


def listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def privately(files: Mapping[str, Path]) -> list[str]:
    """A command prefix: the command sees our files in the places of the system's.

    Foreign servers take name servers and users from /etc and nowhere else; a mount namespace
    of their own changes nothing for anybody else. Skips where the machine forbids it.
    """
    if not files:
        return []
    need_root("a private view of /etc")
    probe = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "true"], capture_output=True, check=False
    )
    if probe.returncode:
        pytest.skip("mount namespaces are not allowed here")
    mounts = " && ".join(f"mount --bind {ours} {place}" for place, ours in files.items())
    script = f'{mounts} && exec "$@"'
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"]


class Process:
    """A child with its output in a log file, ended with everything that it started."""

    def __init__(self, command: Sequence[str], log: Path, **options: object) -> None:
        self.log = log
        with log.open("ab") as output:
            self._child: subprocess.Popen[bytes] | preloaded.Child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,  # type: ignore[call-overload]
            )

    @classmethod
    def forked(cls, words: Sequence[str], log: Path, environment: Mapping[str, str]) -> Self:
        """A command of mailframe, as of ``preloaded``."""
        process = cls.__new__(cls)
        process.log = log
        with open(os.devnull, "rb") as nothing, log.open("ab") as output:
            process._child = preloaded.Child(
                words, (nothing, output, output), environment=environment, start_new_session=True
            )
        return process

    @property
    def pid(self) -> int:
        return int(self._child.pid)

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
        """Until it is true; fails at once, with the log, when the program has ended."""
        end = time.monotonic() + seconds
        while not condition():
            if not self.running or time.monotonic() > end:
                pytest.fail(f"{what} did not happen:\n{self.tail()}")
            time.sleep(0.05)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self, seconds: float = 15.0) -> int:
        """SIGTERM, and SIGKILL where that is not heeded. Returns the exit status."""
        if self.running:
            self._child.terminate()
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._end_group()
        return self._child.wait()

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self.running:
            self._child.kill()
            self._child.wait()

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def _end_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)


class Daemon:
    """What a server of somebody else's is to a test: one process, or none at the moment."""

    _process: Process | None = None

    def stop(self) -> None:
        """Harmless where it does not run."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.signal(number)


def run(command: Sequence[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
    """Run to the end with text output; never raises for an exit status."""
    settings: dict[str, object] = {"capture_output": True, "text": True, "timeout": 120}
    return subprocess.run([str(word) for word in command], check=False, **(settings | options))  # type: ignore[call-overload,no-any-return]
