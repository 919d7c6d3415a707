"""The subscriptions file: ours, Dovecot's and Courier's."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailframe.errors import TransientFailure
from mailframe.mailbox.folders import subscriptions
from mailframe.mailbox.folders.naming import is_suitable
from mailframe.mailbox.folders.subscriptions import Subscriptions, parse, parse_courier
from mailframe.runtime.disk import Disk
from tests.unit.mailbox.folders.house import ANN, FolderHouse, now, refused
from tests.unit.mailbox.house import FailingDisk

DOVECOT = "V\t2\n\nWork\tReports\nGr&APYA3w-e\tx\na&-b\nINBOX\nOther Users\tbob\tINBOX\n"


def subscribe(house: FolderHouse, *names: str, subscribed: bool = True) -> None:
    for name in names:
        now(house.of().subscribe(name, subscribed))


def subscribed(house: FolderHouse) -> list[str]:
    return [info.name for info in now(house.of().all()) if info.subscribed]


def path_of(house: FolderHouse, name: str = "subscriptions") -> str:
    house.maildir().mkdir(parents=True, exist_ok=True)
    return str(house.maildir() / name)


def test_dovecots_file() -> None:
    found = parse(DOVECOT.encode())
    assert found.names == {"Work/Reports", "Größe/x", "a&b", "INBOX", "Other Users/bob/INBOX"}
    assert found.encode() == DOVECOT.encode()
    assert found.with_name("a.b/c").encode() == DOVECOT.encode() + b"a&AC4-b\tc\n"


def test_an_old_file_stays_one() -> None:
    found = parse(b"Work.Reports\nGr&APYA3w-e\nQu&AC4-p\n")
    assert found.names == {"Work/Reports", "Größe", "Qu.p"}
    assert found.without("Größe").with_name("x/y").encode() == b"Work.Reports\nQu&AC4-p\nx.y\n"


def test_couriers_file() -> None:
    found = parse_courier(b"INBOX\nINBOX.Work.Reports\nINBOX.Gr&APYA3w-e\nINBOX.Work.Reports\n")
    assert found.names == {"INBOX", "Work/Reports", "Größe"}
    assert found.encode() == b"V\t2\n\nINBOX\nWork\tReports\nGr&APYA3w-e\n"


def test_lines_that_tell_no_name_stay() -> None:
    odd = b"V\t2\n\n&bad\nraw \xff octets\n\t\nfine\na\t\tb\n"
    found = parse(odd)
    assert found.names == {"fine"}
    assert found.without("fine").encode() == odd.replace(b"fine\n", b"")


@given(st.lists(st.text(max_size=20), max_size=10), st.sampled_from(["\t", "."]))
def test_what_is_written_is_read(names: list[str], separator: str) -> None:
    found = Subscriptions(separator=separator)
    for name in filter(is_suitable, names):
        found = found.with_name(name)
    again = parse(found.encode())
    assert again.encode() == found.encode()
    assert {n if n.upper() != "INBOX" else "INBOX" for n in found.names} == again.names


@given(st.binary(max_size=200))
def test_any_file_is_read_and_nothing_is_lost(content: bytes) -> None:
    kept = parse(content).encode().split(b"\n")
    assert set(content.split(b"\n")) - {b""} <= set(kept)


def test_subscribing(house: FolderHouse) -> None:
    house.make("Work")
    told = house.heard(ANN)
    subscribe(house, "Work", "Gone/Deep", "inbox", "Work")
    assert subscribed(house) == ["Gone/Deep", "INBOX", "Work"]
    assert house.names() == ["(Gone)", "(Gone/Deep)", "INBOX", "Work"]
    assert told == ["Work", "Gone/Deep", "INBOX"]
    subscribe(house, "Gone/Deep", "INBOX", "never", subscribed=False)
    assert subscribed(house) == ["Work"]
    now(house.of().delete("Work"))
    assert subscribed(house) == ["Work"], "a subscription outlives its folder"
    with open(path_of(house), "rb") as file:
        assert file.read() == b"V\t2\n\nWork\n"


def test_moving_in_from_courier(house: FolderHouse) -> None:
    house.make("Work")
    courier = path_of(house, "courierimapsubscribed")
    with open(courier, "w") as file:
        file.write("INBOX\nINBOX.Work\nINBOX.Old\n")
    assert subscribed(house) == ["INBOX", "Old", "Work"]
    subscribe(house, "Old", subscribed=False)
    assert subscribed(house) == ["INBOX", "Work"]
    assert os.path.exists(courier)


def test_a_decomposed_name(house: FolderHouse) -> None:
    house.make("Café")
    subscribe(house, "Cafe\u0301")
    assert subscribed(house) == ["Café"]
    subscribe(house, "Cafe\u0301", subscribed=False)
    assert subscribed(house) == []


def test_the_folders_of_others_in_the_subscribers_file(house: FolderHouse) -> None:
    subscribe(house, "Other Users/bob/INBOX")
    assert subscribed(house) == ["Other Users/bob/INBOX"]
    assert not (house.maildir("bob@example.org")).exists()


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_what_is_no_file_says_nothing(house: FolderHouse, kind: str) -> None:
    path = path_of(house)
    if kind == "link":
        os.symlink("/etc/passwd", path)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        os.mkdir(path)
    assert subscribed(house) == []
    if kind == "directory":
        with pytest.raises(TransientFailure):
            subscribe(house, "x")
    else:
        subscribe(house, "x")
        assert subscribed(house) == ["x"]


def test_too_many(house: FolderHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_SUBSCRIPTIONS", 2)
    subscribe(house, "a", "b", "a")
    with refused("LIMIT"):
        subscribe(house, "c")
    with refused("LIMIT"):
        subscribe(house, "x" * 1001)


def test_a_file_that_is_longer_than_we_read_is_not_cut(
    house: FolderHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "_MAX_OCTETS", 20)
    content = "V\t2\n\naaaa\nbbbb\ncccc\ndddd\n"
    with open(path_of(house), "w") as file:
        file.write(content)
    assert subscribed(house) == ["aaaa", "bbbb", "cccc"]
    with refused("LIMIT"):
        subscribe(house, "aaaa", subscribed=False)
    with open(path_of(house)) as file:
        assert file.read() == content


@pytest.mark.parametrize("failing", range(12))
def test_the_disk_fails(house: FolderHouse, failing: int) -> None:
    subscribe(house, "kept")
    house.use(FailingDisk(range(failing, failing + 1)))
    try:
        subscribe(house, "new")
        told = True
    except TransientFailure:
        told = False
    house.use(Disk())
    assert subscribed(house) == ["kept", "new"] or not told
    assert "kept" in subscribed(house)
    subscribe(house, "new")
    assert subscribed(house) == ["kept", "new"]
