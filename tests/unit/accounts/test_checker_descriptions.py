"""``[auth] checkers``: what each description makes, and what is said of a bad one."""

from __future__ import annotations

import pytest
from twisted.cred.checkers import ICredentialsChecker

from mailframe.accounts.checkers import make_checker
from mailframe.accounts.errors import RealmError

DIRECTORY = object()


def make(description: str):
    return make_checker(description, DIRECTORY, lambda path: ("file", path))


def test_ours() -> None:
    assert make("directory") is DIRECTORY
    assert make("file:/etc/mail:users") == ("file", "/etc/mail:users")


@pytest.mark.parametrize("description", ["memory:ann:secret", "memory", "anonymous"])
def test_of_twisted(description: str) -> None:
    assert ICredentialsChecker.providedBy(make(description))


@pytest.mark.parametrize(
    ("description", "complaint"),
    [
        ("file:", "needs a path"),
        ("file", "needs a path"),
        ("", "no checker is called"),
        ("dirctory", r"known: directory, file, .*memory"),
        ("memory:odd:number:of", "could not be made"),
        ("directory:x", "no checker is called"),
    ],
)
def test_what_is_wrong_is_said(description: str, complaint: str) -> None:
    with pytest.raises(RealmError, match=complaint):
        make(description)
