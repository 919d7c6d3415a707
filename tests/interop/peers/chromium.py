"""Chromium without a window, driven through its debugging pipe: pages as a person has them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers.process import need

_SECONDS = 60.0


class Chromium:
    """One browser with one page."""

    def __init__(self, directory: Path) -> None:
        need("chromium", "bash")
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        self._ids = itertools.count(1)
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        flags = [
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--remote-debugging-pipe"),
            f"--user-data-dir={directory / 'chromium'}",
        ]
        # It reads from descriptor 3 and writes to 4.
        script = f'exec 3<&{to_read} 4>&{to_write}; exec chromium "$@"'
        self._child = subprocess.Popen(
            ["bash", "-c", script, "bash", *flags, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(to_read, to_write),
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._child.terminate()
            self._child.wait(20)
        os.close(self._write)
        os.close(self._read)

    # -- what a person does

    def open(self, url: str) -> None:
        """Returns when the page is there."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        self.wait_for_event("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Until it is true in the page."""
        end = time.monotonic() + _SECONDS
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > end:
                pytest.fail(f"not true in the page: {expression}")
            time.sleep(0.05)

    def press(self, key: str, code: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" and len(key) == 1 else {}
            if key == "Enter" and kind == "keyDown":
                text = {"text": "\r"}
            keys = {"windowsVirtualKeyCode": 13} if key == "Enter" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, **text, **keys)

    @property
    def requests(self) -> list[str]:
        """URLs that the page asked for since it was opened."""
        return [
            each["params"]["request"]["url"]
            for each in self.events
            if each["method"] == "Network.requestWillBeSent"
        ]

    # -- the protocol: JSON, each ended by NUL

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        id = next(self._ids)
        message = {"id": id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == id:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)
        raise AssertionError

    def wait_for_event(self, method: str) -> None:
        if any(each["method"] == method for each in self.events):
            return
        for event in self._messages():
            if "method" in event:
                self.events.append(event)
                if event["method"] == method:
                    return

    def _messages(self) -> Iterator[dict[str, Any]]:
        end = time.monotonic() + _SECONDS
        while True:
            while b"\0" in self._buffer:
                message, _, self._buffer = self._buffer.partition(b"\0")
                yield json.loads(message)
            ready, _, _ = select.select([self._read], [], [], max(0, end - time.monotonic()))
            chunk = os.read(self._read, 1 << 20) if ready else b""
            if not chunk:
                pytest.fail("Chromium does not answer")
            self._buffer += chunk
