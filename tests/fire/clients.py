"""Who keeps the server busy: each works on what is its own, and writes down what it is told.

A client goes on through crashes: it tries to come back until it is told to stop. What it hears
and did not expect ends it, and is kept in ``Crowd.failures``.
"""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import random
import re
import smtplib
import socket
import threading
from collections.abc import Callable

from tests.fire.ground import ANN, BOB, CAT, DAN, EVE, OUTSIDER, PEERS, REFUSED, Ground
from tests.fire.ledger import GONE, Ledger
from tests.fire.letters import Letter, found, letter
from tests.interop.peers.imap_look import ask
from tests.interop.peers.mailframe import PASSWORD, any_certificate

FOLDERS = ("Work", "Done", "Junk")
_QUEUE_ID = re.compile(rb" Ok: ([0-9A-Z]+)")
_UID = re.compile(rb"APPENDUID \d+ (\d+)|(\d+) (\d+)$")
_AWAY = (OSError, imaplib.IMAP4.abort, poplib.error_proto, EOFError)
"""The server is not there, or not any more."""

Work = Callable[["Crowd", random.Random], None]


class Crowd:
    """One thread for each of ``WORKS``."""

    def __init__(self, ground: Ground, ledger: Ledger, seed: int, pause: float = 0.0) -> None:
        """``pause``: seconds between the pieces of work of a client."""
        self.ground = ground
        self.ledger = ledger
        self.failures: list[BaseException] = []
        self._pause = pause
        self._leaving = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(work, random.Random(f"{seed} {name}")))
            for name, work in WORKS.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """Raises what a client stumbled over."""
        self._leaving.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"
        if self.failures:
            raise self.failures[0]

    @property
    def goes_on(self) -> bool:
        return not self._leaving.is_set()

    def rest(self) -> None:
        self._leaving.wait(self._pause)

    def _run(self, work: Work, chance: random.Random) -> None:
        while self.goes_on:
            try:
                work(self, chance)
            except smtplib.SMTPResponseException as refusal:
                self.ledger.refused(f"SMTP {refusal.smtp_code}")
            except _AWAY:
                pass
            except BaseException as error:
                self.failures.append(error)
                return
            self._leaving.wait(0.02)


# -- sending ----------------------------------------------------------------------------


def submits(crowd: Crowd, chance: random.Random) -> None:
    """One of us, to one of us, to others, or to somebody who does not exist there."""
    with crowd.ground.mailframe.submission(ANN) as client:
        while crowd.goes_on:
            recipients = {chance.choice((BOB, EVE)), chance.choice(PEERS), chance.choice(PEERS)}
            if chance.random() < 0.1:
                recipients = {REFUSED}
            elif chance.random() < 0.3:
                recipients = {BOB}
            _send(crowd, client, ANN, sorted(recipients), chance)


def arrives(crowd: Crowd, chance: random.Random) -> None:
    """From outside, judged by every policy."""
    with crowd.ground.mailframe.smtp("mx") as client:
        while crowd.goes_on:
            _send(crowd, client, OUTSIDER, [chance.choice((BOB, EVE))], chance)


def hands_over(crowd: Crowd, chance: random.Random) -> None:
    """By LMTP, to several at once: an answer for each."""
    server = crowd.ground.mailframe
    with smtplib.LMTP(server.address, server.ports["lmtp"], local_hostname="lmtp.test") as client:
        client.sock.settimeout(30)
        client.ehlo("lmtp.test")
        while crowd.goes_on:
            _send(crowd, client, OUTSIDER, [CAT, EVE], chance)


def _send(
    crowd: Crowd, client: smtplib.SMTP, sender: str, recipients: list[str], chance: random.Random
) -> None:
    made = letter(crowd.ledger.new_id("m"), sender, tuple(recipients), chance)
    crowd.ledger.sending(made)
    _expect(client, client.mail(sender, ["body=8bitmime"]))
    for recipient in recipients:
        _expect(client, client.rcpt(recipient))
    # RFC 2033 section 4.2: LMTP answers for each recipient
    groups = [[one] for one in recipients] if isinstance(client, smtplib.LMTP) else [recipients]
    answer = client.data(made.content)
    _told(crowd.ledger, made, groups[0], *answer)
    for group in groups[1:]:
        _told(crowd.ledger, made, group, *client.getreply())
    crowd.rest()


def _expect(client: smtplib.SMTP, answer: tuple[int, bytes]) -> None:
    if answer[0] not in (250, 251):
        with contextlib.suppress(OSError):
            client.rset()
        raise smtplib.SMTPResponseException(*answer)


def _told(ledger: Ledger, made: Letter, recipients: list[str], code: int, text: bytes) -> None:
    if code != 250:
        ledger.refused(f"SMTP {code}")
        return
    matched = _QUEUE_ID.search(text)
    ledger.sent(made, recipients, matched[1].decode() if matched else "")


# -- keeping ----------------------------------------------------------------------------


def appends_and_moves(crowd: Crowd, chance: random.Random) -> None:
    """Appends, flags, moves to and fro, teaches the filter by that, and expunges."""
    with _imap(crowd, DAN) as client:
        for name in FOLDERS:
            client.create(name)
        while crowd.goes_on:
            for _ in range(chance.randint(1, 3)):
                _append(crowd.ledger, client, chance)
            _flag_move_expunge(crowd.ledger, client, chance)
            crowd.rest()


def _imap(crowd: Crowd, user: str) -> contextlib.AbstractContextManager[imaplib.IMAP4]:
    server = crowd.ground.mailframe
    client = imaplib.IMAP4(server.address, server.ports["imap"], timeout=30)
    client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.starttls(any_certificate())
    client.login(user, PASSWORD)
    return _leaving(client)


@contextlib.contextmanager
def _leaving(client: imaplib.IMAP4):  # type: ignore[no-untyped-def]
    try:
        yield client
    finally:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            client.shutdown()


def _append(ledger: Ledger, client: imaplib.IMAP4, chance: random.Random) -> None:
    made = letter(ledger.new_id("a"), DAN, (DAN,), chance)
    ledger.sending(made)
    if _ok(ledger, client.append("Work", "", "", made.content)):
        ledger.places[made.id] = {"Work"}
        ledger.count("append")


def _flag_move_expunge(ledger: Ledger, client: imaplib.IMAP4, chance: random.Random) -> None:
    source, target = chance.sample(FOLDERS, 2)
    ask(client, "select", source)
    there = _ids(client)
    if not there:
        return
    uids = chance.sample(sorted(there), min(len(there), 3))
    words = ",".join(map(str, sorted(uids)))
    # what nobody was told of may be there as well
    ids = [there[uid] for uid in uids if there[uid] in ledger.places]
    flag = chance.choice(("\\Flagged", "\\Answered", "one"))
    if _ok(ledger, client.uid("STORE", words, "+FLAGS", f"({flag})")):
        for id in ids:
            ledger.flags.setdefault(id, set()).add(flag)
        ledger.count("store")
    if chance.random() < 0.15 and len(there) > 20:
        if _ok(ledger, client.uid("STORE", words, "+FLAGS", "(\\Deleted)")):
            _removing(ledger, client, words, ids)
        return
    for id in ids:
        ledger.places[id].add(target)
    if _ok(ledger, client.uid("MOVE", words, target)):
        for id in ids:
            ledger.places[id] = {target}
        ledger.count("move")


def _removing(ledger: Ledger, client: imaplib.IMAP4, words: str, ids: list[str]) -> None:
    for id in ids:
        ledger.places[id].add(GONE)
    if _ok(ledger, client.uid("EXPUNGE", words)):
        for id in ids:
            ledger.places[id] = {GONE}
        ledger.count("expunge")


def _ok(ledger: Ledger, answer: tuple[str, list[object]]) -> bool:
    if answer[0] != "OK":
        ledger.refused(f"IMAP {answer[0]} {str(answer[1][0])[:40]}")
    return answer[0] == "OK"


def _ids(client: imaplib.IMAP4) -> dict[int, str]:
    """Of the selected folder's messages, by uid."""
    there: dict[int, str] = {}
    for item in ask(client, "uid", "FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (X-FIRE)])"):
        if isinstance(item, tuple):
            matched = re.search(rb"UID (\d+)", item[0])
            assert matched
            there[int(matched[1])] = item[1].partition(b":")[2].strip().decode()
    return there


def takes_away(crowd: Crowd, chance: random.Random) -> None:
    """By POP3: fetches, deletes, and never wants to see it again."""
    server, ledger = crowd.ground.mailframe, crowd.ledger
    client = poplib.POP3_SSL(
        server.address, server.ports["pop3s"], timeout=30, context=any_certificate()
    )
    try:
        client.user(EVE)
        client.pass_(PASSWORD)
        session = set()
        for number in range(1, min(client.stat()[0], 20) + 1):
            content = b"\r\n".join(client.retr(number)[1]) + b"\r\n"
            it = found(content)
            ledger.seen(it.id, it.digest, EVE)
            ledger.fetched[EVE, it.id] += 1
            if (EVE, it.id) in ledger.deleted:
                ledger.returned.append((EVE, it.id))
            client.dele(number)
            session.add((EVE, it.id))
        ledger.deleting |= session
        client.quit()
        ledger.deleted |= session
        if session:
            ledger.count("pop3 session")
    finally:
        client.close()
    crowd.rest()


WORKS: dict[str, Work] = {
    "submits": submits,
    "arrives": arrives,
    "hands over": hands_over,
    "keeps": appends_and_moves,
    "takes away": takes_away,
}
