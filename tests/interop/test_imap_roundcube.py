"""A person's work in Roundcube on the whole server; what it did is asked by another connection."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.process import loopback_address, workdir
from tests.interop.peers.roundcube import Roundcube

pytestmark = pytest.mark.slow

ANN = "ann@mf.test"
ARCHIVE = "&A5EDwQPHA7UDrwO,-"  # Αρχείο
THREADS = {2: 1, 3: 1, 4: 3}  # which message answers which
COUNT = 60  # more than one page


def message(number: int) -> bytes:
    made = EmailMessage()
    made["From"] = f"Sender {number} <s{number}@example.org>"
    made["To"] = ANN
    # As many digits for all: so that the order of the words is the order of the numbers.
    made["Subject"] = f"message {number:03} Αναφορά"
    made["Date"] = f"Mon, 1 Jan 2024 10:{number:02}:00 +0000"
    made["Message-ID"] = f"<{number}@example.org>"
    if parent := THREADS.get(number):
        made["In-Reply-To"] = made["References"] = f"<{parent}@example.org>"
    made.set_content(f"body {number} και άλλα\n", cte="base64" if number % 2 else "8bit")
    if number == 7:
        made.add_alternative("<p>seven in <b>bold</b></p>", subtype="html")
        made.add_attachment(b"\0\1\2" * 5, "application", "octet-stream", filename="έγγραφο.bin")
    return made.as_bytes().replace(b"\n", b"\r\n")


@pytest.fixture(scope="module")
def server() -> Iterator[Mailframe]:
    with workdir("roundcube-server") as path:
        made = Mailframe(path, loopback_address())
        made.configure()
        made.add_users(ANN)
        made.start()
        client = _connection(made)
        client.create(ARCHIVE)
        client.subscribe(ARCHIVE)
        for number in range(1, COUNT + 1):
            client.append("INBOX", "", None, message(number))
        client.logout()
        yield made
        made.stop()
        assert made.tracebacks == [], made.tracebacks[0]


@pytest.fixture(scope="module")
def roundcube(server: Mailframe) -> Iterator[Roundcube]:
    """Logged in."""
    with workdir("roundcube") as path:
        made = Roundcube(path, server)
        try:
            made.start()
            assert "Inbox" in made.log_in(ANN)
            yield made
            assert made.errors == ""
        finally:
            made.stop()


@pytest.fixture
def inbox(server: Mailframe) -> Iterator[imaplib.IMAP4]:
    client = _connection(server)
    client.select("INBOX")
    yield client
    client.logout()


def _connection(server: Mailframe) -> imaplib.IMAP4:
    client = imaplib.IMAP4(server.address, server.ports["imap"], timeout=20)
    client.starttls(any_certificate())
    client.login(ANN, PASSWORD)
    return client


def found(client: imaplib.IMAP4, *criteria: str) -> list[int]:
    """UIDs."""
    return [int(word) for word in client.uid("SEARCH", *criteria)[1][0].split()]


def test_the_password_is_checked(server: Mailframe) -> None:
    with workdir("roundcube-stranger") as path:
        stranger = Roundcube(path, server)
        try:
            stranger.start()
            with pytest.raises(OSError, match="401"):
                stranger.log_in(ANN, "wrong")
        finally:
            stranger.stop()


def test_the_folders_are_listed(roundcube: Roundcube) -> None:
    page = roundcube.page(_task="mail")
    for name in ("INBOX", "Drafts", "Sent", "Trash", "Junk", ARCHIVE):
        assert f'"id":"{name}"' in page or f'"{name}":{{' in page, name
    assert "Αρχείο" in page


def test_messages_are_listed_page_by_page(roundcube: Roundcube) -> None:
    first = roundcube.ask("list", _page=1)
    assert (first.env["messagecount"], first.env["pagecount"]) == (COUNT, 2)
    assert list(first.rows) == list(range(COUNT, COUNT - 50, -1))
    assert first.rows[COUNT]["subject"] == f"message {COUNT:03} Αναφορά"
    assert list(roundcube.ask("list", _page=2).rows) == list(range(COUNT - 50, 0, -1))


def test_messages_are_sorted_by_the_server(roundcube: Roundcube) -> None:
    listed = roundcube.ask("list", _page=1, _sort="subject_ASC")
    assert list(listed.rows) == list(range(1, 51))
    by_size = roundcube.ask("list", _page=1, _sort="size_DESC")
    assert next(iter(by_size.rows)) == 7
    roundcube.ask("list", _page=1, _sort="_DESC")


def test_messages_are_threaded(roundcube: Roundcube) -> None:
    first = roundcube.ask("list", _page=1, _threads=1)
    assert (first.env["messagecount"], len(first.rows)) == (COUNT - len(THREADS), 50)
    # The oldest are on the last page.
    flags = roundcube.ask("list", _page=2).row_flags
    assert {uid: flags[uid].get("parent_uid") for uid in (1, 2, 3, 4, 5)} == {
        1: None,
        2: 1,
        3: 1,
        4: 3,
        5: None,
    }
    assert (flags[4]["depth"], flags[1]["has_children"]) == (2, True)
    roundcube.ask("list", _page=1, _threads=0)


@pytest.mark.parametrize(
    ("words", "where", "uids"),
    [
        ("message 012", "subject", [12]),
        ("ΑΝΑΦΟΡΑ", "subject", list(range(COUNT, COUNT - 50, -1))),
        ("s33@example", "from", [33]),
        ("body 21 και", "text", [21]),
        ("no such thing", "subject,from,text", []),
    ],
)
def test_the_server_searches(roundcube: Roundcube, words: str, where: str, uids: list[int]) -> None:
    hits = roundcube.ask("search", _q=words, _headers=where, _scope="base", _filter="ALL")
    assert list(hits.rows) == uids


def test_all_folders_are_searched(roundcube: Roundcube) -> None:
    hits = roundcube.ask(
        "search", _q="message 012", _headers="subject", _scope="all", _filter="ALL"
    )
    assert "message 012" in hits.calls
    assert hits.env["multifolder_listing"]


def test_a_message_is_opened(roundcube: Roundcube, inbox: imaplib.IMAP4) -> None:
    page = roundcube.page(_task="mail", _action="show", _uid=7, _mbox="INBOX")
    assert "message 007 Αναφορά" in page
    assert "seven in <b>bold</b>" in page
    assert "έγγραφο.bin" in page
    assert found(inbox, "SEEN") == [7]
    part = roundcube.page(_task="mail", _action="get", _uid=7, _mbox="INBOX", _part=2, _download=1)
    assert part == "\0\1\2" * 5
    plain = roundcube.page(_task="mail", _action="preview", _uid=9, _mbox="INBOX")
    assert "body 9 και άλλα" in plain


def test_marks_are_flags(roundcube: Roundcube, inbox: imaplib.IMAP4) -> None:
    roundcube.tell("mark", _uid="20,21", _flag="flagged")
    roundcube.tell("mark", _uid="22", _flag="read")
    inbox.noop()
    assert found(inbox, "FLAGGED") == [20, 21]
    assert 22 in found(inbox, "SEEN")
    unseen = roundcube.ask("search", _q="", _headers="subject", _scope="base", _filter="FLAGGED")
    assert list(unseen.rows) == [21, 20]
    roundcube.tell("mark", _uid="22", _flag="unread")
    inbox.noop()
    assert 22 in found(inbox, "UNSEEN")


def test_messages_move_and_are_copied_and_deleted(
    roundcube: Roundcube, inbox: imaplib.IMAP4
) -> None:
    roundcube.tell("move", _uid="30,31", _target_mbox=ARCHIVE)
    roundcube.tell("copy", _uid="32", _target_mbox=ARCHIVE)
    roundcube.tell("move", _uid="33", _target_mbox="Trash")
    inbox.noop()
    assert found(inbox, "UID 30:33") == [32]
    assert list(roundcube.ask("list", _mbox=ARCHIVE, _page=1).rows) == [3, 2, 1]
    assert list(roundcube.ask("list", _mbox="Trash", _page=1).rows) == [1]
    roundcube.tell("purge", _mbox="Trash")
    assert inbox.status("Trash", "(MESSAGES)")[1] == [b"Trash (MESSAGES 0)"]


def test_new_mail_is_noticed(roundcube: Roundcube, inbox: imaplib.IMAP4) -> None:
    roundcube.tell("check-recent", _list=1)
    inbox.append("INBOX", "", None, message(COUNT + 1))
    news = roundcube.tell("check-recent", _list=1)
    assert max(news.rows) == COUNT + 1


def test_leaving(roundcube: Roundcube) -> None:
    """Last: the session is over then."""
    assert "_user" in roundcube.log_out()
    assert "_user" in roundcube.page(_task="mail")
