from __future__ import annotations

import pytest

from mailframe.mailbox.paths import (
    account_directory,
    account_of,
    folder_directory,
    folder_of,
    maildir_of,
)

ACCOUNTS = [
    "ann@example.org", "Ann@example.org", "..@example.org", ".@.", "a/b@example.org",
    "a@..", "@example.org", "ann", "ann@x@example.org", "%41nn@example.org", "a b@example.org",
    "a\0b@example.org", "a\nb@example.org", "jürgen@münchen.example", "JÜRGEN@münchen.example",
    "a@[IPv6:2001:db8::1]", "a@[192.0.2.1]", "日本@example.org", "a%2fb@example.org", "%@%",
    "x" * 64 + "@" + "d" * 255, "a*?<>|\\\"b@example.org", "maildir@example.org",
]  # fmt: skip


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_can_be_read_back_from_its_directory(account: str) -> None:
    path = account_directory("/base", account)
    _, base, mail, domain, local_part = path.split("/")
    assert (base, mail) == ("base", "mail")
    assert account_of(domain, local_part) == account
    for name in (domain, local_part):
        assert name not in ("", ".", "..")
        assert not name.startswith(".")
        assert len(name.encode()) <= 255
        assert name.isprintable()


def test_no_two_accounts_share_a_directory_even_where_case_is_ignored() -> None:
    assert len({account_directory("", a).casefold() for a in ACCOUNTS}) == len(ACCOUNTS)


def test_plain_names_stay_plain() -> None:
    path = maildir_of("/base", "ann.lee+lists@mail.example.org")
    assert path == "/base/mail/mail.example.org/ann.lee+lists/Maildir"


@pytest.mark.parametrize("account", ["x" * 256 + "@a", "a@" + "é" * 130, "\ud800@a", "a@"])
def test_what_cannot_be_a_directory_is_refused(account: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any is right
        account_directory("/base", account)


@pytest.mark.parametrize("name", ["Ann", ".ann", "%4", "%61", "%FF", "a b", "", "%2e"])
def test_foreign_directories_are_no_accounts(name: str) -> None:
    with pytest.raises(ValueError, match="not the directory"):
        account_of("example.org", name)


@pytest.mark.parametrize(
    ("folder", "directory"),
    [
        ("", "/m"),
        ("INBOX", "/m"),
        ("inbox", "/m"),
        ("Work", "/m/.Work"),
        ("Work/Reports", "/m/.Work.Reports"),
        ("a.b", "/m/.a&AC4-b"),
        ("R&D", "/m/.R&-D"),
        ("Entwürfe", "/m/.Entw&APw-rfe"),
        ("日本/語", "/m/.&ZeVnLA-.&ip4-"),
        ("..", "/m/.&AC4ALg-"),
        ("😀", "/m/.&2D3eAA-"),
    ],
)
def test_folders(folder: str, directory: str) -> None:
    assert folder_directory("/m", folder) == directory
    if directory != "/m":
        assert folder_of(directory.removeprefix("/m/")) == folder


@pytest.mark.parametrize("folder", ["/", "a//b", "/a", "a/", "a\0b", "ü" * 300, "\ud800"])
def test_names_that_are_no_folders(folder: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any is right
        folder_directory("/m", folder)


@pytest.mark.parametrize("name", ["Work", ".", "..", ".a..b", ".a&b", ".&AGE-", ".ü", ".&AC4"])
def test_directories_that_are_no_folders(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any is right
        folder_of(name)
