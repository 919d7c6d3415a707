"""The next hop of relayed mail; what servers cost; processes and the whole run."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailframe.bench.cost import Group, Meter, Trees
from mailframe.bench.loop import Loop, Target
from mailframe.bench.processes import GeneratorFailed, allow_open_files
from mailframe.bench.report import as_object, lines
from mailframe.bench.running import Arrivals, Outcome, Run
from mailframe.bench.sink import Sink
from mailframe.bench.tally import Tally
from mailframe.bench.works import Extent, Mail, Manner, smtp_works
from tests.unit.bench.fakes import looped, serving, smtp

ENVELOPE = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n"


def sunk(*pieces: bytes) -> tuple[Tally, bytes]:
    """What the sink counts and says when these come one by one."""
    loop, tally = looped(), Tally()
    sink = Sink(loop, tally, "127.0.0.1", 0)
    said: list[bytes] = []

    def client() -> None:
        try:
            with (
                socket.create_connection(("127.0.0.1", sink.port), 10) as own,
                contextlib.suppress(OSError),  # hung up on while it spoke
            ):
                for piece in pieces:
                    own.sendall(piece)
                    time.sleep(0.01)
                own.shutdown(socket.SHUT_WR)
                while data := own.recv(65536):
                    said.append(data)
        finally:
            loop.stop()

    thread = threading.Thread(target=client)
    thread.start()
    loop.run(lambda: True)
    thread.join()
    loop.close()
    return tally, b"".join(said)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100_000])
def test_the_sink_counts_whatever_the_pieces(size: int) -> None:
    talk = ENVELOPE + b"Subject: x\r\n\r\n.\x20no end\r\n..\r\n.\r\n"
    talk += ENVELOPE[8:] + b".\r\nQUIT\r\n"
    tally, said = sunk(*(talk[at : at + size] for at in range(0, len(talk), size)))
    assert (tally.counts["messages"], tally.counts["recipients"]) == (2, 4)
    assert said.count(b"354 ") == 2
    assert said.endswith(b"221 2.0.0 Bye\r\n")


def test_recipients_of_a_message_that_is_given_up_do_not_count() -> None:
    tally, _ = sunk(ENVELOPE[:-6] + b"RSET\r\n" + ENVELOPE[8:] + b"x\r\n.\r\n")
    assert tally.counts["recipients"] == 2


def test_a_large_message_is_not_kept() -> None:
    pieces = [b"x" * 100_000 + b"\r\n"] * 20
    tally, said = sunk(ENVELOPE, *pieces, b".\r\n")
    assert tally.counts["messages"] == 1
    assert said.endswith(b"250 2.0.0 Ok\r\n")


def test_a_line_that_does_not_end() -> None:
    tally, said = sunk(b"x" * 70_000, *[b"y" * 1000] * 10)
    assert tally.counts["messages"] == 0
    assert b"250" not in said


def test_the_mark_tells_how_long_it_took() -> None:
    due = int((time.monotonic() - 2) * 1e9)
    mark = b"Received: x\r\nX-Mailframe-Bench: %020d 0000001\r\n\r\nx\r\n" % due
    tally, _ = sunk(ENVELOPE + mark + b".\r\n")
    assert 2 < tally.timing("relayed").most < 4


# ---- cost


def busy(seconds: float) -> subprocess.Popen[bytes]:
    """A process whose child works for so long, and waits then."""
    inner = f"import time\nend = time.process_time() + {seconds}\n"
    inner += "while time.process_time() < end: pass\ntime.sleep(60)"
    outer = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    return subprocess.Popen([sys.executable, "-c", outer, inner])


def test_a_tree_of_processes_is_measured_as_a_whole() -> None:
    child = busy(0.5)
    trees = Trees([child.pid])
    try:
        meter = Meter(trees)
        end = time.monotonic() + 30
        while (used := trees.cpu_seconds()) < 0.5 and time.monotonic() < end:
            time.sleep(0.05)
        assert len(trees.processes()) == 2
        spent = meter.spent()
        assert 0.3 < spent.cpu_seconds <= used + 0.2
        assert spent.peak_rss > spent.pss > 1_000_000
        assert spent.processes == 2
    finally:
        for pid in reversed(trees.processes()):
            os.kill(pid, signal.SIGKILL)
        child.wait()
    assert Trees([child.pid]).processes() == []
    assert Trees([child.pid]).cpu_seconds() == 0


def test_a_root_below_another_counts_once() -> None:
    assert Trees([os.getpid(), os.getpid()]).processes().count(os.getpid()) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [("cpu.stat", "usage_usec 2500000\nuser_usec 1\n"), ("cpuacct.usage", "2500000000\n")],
)
def test_a_control_group(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "cgroup.procs").write_text(f"{os.getpid()}\n")
    group = Group(str(tmp_path))
    assert group.cpu_seconds() == 2.5
    assert group.processes() == [os.getpid()]


def test_a_directory_that_is_no_control_group(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cpu\.stat"):
        Group(str(tmp_path))


# ---- processes


def run(target: Target, messages: int, processes: int, arrivals: Arrivals) -> Outcome:
    works = smtp_works(Manner(target), Mail("a@b", ["c@d"]), Extent(4, messages), processes)
    return Run(time.monotonic, Trees([os.getpid()]), arrivals, 5.0)(works)


@pytest.mark.parametrize(
    ("processes", "numbers"),
    [
        (1, range(10)),
        # each process counts in steps of its own, so that no two messages have one number
        (2, range(10)),
        (9, [0, 4, 8, 1, 5, 9, 2, 6, 3, 7]),
    ],
)
def test_a_load_is_spread_over_processes(processes: int, numbers: Sequence[int]) -> None:
    seen: list[bytes] = []
    with serving(smtp(seen=seen)) as target:
        outcome = run(target, 10, processes, Arrivals())
    assert outcome.tally.counts["messages"] == 10
    assert outcome.processes == min(processes, 4)
    contents = [each for each in seen if each.startswith(b"X-Mailframe-Bench")]
    assert sorted(int(each.split()[2]) for each in contents) == sorted(numbers)
    assert outcome.spent is not None


def test_what_arrives_in_a_maildir_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "old").touch()

    def deliver() -> None:
        for number in range(5):
            time.sleep(0.1)
            (tmp_path / "new" / str(number)).touch()

    with serving(smtp()) as target:
        thread = threading.Thread(target=deliver)
        # Forking beside a thread is safe here: the children touch no lock of its.
        thread.start()
        outcome = run(target, 5, 1, Arrivals((str(tmp_path),)))
        assert len(os.listdir(tmp_path / "new")) == 6
        thread.join()
    assert outcome.delivered == 5
    assert outcome.delivered_seconds > 0.3


def test_what_does_not_arrive_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with serving(smtp()) as target:
        outcome = run(target, 5, 1, Arrivals((str(tmp_path),), seconds=0.3))
    assert outcome.delivered == 0


def test_a_bug_in_a_process_is_told() -> None:
    def broken(loop: Loop, tally: Tally) -> None:
        raise ZeroDivisionError("planted")

    with pytest.raises(GeneratorFailed, match="planted"):
        Run(time.monotonic, None, Arrivals(), 5.0)([broken])


def test_a_process_that_is_killed_is_told() -> None:
    def killed(loop: Loop, tally: Tally) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(GeneratorFailed, match="without a word"):
        Run(time.monotonic, None, Arrivals(), 5.0)([killed])


def test_too_many_open_files() -> None:
    allow_open_files(10)
    with pytest.raises(OSError, match="ulimit"):
        allow_open_files(1 << 40)


# ---- report


def test_the_report_says_what_was_counted() -> None:
    tally = Tally()
    tally.begun, tally.ended = 10.0, 12.0
    tally.counts.update(messages=100, recipients=200, connections=5, failed=3)
    tally.timing("message").add(0.25)
    tally.fail("RCPT", "550 nobody", 550)
    tally.cpu_seconds = 1.95
    outcome = Outcome(tally, 1, delivered=200, delivered_seconds=4.0)
    found = as_object(outcome)
    assert found["messages_per_second"] == 50
    assert found["delivered_per_second"] == 50
    assert found["failures"] == [{"kind": "RCPT 550", "count": 1, "text": "550 nobody"}]
    assert found["generator"]["cpu_ms_each"] == pytest.approx(19.5)
    said = dict(lines(found))
    assert said["messages"] == "100 (50.0/s)"
    assert said["RCPT 550"] == "1 times: 550 nobody"
    assert "--processes" in said["note"]  # the generator itself was busy


def test_an_empty_report() -> None:
    found = as_object(Outcome(Tally(), 1))
    assert found["seconds"] == 0
    assert dict(lines(found))["took"] == "0.00 s"
