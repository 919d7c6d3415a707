"""Mozilla's remote control: scripts run inside the program, in place of hands."""

from __future__ import annotations

import json
import socket
from typing import Any


class Marionette:
    """A session in the program's own (chrome) context.

    A frame is a length in decimal, a colon and JSON: ``[0, id, command, parameters]`` one way,
    ``[1, id, error, result]`` the other.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 30)
        self._buffer = b""
        self._last = 0
        greeting = self._frame()
        assert greeting["marionetteProtocol"] == 3, greeting
        self.ask("WebDriver:NewSession", {})
        self.ask("Marionette:SetContext", {"value": "chrome"})

    def run(self, script: str, *arguments: object, seconds: float = 30) -> Any:
        """The result of an asynchronous function's body, which sees ``arguments``.

        Fails the test with the script's own exception.
        """
        body = f"""
            const done = arguments[arguments.length - 1];
            const given = Array.prototype.slice.call(arguments, 0, -1);
            (async function () {{ {script} }}).apply(this, given).then(
              value => done({{ value: value === undefined ? null : value }}),
              error => done({{ error: `${{error}}\\n${{error.stack}}` }}));
        """
        answer = self.ask(
            "WebDriver:ExecuteAsyncScript",
            {"script": body, "args": list(arguments), "scriptTimeout": int(seconds * 1000)},
            seconds + 10,
        )["value"]
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def ask(self, command: str, parameters: dict[str, object], seconds: float = 60) -> Any:
        self._last += 1
        octets = json.dumps([0, self._last, command, parameters]).encode()
        self._socket.settimeout(seconds)
        self._socket.sendall(b"%d:%s" % (len(octets), octets))
        kind, number, error, result = self._frame()
        assert (kind, number) == (1, self._last)
        assert error is None, error
        return result

    def close(self) -> None:
        self._socket.close()

    def _frame(self) -> Any:
        while b":" not in self._buffer:
            self._more()
        length, _, self._buffer = self._buffer.partition(b":")
        while len(self._buffer) < int(length):
            self._more()
        frame, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
        return json.loads(frame)

    def _more(self) -> None:
        octets = self._socket.recv(65536)
        assert octets, "the program closed its remote control"
        self._buffer += octets
