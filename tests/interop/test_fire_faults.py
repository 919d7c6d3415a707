"""The real process, and a disk, kernel or clock that does not do as it should: what was
acknowledged is there, what cannot be done is said so, and it works again afterwards."""

from __future__ import annotations

import contextlib
import datetime
import imaplib
import itertools
import poplib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.fire import faults
from tests.fire.clients import Crowd
from tests.fire.ground import ANN, BOB, DAN, EVE, Ground, ground
from tests.fire.ledger import Ledger
from tests.fire.verdict import InFlight, judge
from tests.interop.peers.imap import logged_in, message
from tests.interop.peers.imap_look import ask
from tests.interop.peers.mailframe import PASSWORD, any_certificate
from tests.interop.peers.process import wait_until

MEGABYTE = 1 << 20
GUS = "gus@mf.test"


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    """Each test starts and stops it."""
    with ground("faults") as made:
        yield made


@pytest.fixture
def ledger(place: Ground) -> Iterator[Ledger]:
    place.mailframe.before, place.mailframe.environment = [], {}
    yield LEDGER
    place.mailframe.stop()


LEDGER = Ledger()
"""One for all: what an earlier test was told must hold after the later ones, too."""


def all_is_well(place: Ground) -> None:
    place.drained(30)
    verdict = judge(place, LEDGER, InFlight())
    assert verdict.problems == []


def test_stopped_for_some_seconds_under_load(place: Ground, ledger: Ledger) -> None:
    place.mailframe.start()
    crowd = Crowd(place, ledger, 3, pause=0.02)
    crowd.start()
    time.sleep(1)
    before = ledger.answers.total()
    with faults.stopped(place):
        time.sleep(3)
    wait_until(lambda: ledger.answers.total() > before + 20, "it goes on", 20)
    crowd.stop()
    assert place.mailframe.tracebacks == []
    all_is_well(place)


@pytest.mark.parametrize(("calls", "when"), [("fsync,fdatasync", "3"), ("pwrite64", "7")])
def test_an_error_of_the_disk_once_a_thread(
    place: Ground, ledger: Ledger, calls: str, when: str
) -> None:
    place.mailframe.start()
    faults.send(place, ledger, EVE, 3)
    with faults.failing_calls(place, calls, when) as trace:
        heard = faults.send(place, ledger, EVE, 12) + faults.send(place, ledger, BOB, 8)
    assert "EIO" in trace.read_text()
    assert set(heard) <= {250, 451}
    assert heard.count(250) > 5
    assert faults.send(place, ledger, BOB, 3) == [250] * 3
    place.mailframe.restart()
    all_is_well(place)


@pytest.mark.parametrize("by", ["+1d", "-1d"])
def test_the_clock_is_set(place: Ground, ledger: Ledger, by: str) -> None:
    """What waits for its retry is tried again when it was to be; stamps follow the new time."""
    server = place.mailframe
    faults.settable_clock(place)
    server.start()
    assert faults.send(place, ledger, EVE, 2) == [250, 250]
    assert faults.send(place, ledger, "shy@peer.test", account=ANN) == [250]
    told = server.log.count("the clock was set")
    faults.set_clock(place, by)
    wait_until(lambda: server.log.count("the clock was set") > told, "it notices", 20)
    place.drained(15)
    new = server.maildir(EVE) / "new"
    before = set(new.iterdir())
    assert faults.send(place, ledger, EVE) == [250]
    place.drained(15)
    (newest,) = set(new.iterdir()) - before
    shift = int(newest.name.split(".")[0]) - time.time()
    assert abs(shift - (86_400 if by == "+1d" else -86_400)) < 60
    server.stop()
    server.environment = {}
    server.start()
    all_is_well(place)


SUMMER = datetime.datetime(2026, 3, 8, 7, tzinfo=datetime.UTC).timestamp()
WINTER = datetime.datetime(2026, 11, 1, 6, tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize("change", [SUMMER, WINTER], ids=["summer", "winter"])
def test_the_zone_of_the_server_changes_its_offset(
    place: Ground, ledger: Ledger, change: float
) -> None:
    """Seconds before and after the change in New York: nothing is tried an hour early or
    late, and what is stamped is in order."""
    server = place.mailframe
    faults.settable_clock(place)
    server.environment["TZ"] = "America/New_York"
    faults.set_clock(place, f"{change - 60 - time.time():+.0f}")
    server.start()
    at_change = time.time() + 10
    faults.set_clock(place, f"{change - at_change:+.0f}")
    before = set(_inbox(place, EVE))
    assert faults.send(place, ledger, "shy@peer.test", account=ANN) == [250]
    assert faults.send(place, ledger, EVE) == [250]
    time.sleep(max(0.0, at_change - time.time()) + 2)
    assert faults.send(place, ledger, EVE) == [250]
    place.drained(15)
    arrived = sorted(set(_inbox(place, EVE)) - before)
    stamps = [int(path.name.split(".")[0]) for path in arrived]
    assert stamps[0] < change < stamps[1] < stamps[0] + 60
    dates = [
        parsedate_to_datetime(message_from_bytes(path.read_bytes())["Received"].split(";")[-1])
        for path in arrived
    ]
    assert 1 < (dates[1] - dates[0]).total_seconds() < 60
    server.stop()
    server.environment = {}
    server.start()
    all_is_well(place)


FULL = 25


def test_a_quota_that_many_fill_at_once(place: Ground, ledger: Ledger) -> None:
    """Mail from outside, IMAP's APPEND and a crash in between: the mailbox is never over its
    quota, what was taken is there or waits, and what is shown is the sum of the files."""
    server = place.mailframe
    server.cli("user", "add", GUS, "--stdin", text=PASSWORD + "\n")
    server.cli("user", "quota", GUS, "0", "--messages", str(FULL))
    server.start()
    heard: list[list[int]] = []
    appended: list[str] = []

    def append() -> None:
        with logged_in(server, GUS) as client:
            for number in range(10):
                appended.append(client.append("INBOX", "", "", message(number))[0])  # type: ignore[arg-type]

    def fill() -> None:
        heard.append(faults.send(place, ledger, GUS, 10))

    _at_once(fill, fill, append)
    server.kill()
    server.start()
    _at_once(fill, fill, append)
    wait_until(lambda: len(_inbox(place, GUS)) == FULL, "it is full")
    codes = Counter(itertools.chain.from_iterable(heard))
    assert set(codes) <= {250, 452}
    assert appended.count("OK") + appended.count("NO") == 20
    waiting = len(server.queue())
    assert codes[250] + appended.count("OK") == FULL + waiting
    with logged_in(server, GUS) as client:
        assert f"MESSAGE {FULL} {FULL}".encode() in client.getquotaroot("INBOX")[1][1][0]
    server.cli("user", "quota", GUS, "0", "--messages", "0")
    place.drained(30)
    assert len(_inbox(place, GUS)) == FULL + waiting


def _inbox(place: Ground, account: str) -> list[Path]:
    maildir = place.mailframe.maildir(account)
    return [path for path in maildir.glob("[nc]*/*") if path.is_file()]


def _at_once(*works: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(work) for work in works]:
            done.result(120)


def test_no_descriptors_left(place: Ground, ledger: Ledger) -> None:
    place.mailframe.before = ["prlimit", "--nofile=96:96"]
    place.mailframe.start()
    begun = faults.cpu_seconds(place)
    with faults.many_connections(place, 120) as held:
        time.sleep(2)
        assert faults.cpu_seconds(place) - begun < 1.5, "it does not spin"
        heard = faults.greetings(held)
        assert heard.count(b"220") > 10
    wait_until(lambda: faults.send(place, ledger) == [250], "it accepts again", 20)
    place.mailframe.before = []
    place.mailframe.restart()
    all_is_well(place)


def test_nothing_can_be_written(place: Ground, ledger: Ledger) -> None:
    """As on a file system that the kernel has made read-only; then it can be written again."""
    place.mailframe.start()
    with logged_in(place.mailframe, DAN) as client:
        ask(client, "append", "INBOX", "", "", message(9))
    calls = "pwrite64,fsync,fdatasync,rename,link,unlink,mkdir"
    with faults.failing_calls(place, calls, "1+", "EROFS"):
        assert faults.send(place, ledger) == [451]
        with logged_in(place.mailframe, DAN) as client:
            ask(client, "select", "INBOX", "readonly")
            assert ask(client, "fetch", "1", "(BODY.PEEK[])")
            assert client.append("INBOX", "", "", message(9))[0] == "NO"  # type: ignore[arg-type]
    assert faults.send(place, ledger) == [250]
    with logged_in(place.mailframe, DAN) as client:
        ask(client, "append", "INBOX", "", "", message(9))
    all_is_well(place)


def test_a_full_disk(place: Ground, ledger: Ledger) -> None:
    place.mailframe.start()
    faults.send(place, ledger, EVE, 5)
    with logged_in(place.mailframe, DAN) as client:
        for number in range(5):
            ask(client, "append", "INBOX", "", "", message(number, body="x" * 20_000))
    place.drained(20)
    place.mailframe.stop()
    faults.on_small_disk(place, "128m")
    place.mailframe.start()
    try:
        ballast = faults.fill(place, leave=20 * MEGABYTE)
        assert faults.send(place, ledger) == [452]
        faults.fill(place)
        _what_a_full_disk_allows(place)
        ballast.unlink()
        wait_until(lambda: faults.send(place, ledger) == [250], "it accepts again")
        with logged_in(place.mailframe, DAN) as client:
            ask(client, "append", "INBOX", "", "", message(9))
        place.drained(20, faults.its_base(place))
        # what it kept on that disk goes on
        faults.keep(place)
    finally:
        place.mailframe.stop()
    place.mailframe.before = []
    place.mailframe.start()
    all_is_well(place)


def _what_a_full_disk_allows(place: Ground) -> None:
    """Reading and removing; nothing new."""
    # the first who finds no room has the reserve given up, which is less than the message below
    with contextlib.suppress(imaplib.IMAP4.error), logged_in(place.mailframe, DAN):
        pass
    with logged_in(place.mailframe, DAN) as client:
        status, answer = client.append("INBOX", "", "", message(7, body="y" * 5 * MEGABYTE))  # type: ignore[arg-type]
        assert status == "NO"
        assert re.match(rb"\[(OVERQUOTA|UNAVAILABLE)\]", answer[0])
        before = int(ask(client, "select", "INBOX")[0])
        assert ask(client, "fetch", "1", "(RFC822.SIZE)")
        flagged = [client.store("1", "+FLAGS.SILENT", "(\\Deleted)")[0] for _ in range(2)]
        assert flagged[-1] == "OK"
        ask(client, "expunge")
        assert int(ask(client, "select", "INBOX")[0]) == before - 1
    server = place.mailframe
    context = any_certificate()
    client = poplib.POP3_SSL(server.address, server.ports["pop3s"], timeout=30, context=context)
    client.user(DAN)
    client.pass_(PASSWORD)
    number = client.stat()[0]
    client.dele(1)
    client.quit()
    assert number == before - 1
    with logged_in(place.mailframe, DAN) as again:
        assert int(ask(again, "select", "INBOX")[0]) == number - 1
