"""The control socket, with a real reactor thread of its own: the client side blocks."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import maybeDeferred, succeed
from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure

from mailframe.app.control import (
    AlreadyRunning,
    ControlServer,
    ServerNotRunning,
    ServerRefused,
    ask,
    poke,
)
from mailframe.errors import MailframeError


class Loop:
    """A reactor on a thread, not the installed one."""

    def __init__(self) -> None:
        self.reactor: Any = SelectReactor()
        self.thread = threading.Thread(
            target=self.reactor.run, kwargs={"installSignalHandlers": False}
        )
        self.thread.start()

    def call(self, function: Callable[[], Any]) -> Any:
        done = threading.Event()
        results: list[Any] = []

        def finished(result: Any) -> None:
            results.append(result)
            done.set()

        def run() -> None:
            maybeDeferred(function).addBoth(finished)

        self.reactor.callFromThread(run)
        assert done.wait(10)
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def end(self) -> None:
        self.reactor.callFromThread(self.reactor.stop)
        self.thread.join(10)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.end()


def refuse(request: object) -> dict[str, Any]:
    raise MailframeError("not now")


def break_down(request: object) -> dict[str, Any]:
    raise ZeroDivisionError


COMMANDS: dict[str, Any] = {
    "status": lambda request: {"pid": 1},
    "echo": lambda request: succeed({"said": request["word"]}),
    "refuse": refuse,
    "break": break_down,
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "run" / "control.sock")


@pytest.fixture
def server(loop: Loop, path: str) -> Iterator[ControlServer]:
    server = ControlServer(path, COMMANDS, loop.reactor)
    loop.call(server.start)
    yield server
    loop.call(server.stop)


def test_asks_and_hears(server: ControlServer, path: str) -> None:
    assert ask(path, "status") == {"pid": 1}
    assert ask(path, "echo", word="Ωμέγα\n" * 5000) == {"said": "Ωμέγα\n" * 5000}
    assert poke(path, "status")


def test_only_the_owner_may(server: ControlServer, path: str) -> None:
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700


def test_refusals_arrive_as_such(server: ControlServer, path: str) -> None:
    with pytest.raises(ServerRefused, match="not now"):
        ask(path, "refuse")
    with pytest.raises(ServerRefused, match="unknown command 'dance'"):
        ask(path, "dance")
    with pytest.raises(ServerRefused, match="internal error"):
        ask(path, "break")


@pytest.mark.parametrize(
    "line", [b"\n", b"null\n", b"[]\n", b"{}\n", b'{"command": [1]}\n', b"\xff\xfe\n"]
)
def test_nonsense_is_answered(server: ControlServer, path: str, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(line)
        assert json.loads(connection.recv(1000))["ok"] is False


def test_nobody_there(tmp_path: Path) -> None:
    for name in ("none.sock", "no/such/directory.sock"):
        with pytest.raises(ServerNotRunning):
            ask(str(tmp_path / name), "status")
        assert not poke(str(tmp_path / name), "status")


def test_a_remnant_is_replaced_and_a_server_is_not(
    loop: Loop, server: ControlServer, path: str, tmp_path: Path
) -> None:
    with pytest.raises(AlreadyRunning, match=r"control\.sock"):
        loop.call(ControlServer(path, COMMANDS, loop.reactor).start)
    assert ask(path, "status") == {"pid": 1}
    remnant = str(tmp_path / "old.sock")
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(remnant)
    second = ControlServer(remnant, COMMANDS, loop.reactor)
    loop.call(second.start)
    assert ask(remnant, "status") == {"pid": 1}
    loop.call(second.stop)


def test_stop_removes_the_socket(loop: Loop, path: str) -> None:
    server = ControlServer(path, COMMANDS, loop.reactor)
    loop.call(server.start)
    loop.call(server.stop)
    assert not os.path.exists(path)
    with pytest.raises(ServerNotRunning):
        ask(path, "status")


def test_a_path_longer_than_a_socket_address(loop: Loop, tmp_path: Path) -> None:
    path = str(tmp_path.joinpath(*["deep-directory"] * 10) / "run" / "control.sock")
    assert len(path) > 150
    server = ControlServer(path, COMMANDS, loop.reactor)
    loop.call(server.start)
    assert ask(path, "status") == {"pid": 1}
    loop.call(server.stop)
    assert not os.path.exists(path)
