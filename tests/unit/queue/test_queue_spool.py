"""The spool: what is kept, what is refused, what a crash leaves behind."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailframe.core.address import Address
from mailframe.core.envelope import Body, Envelope, Notify, Recipient, Return
from mailframe.core.resolution import Local
from mailframe.delivery.header import read_header
from mailframe.errors import LocalProtocolError, MessageGone, TransientFailure
from mailframe.interfaces import Arrival
from mailframe.queue import admin
from mailframe.queue import incoming as queue_incoming
from mailframe.queue.schema import MIGRATIONS, State
from mailframe.queue.spool import Spool
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.runtime.database import Database
from mailframe.runtime.disk import Disk, DiskFile
from tests.unit.queue.world import World, done, read_all, to

BIG = b"Subject: big\r\n\r\n" + b"x" * 998 + b"\r\n"
LARGE = BIG * 500  # half a megabyte


class TroubledDisk(Disk):
    """Fails with ``error`` at the operation called ``at``; counts what was done."""

    def __init__(self, at: str = "", error: int = errno.ENOSPC) -> None:
        self.at = at
        self.error = error
        self.calls: list[str] = []

    def note(self, what: str) -> None:
        self.calls.append(what)
        if what == self.at:
            raise OSError(self.error, "injected")

    def create(self, path: str) -> DiskFile:
        self.note("create")
        made = super().create(path)
        return TroubledFile(made, self)

    def sync_directory(self, path: str) -> None:
        self.note("sync_directory")
        super().sync_directory(path)

    def unlink(self, path: str) -> None:
        self.note("unlink")
        super().unlink(path)

    def free(self, path: str) -> int:
        self.note("free")
        return 10_000_000


class TroubledFile(DiskFile):
    def __init__(self, file: DiskFile, disk: TroubledDisk) -> None:
        super().__init__(file.path, file._descriptor)
        self.disk = disk

    def write(self, data: bytes) -> None:
        self.disk.note("write")
        super().write(data)

    def write_all(self, pieces: Sequence[bytes]) -> None:
        self.disk.note("write")
        super().write_all(pieces)

    def sync(self) -> None:
        self.disk.note("sync")
        super().sync()


def stored(world: World, queue_id: str) -> bytes:
    message = admin.stored_message(world.database, queue_id)
    assert message is not None
    return done(read_all(world.spool.stored(message, ())))


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 300_000])
def test_a_message_comes_out_as_it_went_in(tmp_path: Path, size: int) -> None:
    world = World(tmp_path).start()
    content = bytes(range(256)) * (size // 256 + 1)
    world.accept("A1", to("a@b.example"), content[:size], prefix=b"P: 1\r\n")
    assert stored(world, "A1") == b"P: 1\r\n" + content[:size]
    assert world.bodies() == (["A1"] if size > 65536 else [])


def test_everything_of_the_envelope_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    done(world.spool.recover())
    envelope = Envelope(
        reverse_path=Address("o'neil x", "sender.example"),
        recipients=(
            Recipient(Address("α", "ελ.example"), notify=frozenset()),
            Recipient(
                Address("b", "here.example"),
                notify=frozenset({Notify.SUCCESS, Notify.DELAY}),
                orcpt="rfc822;B+c@x",
                original=Address('we"ird\\', "here.example"),
                mailbox=Local("b@here.example", "Junk"),
            ),
            Recipient(Address("postmaster", "")),
        ),
        body=Body.BINARY,
        smtputf8=True,
        ret=Return.HEADERS,
        envid="QQ 3+1",
        declared_size=77,
        extra={"X-FOO": "bar", "X-NIL": None},
    )
    arrival = Arrival("S1", "192.0.2.1", "me", "u@v", "ESMTPS", "<m@x>", {"k": "v"})
    world.accept("A1", envelope, arrival=arrival)
    found = admin.details(world.database, "A1")
    assert found is not None
    assert found.arrival == arrival
    rebuilt = tuple(row.recipient for row in found.rows)
    assert rebuilt == envelope.recipients
    assert (
        world.spool.stored(
            admin.stored_message(world.database, "A1"),
            rebuilt,  # type: ignore[arg-type]
        ).envelope
        == envelope
    )
    assert [row.lane for row in found.rows] == ["ελ.example", "b@here.example", ""]


def test_a_large_message_is_synced_before_its_row(tmp_path: Path) -> None:
    disk = TroubledDisk()
    world = World(tmp_path, disk=disk).start()
    disk.calls.clear()
    seen: list[list[str]] = []
    write = world.database.write
    world.database.write = lambda job: seen.append(list(disk.calls)) or write(job)  # type: ignore
    world.accept("A1", to("a@b.example"), LARGE)
    assert [call for call in seen[0] if call != "write"] == [
        "free", "create", "sync", "sync_directory",
    ]  # fmt: skip


@pytest.mark.parametrize("at", ["create", "write", "sync", "sync_directory"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_trouble_with_the_disk_refuses_and_keeps_nothing(
    tmp_path: Path, at: str, error: int
) -> None:
    disk = TroubledDisk(error=error)
    world = World(tmp_path, disk=disk).start()
    disk.at, disk.calls = at, []
    incoming = done(result_of(world.spool.begin("A1")))
    for _ in range(3):
        waiting = incoming.write(LARGE)
        if waiting is not None:
            waiting.addErrback(lambda failure: failure.trap(TransientFailure))
    with pytest.raises(TransientFailure) as refusal:
        done(incoming.commit(to("a@b.example"), Arrival(), b""))
    assert refusal.value.reply.code == (451 if error == errno.EIO else 452)
    assert refusal.value.reply.enhanced == ("4.3.0" if error == errno.EIO else "4.3.1")
    assert disk.calls.count("sync") <= 1  # a failed sync is not repeated
    assert world.is_empty()
    assert world.bodies() == []


def test_a_failed_commit_keeps_nothing(tmp_path: Path) -> None:
    world = World(tmp_path).start()

    def full(job: Any) -> Deferred[Any]:
        def broken(connection: sqlite3.Connection) -> None:
            job(connection)
            connection.execute("PRAGMA max_page_count = 1")
            connection.execute("CREATE TABLE filler (x BLOB)")
            connection.execute("INSERT INTO filler VALUES (zeroblob(10000000))")

        return write(broken)

    write = world.database.write
    world.database.write = full  # type: ignore[method-assign]
    for queue_id, content in (("A1", b"small"), ("A2", LARGE)):
        with pytest.raises(TransientFailure) as refusal:
            world.accept(queue_id, to("a@b.example"), content)
        assert refusal.value.reply.enhanced == "4.3.1"
    world.database.write = write  # type: ignore[method-assign]
    assert world.is_empty()
    assert world.bodies() == []


def test_the_same_id_twice_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    done(world.spool.recover())
    world.accept("A1", to("a@b.example"), LARGE)
    for content in (b"other", LARGE):
        with pytest.raises((sqlite3.IntegrityError, TransientFailure)):
            world.accept("A1", to("c@d.example"), content)
    assert stored(world, "A1").endswith(LARGE)


def test_no_room_is_said_at_the_start(tmp_path: Path) -> None:
    disk = TroubledDisk()
    world = World(tmp_path, disk=disk, free_floor=10_000_001)
    done(world.spool.recover())
    for _ in range(2):
        with pytest.raises(TransientFailure) as refusal:
            done(result_of(world.spool.begin("A1")))
        assert refusal.value.reply.code == 452
    assert disk.calls.count("free") == 1
    disk.free = lambda path: 10**9  # type: ignore[method-assign]
    world.clock.advance(2)
    done(result_of(world.spool.begin("A1")))


def test_messages_that_come_together_leave_the_floor(tmp_path: Path) -> None:
    disk = TroubledDisk()  # ten million octets free
    world = World(tmp_path, disk=disk, free_floor=9_000_000)
    done(world.spool.recover())
    first, second, third = (done(result_of(world.spool.begin(f"A{n}"))) for n in range(3))
    for incoming in (first, second):
        incoming.write(LARGE[:400_000])
    with pytest.raises(TransientFailure) as refusal:
        done(third.write(LARGE[:400_000]))
    assert refusal.value.reply.code == 452
    with pytest.raises(TransientFailure):
        done(third.write(b"no more of it\r\n"))
    for incoming, queue_id in ((first, "A0"), (second, "A1")):
        done(incoming.commit(to("a@b.example"), Arrival(), b""))
        assert stored(world, queue_id) == LARGE[:400_000]
    with pytest.raises(TransientFailure):
        done(third.commit(to("a@b.example"), Arrival(), b""))
    assert admin.stored_message(world.database, "A2") is None
    world.clock.advance(2)  # the disk is asked again, and the room was made
    world.accept("A3", to("a@b.example"), LARGE)


@pytest.mark.parametrize("queue_id", ["", "../x", "a/b", ".", "x\0", "é", "a" * 65])
def test_an_id_that_is_no_file_name(tmp_path: Path, queue_id: str) -> None:
    with pytest.raises(ValueError, match="not fit"):
        World(tmp_path).spool.begin(queue_id)


@pytest.mark.parametrize("content", [b"small", LARGE])
def test_abort_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    world = World(tmp_path).start()
    incoming = done(result_of(world.spool.begin("A1")))
    incoming.write(content)
    incoming.abort()
    incoming.abort()
    with pytest.raises(LocalProtocolError):
        incoming.write(b"more")
    with pytest.raises(LocalProtocolError):
        done(incoming.commit(to("a@b.example"), Arrival(), b""))
    assert world.is_empty()
    assert world.bodies() == []


@pytest.mark.parametrize("content", [b"small", LARGE])
def test_abort_after_commit_harms_nothing(tmp_path: Path, content: bytes) -> None:
    world = World(tmp_path)
    done(world.spool.recover())
    incoming = done(result_of(world.spool.begin("A1")))
    incoming.write(content)
    done(incoming.commit(to("a@b.example"), Arrival(), b""))
    incoming.abort()
    assert stored(world, "A1") == content


@pytest.mark.parametrize("content", [b"small", LARGE])
def test_what_was_written_can_be_read_before_the_commit(tmp_path: Path, content: bytes) -> None:
    world = World(tmp_path)
    done(world.spool.recover())
    incoming = done(result_of(world.spool.begin("A1")))
    incoming.write(content)
    source = done(incoming.open())
    assert source.size == len(content)
    pieces = []
    while piece := done(source.read(100_000)):
        pieces.append(piece)
    assert b"".join(pieces) == content


class SlowWorkers:
    """Holds every call until ``step``."""

    name = "slow"

    def __init__(self) -> None:
        self.held: list[tuple[Any, tuple[Any, ...], Deferred[Any]]] = []

    def run(self, function: Any, *args: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.held.append((function, args, result))
        return result

    def step(self) -> None:
        function, args, result = self.held.pop(0)
        try:
            value = function(*args)
        except Exception as error:
            result.errback(error)
        else:
            result.callback(value)


def slow_spool(base: Path) -> tuple[Spool, SlowWorkers]:
    database = Database(str(base / "spool.db"), MIGRATIONS, None)
    database.open()
    workers = SlowWorkers()
    (base / "bodies").mkdir()
    spool = Spool(
        database, str(base / "bodies"), Disk(), workers=workers, clock=Clock(), free_floor=0
    )
    return spool, workers


def slow_incoming(base: Path) -> tuple[Any, Spool, SlowWorkers]:
    spool, workers = slow_spool(base)
    begun = as_deferred(result_of(spool.begin("A1")))
    workers.step()
    return done(begun), spool, workers


def test_memory_is_bounded_while_the_disk_is_slow(tmp_path: Path) -> None:
    incoming, spool, workers = slow_incoming(tmp_path)
    waits = [incoming.write(b"x" * 50_000) for _ in range(20)]
    first = next(number for number, wait in enumerate(waits) if wait is not None)
    assert first == 11  # a batch of 300,000 octets is being written, and one waits
    assert not waits[first].called
    workers.step()
    assert waits[first].called
    committed = incoming.commit(to("a@b.example"), Arrival(), b"")
    while workers.held:
        workers.step()
    done(committed)
    assert (tmp_path / "bodies" / "A1").stat().st_size == 1_000_000
    assert spool.gathered == 0


def test_a_large_message_goes_to_the_disk_by_few_calls(tmp_path: Path) -> None:
    incoming, spool, workers = slow_incoming(tmp_path)
    calls = 0
    for _ in range(16):
        incoming.write(b"x" * 65_536)
        while workers.held:
            workers.step()
            calls += 1
    committed = incoming.commit(to("a@b.example"), Arrival(), b"")
    while workers.held:
        workers.step()
        calls += 1
    done(committed)
    assert calls == 5  # four batches; the sync
    assert (tmp_path / "bodies" / "A1").stat().st_size == 1 << 20
    assert spool.gathered == 0


def test_what_gathers_of_many_messages_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_incoming, "_GATHERED", 300_000)
    first, spool, workers = slow_incoming(tmp_path)
    second = done(result_of(spool.begin("A2")))
    for _ in range(4):
        assert first.write(b"x" * 50_000) is None
    assert second.write(b"y" * 50_000) is None
    assert workers.held == []
    assert second.write(b"y" * 60_000) is None  # 310,000 octets, and it is too long for the row
    assert len(workers.held) == 1
    assert spool.gathered == 200_000
    for incoming in (first, second):
        committed = incoming.commit(to("a@b.example"), Arrival(), b"")
        while workers.held:
            workers.step()
        done(committed)
    assert (tmp_path / "bodies" / "A1").read_bytes() == b"x" * 200_000
    assert (tmp_path / "bodies" / "A2").read_bytes() == b"y" * 110_000
    assert spool.gathered == 0


def test_the_header_of_what_is_fresh_is_at_hand(tmp_path: Path) -> None:
    incoming, spool, workers = slow_incoming(tmp_path)
    written: list[Any] = []
    insert = spool._inserting.insert

    def inserting(new: Any, claim: Any) -> Deferred[None]:
        written.append(new)
        return insert(new, claim)

    spool._inserting.insert = inserting  # type: ignore[method-assign]
    incoming.write(LARGE)
    committed = incoming.commit(to("a@b.example"), Arrival(), b"P: 1\r\n")
    while workers.held:
        workers.step()
    done(committed)
    message = spool.stored(written[0].message, ())
    assert done(as_deferred(read_header(message))) == b"P: 1\r\nSubject: big\r\n"
    assert workers.held == []  # nobody had to go to the disk
    reading = as_deferred(read_all(message))
    while workers.held:
        workers.step()
    assert done(reading) == b"P: 1\r\n" + LARGE


@pytest.mark.parametrize("octets", [10, 100_000, 300_000])
def test_what_is_given_up_does_not_count_as_gathered(tmp_path: Path, octets: int) -> None:
    incoming, spool, workers = slow_incoming(tmp_path)
    incoming.write(b"x" * octets)
    incoming.abort()
    while workers.held:
        workers.step()
    assert spool.gathered == 0
    assert list((tmp_path / "bodies").iterdir()) == []


def test_who_stops_waiting_for_the_commit_does_not_stop_it(tmp_path: Path) -> None:
    spool, workers = slow_spool(tmp_path)
    begun = as_deferred(result_of(spool.begin("A1")))
    workers.step()
    incoming = done(begun)
    incoming.write(LARGE)
    committed = incoming.commit(to("a@b.example"), Arrival(), b"")
    committed.addErrback(lambda _: None)
    workers.step()
    committed.cancel()
    while workers.held:
        workers.step()
    message = admin.stored_message(spool.database, "A1")
    assert message is not None
    assert (tmp_path / "bodies" / "A1").stat().st_size == message.size


def test_start_sweeps_orphans_and_sets_the_damaged_aside(tmp_path: Path) -> None:
    world = World(tmp_path)
    done(world.spool.recover())
    for number in range(4):
        world.accept(f"A{number}", to("a@b.example", "c@d.example"), LARGE)
    bodies = tmp_path / "bodies"
    (bodies / "ORPHAN").write_bytes(b"half")
    (bodies / "A1").unlink()
    (bodies / "A2").write_bytes(b"cut off")
    recovery = done(world.spool.recover())
    assert recovery.swept == 1
    assert set(recovery.corrupt) == {"A1", "A2"}
    assert world.bodies() == ["A0", "A2", "A3"]
    world.queue.start()
    world.run(10)
    assert set(world.mx.contents) == {"A0", "A3"}
    assert {row[0] for row in world.rows(where=f"state = {State.CORRUPT:d}")} == {"A1", "A2"}
    # Restored from a backup, it goes on as if nothing had been.
    (bodies / "A1").write_bytes(LARGE)
    assert done(world.spool.recover()).corrupt == ("A2",)
    world.queue.wake()
    world.run(10)
    assert set(world.mx.contents) == {"A0", "A3", "A1"}


def test_a_body_that_vanishes_while_being_sent(tmp_path: Path) -> None:
    world = World(tmp_path)
    done(world.spool.recover())
    world.accept("A1", to("a@b.example"), LARGE)
    (tmp_path / "bodies" / "A1").write_bytes(LARGE[:1000])
    with pytest.raises(MessageGone):
        stored(world, "A1")
    world.queue.start()
    world.run(10)
    assert len(world.rows()) == 1


def test_a_body_file_goes_after_its_row(tmp_path: Path) -> None:
    disk = TroubledDisk()
    world = World(tmp_path, disk=disk).start()
    world.accept("A1", to("a@b.example"), LARGE)
    disk.at, disk.error = "unlink", errno.EIO
    world.run()
    assert world.is_empty()
    assert world.bodies() == ["A1"]
    disk.at = ""
    assert done(world.spool.recover()).swept == 1
    assert world.bodies() == []


def test_a_closed_source_reads_nothing_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    done(world.spool.recover())
    world.accept("A1", to("a@b.example"), LARGE, prefix=b"")
    message = admin.stored_message(world.database, "A1")
    assert message is not None
    source = done(world.spool.open(message))
    assert done(source.read(10)) == LARGE[:10]
    source.close()
    source.close()
    assert done(source.read(10)) == b""
