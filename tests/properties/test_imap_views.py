"""Several sessions on one folder: no sequence of operations makes a client's view inconsistent.

Every client is a model that believes what it is told and nothing else: EXISTS, EXPUNGE, VANISHED
and FETCH. Whatever happens, its numbers mean the messages that the server means by them, and
after a NOOP it knows exactly what is in the folder, with its flags.
"""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.servers.imap_house import Client, House, message

FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "work")
_FETCH = re.compile(r"\* (\d+) (?:UID)?FETCH \((.*)\)")
_UID = re.compile(r"\bUID (\d+)")
_FLAGS = re.compile(r"FLAGS \(([^)]*)\)")


class Believer:
    """A client that keeps count."""

    def __init__(self, house: House, extension: str) -> None:
        self.client: Client = house.client()
        self.by_uid = extension == "UIDONLY"
        if extension:
            self.client.ok(f"ENABLE {extension}")
        self.uids: list[int | None] = []  # None: not told yet which one it is
        self.flags: dict[int, set[str]] = {}
        self.idling = False
        self.say("SELECT INBOX")
        self.look()

    def look(self) -> None:
        if self.by_uid:
            found = self.client.ok("UID FETCH 1:* (FLAGS)").lines
            self.uids = [int(line.split()[1]) for line in found if "UIDFETCH" in line]
            self.believe(found)
        elif self.uids:
            self.say("UID FETCH 1:* (FLAGS)")

    def say(self, command: str) -> str:
        if self.idling:
            self.done()
        answer = self.client.do(command)
        self.believe(answer.lines)
        return answer.status

    def idle(self) -> None:
        if not self.idling:
            self.idling = True
            self.believe(self.client.do("IDLE").octets.decode().split("\r\n")[1:-1])

    def done(self) -> None:
        self.idling = False
        self.believe(self.client.send(b"DONE\r\n").decode().split("\r\n")[:-2])

    def hear(self) -> None:
        self.believe(self.client.pushed())

    def believe(self, lines: list[str]) -> None:
        for line in lines:
            words = line.split()
            if "FETCH (" in line:
                self._fetched(line)
            elif words[1] == "VANISHED":
                for uid in sorted(_expanded(words[-1])):
                    self._vanished(uid)
            elif words[2:] == ["EXPUNGE"]:
                assert not self.by_uid
                del self.uids[int(words[1]) - 1]
            elif words[2:] == ["EXISTS"]:
                assert int(words[1]) >= len(self.uids), "EXISTS takes nothing away"
                self.uids += [None] * (int(words[1]) - len(self.uids))

    def _vanished(self, uid: int) -> None:
        """One that it knows, or one of those that it knows only by number: uids ascend."""
        if uid in self.uids:
            self.uids.remove(uid)
            return
        before = sum(1 for each in self.uids if each is not None and each < uid)
        place = next(n for n, each in enumerate(self.uids) if each is None and n >= before)
        assert all(each is None or each > uid for each in self.uids[place:])
        del self.uids[place]

    def _fetched(self, line: str) -> None:
        found = _FETCH.fullmatch(line)
        assert found is not None, line
        number = int(found[1])
        told = _UID.search(found[2])
        uid = number if self.by_uid else int(told[1]) if told else None
        if self.by_uid:
            if uid not in self.uids:
                assert None in self.uids
                self.uids[self.uids.index(None)] = uid
        else:
            assert 1 <= number <= len(self.uids), line
            before = self.uids[number - 1]
            assert before is None or uid is None or before == uid, line
            uid = self.uids[number - 1] = uid if uid is not None else before
        flags = _FLAGS.search(found[2])
        if flags and uid is not None:
            self.flags[uid] = set(flags[1].split()) - {"\\Recent"}

    def check(self, house: House) -> None:
        self.say("NOOP")
        self.look()
        there = house.inbox.messages
        assert self.uids == sorted(there)
        assert {uid: self.flags[uid] for uid in there} == {
            uid: set(state.flags) for uid, state in there.items()
        }


def _expanded(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition(":")
        found.update(range(int(first), int(last or first) + 1))
    return found


_who = st.integers(0, 2)
_number = st.integers(1, 6)
_step = st.one_of(
    st.tuples(st.just("deliver"), _who, _number),
    st.tuples(st.just("take"), _who, _number),
    st.tuples(st.just("mark"), _who, _number),
    st.tuples(st.just("store"), _who, _number),
    st.tuples(st.just("silent"), _who, _number),
    st.tuples(st.just("expunge"), _who, _number),
    st.tuples(st.just("move"), _who, _number),
    st.tuples(st.just("fetch"), _who, _number),
    st.tuples(st.just("search"), _who, _number),
    st.tuples(st.just("noop"), _who, _number),
    st.tuples(st.just("idle"), _who, _number),
    st.tuples(st.just("turn"), _who, _number),
)
_extension = st.sampled_from(("", "QRESYNC", "UIDONLY", "IMAP4REV2", "CONDSTORE"))


@settings(max_examples=150, deadline=None)
@given(st.lists(_extension, min_size=3, max_size=3), st.lists(_step, max_size=30))
def test_every_view_stays_right(extensions: list[str], steps: list[tuple[str, int, int]]) -> None:
    house = House(*[message()] * 4)
    house.folders.add("Other")
    clients = [Believer(house, extension) for extension in extensions]
    for what, who, number in steps:
        _do(house, clients, clients[who], what, number)
        if what == "turn":
            for client in clients:
                client.hear()
    for client in clients:
        client.hear()
        client.check(house)


def _do(house: House, clients: list[Believer], client: Believer, what: str, number: int) -> None:
    flag = FLAGS[number % len(FLAGS)]
    inbox = house.inbox
    if client.idling and what not in ("deliver", "take", "mark", "turn", "idle"):
        client.done()
    known = next((u for u in client.uids[number - 1 :] if u is not None), 1)
    by_number = f"{number}" if not client.by_uid and number <= len(client.uids) else ""
    prefix, target = ("", by_number) if by_number else ("UID ", str(known))
    if what == "deliver":
        inbox.put(message(), flag)
    elif what == "take":
        inbox.take(known)
    elif what == "mark" and known in inbox.messages:
        inbox.mark(known, flag)
    elif what == "store":
        client.say(f"{prefix}STORE {target} +FLAGS ({flag})")
    elif what == "silent":
        uid = client.uids[number - 1] if by_number else known
        assert client.say(f"{prefix}STORE {target} FLAGS.SILENT ({flag})") in ("OK", "NO")
        if uid is not None and uid in inbox.messages:
            client.flags[uid] = {flag}
    elif what == "expunge":
        client.say("EXPUNGE")
    elif what == "move":
        client.say(f"{prefix}MOVE {target} Other")
    elif what == "fetch":
        client.say(f"{prefix}FETCH {target} (UID FLAGS RFC822.SIZE)")
    elif what == "search":
        client.say("UID SEARCH ALL")
    elif what == "noop":
        client.say("NOOP")
    elif what == "idle":
        client.idle()
