from __future__ import annotations

from mailframe.queue.recent import RecentBodies


def test_what_is_old_makes_room() -> None:
    bodies = RecentBodies(10)
    for name in "abc":
        bodies.add(name, name.encode() * 4)
    assert [bodies.get(name) for name in "abc"] == [None, b"bbbb", b"cccc"]
    bodies.add("whole", b"0123456789")
    assert [bodies.get(name) for name in ("b", "c", "whole")] == [None, None, b"0123456789"]


def test_what_is_larger_than_the_room_is_not_kept() -> None:
    bodies = RecentBodies(3)
    bodies.add("a", b"1234")
    assert bodies.get("a") is None
    bodies.add("b", b"123")  # and takes no room from others
    assert bodies.get("b") == b"123"


def test_what_is_forgotten_makes_room() -> None:
    bodies = RecentBodies(4)
    bodies.add("a", b"1234")
    bodies.forget("a")
    bodies.forget("a")
    assert bodies.get("a") is None
    bodies.add("b", b"12")
    bodies.add("c", b"34")
    assert (bodies.get("b"), bodies.get("c")) == (b"12", b"34")
