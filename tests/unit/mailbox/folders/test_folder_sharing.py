"""ACL: who sees which folders of others, and what he may do with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailframe.mailbox.folders import rights
from mailframe.runtime.aio import fired
from tests.unit.mailbox.folders.house import ANN, BOB, EVE, FolderHouse, now, refused

CAROL = "carol@example.org"


@pytest.fixture
def shared(house: FolderHouse) -> FolderHouse:
    """Ann's Work/Plans is Bob's to read, and Bob has an account."""
    house.make("Work/Plans", "Private")
    house.make("own", account=BOB)
    house.share("Work/Plans", BOB, "lr")
    return house


def test_the_other_sees_it_under_the_owners_name(shared: FolderHouse) -> None:
    assert shared.names(BOB) == [
        "INBOX",
        "(Other Users)",
        "(Other Users/ann)",
        "(Other Users/ann/Work)",
        "Other Users/ann/Work/Plans",
        "own",
    ]
    listed = {info.name: info for info in now(shared.of(BOB).all())}
    assert listed["Other Users/ann/Work/Plans"].rights == "lr"
    assert listed["Other Users/ann/Work"].rights == ""
    assert listed["own"].rights == "lrswipkxtea"
    assert shared.names(CAROL) == ["INBOX"]
    assert shared.names(EVE) == ["INBOX"]
    assert shared.names() == ["INBOX", "Private", "Work", "Work/Plans"]


def test_opening_it(shared: FolderHouse) -> None:
    now(shared.of(BOB).folder("Other Users/ann/Work/Plans"))
    assert shared.live.calls == [
        ("open", ANN, "Work/Plans", "Other Users/ann/Work/Plans", "lr"),
    ]
    assert now(shared.of(BOB).my_rights("Other Users/ann/Work/Plans")) == "lr"
    assert now(shared.of(BOB).status("Other Users/ann/Work/Plans")) == "status"


def test_without_rights_there_is_nothing(shared: FolderHouse) -> None:
    shared.share("Private", BOB, "swpte")
    bob = shared.of(BOB)
    for name in ("Private", "INBOX", "Work", "nothing"):
        for ask in (bob.folder, bob.status, bob.acl, bob.my_rights, bob.annotations, bob.delete,
                    bob.quota):  # fmt: skip
            with refused("NONEXISTENT"):
                now(ask(f"Other Users/ann/{name}"))
    assert "Other Users/ann/Private" not in shared.names(BOB)


@pytest.mark.parametrize("held", ["r", "i", "k", "x", "a"])
def test_without_l_a_right_is_still_one(shared: FolderHouse, held: str) -> None:
    """RFC 4314 section 4: only LIST and its like take ``l``."""
    shared.share("Private", BOB, held)
    bob, name = shared.of(BOB), "Other Users/ann/Private"
    assert name not in shared.names(BOB)
    assert now(bob.my_rights(name)) == held
    attempts = {"r": bob.status, "a": bob.acl, "x": bob.delete, "k": below(bob.create)}
    for right, attempt in sorted(attempts.items()):
        if right == held:
            now(attempt(name))
        else:
            with refused("NOPERM" if right == "k" else "NONEXISTENT"):
                now(attempt(name))
    with refused("NONEXISTENT"):
        now(bob.annotations(name))


def below(create: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda name: create(f"{name}/below")


def test_reading_allows_no_more(shared: FolderHouse) -> None:
    bob, name = shared.of(BOB), "Other Users/ann/Work/Plans"
    for attempt in (
        bob.delete(name),
        bob.rename(name, "Other Users/ann/Work/Mine"),
        bob.create(f"{name}/below"),
        bob.create("Other Users/ann/new"),
        bob.create("Other Users/carol/new"),
        bob.create("Other Users/new"),
        bob.create("Other Users"),
        bob.acl(name),
        bob.set_acl(name, BOB, "lra"),
    ):
        with refused("NOPERM"):
            now(attempt)
    with refused("CANNOT"):
        now(bob.rename(name, "mine"))


def test_each_right_for_itself(shared: FolderHouse) -> None:
    bob, name = shared.of(BOB), "Other Users/ann/Work/Plans"
    shared.share("Work/Plans", BOB, "lk")
    now(bob.create(f"{name}/made by bob"))
    assert f"{name}/made by bob" in shared.names(BOB)
    assert "Work/Plans/made by bob" in shared.names()
    with refused("NOPERM"):
        now(bob.delete(f"{name}/made by bob"))
    with refused("NOPERM"):
        now(bob.status(name))
    shared.share("Work/Plans/made by bob", BOB, "lx")
    now(bob.rename(f"{name}/made by bob", f"{name}/again"))
    now(bob.delete(f"{name}/again"))
    assert shared.names() == ["INBOX", "Private", "Work", "Work/Plans"]
    shared.share("Work/Plans", BOB, "la")
    now(bob.set_acl(name, CAROL, "lr"))
    assert now(bob.acl(name)) == [(ANN, rights.ALL), (BOB, "la"), (CAROL, "lr")]


def test_a_hidden_folder_on_the_way(shared: FolderHouse) -> None:
    shared.share("Work/Plans", BOB, "lk")
    shared.make("Work/Plans/hidden")
    shared.share("Work/Plans/hidden", BOB, "")
    with refused("NOPERM"):
        now(shared.of(BOB).create("Other Users/ann/Work/Plans/hidden/mine"))
    now(shared.of(BOB).create("Other Users/ann/Work/Plans/open/mine"))


def test_what_was_found_may_be_another_folder(shared: FolderHouse) -> None:
    shared.share("Work/Plans", BOB, "lx")
    lock = shared.store.lock(ANN)
    lock.acquire()
    attempt = Deferred.fromCoroutine(shared.of(BOB).delete("Other Users/ann/Work/Plans"))
    shutil.rmtree(shared.maildir() / ".Work.Plans")
    (shared.maildir() / ".Work.Plans" / "cur").mkdir(parents=True)
    lock.release()
    with refused("NONEXISTENT"):
        fired(attempt)
    assert (shared.maildir() / ".Work.Plans").exists()


def test_what_was_found_may_be_ones_own_meanwhile(shared: FolderHouse) -> None:
    shared.share("Work/Plans", BOB, "lx")
    (shared.maildir(BOB) / ".Other Users.ann.Work.Plans" / "cur").mkdir(parents=True)
    lock = shared.store.lock(ANN)
    lock.acquire()
    attempt = Deferred.fromCoroutine(shared.of(BOB).delete("Other Users/ann/Work/Plans"))
    (shared.maildir() / ".Work.Plans" / "mailframe-folder").unlink()
    lock.release()
    with refused("NONEXISTENT"):
        fired(attempt)
    assert "Work/Plans" in shared.names()


def test_ones_own_folders_are_not_among_the_others(shared: FolderHouse) -> None:
    shared.share("Work/Plans", "anyone", "lr")
    with refused("NONEXISTENT"):
        now(shared.of(ANN).folder("Other Users/ann/Work/Plans"))
    assert "Other Users/ann/Work/Plans" not in shared.names(ANN)


def test_the_inbox_of_others(shared: FolderHouse) -> None:
    shared.share("INBOX", BOB, rights.ALL)
    assert "Other Users/ann/INBOX" in shared.names(BOB)
    for attempt in (
        shared.of(BOB).delete("Other Users/ann/INBOX"),
        shared.of(BOB).rename("Other Users/ann/INBOX", "Other Users/ann/INBOX/x"),
    ):
        with refused("CANNOT"):
            now(attempt)


def test_anyone_and_negative_rights(shared: FolderHouse) -> None:
    shared.share("Work/Plans", "anyone", "lrs")
    shared.share("Work/Plans", "-" + CAROL, "l")
    assert "Other Users/ann/Work/Plans" in shared.names("dave@example.org")
    assert shared.names(CAROL) == ["INBOX"]
    assert shared.names(EVE) == ["INBOX"]
    shared.share("Work/Plans", "-anyone", "r")
    assert now(shared.of(BOB).my_rights("Other Users/ann/Work/Plans")) == "ls"


def test_taking_rights_away(shared: FolderHouse) -> None:
    told = shared.heard(BOB)
    shared.share("Work/Plans", BOB, "")
    assert told == ["Other Users/ann/Work/Plans"]
    assert shared.names(BOB) == ["INBOX", "own"]
    assert now(shared.of().acl("Work/Plans")) == [(ANN, rights.ALL)]
    shared.share("Work/Plans", BOB, "l")
    assert told == ["Other Users/ann/Work/Plans"] * 2


@pytest.mark.parametrize(
    ("identifier", "stored"),
    [("bob", BOB), ("Bob@Example.ORG", BOB), ("-bob", "-" + BOB), ("ANYONE", "anyone")],
)
def test_identifiers(house: FolderHouse, identifier: str, stored: str) -> None:
    house.make("x")
    house.share("x", identifier, "r")
    assert now(house.of().acl("x"))[1:] == [(stored, "r")]


@pytest.mark.parametrize(
    "identifier",
    [EVE, "", "-", "@example.org", "bob@", "nobody", "bob@example.org.evil", "bob@@example.org"],
)
def test_identifiers_that_are_nobody(
    make_house: Callable[..., FolderHouse], identifier: str
) -> None:
    house = make_house(exists=lambda account: account in (ANN, BOB, EVE))
    house.make("x")
    with refused("CANNOT"):
        house.share("x", identifier, "lr")
    assert now(house.of().acl("x")) == [(ANN, rights.ALL)]


def test_rights_of_somebody_who_left_can_be_taken(make_house: Callable[..., FolderHouse]) -> None:
    people = {ANN, BOB}
    house = make_house(exists=lambda account: account in people)
    house.make("x")
    house.share("x", BOB, "lr")
    people.discard(BOB)
    house.share("x", BOB, "")
    assert now(house.of().acl("x")) == [(ANN, rights.ALL)]


@pytest.mark.parametrize("identifier", ["ann", ANN, "-ann"])
def test_the_owner_keeps_everything(house: FolderHouse, identifier: str) -> None:
    house.make("x")
    with refused("CANNOT"):
        house.share("x", identifier, "lr")
    with refused("CANNOT"):
        house.share("x", identifier, "")
    house.share("x", ANN, "lrswipkxtecda")
    assert now(house.of().my_rights("x")) == rights.ALL
    assert now(house.of().acl("x")) == [(ANN, rights.ALL)]


def test_the_lists_size(house: FolderHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "MAX_ENTRIES", 2)
    house.make("x")
    house.share("x", "a", "l")
    house.share("x", "b", "l")
    with refused("LIMIT"):
        house.share("x", "c", "l")
    house.share("x", "a", "lr")


def test_more_and_fewer_rights(house: FolderHouse) -> None:
    house.make("x")

    def alter(sign: str, given: str, identifier: str = "Bob") -> list[tuple[str, str]]:
        now(house.of().set_acl("x", identifier, given, sign))
        return list(now(house.of().acl("x"))[1:])

    assert alter("+", "wsr") == [(BOB, "rsw")]
    assert alter("+", "a") == [(BOB, "rswa")]
    assert alter("-", "rat") == [(BOB, "sw")]
    assert alter("-", "sw") == []
    assert alter("-", "r") == []
    assert alter("+", "r", ANN) == []
    with refused("CANNOT"):
        alter("-", "r", ANN)


@pytest.mark.parametrize(
    ("text", "parsed"), [("", ""), ("rl", "lr"), ("c", "kx"), ("d", "te"), ("llcda", "lkxtea")]
)
def test_parsing_rights(text: str, parsed: str) -> None:
    assert rights.parse(text) == parsed


@pytest.mark.parametrize("text", ["L", "lrz", "0", "l r", "+l", "é"])
def test_rights_that_are_none(text: str) -> None:
    with refused("CANNOT"):
        rights.parse(text)


def test_renaming_and_deleting_what_is_shared(shared: FolderHouse) -> None:
    told = shared.heard(BOB)
    others = shared.heard(CAROL)
    now(shared.of().rename("Work", "Done"))
    assert "Other Users/ann/Done/Plans" in shared.names(BOB)
    assert "Other Users/ann/Work/Plans" not in shared.names(BOB)
    assert told == ["Other Users/ann/Work/Plans", "Other Users/ann/Done/Plans"]
    now(shared.of().delete("Done/Plans"))
    assert told[2:] == ["Other Users/ann/Done/Plans"]
    assert shared.names(BOB) == ["INBOX", "own"]
    shared.make("Done/Plans")
    assert shared.names(BOB) == ["INBOX", "own"], "a new folder is nobody else's"
    assert others == []


def index_of(house: FolderHouse) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = json.loads(
        (house.base / "mail" / "example.org" / ".shared").read_bytes()
    )
    return found


@pytest.mark.parametrize("damage", ["missing", "empty", "foreign", "directory"])
def test_the_index_is_made_again(shared: FolderHouse, damage: str) -> None:
    path = shared.base / "mail" / "example.org" / ".shared"
    before = index_of(shared)
    path.unlink()
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        path.write_bytes(b'{"bob@example.org": [1, 2]}')
    shared.use(shared.disk)
    assert "Other Users/ann/Work/Plans" in shared.names(BOB)
    assert index_of(shared) == before == {BOB: [[ANN, "Work/Plans"]]}


def test_an_index_that_lies_opens_nothing(shared: FolderHouse) -> None:
    shared.make("x", account=EVE)
    shared.share("x", "anyone", rights.ALL, account=EVE)
    path = shared.base / "mail" / "example.org" / ".shared"
    claims = [[EVE, "x"], [ANN, "Private"], [ANN, "Gone"], [ANN, "../../eve"], [ANN, ""],
              [BOB, "own"], ["a" * 400 + "@example.org", "x"]]  # fmt: skip
    path.write_text(json.dumps({BOB: claims, "anyone": claims}))
    shared.use(shared.disk)
    assert shared.names(BOB) == ["INBOX", "own"]


def test_listing_reads_no_accounts_that_share_nothing(shared: FolderHouse) -> None:
    for number in range(50):
        shared.make("x", account=f"user{number}@example.org")
    shared.names(BOB)
    read: list[str] = []
    scan = shared.disk.scan
    shared.disk.scan = lambda path: (read.append(path), scan(path))[1]  # type: ignore[method-assign]
    assert "Other Users/ann/Work/Plans" in shared.names(BOB)
    assert not any("user" in path for path in read)


def test_an_account_that_is_gone(shared: FolderHouse) -> None:
    shutil.rmtree(shared.maildir().parent)
    assert shared.names(BOB) == ["INBOX", "own"]
    with refused("NONEXISTENT"):
        now(shared.of(BOB).folder("Other Users/ann/Work/Plans"))


def test_ones_own_folder_that_is_called_like_the_namespace(shared: FolderHouse) -> None:
    (shared.maildir(BOB) / ".Other Users.ann.mine" / "cur").mkdir(parents=True)
    assert "Other Users/ann/mine" in shared.names(BOB)
    now(shared.of(BOB).folder("Other Users/ann/mine"))
    assert shared.live.calls[-1][1:3] == (BOB, "Other Users/ann/mine")


@pytest.mark.parametrize("local_part", ["a/b", "50%", "%2f", "a.b", "ünï", "-x"])
def test_odd_local_parts(house: FolderHouse, local_part: str) -> None:
    owner = f"{local_part}@example.org"
    house.make("x", account=owner)
    house.share("x", "bob", "lr", account=owner)
    [name] = [info.name for info in now(house.of(BOB).all()) if info.rights == "lr"]
    assert name.count("/") == 2
    now(house.of(BOB).folder(name))
    assert house.live.calls[-1][1:3] == (owner, "x")


def test_accounts_without_a_domain(house: FolderHouse) -> None:
    house.make("x", account="ann")
    house.share("x", "bob", "lr", account="ann")
    assert "Other Users/ann/x" in house.names("bob")
    assert house.names(BOB) == ["INBOX"]


def test_quota_is_the_owners(shared: FolderHouse) -> None:
    asked: list[str] = []
    shared.mail.quota = lambda account: asked.append(account)
    assert now(shared.of(BOB).quota("Other Users/ann/Work/Plans")) is None
    assert asked == [ANN]
    shared.share("Work/Plans", BOB, "l")
    with refused("NOPERM"):
        now(shared.of(BOB).quota("Other Users/ann/Work/Plans"))
