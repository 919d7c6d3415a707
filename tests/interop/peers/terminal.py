"""A program at a terminal of its own, seen and driven as by a person. The terminal is tmux."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.interop.peers.process import need, run, wait_until

_WIDTH, _HEIGHT = 110, 30


class Terminal:
    """Use as a context: the program ends with it."""

    def __init__(self, command: Sequence[str | Path], directory: Path) -> None:
        """``directory`` is the program's home."""
        need("tmux", str(command[0]))
        self._command = shlex.join(str(word) for word in command)
        self._directory = directory
        # The path of a socket may not be long.
        self._tmux = ["tmux", "-u", "-S", "tmux", "-f", "tmux.conf"]
        (directory / "tmux.conf").write_text(
            "set -g remain-on-exit on\nset -g default-terminal screen\nset -g status off\n"
            "set -sg escape-time 0\nset -g default-shell /bin/sh\n"
        )

    def __enter__(self) -> Terminal:
        size = ["-x", str(_WIDTH), "-y", str(_HEIGHT)]
        self._do("new-session", "-d", *size, self._command)
        return self

    def __exit__(self, *what: object) -> None:
        self._do("kill-server")

    def press(self, *keys: str) -> None:
        """Keys as tmux names them: ``Enter``, ``C-c``, ``x``."""
        self._do("send-keys", *keys)

    def type(self, text: str) -> None:
        self._do("send-keys", "-l", text)

    @property
    def screen(self) -> str:
        return self._do("capture-pane", "-p").stdout

    def wait(self, text: str, seconds: float = 20.0, again: str = "") -> None:
        """Until the screen shows it; as long as it does not, the key ``again`` is pressed."""

        def shows(screen: str) -> bool:
            if text in screen:
                return True
            if again:
                self.press(again)
            return False

        self.wait_for(shows, f"{text!r} is shown", seconds)

    def wait_for(self, condition: Callable[[str], bool], what: str, seconds: float = 20.0) -> None:
        last = ""

        def holds() -> bool:
            nonlocal last
            last = self.screen
            return condition(last)

        try:
            wait_until(holds, what, seconds)
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}\n{last}")

    def wait_for_end(self, seconds: float = 20.0) -> None:
        format_ = ("display-message", "-p", "#{pane_dead}")
        try:
            wait_until(lambda: self._do(*format_).stdout.strip() == "1", "it ended", seconds)
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}\n{self.screen}")

    def _do(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self._directory),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm",
        }
        done = run([*self._tmux, *words], cwd=self._directory, env=environment, timeout=20)
        assert done.returncode == 0, done.stderr
        return done
