"""Users in a text file: what other systems wrote, reread when changed, renewed in place."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from twisted.cred.credentials import UsernamePassword

from mailframe.accounts.file_checker import FileChecker
from mailframe.accounts.passwd_file import Entry, parse, with_password
from mailframe.errors import LoginFailed, TransientFailure
from mailframe.runtime.disk import Disk
from tests.unit.accounts.house import House, cheap_hash, now

pytestmark = pytest.mark.usefixtures("hashes")

TEXT = (
    b"# mail users\r\n"
    b"ann@example.test:{PLAIN}secret:1000:1000::/home/ann::userdb_quota_rule=*:storage=1G\n"
    b"\n"
    b"Bob:$2y$05$K9sOA6iQ9nIhVn9Xw2mIUO3oVv1XW4nJ1WvX7l9y2u5gDk3cYw1uW\n"
    b"eve@b\xc3\xbccher.test:{PLAIN}secr\xc3\xa9t\n"
    b"off@example.test:{PLAIN}secret::::::nologin\n"
    b"locked@example.test:!\n"
    b"empty@example.test:\n"
    b"last@example.test:{PLAIN}secret"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_bytes(TEXT)
    path.chmod(0o640)
    return path


def checker(house: House, path: Path, **settings) -> FileChecker:
    settings.setdefault("default_domain", "example.test")
    return FileChecker(str(path), house.passwords, house.workers, **settings)


def check(file: FileChecker, login: str, password: str) -> bytes:
    return now(file.requestAvatarId(UsernamePassword(login.encode(), password.encode())))


def test_the_names(house: House, path: Path) -> None:
    assert now(checker(house, path).accounts()) == {
        "ann@example.test",
        "bob@example.test",
        "eve@xn--bcher-kva.test",
        "off@example.test",
        "locked@example.test",
        "empty@example.test",
        "last@example.test",
    }
    assert "bob@example.test" not in now(checker(house, path, default_domain="").accounts())


@pytest.mark.parametrize("login", ["ann@example.test", "ANN@Example.Test", "ann"])
def test_a_login(house: House, path: Path, login: str) -> None:
    assert check(checker(house, path), login, "secret") == b"ann@example.test"


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("ann", "wrong"),
        ("ann", ""),
        ("nobody", "secret"),
        ("off", "secret"),
        ("locked", "!"),
        ("locked", ""),
        ("empty", ""),
        ("# mail users", ""),
        ("ann@example.test:x", "secret"),
    ],
)
def test_a_refusal(house: House, path: Path, hashes: list[str], login: str, password: str) -> None:
    with pytest.raises(LoginFailed):
        check(checker(house, path), login, password)
    assert hashes == ["verify"]
    assert path.read_bytes() == TEXT


def test_a_renewed_hash_replaces_the_old_one_and_nothing_else(house: House, path: Path) -> None:
    file = checker(house, path)
    check(file, "ann", "secret")
    check(file, "last", "secret")
    renewed = b"{ARGON2ID}" + cheap_hash(b"secret").encode()
    expected = TEXT.replace(b"ann@example.test:{PLAIN}secret", b"ann@example.test:" + renewed)
    expected = expected.replace(b"last@example.test:{PLAIN}secret", b"last@example.test:" + renewed)
    assert path.read_bytes() == expected
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert check(file, "ann", "secret") == b"ann@example.test"
    assert path.read_bytes() == expected
    assert not path.with_name("users.mailframe-new").exists()


def test_a_leftover_of_a_crash_is_no_obstacle(house: House, path: Path) -> None:
    path.with_name("users.mailframe-new").write_text("half")
    check(checker(house, path), "ann", "secret")
    assert b"{ARGON2ID}" in path.read_bytes()


def test_a_link_is_followed(house: House, path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    check(checker(house, link), "ann", "secret")
    assert link.is_symlink()
    assert b"{ARGON2ID}" in path.read_bytes()


def test_a_read_only_file_stays_and_logins_go_on(house: House, path: Path) -> None:
    path.chmod(0o440)
    file = checker(house, path)
    for _ in range(2):
        assert check(file, "ann", "secret")
    assert path.read_bytes() == TEXT


def test_renewal_can_be_forbidden(house: House, path: Path) -> None:
    assert check(checker(house, path, renew=False), "ann", "secret")
    assert path.read_bytes() == TEXT


class FullDisk(Disk):
    def create(self, path: str):
        file = super().create(path)

        def full(data: bytes) -> None:
            raise OSError(28, "No space left on device")

        file.write = full
        return file


def test_a_full_disk_leaves_the_file_and_nothing_beside_it(house: House, path: Path) -> None:
    file = checker(house, path, disk=FullDisk())
    assert check(file, "ann", "secret")
    assert path.read_bytes() == TEXT
    assert not path.with_name("users.mailframe-new").exists()


class MeddlingDisk(Disk):
    """Somebody edits the file while the new one is being written."""

    def create(self, path: str):
        users = Path(path.removesuffix(".mailframe-new"))
        users.write_bytes(TEXT + b"\nzoe@example.test:{PLAIN}x\n")
        return super().create(path)


def test_an_edit_meanwhile_is_not_lost(house: House, path: Path) -> None:
    file = checker(house, path, disk=MeddlingDisk())
    assert check(file, "ann", "secret")
    assert b"zoe@example.test" in path.read_bytes()


def test_an_edit_counts_at_once(house: House, path: Path) -> None:
    file = checker(house, path)
    first = now(file.accounts())
    assert now(file.accounts()) is first
    path.write_text("ann@example.test:{PLAIN}changed\n")
    with pytest.raises(LoginFailed):
        check(file, "ann", "secret")
    assert check(file, "ann", "changed")
    assert now(file.accounts()) == {"ann@example.test"}


def test_a_file_that_is_gone_is_a_temporary_failure(house: House, path: Path) -> None:
    file = checker(house, path)
    assert check(file, "ann", "secret")
    path.unlink()
    with pytest.raises(TransientFailure):
        check(file, "ann", "secret")
    with pytest.raises(TransientFailure):
        now(file.accounts())


def test_what_is_wrong_with_a_file_is_said() -> None:
    entries, problems = parse(b"nonsense\n:x\nann:{PLAIN}x\nANN:{PLAIN}y\n\xff\xfe:x\n", "a.test")
    assert entries == {"ann@a.test": Entry("ann@a.test", "{PLAIN}x")}
    assert [problem.partition(":")[0] for problem in problems] == [
        "line 1",
        "line 2",
        "line 4",
        "line 5",
    ]


def test_a_line_that_changed_is_not_touched() -> None:
    old = Entry("ann@a.test", "{PLAIN}x")
    assert with_password(b"ann:{PLAIN}y\n", old, "z", "a.test") is None
    assert with_password(b"#ann:{PLAIN}x\nann:{PLAIN}x\r\n", old, "z", "a.test") == (
        b"#ann:{PLAIN}x\nann:z\r\n"
    )
