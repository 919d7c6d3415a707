"""An account moves in with its Maildir: nobody who reads it may notice.

From a real Dovecot, which made the Maildir itself; and from Courier, whose files are written
here as its documentation and its accounts show them.
"""

from __future__ import annotations

import imaplib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers import dovecot
from tests.interop.peers.dovecot import Dovecot
from tests.interop.peers.imap import ANN, logged_in, message
from tests.interop.peers.imap_look import (
    Folder,
    ask,
    folder,
    folder_names,
    message_ids,
    quoted,
    utf7,
)
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import loopback_address, need, run, workdir

FOLDERS = ("INBOX", "Sent", "Αρχείο", "Αρχείο.Παλιά", "Work.Reports.2024", "a&b")
KEYWORDS = tuple(f"word{number:02}" for number in range(30))
_DATES = "{:2d}-Mar-2021 09:{:02d}:11 +0200"


class Account:
    """What a client sees, whatever the server."""

    def __init__(self, client: imaplib.IMAP4) -> None:
        self.subscribed = folder_names(client, "lsub")
        self.folders: dict[str, Folder] = {
            name: folder(client, self._spelled(client, name)) for name in folder_names(client)
        }

    @staticmethod
    def _spelled(client: imaplib.IMAP4, name: str) -> str:
        separator = re.search(rb'\) "(.)" ', ask(client, "list", '""', '""')[0])
        assert separator
        return name.replace("/", separator[1].decode())


def fill_dovecot(client: imaplib.IMAP4) -> None:
    """Flags, keywords, dates, subscriptions, and holes where messages were."""
    for place, name in enumerate(FOLDERS):
        if name != "INBOX":
            ask(client, "create", quoted(name))
        if place % 2:
            ask(client, "subscribe", quoted(name))
        for each in range(12):
            flags = " ".join([*(["\\Seen"] if each % 2 else []), *(["\\Flagged"] * (each == 5))])
            when = '"' + _DATES.format(each + 1, place) + '"'
            content = message(place * 100 + each)
            ask(client, "append", quoted(name), f"({flags})", when, content)
        ask(client, "select", quoted(name))
        for each in range(3):
            words = " ".join(KEYWORDS[each * 10 : each * 10 + 10])
            ask(client, "store", str(each + 1), "+FLAGS", f"({words})")
        ask(client, "store", "4,7:8,12", "+FLAGS", "\\Deleted")
        ask(client, "expunge")
        # Dovecot looks at its names again where mail was copied.
        ask(client, "copy", "2", quoted("INBOX"))
    # A subscription outlives its folder.
    ask(client, "create", "Gone")
    ask(client, "subscribe", "Gone")
    ask(client, "delete", "Gone")


def without_letterless(found: dict[str, Folder]) -> dict[str, object]:
    """Dovecot keeps what comes after the 26th keyword of a folder in its own index only."""
    lost = frozenset(KEYWORDS[26:])
    return {
        name: (
            said.uid_validity,
            said.uid_next,
            {uid: (seen.flags - lost, seen.date, seen.size) for uid, seen in said.messages.items()},
        )
        for name, said in found.items()
    }


Moved = tuple[Account, Mailframe, Path]


@pytest.fixture(scope="module")
def moved() -> Iterator[Moved]:
    """(what was seen at Dovecot, mailframe with that Maildir, where mbsync keeps its mail)."""
    with workdir("moving") as path:
        (path / "dovecot").mkdir(mode=0o755)
        (path / "empty").mkdir()
        for name in ("cur", "new", "tmp"):
            (path / "empty" / name).mkdir()
        server = Dovecot(path / "dovecot", loopback_address())
        server.start(path / "empty")
        home = path / "home"
        home.mkdir()
        try:
            client = imaplib.IMAP4(server.address, server.imap_port, timeout=20)
            client.login("ann", dovecot.PASSWORD)
            fill_dovecot(client)
            client.logout()
            if shutil.which("mbsync"):
                where = f"Host {server.address}\nPort {server.imap_port}"
                mbsync(home, where, "ann", dovecot.PASSWORD)
            client = imaplib.IMAP4(server.address, server.imap_port, timeout=20)
            client.login("ann", dovecot.PASSWORD)
            before = Account(client)
            client.logout()
        finally:
            server.stop()
        ours = Mailframe(path, loopback_address())
        ours.configure()
        ours.add_users(ANN)
        move_in(path / "dovecot" / "Maildir", ours)
        ours.start()
        yield before, ours, home
        ours.stop()
        assert ours.tracebacks == []


def move_in(maildir: Path, server: Mailframe) -> None:
    target = server.maildir(ANN)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(maildir, target, symlinks=True)
    for path in (target, *target.rglob("*")):
        os.chown(path, os.geteuid(), os.getegid())


def mbsync(home: Path, where: str, user: str, password: str) -> str:
    """A run against the server ``where``, as mbsync's own lines name it; what it says."""
    (home / "mbsyncrc").write_text(
        f"""IMAPAccount there
{where}
SSLType None
User {user}
Pass "{password}"
AuthMechs LOGIN

IMAPStore there
Account there

MaildirStore here
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :there:
Near :here:
Patterns *
Create Near
Sync All
Expunge Both
SyncState {home}/state/
"""
    )
    for name in ("mail", "state"):
        (home / name).mkdir(exist_ok=True)
    done = run(["mbsync", "-c", home / "mbsyncrc", "-V", "all"], timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kept(home: Path) -> dict[str, bytes]:
    """What mbsync has of mail, and what it remembers of uids."""
    files = [path for path in home.glob("*/**/*") if path.is_file()]
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in files
        if path.parent.name in ("cur", "new")
    }


def test_a_dovecot_account_keeps_uids_flags_keywords_dates_and_subscriptions(moved: Moved) -> None:
    before, server, _ = moved
    with logged_in(server) as client:
        after = Account(client)
    assert set(before.folders) == {utf7(name).replace(".", "/") for name in FOLDERS}
    assert without_letterless(after.folders) == without_letterless(before.folders)
    assert after.subscribed == before.subscribed
    seen = before.folders["Sent"]
    assert sorted(seen.messages) == [1, 2, 3, 5, 6, 9, 10, 11]
    assert seen.messages[3].flags >= set(KEYWORDS[20:])


def test_mbsync_downloads_nothing_again(moved: Moved) -> None:
    need("mbsync", "openssl")
    _, server, home = moved
    # It looks at the name in the certificate, and cannot be told another one.
    address = f"{server.address}:{server.ports['imaps']}"
    where = f'Tunnel "openssl s_client -quiet -connect {address} 2>/dev/null"'
    mail = kept(home)
    assert len(mail) == 8 * len(FOLDERS) + 6
    said = mbsync(home, where, ANN, PASSWORD)
    assert kept(home) == mail, said
    with logged_in(server) as client:
        after = {name: found.uid_next for name, found in Account(client).folders.items()}
    said = mbsync(home, where, ANN, PASSWORD)
    assert kept(home) == mail, said
    with logged_in(server) as client:
        assert {n: f.uid_next for n, f in Account(client).folders.items()} == after


# ---- from Courier

COURIER_FOLDERS = ("INBOX", "Sent", "Αρχείο", "Work.Reports")


def courier_account(maildir: Path) -> dict[str, tuple[int, dict[int, tuple[str, str]]]]:
    """As Courier leaves it; by folder its UIDVALIDITY, and by uid flags and Message-IDs."""
    told = {}
    octets = messages = 0
    for place, name in enumerate(COURIER_FOLDERS):
        folder_ = maildir / ("" if name == "INBOX" else f".{utf7(name)}")
        for sub in ("cur", "new", "tmp"):
            (folder_ / sub).mkdir(parents=True)
        if name != "INBOX":
            (folder_ / "maildirfolder").touch()
        validity, following = 1_400_000_000 + place, 50
        lines, known = [f"1 {validity} {following}"], {}
        for uid in (3, 4, 9, 20 + place):
            number = place * 100 + uid
            content = message(number).replace(b"\r\n", b"\n")
            unique = f"15000000{number:02}.M{number}P77V000000000000FD00I0000{number}_0.host"
            base = f"{unique},S={len(content)}"
            flags = {3: "S", 4: "FRS", 9: ""}.get(uid, "T")
            path = folder_ / "cur" / f"{base}:2,{flags}"
            path.write_bytes(content)
            os.utime(path, (1_450_000_000 + number, 1_450_000_000 + number))
            octets, messages = octets + len(content), messages + 1
            # Courier writes the name up to the sizes or the colon.
            lines.append(f"{uid} {base}")
            known[uid] = (flags, f"<{number}@example.org>")
        (folder_ / "courierimapuiddb").write_text("\n".join(lines) + "\n")
        told[utf7(name).replace(".", "/")] = (validity, known)
    (maildir / "courierimapsubscribed").write_text(
        f"INBOX\nINBOX.Sent\nINBOX.{utf7('Αρχείο')}\nINBOX.Gone\n"
    )
    (maildir / "maildirsize").write_text(f"{30 << 10}S,1000C\n{octets} {messages}\n")
    return told


def test_a_courier_account_keeps_uids_flags_subscriptions_and_its_quota() -> None:
    with workdir("courier") as path:
        told = courier_account(path / "courier")
        server = Mailframe(path, loopback_address())
        server.configure()
        server.add_users(ANN)
        move_in(path / "courier", server)
        server.start()
        try:
            with logged_in(server) as client:
                assert folder_names(client) == set(told)
                assert folder_names(client, "lsub") == {
                    "INBOX", "Sent", utf7("Αρχείο"), "Gone"
                }  # fmt: skip
                for name, (validity, known) in told.items():
                    found = folder(client, name)
                    assert (found.uid_validity, found.uid_next) == (validity, 50)
                    ids = message_ids(client)
                    flags = {uid: letters(seen.flags) for uid, seen in found.messages.items()}
                    assert {uid: (flags[uid], ids[uid]) for uid in ids} == known
                    for uid, seen in found.messages.items():
                        number = int(known[uid][1][1:].partition("@")[0])
                        when = imaplib.Internaldate2tuple(f'INTERNALDATE "{seen.date}"'.encode())
                        assert when is not None
                        assert time.mktime(when) == 1_450_000_000 + number
                _, (_, quotas) = client.getquotaroot("INBOX")
                assert re.search(rb"STORAGE \d+ 30\b.*MESSAGE 16 1000", quotas[0])
                assert over_quota(client)
                # It goes on where Courier stopped.
                ask(client, "append", "Sent", None, None, message(999))
                assert 50 in folder(client, "Sent").messages
        finally:
            server.stop()
        assert server.tracebacks == []
        sizes = (server.maildir(ANN) / "maildirsize").read_text().splitlines()
        assert len(sizes) == 3, "what came since is noted, for other programs"


def over_quota(client: imaplib.IMAP4) -> bool:
    large = message(998, body="x" * (31 << 10))
    status, answer = client.append("Sent", "", None, large)
    return status == "NO" and answer[0].startswith(b"[OVERQUOTA]")


def letters(flags: frozenset[str]) -> str:
    names = {"\\Flagged": "F", "\\Answered": "R", "\\Seen": "S", "\\Deleted": "T"}
    return "".join(sorted(names[flag] for flag in flags))
