"""The POP3 and IMAP generators against servers whose answers come in every possible piece."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from mailframe.bench.imap import ImapLoad
from mailframe.bench.loop import Target
from mailframe.bench.pop3 import Pop3Load
from mailframe.bench.tally import Tally
from mailframe.bench.works import Extent, Mail, Manner, idle_work, imap_works, pop3_works, push_work
from tests.unit.bench.fakes import Client, performed, serving, smtp

TEXTS = [b"Subject: one\r\n\r\ntext\r\n", b"", b"..dots\r\n.\x20\r\n", b"x" * 300_000 + b"\r\n"]
Cut = Callable[[bytes], list[bytes]]


def whole(answer: bytes) -> list[bytes]:
    return [answer]


def cut_at(place: int) -> Cut:
    """In two, so many octets before the end."""
    return lambda answer: [piece for piece in (answer[:-place], answer[-place:]) if piece]


def pop3_server(cut: Cut = whole, refuse: bytes = b"") -> Callable[[Client], None]:
    lists = {
        b"STAT": b"+OK %d 1000\r\n" % len(TEXTS),
        b"UIDL": b"+OK\r\n1 a\r\n2 b\r\n.\r\n",
        b"LIST": b"+OK\r\n.\r\n",
    }

    def talk(client: Client) -> None:
        client.say(*cut(b"+OK fake\r\n"))
        while line := client.line():
            verb, _, number = line.partition(b" ")
            if verb == refuse:
                client.say(b"-ERR [SYS/TEMP] not now\r\n")
            elif verb == b"RETR":
                client.say(*cut(b"+OK follows\r\n" + TEXTS[int(number) - 1] + b".\r\n"))
            else:
                client.say(*cut(lists.get(verb, b"+OK\r\n")))
            if verb == b"QUIT":
                return

    return talk


def visit(target: Target, visits: int = 1, **options: object) -> Tally:
    load = Pop3Load(target, ("user",), "secret")
    (work,) = pop3_works(dataclasses.replace(load, **options), Extent(1, visits), 1)
    return performed(work)


@pytest.mark.parametrize("window", [1, 2, 50])
@pytest.mark.parametrize("cut", [whole, *map(cut_at, range(1, 8))])
def test_pop3_fetches_all_whatever_the_pieces(cut: Cut, window: int) -> None:
    with serving(pop3_server(cut)) as target:
        tally = visit(target, 2, window=window)
    assert tally.failures == {}
    assert tally.counts["sessions"] == 2
    assert tally.counts["messages"] == 2 * len(TEXTS)
    assert tally.counts["octets_received"] > 2 * 300_000
    assert {"login", "STAT", "UIDL", "LIST", "session"} <= set(tally.times)
    assert ("RETR" in tally.times) == (window == 1)


def test_pop3_fetches_some_and_lists_what_it_is_told() -> None:
    with serving(pop3_server()) as target:
        tally = visit(target, most=2, lists=("LIST",))
    assert tally.counts["messages"] == 2
    assert "UIDL" not in tally.times


@pytest.mark.parametrize("verb", [b"PASS", b"STAT", b"UIDL", b"RETR"])
@pytest.mark.parametrize("window", [1, 50])
def test_pop3_tells_what_is_refused(verb: bytes, window: int) -> None:
    with serving(pop3_server(refuse=verb)) as target:
        tally = visit(target, window=window)
    assert tally.counts["sessions"] == 0
    assert tally.counts["failed"] == 1
    assert tally.failures == {verb.decode(): 1}
    assert tally.texts[verb.decode()] == "-ERR [SYS/TEMP] not now"


def imap_server(cut: Cut = whole, refuse: bytes = b"") -> Callable[[Client], None]:
    def talk(client: Client) -> None:
        client.say(*cut(b"* OK fake\r\n"))
        while line := client.line():
            tag, _, command = line.partition(b" ")
            verb = command.split(b" ")[0]
            data = b""
            if verb == b"APPEND":
                octets = int(command.rpartition(b"{")[2].rstrip(b"+}"))
                if not command.endswith(b"+}"):
                    client.say(*cut(b"+ go ahead\r\n"))
                client.read(octets + 2)
            elif verb == b"FETCH":
                # A literal may hold anything, what looks like an answer to others too.
                text = b"mfb OK\r\nmfb1 x\r\n" + b"y" * 300_000 + b"\r\n"
                data = b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\n" % (len(text), text)
            elif verb == b"SEARCH":
                data = b"* SEARCH 1 2\r\n"
            status = b"NO [LIMIT] not now" if verb == refuse else b"OK done"
            client.say(*cut(data + tag + b" " + status + b"\r\n"))

    return talk


NAMES = ("select", "append", "bodies", "search", "store", "noop", "append")


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("cut", [whole, *map(cut_at, range(1, 14, 2))])
def test_imap_commands_whatever_the_pieces(cut: Cut, plus: bool) -> None:
    with serving(imap_server(cut)) as target:
        load = ImapLoad(target, ("user",), "secret", commands=NAMES, literal_plus=plus)
        (work,) = imap_works(load, Extent(1, 2), 1)
        tally = performed(work)
    assert tally.failures == {}
    assert (tally.counts["sessions"], tally.counts["commands"]) == (2, 14)
    assert tally.timing("append").count == 4
    assert set(NAMES) <= set(tally.times)


@pytest.mark.parametrize("verb", [b"LOGIN", b"SELECT", b"FETCH", b"APPEND"])
def test_imap_tells_what_is_refused(verb: bytes) -> None:
    with serving(imap_server(refuse=verb)) as target:
        load = ImapLoad(target, ("user",), "secret", commands=NAMES)
        (work,) = imap_works(load, Extent(1, 1), 1)
        tally = performed(work)
    assert tally.counts["failed"] == 1
    assert list(tally.texts.values()) == ["NO [LIMIT] not now"]


def test_names_and_passwords_are_quoted() -> None:
    seen: list[bytes] = []

    def talk(client: Client) -> None:
        client.say(b"* OK fake\r\n")
        seen.append(client.line())

    with serving(talk) as target:
        (work,) = imap_works(ImapLoad(target, ('a"b',), "c\\d e"), Extent(1, 1), 1)
        performed(work)
    assert seen == [b'mfb1 LOGIN "a\\"b" "c\\\\d e"']


# ---- connections that wait


def pushing_server(watchers: int) -> Callable[[Client], None]:
    """An append is told to all who are in IDLE, but not to the last where they are too many."""
    idle: list[tuple[Client, bytes]] = []

    def talk(client: Client) -> None:
        client.say(b"* OK fake\r\n")
        while line := client.line():
            tag, _, command = line.partition(b" ")
            if command == b"IDLE":
                idle.append((client, tag))
                client.say(b"+ idling\r\n")
                continue
            if command.startswith(b"APPEND"):
                client.say(b"+ go ahead\r\n")
                client.read(int(command.rpartition(b"{")[2].rstrip(b"}")) + 2)
                for each, _ in idle[:watchers]:
                    each.say(b"* 5 EXI", b"STS\r\n* 1 RECENT\r\n")
            client.say(tag + b" OK done\r\n")

    return talk


def test_a_push_is_timed_at_every_watcher() -> None:
    with serving(pushing_server(3)) as target:
        load = ImapLoad(target, ("user",), "secret")
        tally = performed(push_work(load, Extent(3, 4)))
    assert tally.failures == {}
    assert (tally.counts["messages"], tally.counts["pushes"]) == (4, 12)
    assert tally.timing("push").count == 12


def test_pushes_that_could_not_begin_took_no_longer_than_they_did() -> None:
    def talk(client: Client) -> None:
        client.say(b"* OK fake\r\n")
        client.say(client.line().partition(b" ")[0] + b" NO who are you\r\n")

    with serving(talk) as target:
        tally = performed(push_work(ImapLoad(target, ("user",), "wrong"), Extent(1, 1)))
    assert tally.counts["failed"] >= 1
    assert tally.seconds < 60


def test_idle_connections_are_held_and_counted() -> None:
    number = 7
    with serving(smtp()) as target:
        load = Manner(target).load(Mail("a@b", ["c@d"]), 0, 1)
        tally = performed(idle_work(load, number, 0.1, None))
    assert tally.counts["held"] == tally.counts["connections"] == number
    with serving(pop3_server()) as target:
        assert performed(idle_work(Pop3Load(target), 3, 0.1, None)).counts["held"] == 3
    with serving(pushing_server(0)) as target:
        logged_in = ImapLoad(target, ("user",), "secret")
        assert performed(idle_work(logged_in, 3, 0.1, None)).counts["held"] == 3


def test_idle_connections_that_the_server_drops_are_told() -> None:
    def talk(client: Client) -> None:
        client.say(b"220 fake\r\n")
        client.line()
        client.say(b"250 ok\r\n")

    with serving(talk) as target:
        load = Manner(target).load(Mail("a@b", ["c@d"]), 0, 1)
        tally = performed(idle_work(load, 4, 0.1, None))
    assert tally.counts["held"] == tally.counts["dropped"] == 4
    assert tally.failures == {"held": 4}
