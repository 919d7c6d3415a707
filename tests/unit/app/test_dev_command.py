"""``mailframe dev``: what its options mean, and which are refused."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from mailframe.app import run
from mailframe.app.commands.dev import DevOptions, dev


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[DevOptions]:
    found: list[DevOptions] = []

    def serve(options: DevOptions) -> int:
        found.append(options)
        return 0

    monkeypatch.setattr(run, "serve_dev", serve)
    return found


def test_defaults(served: list[DevOptions]) -> None:
    assert CliRunner().invoke(dev, []).exit_code == 0
    (options,) = served
    assert (options.smtp, options.pop3, options.imap, options.web) == (1025, 1110, 1143, 8025)
    assert options.base == os.path.abspath("mailframe-dev")
    assert options.release_to == ""
    assert options.magic
    assert (options.chaos_percent, options.chaos_seed) == (0, None)
    assert not options.until_eof


@pytest.mark.parametrize(
    ("text", "meant"),
    [("10", (10, None)), ("10%", (10, None)), ("10,42", (10, 42)), ("0", (0, None))],
)
def test_chaos(served: list[DevOptions], text: str, meant: tuple[int, int | None]) -> None:
    assert CliRunner().invoke(dev, ["--chaos", text]).exit_code == 0
    assert (served[0].chaos_percent, served[0].chaos_seed) == meant


def test_the_others(served: list[DevOptions]) -> None:
    words = ["--no-magic", "--release-to", "[::1]:25", "--until-eof", "--web", "0"]
    assert CliRunner().invoke(dev, words).exit_code == 0
    (options,) = served
    assert (options.magic, options.release_to, options.until_eof) == (False, "[::1]:25", True)


@pytest.mark.parametrize(
    "words",
    [
        *(["--chaos", text] for text in ("101", "-1", "x", "10,", "10,x", "", "\u0661\u0660x")),
        *(["--release-to", text] for text in ("host", "host:", ":25", "host:0", "host:99999", "")),
        ["--smtp", "65536"],
    ],
    ids=str,
)
def test_what_is_refused(served: list[DevOptions], words: list[str]) -> None:
    answer = CliRunner().invoke(dev, words)
    assert answer.exit_code == 2
    assert served == []
