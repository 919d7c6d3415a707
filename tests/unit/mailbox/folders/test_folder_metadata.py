"""METADATA and special uses: what is kept, for whom, how much, and what is refused."""

from __future__ import annotations

import pytest

from mailframe.core.folders import Annotation, FolderInfo
from mailframe.errors import FolderRefused
from mailframe.mailbox.folders import metadata, special_uses
from tests.unit.mailbox.folders.house import ANN, BOB, FolderHouse, now, refused


def annotate(house: FolderHouse, name: str, account: str = ANN, /, **entries: bytes | None) -> None:
    found = [Annotation("/" + key.replace("_", "/"), value) for key, value in entries.items()]
    now(house.of(account).annotate(name, found))


def annotations(house: FolderHouse, name: str, account: str = ANN) -> dict[str, bytes | None]:
    return {each.entry: each.value for each in now(house.of(account).annotations(name))}


def uses(house: FolderHouse, account: str = ANN) -> dict[str, list[str]]:
    listed: list[FolderInfo] = now(house.of(account).all())
    return {info.name: sorted(info.special_use) for info in listed if info.special_use}


def test_setting_and_removing(house: FolderHouse) -> None:
    house.make("x")
    annotate(house, "x", shared_comment=b"for all", private_comment=b"\x00\xff mine")
    assert annotations(house, "x") == {
        "/private/comment": b"\x00\xff mine",
        "/shared/comment": b"for all",
    }
    annotate(house, "x", shared_comment=None, private_vendor_me_x=b"")
    assert annotations(house, "x") == {
        "/private/comment": b"\x00\xff mine",
        "/private/vendor/me/x": b"",
    }
    assert annotations(house, "INBOX") == {}
    now(house.of().rename("x", "y"))
    assert "/private/comment" in annotations(house, "y")
    with refused("NONEXISTENT"):
        annotate(house, "x", private_comment=b"")
    now(house.of().delete("y"))
    house.make("y")
    assert annotations(house, "y") == {}


def test_the_inbox_of_a_new_account(house: FolderHouse) -> None:
    annotate(house, "inbox", private_comment=b"hi")
    assert annotations(house, "INBOX") == {"/private/comment": b"hi"}


def test_private_ones_are_each_users_own(house: FolderHouse) -> None:
    house.make("x")
    house.share("x", BOB, "lr")
    name = "Other Users/ann/x"
    annotate(house, "x", private_comment=b"ann's", shared_comment=b"both")
    assert annotations(house, name, BOB) == {"/shared/comment": b"both"}
    annotate(house, name, BOB, private_comment=b"bob's")
    assert annotations(house, name, BOB)["/private/comment"] == b"bob's"
    assert annotations(house, "x")["/private/comment"] == b"ann's"
    with refused("NOPERM"):
        annotate(house, name, BOB, shared_comment=b"no", private_comment=b"not this either")
    assert annotations(house, name, BOB)["/private/comment"] == b"bob's"
    house.share("x", BOB, "lrw")
    annotate(house, name, BOB, shared_comment=b"yes")
    assert annotations(house, "x")["/shared/comment"] == b"yes"
    house.share("x", BOB, "lk")
    with refused("NOPERM"):
        annotations(house, name, BOB)


def test_the_servers(house: FolderHouse) -> None:
    admin = {"/shared/admin": b"mailto:postmaster@example.org"}
    assert annotations(house, "") == admin
    annotate(house, "", private_vendor_x=b"1")
    assert annotations(house, "") == {**admin, "/private/vendor/x": b"1"}
    assert annotations(house, "INBOX") == {}
    assert annotations(house, "", BOB) == admin
    for entry in ("/shared/admin", "/shared/comment"):
        with refused("NOPERM"):
            now(house.of().annotate("", [Annotation(entry, b"x")]))


@pytest.mark.parametrize(
    "entry",
    ["", "/", "/private", "/private/", "private/x", "/other/x", "/private/a//b", "/private/x/",
     "/private/*", "/private/a%", "/private/\0", "/private/ü", "/Private/x", "/private/X",
     "/private/a b", "/private/" + "x" * 300],
)  # fmt: skip
def test_entries_that_cannot_be(house: FolderHouse, entry: str) -> None:
    for name in ("INBOX", ""):
        with refused("CANNOT"):
            now(house.of().annotate(name, [Annotation(entry, b"x")]))


def test_limits(house: FolderHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house.make("x")
    annotate(house, "x", private_long=b"x" * metadata.MAX_VALUE)
    with pytest.raises(FolderRefused) as caught:
        annotate(house, "x", private_long=b"x" * (metadata.MAX_VALUE + 1))
    assert caught.value.code == "METADATA MAXSIZE 65536"
    many = [Annotation(f"/private/n{number}", b"") for number in range(metadata.MAX_ENTRIES)]
    with pytest.raises(FolderRefused) as caught:
        now(house.of().annotate("x", many))
    assert caught.value.code == "METADATA TOOMANY"
    assert list(annotations(house, "x")) == ["/private/long"], "all or none"
    now(house.of().annotate("x", many[1:]))
    monkeypatch.setattr(metadata, "MAX_FOLDER", 1000)
    with refused("LIMIT"):
        annotate(house, "x", shared_comment=b"x")


# ---- special uses


def test_well_known_names(house: FolderHouse) -> None:
    house.make("sent", "Spam", "TRASH", "Deleted Items", "Archives", "Work/Drafts", "Sent Items")
    assert uses(house) == {
        "sent": ["\\Sent"],
        "Spam": ["\\Junk"],
        "TRASH": ["\\Trash"],
        "Archives": ["\\Archive"],
    }


def test_create_with_a_use(house: FolderHouse) -> None:
    house.make("Sent")
    now(house.of().create("Envoyés", ["\\sent"]))
    assert uses(house) == {"Envoyés": ["\\Sent"]}
    with refused("USEATTR"):
        now(house.of().create("Again", ["\\Sent"]))
    for use in ("\\All", "\\Flagged", "\\Important", "\\Nonsense", "Sent"):
        with refused("USEATTR"):
            now(house.of().create("Again", [use]))
    assert "Again" not in house.names()
    now(house.of().create("Both", ["\\Junk", "\\Trash"]))
    assert uses(house)["Both"] == ["\\Junk", "\\Trash"]
    now(house.of().delete("Envoyés"))
    assert uses(house)["Sent"] == ["\\Sent"]


def test_a_use_goes_along(house: FolderHouse) -> None:
    now(house.of().create("a/b", ["\\Archive"]))
    now(house.of().rename("a", "z"))
    assert uses(house) == {"z/b": ["\\Archive"]}


def test_the_annotation(house: FolderHouse) -> None:
    house.make("Sent", "Mine")
    told = house.heard(ANN)
    assert annotations(house, "Sent") == {"/private/specialuse": b"\\Sent"}
    annotate(house, "Mine", private_specialuse=b"\\Sent \\Drafts")
    assert told == ["Mine"]
    assert annotations(house, "Sent") == {}
    assert annotations(house, "Mine") == {"/private/specialuse": b"\\Drafts \\Sent"}
    with refused("USEATTR"):
        annotate(house, "Sent", private_specialuse=b"\\Sent")
    with refused("USEATTR"):
        annotate(house, "Sent", private_specialuse=b"\\Bad")
    with refused("USEATTR"):
        annotate(house, "INBOX", private_specialuse=b"\\Junk")
    annotate(house, "Mine", private_specialuse=None)
    assert uses(house) == {"Sent": ["\\Sent"]}


def test_what_others_use_their_folders_for(house: FolderHouse) -> None:
    house.make("Sent")
    house.share("Sent", BOB, "lrw")
    house.make("Sent", account=BOB)
    assert uses(house, BOB) == {"Sent": ["\\Sent"]}
    assert annotations(house, "Other Users/ann/Sent", BOB) == {}


def test_two_files_that_claim_the_same() -> None:
    told = {"b": ["\\Sent"], "a": ["\\Sent", "\\Junk"]}
    assert special_uses.assign(told, ["a", "b"]) == {"a": {"\\Sent", "\\Junk"}}
    assert special_uses.assign({"a": ["\\Odd"]}, ["a"]) == {}
