"""Thunderbird's daily work on the whole server; what it did is asked by another connection."""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
from collections.abc import Iterator

import pytest

from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.process import loopback_address, wait_until, workdir
from tests.interop.peers.thunderbird import Thunderbird

pytestmark = pytest.mark.slow

ANN = "ann@mf.test"
COUNT = 1000
ARCHIVE = "Αρχείο"  # as IMAP4rev1 has it on the wire:
ARCHIVE_UTF7 = "&A5EDwQPHA7UDrwO,-"


def message(number: int, words: str = "") -> bytes:
    lines = (
        f"From: Sender {number} <s{number}@example.org>",
        f"To: <{ANN}>",
        f"Subject: message {number}",
        f"Date: Mon, 1 Jan 2024 {number // 60:02}:{number % 60:02}:00 +0000",
        f"Message-ID: <{number}@example.org>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        f"body {number} {words}",
        "",
    )
    return "\r\n".join(lines).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[Mailframe]:
    """With COUNT unseen messages for ann; every hundredth has a Greek word."""
    with workdir("thunderbird-server") as path:
        made = Mailframe(path, loopback_address())
        made.configure()
        made.add_users(ANN)
        _fill(made)
        made.start()
        yield made
        made.stop()
        assert made.tracebacks == [], made.tracebacks[0]


def _fill(server: Mailframe) -> None:
    maildir = server.maildir(ANN)
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    for number in range(1, COUNT + 1):
        words = "Αναφορά" if number % 100 == 0 else ""
        octets = message(number, words).replace(b"\r\n", b"\n")
        (maildir / "new" / f"{1700000000 + number}.M1P1.local").write_bytes(octets)


@pytest.fixture(scope="module")
def thunderbird(server: Mailframe) -> Iterator[Thunderbird]:
    """Started with implicit TLS."""
    with _started(server, "imaps") as made:
        yield made


@contextlib.contextmanager
def _started(server: Mailframe, listener: str) -> Iterator[Thunderbird]:
    with workdir("thunderbird") as path:
        made = Thunderbird(path, server, ANN, listener)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture
def inbox(server: Mailframe) -> Iterator[imaplib.IMAP4]:
    """The other connection, with INBOX selected."""
    client = imaplib.IMAP4(server.address, server.ports["imap"], timeout=20)
    client.starttls(any_certificate())
    client.login(ANN, PASSWORD)
    client.select("INBOX")
    yield client
    client.logout()


def sent(number: int) -> tuple[str, str, str]:
    """Criteria for just this message."""
    return "HEADER", "Message-ID", f"<{number}@example.org>"


def number_of(client: imaplib.IMAP4, number: int) -> str:
    """The sequence number of ``message(number)``."""
    numbers = client.search(None, *sent(number))[1][0]
    assert isinstance(numbers, bytes)
    return numbers.decode()


def found(client: imaplib.IMAP4, *criteria: str) -> list[str]:
    """The subjects of the messages found."""
    client.noop()
    numbers = client.search(None, *criteria)[1][0]
    if not numbers:
        return []
    parts = client.fetch(
        numbers.decode().replace(" ", ","), "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
    )[1]
    lines = [part[1] for part in parts if isinstance(part, tuple)]
    return [line.decode().strip().removeprefix("Subject: ") for line in lines]


def wait_found(client: imaplib.IMAP4, subjects: list[str], *criteria: str) -> None:
    wait_until(lambda: found(client, *criteria) == subjects, f"{criteria} finds {subjects}")


def count(client: imaplib.IMAP4, name: str) -> int:
    status = client.status(f'"{name}"', "(MESSAGES)")[1][0]
    return int(status.rpartition(b"MESSAGES ")[2].rstrip(b")"))


def test_a_thousand_messages_are_there_without_the_server(
    thunderbird: Thunderbird, inbox: imaplib.IMAP4
) -> None:
    all_, offline = thunderbird.run(
        """
        const inbox = folder("INBOX");
        inbox.setFlag(Flags.Offline);
        await until(listener => inbox.downloadAllForOffline(listener, null));
        const all = [...inbox.messages];
        const kept = all.filter(one => one.flags & Ci.nsMsgMessageFlags.Offline);
        return [all.length, kept.length];
        """,
        seconds=60,
    )
    assert (all_, offline) == (COUNT, COUNT)
    store = thunderbird.offline_store("INBOX")
    assert store.count(b"\nSubject: message ") == COUNT
    assert all(f"\nbody {number} ".encode() in store for number in range(1, COUNT + 1))
    # To keep a message is not to read it.
    assert inbox.search(None, "SEEN")[1] == [b""]


def test_a_message_shown_is_seen(thunderbird: Thunderbird, inbox: imaplib.IMAP4) -> None:
    text = thunderbird.run(
        """
        const { MailUtils } = ChromeUtils.importESModule("resource:///modules/MailUtils.sys.mjs");
        MailUtils.displayMessageInFolderTab(message(folder("INBOX"), "message 700"));
        const tabs = Services.wm.getMostRecentWindow("mail:3pane").document
          .getElementById("tabmail");
        return seen(() => {
          const shown = tabs.currentAbout3Pane?.messageBrowser?.contentWindow
            ?.getMessagePaneBrowser?.()?.contentDocument?.body?.textContent;
          return shown?.includes("body 700") && shown;
        }, "the message on the screen");
        """
    )
    assert "body 700 Αναφορά" in text
    wait_found(inbox, ["message 700"], "SEEN")


def test_stars_tags_and_marks_are_flags(thunderbird: Thunderbird, inbox: imaplib.IMAP4) -> None:
    thunderbird.run(
        """
        const inbox = folder("INBOX");
        inbox.markMessagesFlagged([message(inbox, "message 4")], true);
        inbox.addKeywordsToMessages(
          [message(inbox, "message 5"), message(inbox, "message 6")], "$label1");
        inbox.markMessagesRead([message(inbox, "message 8")], true);
        """
    )
    wait_found(inbox, ["message 4"], "FLAGGED")
    wait_found(inbox, ["message 5", "message 6"], "KEYWORD $label1")
    wait_found(inbox, ["message 8"], "SEEN", *sent(8))
    thunderbird.run(
        """
        const inbox = folder("INBOX");
        inbox.markMessagesFlagged([message(inbox, "message 4")], false);
        inbox.removeKeywordsFromMessages([message(inbox, "message 5")], "$label1");
        inbox.markMessagesRead([message(inbox, "message 8")], false);
        """
    )
    wait_found(inbox, [], "FLAGGED")
    wait_found(inbox, ["message 6"], "KEYWORD $label1")
    wait_found(inbox, [], "SEEN", *sent(8))


def test_messages_move_and_are_copied_to_a_new_folder(
    thunderbird: Thunderbird, inbox: imaplib.IMAP4
) -> None:
    names = thunderbird.run(
        """
        server.rootFolder.createSubfolder(given[0], null);
        const made = await seen(() => folder(given[0]) ?? folder(given[1]), "the new folder");
        const inbox = folder("INBOX");
        const take = subjects => subjects.map(subject => message(inbox, subject));
        await until(listener => MailServices.copy.copyMessages(
          inbox, take(["message 11", "message 12"]), made, true, listener, null, true));
        await until(listener => MailServices.copy.copyMessages(
          inbox, take(["message 13"]), made, false, listener, null, true));
        // It moves its own messages at once and tells the server soon after.
        await seen(async () => {
          await refresh(made);
          return [...made.messages].length == 3;
        }, "three messages");
        return [made.name, ...[...made.messages].map(one => one.mime2DecodedSubject).sort()];
        """,
        ARCHIVE,
        ARCHIVE_UTF7,
    )
    assert names == [ARCHIVE, "message 11", "message 12", "message 13"]
    wait_until(lambda: count(inbox, ARCHIVE_UTF7) == 3, "the server has them")
    wait_found(inbox, [], "OR", *sent(11), *sent(12))
    assert found(inbox, *sent(13)) == ["message 13"]


@pytest.mark.parametrize(
    ("where", "words", "subjects"),
    [
        ("Body", "αναφορα", [f"message {number}" for number in range(100, 1001, 100)]),
        ("Subject", "message 99", ["message 99", *(f"message {n}" for n in range(990, 1000))]),
        ("Sender", "s42@example.org", ["message 42"]),
    ],
)
def test_the_server_searches(
    thunderbird: Thunderbird, where: str, words: str, subjects: list[str]
) -> None:
    hits = thunderbird.run(
        """
        const session = Cc["@mozilla.org/messenger/searchSession;1"]
          .createInstance(Ci.nsIMsgSearchSession);
        session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder("INBOX"));
        const term = session.createTerm();
        const value = term.value;
        term.attrib = value.attrib = Ci.nsMsgSearchAttrib[given[0]];
        value.str = given[1];
        term.value = value;
        term.op = Ci.nsMsgSearchOp.Contains;
        session.appendTerm(term);
        const hits = [];
        await until(listener => {
          listener.onSearchHit = header => hits.push(header.mime2DecodedSubject);
          session.registerListener(listener);
          session.search(null);
        });
        return hits;
        """,
        where,
        words,
    )
    assert hits == subjects


def test_the_server_tells_without_being_asked(
    server: Mailframe, thunderbird: Thunderbird, inbox: imaplib.IMAP4
) -> None:
    with smtplib.SMTP(server.address, server.ports["mx"], timeout=20) as client:
        client.sendmail("a@example.org", [ANN], message(COUNT + 1))
    number = number_of(inbox, 20)
    inbox.store(number, "+FLAGS", "\\Flagged")
    thunderbird.run(
        """
        const inbox = folder("INBOX");
        await seen(() => message(inbox, given[0]), "the new message");
        await seen(() => message(inbox, "message 20").isFlagged, "the other client's star");
        """,
        f"message {COUNT + 1}",
    )
    inbox.store(number, "-FLAGS", "\\Flagged")


def test_what_is_deleted_is_in_the_trash_until_that_is_emptied(
    thunderbird: Thunderbird, inbox: imaplib.IMAP4
) -> None:
    thunderbird.run(
        """
        const inbox = folder("INBOX");
        const gone = ["message 31", "message 32"].map(one => message(inbox, one));
        await until(listener =>
          inbox.deleteMessages(gone, null, false, true, listener, true));
        """
    )
    wait_until(lambda: count(inbox, "Trash") == 2, "the server has them in the trash")
    wait_found(inbox, [], "OR", *sent(31), *sent(32))
    thunderbird.run("server.rootFolder.emptyTrash(null);")
    wait_until(lambda: count(inbox, "Trash") == 0, "the trash is empty")


def test_a_draft_is_appended(thunderbird: Thunderbird, inbox: imaplib.IMAP4) -> None:
    thunderbird.run(
        """
        server.rootFolder.createSubfolder("Drafts", null);
        const drafts = await seen(() => folder("Drafts"), "the drafts");
        const file = Services.dirsvc.get("TmpD", Ci.nsIFile);
        file.append("draft.eml");
        file.createUnique(Ci.nsIFile.NORMAL_FILE_TYPE, 0o600);
        await IOUtils.writeUTF8(file.path, given[0]);
        await until(listener => MailServices.copy.copyFileMessage(
          file, drafts, null, true, Ci.nsMsgMessageFlags.Read, "", listener, null));
        file.remove(false);
        """,
        message(5000).decode(),
    )
    inbox.select("Drafts")
    fetched = inbox.fetch("1", "(FLAGS BODY.PEEK[])")[1]
    assert fetched[0][1] == message(5000)
    assert "message 5000" in found(inbox, "DRAFT SEEN")


def test_starttls_and_what_changed_while_it_was_away(
    server: Mailframe, inbox: imaplib.IMAP4
) -> None:
    """It comes back with its old copy, asks by CONDSTORE and ends with the server's state."""
    total = len(inbox.search(None, "ALL")[1][0].split())
    with _started(server, "imap") as thunderbird:
        assert thunderbird.run("return folder('INBOX').getTotalMessages(false);") == total
        thunderbird.quit()
        inbox.store(number_of(inbox, 50), "+FLAGS", "\\Answered")
        inbox.store(number_of(inbox, 60), "+FLAGS", "\\Deleted")
        inbox.expunge()
        thunderbird.start()
        state = thunderbird.run(
            """
            const inbox = folder("INBOX");
            const answered = message(inbox, "message 50").flags & Ci.nsMsgMessageFlags.Replied;
            return [inbox.getTotalMessages(false), !!answered, !message(inbox, "message 60")];
            """
        )
    assert state == [total - 1, True, True]
