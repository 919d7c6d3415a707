"""``mailframe workers``: what the supervisor answers, in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mailframe.app import control
from mailframe.app.commands.workers import line

ONE = {"name": "w1-5f0c", "pid": 4711, "state": "serving", "uptime": 12, "connections": 3}
SILENT = {"name": "w2-77ab", "pid": 4712, "state": "starting", "uptime": 1}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    words: list[str] = []

    def ask(path: str, command: str, timeout: float = 30.0, **arguments: Any) -> dict[str, Any]:
        words.append(command)
        return {"workers": [ONE, SILENT], "pid": 1}

    monkeypatch.setattr(control, "ask", ask)
    return words


def test_a_worker_in_words() -> None:
    assert line(ONE) == "w1-5f0c pid 4711, serving for 12 s, 3 connections"
    assert line(SILENT) == "w2-77ab pid 4712, starting for 1 s, does not answer"


@pytest.mark.parametrize("words", [["workers"], ["workers", "list"]])
def test_they_are_listed(run: Any, asked: list[str], words: list[str]) -> None:
    assert run(*words).out == f"{line(ONE)}\n{line(SILENT)}\n"
    found = run(*words, "--json").out.splitlines()
    assert [json.loads(each) for each in found] == [ONE, SILENT]
    assert asked == ["workers"] * 2


def test_they_are_replaced(run: Any, asked: list[str]) -> None:
    assert run("workers", "restart").out == f"{line(ONE)}\n{line(SILENT)}\n"
    assert asked == ["restart-workers"]


def test_they_are_part_of_the_status(run: Any, asked: list[str]) -> None:
    assert f"worker      {line(ONE)}\n" in run("status").out


def test_one_process_has_none(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ask", lambda *arguments: {"workers": []})
    assert run("workers").out == "one process (workers = 1)\n"
    assert run("workers", "--json").out == ""


def test_no_server_no_workers(run: Any) -> None:
    assert run("workers").status == 69
