"""The filter in the whole server: taught by command and by people who move their mail, it files
into Junk, says why, and forgets on request; a kill in between takes nothing away."""

from __future__ import annotations

import json
import mailbox
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.peers.imap import ANN, BOB, count, logged_in
from tests.interop.peers.mailframe import Mailframe

ORDER = {"order": ["relay", "rate", "dkim", "content"]}
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def ham(number: int, to: str = ANN) -> bytes:
    return letter(number, "minutes of the meeting", f"Dear all, the agenda of week {number}.", to)


def spam(number: int, to: str = ANN) -> bytes:
    return letter(number, "cheap watches", f"Buy replica watches today, offer {number}!", to)


def letter(number: int, subject: str, text: str, to: str = ANN) -> bytes:
    kind = subject.partition(" ")[0]
    return (
        f"From: Someone <s{number}@sender.example>\r\nTo: <{to}>\r\nSubject: {subject}\r\n"
        f"Message-ID: <{number}.{kind}@sender.example>\r\n"
        f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\r\n\r\n{text}\r\n"
    ).encode()


@pytest.fixture
def filtering(mailframe: Mailframe, tmp_path: Path) -> Mailframe:
    mailframe.configure(policy=ORDER)
    for make, kind in ((ham, "--ham"), (spam, "--spam")):
        box = mailbox.mbox(tmp_path / kind.strip("-"))
        for number in range(60):
            box.add(make(number).replace(b"\r\n", b"\n"))
        box.close()
        mailframe.cli("spam", "learn", kind, "--domain", "mf.test", tmp_path / kind.strip("-"))
    mailframe.start()
    return mailframe


def send(server: Mailframe, message: bytes, *to: str) -> str:
    """Our id of it."""
    with server.smtp() as client:
        client.mail("s@sender.example")
        for address in to or (ANN,):
            client.rcpt(address)
        code, reply = client.data(message)
    assert code == 250, reply
    return reply.split()[-1].decode()


def until(what: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.1)


def holds(server: Mailframe, folder: str, messages: int, user: str = ANN) -> Callable[[], bool]:
    def look() -> bool:
        with logged_in(server, user) as client:
            status, _ = client.select(folder)
            return status == "OK" and count(client, folder) == messages

    return look


def label(server: Mailframe, message_digest: int, scope: str = ANN) -> list[str]:
    """What the log of an account says, the latest first."""
    lines = server.cli("spam", "log", "-u", scope, "--json").splitlines()
    return [json.loads(line)["as"] for line in lines][:message_digest]


def fetched_header(server: Mailframe, folder: str, user: str = ANN) -> str:
    with logged_in(server, user) as client:
        client.select(folder)
        _, answer = client.fetch("1", "(BODY.PEEK[HEADER])")
        assert isinstance(answer[0], tuple)
        return answer[0][1].decode()


def test_spam_goes_to_junk_and_ham_does_not(filtering: Mailframe) -> None:
    junked = send(filtering, spam(1_000))
    send(filtering, ham(1_000))
    until(holds(filtering, "INBOX", 1))
    until(holds(filtering, "Junk", 1))
    header = fetched_header(filtering, "Junk")
    assert "X-Spam-Flag: YES" in header
    assert "X-Spam-Status: Yes, score=" in header
    assert "BAYES=" in header
    header = fetched_header(filtering, "INBOX")
    assert "X-Spam-Flag" not in header
    assert "X-Spam-Status: No, score=" in header
    story = filtering.cli("trace", junked)
    assert "content" in story
    assert "bayes" in story
    assert filtering.tracebacks == []


def test_people_teach_by_moving(filtering: Mailframe) -> None:
    send(filtering, spam(1_000))
    until(holds(filtering, "Junk", 1))
    with logged_in(filtering) as client:
        client.select("Junk")
        client.uid("MOVE", "1", "INBOX")
        until(lambda: label(filtering, 1) == ["ham"])
        client.select("INBOX")
        # as clients move that do not know MOVE
        client.uid("COPY", "1", "Junk")
        until(lambda: label(filtering, 1) == ["spam"])
    until(lambda: "learn" in filtering.cli("trace", "--limit", "20", ANN))
    assert filtering.tracebacks == []


def test_what_was_taught_outlives_a_kill(filtering: Mailframe) -> None:
    send(filtering, spam(1_000))
    until(holds(filtering, "Junk", 1))
    with logged_in(filtering) as client:
        client.select("Junk")
        client.uid("MOVE", "1", "INBOX")
        until(lambda: label(filtering, 1) == ["ham"])
    filtering.kill()
    filtering.start()
    assert label(filtering, 1) == ["ham"]
    send(filtering, ham(1_001))
    until(holds(filtering, "INBOX", 2))
    assert filtering.tracebacks == []


def test_a_rollback_beside_the_running_server(filtering: Mailframe) -> None:
    send(filtering, spam(1_000))
    until(holds(filtering, "Junk", 1))
    filtering.cli("spam", "rollback", "--since", "1h", "--domain", "mf.test")
    # this one may still be judged as before: mail does not wait for a model to be made again
    send(filtering, spam(1_001))
    until(lambda: holds(filtering, "INBOX", 1)() or holds(filtering, "Junk", 2)())
    send(filtering, spam(1_002))
    until(lambda: holds(filtering, "INBOX", 1)() or holds(filtering, "INBOX", 2)())


def test_each_recipient_has_a_judgement_of_his_own(filtering: Mailframe, tmp_path: Path) -> None:
    loved = tmp_path / "loved"
    box = mailbox.mbox(loved)
    for number in range(2_000, 2_120):
        box.add(spam(number).replace(b"\r\n", b"\n"))
    box.close()
    waste = tmp_path / "waste"
    box = mailbox.mbox(waste)
    for number in range(2_000, 2_120):
        box.add(ham(number).replace(b"\r\n", b"\n"))
    box.close()
    filtering.cli("domain", "set", "mf.test", "share", "user")
    filtering.cli("spam", "learn", "--ham", "-u", BOB, loved)
    filtering.cli("spam", "learn", "--spam", "-u", BOB, waste)
    filtering.cli("domain", "set", "mf.test", "share", "domain")
    send(filtering, spam(5_000), ANN, BOB)
    until(holds(filtering, "Junk", 1))
    until(holds(filtering, "INBOX", 1, BOB))


def test_untrained_only_the_blatant_is_junk(mailframe: Mailframe) -> None:
    mailframe.configure(policy=ORDER)
    mailframe.start()
    send(mailframe, spam(1))
    send(mailframe, ham(1))
    send(mailframe, letter(1, "test", GTUBE))
    until(holds(mailframe, "INBOX", 2))
    until(holds(mailframe, "Junk", 1))


def test_refused_where_everybody_refuses(filtering: Mailframe) -> None:
    filtering.cli("domain", "set", "mf.test", "reject", "50")
    with filtering.smtp() as client:
        client.mail("s@sender.example")
        client.rcpt(ANN)
        client.rcpt(BOB)
        code, reply = client.data(letter(1, "test", GTUBE))
    assert (code, reply.startswith(b"5.7.1 ")) == (550, True), reply


def test_a_file_that_is_damaged_costs_no_mail(filtering: Mailframe) -> None:
    filtering.stop()
    path = filtering.base / "spam.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    filtering.start()
    send(filtering, ham(1_000))
    until(holds(filtering, "INBOX", 1))
