"""kill -9 under load: whatever a client was told holds, and nothing is there twice.

Three clients work, each on its own folders and with a ledger of what it was told; after every
kill the server starts again, and what a new client sees is compared with the ledgers.
"""

from __future__ import annotations

import contextlib
import imaplib
import itertools
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.interop.peers.imap import ANN, logged_in, message
from tests.interop.peers.imap_look import Memory, ask
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import loopback_address, wait_until, workdir

FOLDERS = ("Appended", "Flagged", "Here", "There", "Copied")
_UIDS = re.compile(rb"(\d+) (\S+)(?: (\S+))?")


@dataclass(slots=True)
class Ledger:
    """What was acknowledged."""

    appended: dict[str, dict[int, str]] = field(
        default_factory=lambda: {name: {} for name in FOLDERS}
    )
    """Message-IDs by folder and uid."""
    flags: dict[int, set[str]] = field(default_factory=dict)
    expunged: set[int] = field(default_factory=set)
    copies: set[int] = field(default_factory=set)
    moving: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)
    """Message-IDs that there may be, though nobody was told."""
    times: Counter[str] = field(default_factory=Counter)


ledger = Ledger()
memory = Memory()
numbers = itertools.count(1)


def told_uids(client: imaplib.IMAP4, code: str) -> list[int]:
    """The last set of the response code just given."""
    _, said = client.response(code)
    assert said[-1] is not None
    matched = _UIDS.fullmatch(said[-1])
    assert matched
    found: list[int] = []
    for piece in (matched[3] or matched[2]).split(b","):
        first, _, last = piece.partition(b":")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def append(client: imaplib.IMAP4, name: str) -> int:
    number = next(numbers)
    message_id = f"<{number}@example.org>"
    ledger.tried.add(message_id)
    ask(client, "append", name, None, None, message(number))
    (uid,) = told_uids(client, "APPENDUID")
    ledger.appended[name][uid] = message_id
    ledger.times["append"] += 1
    return uid


def appends(client: imaplib.IMAP4, chance: random.Random) -> None:
    append(client, "Appended")


def flags_and_expunges(client: imaplib.IMAP4, chance: random.Random) -> None:
    uids = [append(client, "Flagged") for _ in range(2)]
    ask(client, "select", "Flagged")
    for uid in uids:
        flag = chance.choice(["\\Flagged", "\\Answered", "one", "two"])
        ask(client, "uid", "STORE", str(uid), "+FLAGS", f"({flag})")
        ledger.flags.setdefault(uid, set()).add(flag)
        ledger.times["store"] += 1
    there = sorted(set(ledger.flags) - ledger.expunged)
    if len(there) > 6:
        gone = chance.sample(there, 3)
        words = ",".join(map(str, sorted(gone)))
        ask(client, "uid", "STORE", words, "+FLAGS.SILENT", "\\Deleted")
        for uid in gone:  # from here on it may be gone
            ledger.flags.pop(uid)
            ledger.appended["Flagged"].pop(uid)
        ask(client, "uid", "EXPUNGE", words)
        ledger.expunged.update(gone)
        ledger.times["expunge"] += 1


def moves_and_copies(client: imaplib.IMAP4, chance: random.Random) -> None:
    for source, target in (("Here", "There"), ("There", "Here")):
        ask(client, "select", source)
        found = ask(client, "uid", "SEARCH", "ALL")[0].split()
        if not found:
            continue
        some = b",".join(chance.sample(found, min(5, len(found)))).decode()
        ask(client, "uid", "COPY", some, "Copied")
        ledger.copies.update(told_uids(client, "COPYUID"))
        ask(client, "uid", "MOVE", some, target)
        ledger.times["move"] += 1
        ledger.times["copy"] += 1


def check(client: imaplib.IMAP4) -> None:
    found = memory.look(client)
    there = found["Appended"]
    assert there.items() >= ledger.appended["Appended"].items()
    assert set(there.values()) <= ledger.tried
    assert len(set(there.values())) == len(there), "a message is there twice"

    there = found["Flagged"]
    assert there.items() >= ledger.appended["Flagged"].items()
    assert not ledger.expunged & set(there)
    ask(client, "select", "Flagged", "readonly")
    said = ask(client, "uid", "FETCH", "1:*", "(FLAGS)")
    flags = {
        int(matched[1]): set(matched[2].decode().split())
        for line in said
        if line and (matched := re.search(rb"UID (\d+).*FLAGS \(([^)]*)\)", line))
    }
    for uid, wanted in ledger.flags.items():
        assert wanted <= flags[uid], (uid, wanted, flags[uid])

    assert set(found["Copied"]) >= ledger.copies
    assert not set(found["Here"].values()) & set(found["There"].values()), "in both folders"
    assert Counter([*found["Here"].values(), *found["There"].values()]) == Counter(ledger.moving)


Work = Callable[[imaplib.IMAP4, random.Random], None]
WORK = ("append", "store", "move", "copy")


def keep_working(server: Mailframe, work: Work, seed: int, until: threading.Event) -> None:
    chance = random.Random(seed)
    with contextlib.suppress(imaplib.IMAP4.abort, OSError), logged_in(server) as client:
        while not until.is_set():
            work(client, chance)


@pytest.fixture(scope="module")
def server() -> Iterator[Mailframe]:
    with workdir("crashes") as path:
        server = Mailframe(path, loopback_address())
        server.configure(limits={"imap_connections_per_user": 0})
        server.add_users(ANN)
        yield server
        server.stop()


def prepare(server: Mailframe) -> None:
    with logged_in(server) as client:
        for name in FOLDERS:
            ask(client, "create", name)
        for _ in range(20):
            append(client, "Here")
    ledger.moving.update(ledger.appended["Here"].values())


def crash(server: Mailframe, seed: int) -> None:
    """In the midst of it, at a moment of the seed's."""
    until = threading.Event()
    failures: list[BaseException] = []

    def run(work: Work, seed: int) -> None:
        try:
            keep_working(server, work, seed, until)
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=run, args=(work, seed * 10 + number))
        for number, work in enumerate((appends, flags_and_expunges, moves_and_copies))
    ]
    begun = ledger.times.copy()

    def all_work() -> bool:
        return all(ledger.times[what] - begun[what] >= 2 for what in WORK)

    for thread in threads:
        thread.start()
    wait_until(lambda: all_work() or failures, "they work", 60)
    time.sleep(random.Random(seed).random() * 0.05)
    server.kill()
    until.set()
    for thread in threads:
        thread.join(30)
    assert failures == []


@pytest.mark.parametrize("kills", [3, pytest.param(17, marks=pytest.mark.slow)])
def test_kill_9_under_load(server: Mailframe, kills: int) -> None:
    server.start()
    if not ledger.moving:
        prepare(server)
    for number in range(kills):
        crash(server, kills * 100 + number)
        server.start()
        with logged_in(server) as client:
            check(client)
    server.stop()
    assert server.tracebacks == []
    print(dict(ledger.times))
    assert min(ledger.times[what] for what in WORK) > kills
