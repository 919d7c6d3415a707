"""The directory's own commands: what they refuse, and that a running server sees them at once."""

from __future__ import annotations

import pytest

from mailframe.accounts.directory import Directory
from mailframe.accounts.errors import (
    AlreadyExists,
    InUse,
    InvalidEntry,
    NoSuchAlias,
    NoSuchMailDomain,
    NoSuchUser,
)
from mailframe.accounts.records import Quota
from mailframe.core.address import Address
from tests.unit.accounts.house import now

pytestmark = pytest.mark.usefixtures("hashes")


def test_domains_are_one_in_every_spelling(house) -> None:
    assert house.admin.add_domain("Ελλάδα.Example") == "xn--hxakic4aa.example"
    for again in ("ελλάδα.example", "XN--HXAKIC4AA.EXAMPLE"):
        with pytest.raises(AlreadyExists):
            house.admin.add_domain(again)
    assert [domain.name for domain in house.admin.domains()] == ["xn--hxakic4aa.example"]


@pytest.mark.parametrize("bad", ["", "a b", "a..b", "-", "a@b", "[192.0.2.1]", "x" * 256, "☃.net"])
def test_no_domain(house, bad: str) -> None:
    with pytest.raises(InvalidEntry):
        house.admin.add_domain(bad)


def test_a_domain_with_users_stays_unless_forced(house) -> None:
    house.admin.add_domain("example.test")
    house.admin.add_user("ann@example.test", "secret")
    house.admin.add_alias("a@example.test", ["ann@example.test"])
    house.admin.add_moved("old@example.test", "new@elsewhere.test")
    with pytest.raises(InUse, match="1 users and 1 aliases"):
        house.admin.remove_domain("example.test")
    assert house.admin.user("ann@example.test")
    house.admin.remove_domain("EXAMPLE.test", force=True)
    assert house.admin.domains() == house.admin.users() == house.admin.aliases() == []
    with pytest.raises(NoSuchMailDomain):
        house.admin.remove_domain("example.test")


def test_a_user(house) -> None:
    house.admin.add_domain("example.test")
    assert house.admin.add_user("Ann@Example.TEST", "secret", quota_bytes=5) == "ann@example.test"
    user = house.admin.user("ANN@example.test")
    assert (user.quota_bytes, user.quota_messages, user.disabled) == (5, 0, False)
    assert user.scram is not None
    assert "secret" not in user.password
    with pytest.raises(AlreadyExists):
        house.admin.add_user("ann@example.test", "other")
    house.admin.set_quota("ann@example.test", 7, 8)
    house.admin.set_disabled("ann@example.test", True)
    user = house.admin.user("ann@example.test")
    assert (user.quota_bytes, user.quota_messages, user.disabled) == (7, 8, True)


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("ann@nowhere.test", NoSuchMailDomain),
        ("ann", InvalidEntry),
        ('"a b"@example.test', InvalidEntry),
        ("a/b@example.test", InvalidEntry),
        ("../x@example.test", InvalidEntry),
        ("a\0b@example.test", InvalidEntry),
        ("ann@[192.0.2.1]", InvalidEntry),
        ("x" * 65 + "@example.test", InvalidEntry),
    ],
)
def test_no_such_user_can_be_made(house, address: str, error: type[Exception]) -> None:
    house.admin.add_domain("example.test")
    with pytest.raises(error):
        house.admin.add_user(address, "secret")
    assert house.admin.users() == []


@pytest.mark.parametrize("password", ["", "a\0b", "a\nb", "x" * 1025, "\udce9"])
def test_passwords_that_no_protocol_carries(house, password: str) -> None:
    house.admin.add_domain("example.test")
    with pytest.raises(InvalidEntry):
        house.admin.add_user("ann@example.test", password)


@pytest.mark.parametrize("method", ["remove_user", "user"])
def test_an_unknown_user(house, method: str) -> None:
    with pytest.raises(NoSuchUser, match=r"nobody@example\.test"):
        getattr(house.admin, method)("nobody@example.test")
    with pytest.raises(NoSuchUser):
        house.admin.set_password("nobody@example.test", "secret")
    with pytest.raises(NoSuchUser):
        house.admin.set_quota("nobody@example.test", 1, 1)


def test_removing_a_user_names_the_aliases_left_dangling(house) -> None:
    house.admin.add_domain("example.test")
    house.admin.add_user("ann@example.test", "secret")
    house.admin.add_alias("sales@example.test", ["Ann@example.test"])
    assert house.admin.remove_user("ann@example.test") == ["sales@example.test"]


def test_an_alias_grows_and_shrinks(house) -> None:
    house.admin.add_domain("example.test")
    assert house.admin.add_alias("Sales@example.test", ["b@far.test", "a@far.test"]) == []
    house.admin.add_alias("sales@example.test", ["A@FAR.test", "c@far.test"], is_list=True)
    (alias,) = house.admin.aliases("example.test")
    assert list(map(str, alias.targets)) == ["b@far.test", "a@far.test", "c@far.test"]
    assert alias.is_list
    with pytest.raises(NoSuchAlias, match="no target"):
        house.admin.remove_alias("sales@example.test", ["b@far.test", "z@far.test"])
    assert len(house.admin.aliases()[0].targets) == 3  # nothing was half done
    house.admin.remove_alias("sales@example.test", ["b@far.test"])
    house.admin.remove_alias("sales@example.test", ["a@far.test", "c@far.test"])
    assert house.admin.aliases() == []
    with pytest.raises(NoSuchAlias):
        house.admin.remove_alias("sales@example.test")


def test_an_alias_says_which_targets_take_no_mail(house) -> None:
    house.admin.add_domain("example.test")
    house.admin.add_user("ann@example.test", "secret")
    targets = ["ann@example.test", "bob@example.test", "x@far.test", "loop@example.test"]
    assert house.admin.add_alias("loop@example.test", targets) == [
        "bob@example.test",
        "loop@example.test",
    ]


def test_an_alias_needs_a_domain_and_a_target(house) -> None:
    with pytest.raises(NoSuchMailDomain):
        house.admin.add_alias("@example.test", ["a@b.test"])
    house.admin.add_domain("example.test")
    with pytest.raises(InvalidEntry):
        house.admin.add_alias("x@example.test", [])
    with pytest.raises(InvalidEntry):
        house.admin.add_alias("x@example.test", ["not an address"])
    assert house.admin.aliases() == []


def test_the_server_sees_a_change_of_another_process_at_once(house) -> None:
    house.admin.add_domain("example.test")
    assert now(house.directory.user("ann@example.test")) is None
    house.admin.add_user("ann@example.test", "secret", quota_bytes=9, quota_messages=2)
    assert now(house.directory.quota("ann@example.test")) == Quota(9, 2)
    assert now(house.directory.quota("file-user@example.test")) == Quota(0, 0)
    house.admin.remove_user("ann@example.test")
    assert now(house.directory.user("ann@example.test")) is None


def test_the_secret_outlives_the_process(house) -> None:
    first = now(house.directory.secret())
    assert len(first) == 32
    assert now(Directory(house.database, lambda n: b"z" * n).secret()) == first


def test_moved_addresses(house) -> None:
    house.admin.add_domain("example.test")
    house.admin.add_moved("Old@example.test", "New@far.test")
    (moved,) = house.admin.moved()
    assert (moved.name, moved.to) == ("old@example.test", Address("New", "far.test"))
    house.admin.remove_moved("old@example.test")
    with pytest.raises(NoSuchUser):
        house.admin.remove_moved("old@example.test")
