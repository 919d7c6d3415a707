"""``mailframe bench``: what its options mean, and what is said of wrong ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mailframe.app import exits
from mailframe.app.cli import main
from tests.unit.bench.fakes import serving, smtp

TO = ("--to", "user@host.test")
Words = tuple[object, ...]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run it as the script does; its exit status."""
    monkeypatch.delenv("MAILFRAME_CONFIG", raising=False)

    def run(*words: object) -> int:
        monkeypatch.setattr("sys.argv", ["mailframe", "bench", *map(str, words)])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return run


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("smtp", "127.0.0.1:25"), "--to is needed"),
        (("smtp", "nonsense", *TO), "HOST:PORT"),
        (("smtp", "127.0.0.1:99999", *TO), "HOST:PORT"),
        (("smtp", "127.0.0.1:25", *TO, "--sessions", "0"), "--sessions"),
        (("smtp", "127.0.0.1:25", *TO, "--user", "ann"), "--password-file"),
        (("smtp", "127.0.0.1:25", *TO, "--pid", "1", "--cgroup", "/"), "exclude"),
        (("relay", "127.0.0.1:25", *TO), "--sink"),
        (("relay", "127.0.0.1:25", *TO, "--sink", "nowhere"), "--sink"),
        (("pop3", "127.0.0.1:110"), "--user is needed"),
        (("pop3", "127.0.0.1:110", "--lists", "TOP"), "TOP"),
        (("imap", "127.0.0.1:143"), "--user is needed"),
        (("imap", "127.0.0.1:143", "--commands", "select,delete-all"), "delete-all"),
    ],
)
def test_wrong_usage_is_told(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], words: Words, told: str
) -> None:
    assert command(*words) == exits.USAGE
    assert told in capsys.readouterr().err


def test_statuses_tell_how_it_went(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for answers, status in (
        ({}, 0),
        ({b"MAIL": b"451 4.7.1 later"}, exits.TEMPORARY),
        ({b"MAIL": b"550 5.7.1 never"}, exits.PROBLEM),
        ({b"MAIL": [b"451 4.7.1 later", b"250 ok"]}, exits.PROBLEM),
        ({b"GREETING": b"421 4.3.2 busy"}, exits.UNAVAILABLE),
    ):
        with serving(smtp(answers)) as target:
            host, port = target.address[:2]
            words = ("smtp", f"{host}:{port}", *TO, "--messages", 3, "--sessions", 1)
            assert command(*words) == status, answers
        told = capsys.readouterr()
        assert f"bench of {host}:{port}" in told.out
        if status:
            assert "451" in told.err or "550" in told.err or "421" in told.err


def test_no_such_process(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("smtp", "127.0.0.1:25", *TO, "--pid", 2**22 + 1) == exits.NO_INPUT
    assert "no process" in capsys.readouterr().err


def test_no_such_host(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("smtp", "no-such-host.invalid:25", *TO) == exits.UNAVAILABLE
    assert "no-such-host.invalid" in capsys.readouterr().err


def test_remote_words_do_not_reach_the_terminal_as_they_are(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(smtp({b"MAIL": b"550 \x1b[31mred"})) as target:
        host, port = target.address[:2]
        command("smtp", f"{host}:{port}", *TO, "--messages", 1)
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err


def test_the_object_for_programs(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with serving(smtp()) as target:
        host, port = target.address[:2]
        words = ("smtp", f"{host}:{port}", *TO, "--messages", 4, "--reuse", "--pipelining")
        assert command(*words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == f"{host}:{port}"
    assert found["messages"] == 4
    assert set(found["latency_ms"]["message"]) == {"p50", "p90", "p99", "max", "mean"}
