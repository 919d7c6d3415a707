"""What a power cut may leave of a simulated disk, and what it may not."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailframe.testing.disk import CrashState, SimDisk

BODY = b"a" * 512 + b"b" * 512 + b"c" * 100


def new_disk() -> SimDisk:
    disk = SimDisk()
    disk.make_directories("/d")
    disk.make_directories("/e")
    return disk


def write(disk: SimDisk, path: str, data: bytes = BODY, *, sync: bool = True) -> None:
    file = disk.create(path)
    file.write(data)
    if sync:
        file.sync()
    file.close()


def found(disk: SimDisk, *paths: str, limit: int = 500) -> set[tuple[bytes | None, ...]]:
    """What may be under these names after a power cut now."""
    return {
        tuple(after.read(path) if after.exists(path) else None for path in paths)
        for after in (state.disk() for state in states(disk, limit))
    }


def states(disk: SimDisk, limit: int = 500) -> list[CrashState]:
    return list(disk.crash_states(disk.count, limit, Random(1)))


def test_a_synced_file_without_a_synced_name_may_be_missing() -> None:
    disk = new_disk()
    write(disk, "/d/x")
    assert found(disk, "/d/x") == {(None,), (BODY,)}
    disk.sync_directory("/d")
    assert found(disk, "/d/x") == {(BODY,)}


def test_a_name_without_synced_content_may_have_any_part_of_it() -> None:
    disk = new_disk()
    write(disk, "/d/x", sync=False)
    disk.sync_directory("/d")
    contents = {content for (content,) in found(disk, "/d/x") if content is not None}
    assert {b"", BODY, bytes(len(BODY))} <= contents
    assert BODY[:512] in contents or BODY[:512] + bytes(612) in contents
    for content in contents:
        for start in range(0, len(content), 512):
            part, whole = content[start : start + 512], BODY[start : start + 512]
            assert part in (whole[: len(part)], bytes(len(part)))


def test_a_rename_over_a_file_leaves_the_old_or_the_new_one() -> None:
    disk = new_disk()
    write(disk, "/d/x", b"old")
    disk.sync_directory("/d")
    write(disk, "/d/y", b"new")
    disk.rename("/d/y", "/d/x")
    assert {x for x, _ in found(disk, "/d/x", "/d/y")} == {b"old", b"new"}
    disk.sync_directory("/d")
    assert found(disk, "/d/x", "/d/y") == {(b"new", None)}


def test_a_rename_between_directories_is_under_one_name_or_both() -> None:
    disk = new_disk()
    write(disk, "/d/x", b"x")
    disk.sync_directory("/d")
    disk.rename("/d/x", "/e/x")
    assert found(disk, "/d/x", "/e/x") == {(b"x", None), (None, b"x")}
    target = disk.snapshot()
    target.sync_directory("/e")
    assert found(target, "/d/x", "/e/x") == {(b"x", b"x"), (None, b"x")}
    disk.sync_directory("/d")
    assert found(disk, "/d/x", "/e/x") == {(None, b"x")}


def test_a_link_and_the_unlink_of_its_origin_may_both_be_lost_or_done() -> None:
    disk = new_disk()
    write(disk, "/d/x", b"x")
    disk.sync_directory("/d")
    disk.link("/d/x", "/e/x")
    disk.unlink("/d/x")
    assert found(disk, "/d/x", "/e/x") == {
        (b"x", None), (None, None), (b"x", b"x"), (None, b"x"),
    }  # fmt: skip


def test_what_needs_another_change_does_not_happen_without_it() -> None:
    disk = new_disk()
    write(disk, "/d/a", b"x")
    disk.sync_directory("/d")
    disk.rename("/d/a", "/d/b")
    disk.rename("/d/b", "/d/c")
    assert found(disk, "/d/a", "/d/b", "/d/c") == {
        (b"x", None, None), (None, b"x", None), (None, None, b"x"),
    }  # fmt: skip


def test_a_directory_that_is_missing_is_missing_with_all_in_it() -> None:
    disk = new_disk()
    disk.volume.mkdir("/d/sub")
    write(disk, "/d/sub/x")
    disk.sync_directory("/d/sub")
    assert found(disk, "/d/sub/x") == {(None,), (BODY,)}
    disk.sync_directory("/d")
    assert found(disk, "/d/sub/x") == {(BODY,)}


def test_a_cell_may_be_old_at_any_time() -> None:
    disk = new_disk()
    cell = disk.cell("/d/mark")
    disk.sync_directory("/d")
    cell.write(b"one")
    cell.write(b"two")
    assert found(disk, "/d/mark") == {(b"",), (b"one",), (b"two",), (bytes(3),)}


def test_a_failed_sync_throws_its_writes_away() -> None:
    disk = new_disk()
    write(disk, "/d/x", b"old")
    disk.sync_directory("/d")
    file = disk.append("/d/x")
    file.write(b" new")
    disk.faults.fail("sync", "/d/x")
    with pytest.raises(OSError, match="Input/output"):
        file.sync()
    file.sync()
    assert disk.read("/d/x") == b"old new"
    assert found(disk, "/d/x") == {(b"old",)}


def test_any_earlier_moment_can_be_asked_for() -> None:
    disk = new_disk()
    begin = disk.count
    write(disk, "/d/x", b"x")
    disk.sync_directory("/d")
    keys = [
        [state.key for state in disk.crash_states(n, 50, Random(1))]
        for n in range(begin, disk.count + 1)
    ]
    assert [len(each) for each in keys] == [1, 2, 4, 2, 1]
    assert (
        keys
        == [
            [state.key for state in disk.crash_states(n, 50, Random(1))]
            for n in reversed(range(begin, disk.count + 1))
        ][::-1]
    )


def test_states_are_distinct_and_bounded() -> None:
    disk = new_disk()
    for number in range(20):
        write(disk, f"/d/{number}", bytes([number]) * 3000, sync=False)
    seen = states(disk, 300)
    assert len({state.key for state in seen}) == len(seen) == 300
    assert len(states(disk, 7)) == 7
    assert any("torn" in line for state in seen for line in state.story)
    assert any("only the length" in line for state in seen for line in state.story)


def test_a_disk_from_a_state_is_durable_and_its_own() -> None:
    disk = new_disk()
    write(disk, "/d/x", b"x")
    state = states(disk)[1]
    one, other = state.disk(), state.disk()
    assert [found.key for found in states(one)] == [state.key]
    write(one, "/d/y", b"y")
    one.unlink("/d/x")
    assert other.names("/d") == disk.names("/d") == ["x"]
    assert state.disk().names("/d") == ["x"]


def test_a_kill_leaves_all_and_a_power_cut_may_take_it_then() -> None:
    disk = new_disk()
    write(disk, "/d/x", b"x", sync=False)
    after = disk.killed()
    assert after.read("/d/x") == b"x"
    assert (None,) in found(after, "/d/x")
    drawn = {after.crashed(Random(seed)).exists("/d/x") for seed in range(20)}
    assert drawn == {True, False}


def test_a_skipped_sync_is_as_if_never_asked_for() -> None:
    disk = new_disk()
    disk.skip = lambda op: op.kind == "sync_directory" and op.site.endswith(":write_durably")
    write_durably(disk)
    assert (None,) in found(disk, "/d/x")
    assert [op.outcome for op in disk.trace[-3:]] == ["done", "done", "skipped"]


def write_durably(disk: SimDisk) -> None:
    write(disk, "/d/x")
    disk.sync_directory("/d")


@pytest.mark.parametrize("place", range(3))
def test_swapped_changes_reach_the_disk_in_the_other_order(place: int) -> None:
    """create write sync sync_directory: seen at once, and lost where a sync comes too early."""
    disk = new_disk()
    begin = disk.count
    disk.swap = begin + place, begin + place + 1
    write_durably(disk)
    assert disk.read("/d/x") == BODY
    kinds = ["create", "write", "sync", "sync_directory"]
    kinds[place : place + 2] = kinds[place + 1], kinds[place]
    assert [op.kind for op in disk.trace[begin:]] == kinds
    assert [op.number for op in disk.trace] == list(range(disk.count))
    assert ((b"",) in found(disk, "/d/x")) == (place == 1)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["write", "rename", "link", "unlink", "sync", "sync_directory"]),
        st.sampled_from(["/d/a", "/d/b", "/e/a", "/e/b"]),
        st.sampled_from(["/d/a", "/d/b", "/e/a", "/e/b"]),
    ),
    max_size=15,
)  # fmt: skip


@given(CHANGES)
@settings(max_examples=60, deadline=None, report_multiple_bugs=False)
def test_a_disk_on_which_all_is_synced_has_one_state(changes: list[tuple[str, str, str]]) -> None:
    disk = new_disk()
    for number, (change, path, other) in enumerate(changes):
        try:
            match change:
                case "write":
                    write(disk, path, b"%d" % number, sync=number % 2 == 0)
                case "sync":
                    file = disk.append(path)
                    file.sync()
                    file.close()
                case "sync_directory":
                    disk.sync_directory(path[:2])
                case "rename" | "link":
                    getattr(disk, change)(path, other)
                case _:
                    disk.unlink(path)
        except OSError:
            continue
    reached = states(disk, 200)
    whole = {
        path: disk.read(path) for path in ("/d/a", "/d/b", "/e/a", "/e/b") if disk.exists(path)
    }
    for path in whole:
        file = disk.append(path)
        file.sync()
        file.close()
    for path in ("/d", "/e"):
        disk.sync_directory(path)
    (state,) = states(disk)
    after = state.disk()
    assert {f"/{d}/{name}" for d in "de" for name in after.names(f"/{d}")} == set(whole)
    assert all(after.read(path) == data for path, data in whole.items())
    assert state.key in {other.key for other in reached} or len(reached) == 200
