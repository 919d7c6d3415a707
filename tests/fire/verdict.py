"""Comparing what clients were told with what there is.

Every recipient of every acknowledged message must be in a mailbox, at the next hop, in a bounce,
in the queue, or fetched and deleted by its owner. What nobody was told of may be there, once.
"""

from __future__ import annotations

import imaplib
import os
import poplib
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.fire.ground import ACCOUNTS, ANN, DAN, EVE, PEERS, REFUSED, Ground
from tests.fire.ledger import GONE, Copy, Ledger
from tests.fire.letters import Found, found
from tests.interop.peers.imap_look import ask, folder_names
from tests.interop.peers.mailframe import PASSWORD, any_certificate

InFlight = Counter[tuple[str, str]]
"""How many crashes caught an attempt for that id and forward-path."""


@dataclass(slots=True)
class Verdict:
    lost: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    """In a local mailbox."""
    wrong: list[str] = field(default_factory=list)
    """Anything else that was acknowledged and is not so."""
    repeated: int = 0
    """Copies at the next hop beyond the first, all of them in flight at a crash."""
    unexplained: list[str] = field(default_factory=list)
    """Copies at the next hop that no crash explains."""
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def problems(self) -> list[str]:
        named = {
            "lost": self.lost,
            "torn": self.torn,
            "twice in a mailbox": self.twice,
            "wrong": self.wrong,
            "repeated without a reason": self.unexplained,
        }
        return [f"{what}: {', '.join(which[:20])}" for what, which in named.items() if which]


def judge(ground: Ground, ledger: Ledger, in_flight: InFlight) -> Verdict:
    """The server runs, and nobody else talks to it."""
    verdict = Verdict(torn=list(ledger.torn))
    held = {account: list(_files(ground.mailframe.maildir(account))) for account in ACCOUNTS}
    copies: Counter[Copy] = Counter()
    for account, files in held.items():
        for folder, it, _ in files:
            copies[account, it.id] += 1
            if it.id and ledger.letters[it.id].digest != it.digest:
                verdict.torn.append(f"{it.id} in {account}/{folder}")
    queued = _queued(ground)
    verdict.counts["letters"] = len(ledger.letters)
    verdict.counts["acknowledged recipients"] = sum(map(len, ledger.accepted.values()))
    verdict.counts["queued"] = sum(queued.values())
    verdict.counts["fetched by POP3"] = ledger.fetched.total()
    for (account, id), number in copies.items():
        verdict.counts["in mailboxes"] += number
        if id and number > 1:
            verdict.twice.append(f"{id} for {account} {number} times")
    _local(ledger, copies, queued, verdict)
    _kept(ledger, held[DAN], verdict)
    _relayed(ground, ledger, queued, in_flight, verdict)
    _bounced(ledger, held[ANN], queued, verdict)
    _by_protocol(ground, ledger, held, verdict)
    return verdict


def _local(ledger: Ledger, copies: Counter[Copy], queued: Counter[Copy], verdict: Verdict) -> None:
    for id, recipients in ledger.accepted.items():
        for recipient in recipients:
            if recipient not in ACCOUNTS:
                continue
            copy = (recipient, id)
            there = copies[copy] + queued[copy]
            if not there and copy not in ledger.deleting:
                verdict.lost.append(f"{id} for {recipient}")
    for copy in ledger.deleted:
        if copies[copy]:
            verdict.twice.append(f"{copy[1]} for {copy[0]}, who had deleted it")
    verdict.twice += [f"{id} came back to {account}" for account, id in ledger.returned]
    # a message cannot be taken twice but where the end of the session was not heard
    verdict.counts["taken more than once"] = sum(n > 1 for n in ledger.fetched.values())


def _kept(ledger: Ledger, files: list[tuple[str, Found, str]], verdict: Verdict) -> None:
    """What was appended, moved, flagged and expunged by IMAP."""
    folders: dict[str, list[str]] = defaultdict(list)
    letters: dict[str, str] = {}
    for folder, it, info in files:
        folders[it.id].append(folder)
        letters[it.id] = info
    for id, places in ledger.places.items():
        there = folders.get(id, [])
        if not there and GONE not in places:
            verdict.lost.append(f"{id}, appended, last seen in {sorted(places)}")
        elif not set(there) <= places:
            verdict.wrong.append(f"{id} is in {there}, should be in {sorted(places)}")
        for flag, letter in (("\\Flagged", "F"), ("\\Answered", "R")):
            if there and flag in ledger.flags.get(id, ()) and letter not in letters[id]:
                verdict.wrong.append(f"{id} is not {flag}")
    verdict.counts["kept by IMAP"] = sum(id in folders for id in ledger.places)


def _relayed(
    ground: Ground, ledger: Ledger, queued: Counter[Copy], in_flight: InFlight, verdict: Verdict
) -> None:
    arrived: Counter[Copy] = Counter()
    for message in list(ground.sink.messages):
        it = found(message.content)
        if it.id and ledger.letters[it.id].digest != it.digest:
            verdict.torn.append(f"{it.id} at the next hop")
        for recipient in message.recipients:
            arrived[recipient, it.id] += 1
    verdict.counts["relayed"] = arrived.total()
    for id, recipients in ledger.accepted.items():
        for recipient in recipients:
            copy = (recipient, id)
            if recipient in PEERS and not arrived[copy] and not queued[copy]:
                verdict.lost.append(f"{id} for {recipient}")
    for (recipient, id), number in arrived.items():
        explained = in_flight[id, recipient]
        if number - 1 > explained:
            verdict.unexplained.append(f"{id} for {recipient}: {number}, {explained} in flight")
        verdict.repeated += number - 1


def _bounced(
    ledger: Ledger,
    files: list[tuple[str, Found, str]],
    queued: Counter[Copy],
    verdict: Verdict,
) -> None:
    """Each refused message was reported to its sender, once."""
    reports = Counter(it.digest for _, it, _ in files if not it.id)  # digest is the id here
    for id, recipients in ledger.accepted.items():
        if REFUSED not in recipients or queued[REFUSED, id]:
            continue
        number = reports[id]
        if number > 1:
            verdict.twice.append(f"{number} reports about {id}")
        if not number:
            verdict.lost.append(f"the report about {id}")
        verdict.counts["reported"] += number


def _files(maildir: Path) -> Iterator[tuple[str, Found, str]]:
    """Folder, what it is, and its flags. Of a report, ``digest`` is what it is about."""
    folders = {"INBOX": maildir} | {
        entry.name[1:]: entry for entry in maildir.glob(".*") if (entry / "cur").is_dir()
    }
    for folder, path in folders.items():
        for name in ("new", "cur"):
            for entry in os.scandir(path / name) if (path / name).is_dir() else ():
                content = Path(entry.path).read_bytes()
                it = found(content)
                if not it.id and (about := re.search(rb"^X-Fire: (\S+)", content, re.MULTILINE)):
                    it = Found("", about[1].decode())
                yield folder, it, entry.name.partition(":2,")[2]


def _queued(ground: Ground) -> Counter[Copy]:
    """Forward-path and id of what waits."""
    queued: Counter[Copy] = Counter()
    query = (
        "SELECT r.address, m.queue_id, m.prefix, b.content FROM recipient r"
        " JOIN message m USING (queue_id) LEFT JOIN body b USING (queue_id)"
    )
    with closing(sqlite3.connect(f"file:{ground.spool}?mode=ro", uri=True)) as db:
        for address, queue_id, prefix, content in db.execute(query):
            queued[address, ground.letter_id(prefix, content, queue_id)] += 1
    return queued


# -- what the protocols show --------------------------------------------------------------


def _by_protocol(
    ground: Ground, ledger: Ledger, held: dict[str, list[tuple[str, Found, str]]], verdict: Verdict
) -> None:
    """IMAP and POP3 show what the files say: neither more nor less, and whole."""
    for account, files in held.items():
        expected = Counter((folder, it.id) for folder, it, _ in files if it.id)
        shown = Counter(_by_imap(ground, ledger, account, verdict))
        if shown != expected:
            odd = list((shown - expected) + (expected - shown))
            verdict.wrong.append(f"IMAP shows other mail of {account}: {odd[:5]}")
    inbox = sum(folder == "INBOX" for folder, _, _ in held[EVE])
    if (number := _by_pop3(ground, EVE)) != inbox:
        verdict.wrong.append(f"POP3 shows {number} messages of {EVE}, there are {inbox}")


def _by_imap(
    ground: Ground, ledger: Ledger, account: str, verdict: Verdict
) -> Iterator[tuple[str, str]]:
    server = ground.mailframe
    client = imaplib.IMAP4(server.address, server.ports["imap"], timeout=60)
    client.starttls(any_certificate())
    client.login(account, PASSWORD)
    for folder in sorted(folder_names(client)):
        ask(client, "select", f'"{folder}"', "readonly")
        for item in ask(client, "uid", "FETCH", "1:*", "(BODY.PEEK[])"):
            if isinstance(item, tuple) and (it := found(item[1])).id:
                yield folder, it.id
                if it.digest != ledger.letters[it.id].digest:
                    verdict.torn.append(f"{it.id}, by IMAP")
    client.logout()


def _by_pop3(ground: Ground, account: str) -> int:
    server = ground.mailframe
    client = poplib.POP3_SSL(
        server.address, server.ports["pop3s"], timeout=60, context=any_certificate()
    )
    client.user(account)
    client.pass_(PASSWORD)
    number = client.stat()[0]
    client.quit()
    return number
