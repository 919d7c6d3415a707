"""``alias add --moved``: kept, listed, answered with 551, removed."""

from __future__ import annotations

import json
from typing import Any


def test_a_moved_address_is_kept_listed_and_removed(run: Any) -> None:
    assert run("domain", "add", "here.test").status == 0
    assert run("alias", "add", "old@here.test", "new@there.test", "--moved").status == 0
    listed = json.loads(run("alias", "list", "--json").out)
    assert listed == {
        "alias": "old@here.test",
        "targets": ["new@there.test"],
        "list": False,
        "moved": True,
    }
    assert run("alias", "rm", "old@here.test", "--yes").status == 0
    assert run("alias", "list", "--json").out == ""


def test_moved_takes_one_target(run: Any) -> None:
    run("domain", "add", "here.test")
    assert run("alias", "add", "o@here.test", "a@x.test", "b@x.test", "--moved").status == 64
    assert run("alias", "add", "o@here.test", "a@x.test", "--moved", "--list").status == 64
