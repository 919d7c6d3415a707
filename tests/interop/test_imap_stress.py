"""Twenty clients do whatever comes to mind in the same folders, and each keeps books.

Every client holds the view that the server's responses imply and checks each response against
it: numbers stay within the view, EXISTS never shrinks it, a number keeps its uid, uids ascend
and never come back, EXPUNGE never comes where RFC 9051 section 7.5.1 forbids it. At the end all
views are the same, and every message whose APPEND was answered with OK is there, or was
expunged by somebody. ``MAILFRAME_SEED`` repeats a run's choices, though not its timing.

And what one client does to the others of its account with a search that takes long, whether it
waits for the answer or not.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

import pytest

from tests.interop.peers.imap import ANN, message
from tests.interop.peers.mailframe import Mailframe
from tests.interop.peers.process import loopback_address, workdir
from tests.interop.peers.raw_imap import RawImap, each_in_a_thread

pytestmark = pytest.mark.slow

CLIENTS = 20
SECONDS = float(os.environ.get("MAILFRAME_STRESS_SECONDS", "10"))
FOLDERS = (b"Shared", b"Other")
FLAGS = (b"\\Seen", b"\\Flagged", b"\\Answered", b"$one", b"$two")
_FETCH = re.compile(rb"\* (\d+) FETCH \((.*)\)\Z", re.DOTALL)
_UID = re.compile(rb"(?:\A|[ (])UID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_MARK = re.compile(rb"<(\d+)@example\.org>")


class Ledger:
    """What all clients did together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.appended: Counter[int] = Counter()
        """Marks of messages that the server has acknowledged."""
        self.next_mark = 1000
        self.maybe_gone: set[int] = set()
        """Marks of messages that somebody tried to remove."""

    def new_mark(self) -> int:
        with self.lock:
            self.next_mark += 1
            return self.next_mark


class Client:
    """One connection, its view, and what it has seen of every uid."""

    def __init__(self, server: Mailframe, ledger: Ledger, random: Random) -> None:
        self.raw = RawImap(server, ANN, timeout=60)
        self.ledger = ledger
        self.random = random
        self.folder = b""
        self.uids: list[int] = []
        """By number; 0 where the uid was not told yet."""
        self.flags: dict[int, frozenset[bytes]] = {}
        self.gone: set[int] = set()
        self.validity: dict[bytes, int] = {}
        self.done: Counter[str] = Counter()
        self.select(FOLDERS[0])

    # -- the books

    def hear(self, line: bytes, *, expunges: bool) -> None:
        words = line.split(b" ", 3)
        kind = words[2] if len(words) > 2 and words[1].isdigit() else b""
        if kind == b"EXISTS":
            count = int(words[1])
            assert count >= len(self.uids), (line, len(self.uids))
            self.uids += [0] * (count - len(self.uids))
        elif kind == b"EXPUNGE":
            number = int(words[1])
            assert expunges, "EXPUNGE where numbers must not move"
            assert 1 <= number <= len(self.uids), (line, len(self.uids))
            self._forget(number)
        elif kind == b"FETCH":
            self._hear_fetch(line)

    def _forget(self, number: int) -> None:
        uid = self.uids.pop(number - 1)
        if uid:
            self.gone.add(uid)
            self.flags.pop(uid, None)

    def _hear_fetch(self, line: bytes) -> None:
        found = _FETCH.match(line)
        assert found is not None, line
        number = int(found[1])
        assert 1 <= number <= len(self.uids), (line, len(self.uids))
        uid = _UID.search(found[2].partition(b" BODY[")[0])
        if uid is not None:
            self._note_uid(number, int(uid[1]))
        flags = _FLAGS.search(found[2])
        if flags is not None and self.uids[number - 1]:
            told = frozenset(flags[1].split()) - {b"\\Recent"}
            self.flags[self.uids[number - 1]] = told

    def _note_uid(self, number: int, uid: int) -> None:
        known = self.uids[number - 1]
        assert known in (0, uid), f"number {number} was uid {known} and is {uid}"
        assert uid not in self.gone, f"uid {uid} has come back"
        self.uids[number - 1] = uid
        before = next((u for u in reversed(self.uids[: number - 1]) if u), 0)
        after = next((u for u in self.uids[number:] if u), 1 << 32)
        assert before < uid < after, f"uid {uid} between {before} and {after}"

    def do(self, command: bytes, *, expunges: bool = True) -> tuple[list[bytes], bytes]:
        untagged, done = self.raw.ask(command)
        for line in untagged:
            self.hear(line, expunges=expunges)
        assert done[:2] in (b"OK", b"NO"), (command, done)
        assert b"SERVERBUG" not in done, (command, done)
        self.done[command.split(b" ")[0].decode()] += 1
        return untagged, done

    # -- what comes to mind

    def select(self, folder: bytes) -> None:
        self.uids, self.flags, self.gone = [], {}, set()
        untagged, done = self.do(b"SELECT " + folder)
        assert done.startswith(b"OK"), done
        (validity,) = [int(m[1]) for m in map(_validity, untagged) if m]
        assert self.validity.setdefault(folder, validity) == validity
        self.folder = folder
        self.look()

    def look(self) -> None:
        if self.uids:
            self.do(b"FETCH 1:* (UID FLAGS)", expunges=False)

    def reselect(self) -> None:
        self.select(self.random.choice(FOLDERS))

    def noop(self) -> None:
        self.do(b"NOOP")

    def append(self) -> None:
        mark = self.ledger.new_mark()
        content = message(mark)
        folder = self.random.choice(FOLDERS)
        command = b"APPEND %b (%b) {%d+}\r\n%b"
        flag = self.random.choice(FLAGS)
        _, done = self.do(command % (folder, flag, len(content), content))
        if done.startswith(b"OK"):
            assert b"APPENDUID" in done, done
            with self.ledger.lock:
                self.ledger.appended[mark] += 1

    def store(self) -> None:
        chosen = self._some()
        if not chosen:
            return
        how = self.random.choice((b"+FLAGS", b"-FLAGS", b"+FLAGS.SILENT", b"FLAGS"))
        flag = self.random.choice(FLAGS)
        if how.endswith(b".SILENT"):
            for number in chosen:  # they are not told, and changes of others may come between
                self.flags.pop(self.uids[number - 1], None)
        if self.random.random() < 0.5:
            self.do(b"UID STORE %b %b (%b)" % (self._as_uids(chosen), how, flag))
        else:
            self.do(b"STORE %b %b (%b)" % (_set(chosen), how, flag), expunges=False)

    def fetch(self) -> None:
        chosen = self._some()
        if chosen:
            items = self.random.choice((b"FLAGS", b"(UID BODY[])", b"(ENVELOPE UID)", b"FAST"))
            self.do(b"FETCH %b %b" % (_set(chosen), items), expunges=False)

    def search(self) -> None:
        key = self.random.choice((b"ALL", b"UNSEEN", b"SUBJECT message", b"KEYWORD $one"))
        untagged, _ = self.do(b"SEARCH " + key, expunges=False)
        for line in untagged:
            if line.startswith(b"* SEARCH"):
                assert all(1 <= int(n) <= len(self.uids) for n in line.split()[2:]), line

    def delete(self) -> None:
        chosen = self._some(most=2)
        known = [self.uids[n - 1] for n in chosen if self.uids[n - 1]]
        if len(known) != len(chosen) or not chosen:
            self.look()
            return
        uids = self._as_uids(chosen)
        untagged, _ = self.do(b"UID FETCH %b BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]" % uids)
        marks = {int(m[1]) for line in untagged for m in _MARK.finditer(line)}
        with self.ledger.lock:
            self.ledger.maybe_gone |= marks
        self.do(b"UID STORE %b +FLAGS.SILENT (\\Deleted)" % uids)
        for uid in known:
            self.flags.pop(uid, None)
        self.do(b"UID EXPUNGE " + uids)

    def move(self) -> None:
        chosen = self._some(most=3)
        if not chosen:
            return
        other = FOLDERS[self.folder == FOLDERS[0]]
        self.do(b"MOVE %b %b" % (_set(chosen), other))

    def copy(self) -> None:
        chosen = self._some(most=2)
        if chosen:
            self.do(b"COPY %b %b" % (_set(chosen), self.random.choice(FOLDERS)))

    def idle(self) -> None:
        self.raw.say(b"i IDLE\r\n")
        while not (line := self.raw.line()).startswith(b"+"):
            self.hear(line, expunges=True)
        time.sleep(self.random.random() / 20)
        self.raw.say(b"DONE\r\n")
        untagged, done = self.raw.answer(b"i")
        assert done.startswith(b"OK"), done
        for line in untagged:
            self.hear(line, expunges=True)
        self.done["IDLE"] += 1

    def _some(self, most: int = 5) -> list[int]:
        """Numbers of the view, ascending."""
        count = len(self.uids)
        if not count:
            return []
        return sorted(self.random.sample(range(1, count + 1), min(count, most)))

    def _as_uids(self, chosen: list[int]) -> bytes:
        return _set([self.uids[number - 1] or 1 for number in chosen])

    def live(self, until: float) -> None:
        acts: list[Callable[[], None]] = [
            *[self.append] * 5,
            *[self.store] * 5,
            *[self.fetch] * 4,
            *[self.noop] * 3,
            *[self.search] * 2,
            *[self.delete] * 3,
            *[self.move] * 2,
            self.copy,
            self.idle,
            self.look,
            self.reselect,
        ]
        while time.monotonic() < until:
            self.random.choice(acts)()

    def final_view(self) -> tuple[list[int], dict[int, frozenset[bytes]]]:
        """Of the first folder, as this client came to know it."""
        if self.folder != FOLDERS[0]:
            self.select(FOLDERS[0])
        self.do(b"NOOP")
        known = dict(self.flags)
        self.look()
        assert 0 not in self.uids
        for uid, flags in known.items():
            if uid in self.flags:
                assert self.flags[uid] == flags, f"flags of {uid} changed and nobody said so"
        return self.uids, self.flags


def _validity(line: bytes) -> re.Match[bytes] | None:
    return re.search(rb"\[UIDVALIDITY (\d+)\]", line)


def _set(numbers: list[int]) -> bytes:
    return b",".join(b"%d" % number for number in sorted(set(numbers)))


@pytest.fixture
def server() -> Iterator[Mailframe]:
    with workdir("stress") as path:
        server = Mailframe(path, loopback_address())
        server.configure(auth={"allow_plaintext": True}, limits={"imap_connections_per_user": 0})
        server.add_users(ANN)
        server.start()
        yield server
        server.stop()


def test_twenty_clients_agree_in_the_end(server: Mailframe) -> None:
    seed = int(os.environ.get("MAILFRAME_SEED", time.time_ns() % 1_000_000))
    print(f"MAILFRAME_SEED={seed}")
    with RawImap(server, ANN) as raw:
        for folder in FOLDERS:
            raw.ok(b"CREATE " + folder)
    ledger = Ledger()
    clients = [Client(server, ledger, Random(f"{seed} {n}")) for n in range(CLIENTS)]
    until = time.monotonic() + SECONDS
    raised = each_in_a_thread(CLIENTS, lambda number: clients[number].live(until))
    done = sum((client.done for client in clients), Counter())
    print(f"{done.total()} commands: {dict(done)}")
    assert raised == [], f"seed {seed}"
    views = [client.final_view() for client in clients]
    for view in views[1:]:
        assert view == views[0]
    assert lost(server, ledger) == set()
    for client in clients:
        client.raw.close()
    assert server.tracebacks == []
    server.restart()
    with RawImap(server, ANN) as raw:
        raw.ok(b"SELECT " + FOLDERS[0])
        fresh = [int(m[1]) for line in raw.ok(b"FETCH 1:* UID") if (m := _UID.search(line))]
        assert fresh == views[0][0]


MANY = 3_000  # messages
DEAR = b"SEARCH " + b"".join(b"OR BODY z%d " % n for n in range(4_000)) + b"BODY zz"
PATIENCE = 3.0  # seconds, for a machine that does other things too
RESET = struct.pack("ii", 1, 0)


def closed(client: RawImap) -> None:
    """As a program does that ends: TCP says that no more will come."""
    client.close()


def reset(client: RawImap) -> None:
    client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def test_a_search_whose_client_is_gone_keeps_nobody_waiting(server: Mailframe) -> None:
    fill(server, MANY)
    with selected(server) as other:
        other.ok(b"SEARCH BODY zz")  # all are read
        plain = max(seconds(other.ok, b"SEARCH ALL") for _ in range(5))
        for leave in (reset, closed):
            client = selected(server)
            client.say(b"d " + DEAR + b"\r\n")
            time.sleep(0.5)
            leave(client)
            after = [seconds(other.ok, each) for each in (b"SEARCH ALL", b"FETCH 1 BODY[]")]
            with selected(server) as fresh:
                after.append(seconds(fresh.ok, b"SEARCH BODY zz"))
            print(f"plain {plain:.3f} s; {leave.__name__}:", *(f"{each:.3f} s" for each in after))
            assert max(after) < 20 * plain + PATIENCE
            assert is_at_rest_within(10, server), "it goes on for nobody"
    assert server.tracebacks == []


def test_a_search_that_takes_long_lets_others_go_first(server: Mailframe) -> None:
    fill(server, MANY)
    with selected(server) as client, selected(server) as other:
        other.ok(b"SEARCH BODY zz")  # all are read
        plain = max(seconds(other.ok, b"SEARCH ALL") for _ in range(5))
        client.say(b"d " + DEAR + b"\r\n")
        time.sleep(0.5)
        for command in (b"SEARCH ALL", b"FETCH 1 (ENVELOPE BODY[])", b"SORT (SIZE) UTF-8 ALL"):
            took = seconds(other.ok, command)
            print(f"plain {plain:.3f} s; beside it {command.decode()} {took:.3f} s")
            assert took < 20 * plain + PATIENCE
        assert b"d OK" not in client.drained(0.1), "it is over, and nothing was shown"
    assert server.tracebacks == []


def fill(server: Mailframe, count: int) -> None:
    directory = server.maildir(ANN) / ".Many"
    for name in ("cur", "new", "tmp"):
        (directory / name).mkdir(parents=True)
    text = b"Some words, and no end of them.\r\n" * 60
    for number in range(count):
        (directory / f"cur/{1_700_000_000 + number}.M{number}.test:2,").write_bytes(
            message(number) + text
        )


def selected(server: Mailframe) -> RawImap:
    client = RawImap(server, ANN, timeout=120)
    client.ok(b"SELECT Many")
    return client


def seconds(act: Callable[[bytes], object], command: bytes) -> float:
    began = time.monotonic()
    act(command)
    return time.monotonic() - began


def is_at_rest_within(limit: float, server: Mailframe) -> bool:
    """Whether it takes hardly any processor time, soon."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        before = server.processor_time()
        time.sleep(0.5)
        if server.processor_time() - before < 0.1:
            return True
    return False


def lost(server: Mailframe, ledger: Ledger) -> set[int]:
    """Marks of messages that were acknowledged, removed by nobody, and are not there."""
    there: set[int] = set()
    with RawImap(server, ANN) as client:
        for folder in FOLDERS:
            untagged = client.ok(b"SELECT " + folder)
            if b"* 0 EXISTS" not in untagged:
                for line in client.ok(b"FETCH 1:* BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"):
                    there |= {int(m[1]) for m in _MARK.finditer(line)}
    assert ledger.appended
    return set(ledger.appended) - ledger.maybe_gone - there
