"""The command line in this process: arguments in; exit status, output and errors out."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailframe.app.cli import main

CONFIG = """\
hostname = "mail.here.test"
base = "state"

[listen.mx]
endpoint = "tcp:0:interface=127.0.0.1"
role = "mx"
"""


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    path = tmp_path / "mailframe.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def run(
    config_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.setenv("MAILFRAME_CONFIG", str(config_path))

    def run(*arguments: str, stdin: str = "") -> Ran:
        stream = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        monkeypatch.setattr(sys, "stdin", stream)
        monkeypatch.setattr(sys, "argv", ["mailframe", *arguments])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(bool(end.code))
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run
