"""IMAP clients that mean harm: whatever they do, nobody else waits and memory is bounded.

Every attack runs beside a client whose NOOPs are timed; the figure is printed (``pytest -s``).
The aim is 200 ms; here a second is allowed, for machines that do other things besides.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.peers.imap import ANN, BOB, message
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import loopback_address, need_root, wait_until, workdir
from tests.interop.peers.raw_imap import Hangup, RawImap, undisturbed

pytestmark = pytest.mark.slow

PAT = "pat@mf.test"
"""Who is attacked by nobody and hardly notices."""
MANY = 6_000
LOGIN = b'a LOGIN ann@mf.test "%b"\r\n' % PASSWORD.encode()


@pytest.fixture(scope="module")
def target() -> Iterator[Mailframe]:
    with workdir("hostile") as path:
        server = Mailframe(path, loopback_address())
        server.configure(
            auth={"allow_plaintext": True},
            limits={"imap_connections_per_user": 0, "message_size": "40M"},
        )
        server.add_users(ANN, BOB, PAT)
        fill_maildir(server.maildir(ANN) / ".Many", MANY)
        server.start()
        with RawImap(server, PAT) as client:
            client.append(b"INBOX", message(1))
        with RawImap(server, ANN, timeout=60) as client:
            client.ok(b"SELECT Many")  # which takes them in
            client.ok(b"SEARCH TEXT zq")
        yield server
        server.stop()
        assert server.tracebacks == []


def fill_maildir(maildir: Path, count: int) -> None:
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        content = message(number, subject=f"Re: subject {number % 500}").replace(b"\r\n", b"\n")
        content = b"References: <%d@example.org>\n" % (number // 2) + content
        path = maildir / "cur" / f"{1_700_000_000 + number}.M{number}.host:2,"
        path.write_bytes(content)


# ---- the grammar


JUNK = {
    "unterminated literal": b"a LOGIN {100000000}\r\n",
    "literal of 4 GB": b"a LOGIN {4294967295}\r\n",
    "literal of 4 GB unasked": b"a LOGIN {4294967295+}\r\n" + b"x" * 5_000_000,
    "literal of 10^20": b"a LOGIN {99999999999999999999+}\r\nx",
    "a million parentheses": b"a FETCH 1 " + b"(" * 1_000_000 + b"\r\n",
    "a million parentheses in SEARCH": b"a SEARCH " + b"(" * 1_000_000 + b"\r\n",
    "set of 100,000": b"a FETCH " + b",".join(b"%d" % n for n in range(1, 100_001)) + b" FLAGS\r\n",
    "line without end": b"a NOOP " + b"x" * 20_000_000,
    "NUL": b"\0" * 1_000_000,
    "lone CR and LF": b"a NOOP\ra NOOP\na NOOP\r\r\n" * 50_000,
    "pipelined garbage": os.urandom(64) * 50_000,
    "empty lines": b"\r\n" * 500_000,
    "tags only": b"tag\r\n" * 200_000,
    "long tags": (b"t" * 60_000 + b" NOOP\r\n") * 100,
    "SMTP": b"EHLO x\r\nMAIL FROM:<>\r\nDATA\r\n" * 10_000,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10_000,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10_000,
    "authentication": b"a AUTHENTICATE PLAIN\r\n" + b"A" * 5_000_000 + b"\r\n",
    "ID": b"a ID (" + b'"k" "v" ' * 100_000 + b")\r\n",
    "STARTTLS and more": b"a STARTTLS\r\na LOGIN x y\r\n" * 1000,
    "appending": b"a APPEND INBOX {4294967295+}\r\n" + b"x" * 1_000_000,
    "DONE": b"DONE\r\n" * 100_000,
}


@pytest.mark.parametrize("login", [b"", LOGIN + b"b SELECT Many\r\n"], ids=["before", "after"])
def test_junk_harms_nobody(target: Mailframe, login: bytes) -> None:
    for what, junk in JUNK.items():
        with (
            undisturbed(target, PAT, f"{what} {'after' if login else 'before'} login", megabytes=8),
            RawImap(target) as client,
        ):
            client.say(login)
            if login:
                client.answer(b"b")
            client.say_what_is_taken(junk, 1.0)
            assert len(client.drained(0.3)) < 3_000_000


def test_literals_that_never_come_cost_little(target: Mailframe) -> None:
    watched = undisturbed(target, PAT, "100 literals under way", megabytes=40)
    with watched, contextlib.ExitStack() as stack:
        for _ in range(50):
            client = stack.enter_context(RawImap(target, ANN))
            client.say(b"a CREATE {200000+}\r\n" + b"x" * 199_000)
        for _ in range(50):
            client = stack.enter_context(RawImap(target))
            client.say(b"a LOGIN {1000+}\r\n" + b"x" * 990)
        time.sleep(0.5)


def test_a_deflate_bomb_swells_piece_by_piece(target: Mailframe) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(b"x" * 1_000_000) for _ in range(500)) + packer.flush()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    commands = packer.compress(b"a NOOP\r\n" * 1_000_000) + packer.flush(zlib.Z_SYNC_FLUSH)
    # Of commands some garbage stays until its search: eight times as long makes 1.4 times as much.
    for what, octets, megabytes in ("500 MB of x", bomb, 8), ("a million NOOPs", commands, 40):
        with (
            undisturbed(target, PAT, f"bomb of {what}", megabytes=megabytes),
            RawImap(target, ANN) as client,
        ):
            client.ok(b"COMPRESS DEFLATE")
            client.say_what_is_taken(octets)
            time.sleep(1.0)


# ---- slow readers


def test_50_sessions_pipeline_and_do_not_read(target: Mailframe) -> None:
    watched = undisturbed(target, PAT, "50 sessions of 10,000 commands", megabytes=60)
    with watched, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawImap(target, ANN)) for _ in range(50)]
        for client in clients:
            client.ok(b"SELECT Many")
        flood = b"".join(b"x%d FETCH 1:200 (FLAGS UID)\r\n" % n for n in range(10_000))
        for client in clients:
            client.say_what_is_taken(flood, 0.05)
        time.sleep(1.0)


def test_a_reader_that_stops_in_a_large_message(target: Mailframe) -> None:
    large = message(1, body="x" * 70 + "\r\n" * 1) + b"0123456789abcdef" * 63 + b"\r\n"
    large += (b"0123456789" * 7 + b"\r\n") * (30_000_000 // 72)
    with RawImap(target, BOB) as client:
        assert client.append(b"INBOX", large).startswith(b"OK")
    watched = undisturbed(target, PAT, "10 stopped readers of 30 MB", megabytes=120)
    with watched, contextlib.ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(RawImap(target, BOB))
            client.ok(b"SELECT INBOX")
            client.say(b"a FETCH 1 (BODY[] BODY[TEXT] BODY.PEEK[HEADER])\r\n" * 50)
        time.sleep(1.0)


# ---- dear questions


QUESTIONS = {
    "SEARCH with 13,000 keys": b"SEARCH " + b" ".join([b"SEEN"] * 13_000),
    "SEARCH with 15,000 sets": b"SEARCH " + b" ".join([b"2:*"] * 15_000),
    "SEARCH with 15,000 sets of uids": b"SEARCH " + b" ".join([b"UID 2:*"] * 8_000),
    "SEARCH with sets of 10,000": b"SEARCH "
    + b" ".join([b",".join(b"%d" % n for n in range(1, 10_000, 2))] * 8),
    "SEARCH RECENT 9,000 times": b"SEARCH " + b" ".join([b"RECENT"] * 9_000),
    "SEARCH OR of 8,000 texts": b"SEARCH " + b"OR " * 7_999 + b" ".join([b"TEXT zq"] * 8_000),
    "SEARCH nested": b"SEARCH " + b"NOT " * 49 + b"TEXT zq",
    "SEARCH TEXT of 200,000": b"SEARCH TEXT {200000+}\r\n" + b"x" * 200_000,
    "SORT by all": b"SORT (REVERSE SUBJECT FROM TO CC DATE SIZE ARRIVAL) UTF-8 ALL",
    "THREAD REFERENCES": b"THREAD REFERENCES UTF-8 ALL",
    "THREAD REFS": b"THREAD REFS UTF-8 ALL",
    "THREAD ORDEREDSUBJECT": b"THREAD ORDEREDSUBJECT UTF-8 ALL",
    "FETCH of everything": b"FETCH 1:* (ALL BODYSTRUCTURE PREVIEW EMAILID THREADID)",
    "FETCH of 900 sections": b"FETCH 1:50 ("
    + b" ".join(b"BODY.PEEK[HEADER.FIELDS (X%d)]" % n for n in range(900))
    + b")",
    "FETCH with a set of 10,000": b"FETCH "
    + b",".join(b"%d" % n for n in range(1, 20_000, 2))
    + b" FLAGS",
    "STORE on all": b"STORE 1:* +FLAGS.SILENT (k1 k2)",
    "STORE on all back": b"STORE 1:* -FLAGS.SILENT (k1 k2)",
    "COPY of all": b"COPY 1:* Copies",
}


def give_up_after(client: RawImap, command: bytes, seconds: float) -> bytes:
    """The tagged response, or nothing where it does not come in time."""
    client._socket.settimeout(seconds)
    try:
        return client.command(command)
    except TimeoutError:
        return b"(given up)"


def test_dear_questions_are_answered_beside_others(target: Mailframe) -> None:
    with RawImap(target, ANN) as client:
        client.ok(b"CREATE Copies")
    failures = []
    for what, question in QUESTIONS.items():
        with RawImap(target, ANN, timeout=60) as client:
            client.ok(b"SELECT Many")
            try:
                with undisturbed(target, PAT, what, megabytes=120):
                    done = give_up_after(client, question, 30.0)
                    print("   ", done[:80].decode("ascii", "replace"))
            except AssertionError as error:
                failures.append(f"{what}: {error}")
    assert failures == []


def test_patterns_over_5000_folders(target: Mailframe) -> None:
    maildir = target.maildir(BOB)
    for number in range(5000):
        for name in ("cur", "new", "tmp"):
            (maildir / f".f{number % 70}.aaaaaaaaaaaaaaaa{number}" / name).mkdir(parents=True)
    with RawImap(target, BOB, timeout=60) as client:
        for pattern in (
            b"%*%*%*%*%*%*%*%*%*%*%*%*%*%*%*%*x",
            b"%a" * 200 + b"z",
            b"*a" * 20_000 + b"z",
            b"%a*a" * 10_000,
            b"%",
        ):
            with undisturbed(target, PAT, f"LIST {pattern[:12]!r}", megabytes=40):
                client.ok(b'LIST "" "%b"' % pattern)
        many = b" ".join(b'"*%d%%a*%%b*"' % n for n in range(100))
        with undisturbed(target, PAT, "LIST of 100 patterns", megabytes=40):
            client.ok(b'LIST (RECURSIVEMATCH SUBSCRIBED) "" (%b) RETURN (CHILDREN)' % many)
        levels = b" ".join(b"f%d" % n for n in range(900))
        subtrees = b" ".join(b"subtree (%b)" % levels for _ in range(12))
        for command in (
            b"ESEARCH IN (%b) UNSEEN" % subtrees,
            b"ESEARCH IN (%b) RETURN (COUNT) ALL"
            % b" ".join(b"subtree %d" % n for n in range(900)),
            b"NOTIFY SET " + b"(subtree (%b) (MailboxName)) " % levels * 12 + b"(personal NONE)",
        ):
            with (
                undisturbed(target, PAT, command[:30].decode(), megabytes=60),
                RawImap(target, BOB) as client,
            ):
                print("   ", give_up_after(client, command, 1)[:70])
        with (
            undisturbed(target, PAT, "LIST with STATUS of 5,000", megabytes=120),
            RawImap(target, BOB) as client,
        ):
            give_up_after(
                client, b'LIST "" * RETURN (STATUS (MESSAGES UNSEEN SIZE HIGHESTMODSEQ))', 1
            )


def test_floods_of_annotations(target: Mailframe) -> None:
    with (
        undisturbed(target, PAT, "annotations", megabytes=40),
        RawImap(target, BOB, timeout=60) as client,
    ):
        refused = 0
        for number in range(600):
            value = b"x" * (60_000 if number % 10 == 0 else 100)
            entry = b"/private/vendor/x/%d" % number
            done = client.command(
                b"SETMETADATA INBOX (%b {%d+}\r\n%b)" % (entry, len(value), value)
            )
            refused += not done.startswith(b"OK")
        assert refused  # RFC 5464: TOOMANY or MAXSIZE
        client.ok(b"GETMETADATA (DEPTH infinity) INBOX (/private /shared)")
        for bad in (b'"/private/a\r\nb"', b"/private/../x", b"/private//x", b'"/private/*"'):
            assert not client.command(b"SETMETADATA INBOX (%b x)" % bad).startswith(b"OK")
            client = stay(target, client, BOB)


def stay(target: Mailframe, client: RawImap, user: str) -> RawImap:
    """A client at a fresh point of the dialogue: half a line of an attack may be left over."""
    client.close()
    return RawImap(target, user)


def mime_bombs() -> dict[str, bytes]:
    head = b"From: a@x.test\r\nSubject: bomb\r\nMIME-Version: 1.0\r\n"
    multipart = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
    deep = head + b"".join(multipart % (n, n) for n in range(5000)) + b"\r\nneedle\r\n"
    rfc822 = head + b"Content-Type: message/rfc822\r\n\r\n" * 5000 + b"needle\r\n"
    wide = head + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    wide += b"--b\r\nContent-Type: text/plain\r\n\r\nneedle\r\n" * 10_000 + b"--b--\r\n"
    people = b",\r\n ".join(b"Person %d <p%d@x.test>" % (n, n) for n in range(100_000))
    return {
        "5,000 multiparts deep": deep,
        "5,000 messages deep": rfc822,
        "10,000 parts": wide,
        "300,000 parts": wide + b"--b\r\n\r\n" * 300_000,
        "100,000 recipients": head + b"To: " + people + b"\r\n\r\nneedle\r\n",
        "a header of 1 MB": head + b"X-Long: " + b"y" * 1_000_000 + b"\r\n\r\nneedle\r\n",
        "a subject of 1 MB": head + b"Subject: " + b"=?utf-8?q?=C3=A4?= " * 60_000 + b"\r\n\r\nx",
        "200,000 fields": head + b"X: y\r\n" * 200_000 + b"\r\nneedle\r\n",
        "comments in comments": head + b"To: " + b"(" * 200_000 + b"\r\n\r\nneedle\r\n",
        "groups": head + b"To: " + b"g:a@b," * 100_000 + b"\r\n\r\nneedle\r\n",
        "quotes": head + b'To: "' + b"\\" * 300_000 + b"\r\n\r\nneedle\r\n",
        "parameters": head + b"Content-Type: text/plain" + b"; a*0*=x" * 50_000 + b"\r\n\r\nneedle",
        "references": head
        + b"References: "
        + b" ".join(b"<%d@x>" % n for n in range(100_000))
        + b"\r\n\r\nneedle",
        "base64 of nothing": head
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + b"=" * 5_000_000
        + b"\r\n",
        "html": head + b"Content-Type: text/html\r\n\r\n" + b"<a <b &#x" * 200_000 + b"\r\n",
        "a line of 10 MB": head + b"\r\n" + b"needle" * 1_700_000 + b"\r\n",
    }


def test_mime_bombs_are_stored_taken_apart_and_found(target: Mailframe) -> None:
    failures = []
    with RawImap(target, BOB, timeout=60) as client:
        for number, (what, bomb) in enumerate(mime_bombs().items()):
            name = b"bomb%d" % number
            client.ok(b"CREATE " + name)
            try:
                with undisturbed(target, PAT, what, megabytes=150):
                    assert client.append(name, bomb).startswith(b"OK")
                    client.ok(b"SELECT " + name)
                    client.ok(b"FETCH 1 (ENVELOPE BODYSTRUCTURE PREVIEW EMAILID)")
                    client.ok(b"FETCH 1 (BODY.PEEK[1] BODY.PEEK[HEADER.FIELDS (To)] BODY[1.1.1])")
                    client.ok(b"SEARCH TEXT needle TO p1 SUBJECT bomb HEADER X y")
                    client.ok(b"SORT (SUBJECT FROM) UTF-8 ALL")
                    client.ok(b"THREAD REFERENCES UTF-8 ALL")
                    assert client.command(b"COPY 1 INBOX").startswith(b"OK")
            except AssertionError as error:
                failures.append(f"{what}: {error}")
    assert failures == []


def test_floods_of_idle_and_notify(target: Mailframe) -> None:
    watched = undisturbed(target, PAT, "IDLE floods", megabytes=30)
    with watched, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawImap(target, ANN)) for _ in range(40)]
        for client in clients:
            client.ok(b"SELECT INBOX")
            client.say(b"i IDLE\r\nDONE\r\n" * 500 + b"i IDLE\r\n")
        with RawImap(target, ANN) as other:
            for number in range(100):
                other.append(b"INBOX", message(number))
            other.ok(b"SELECT INBOX")
            for _ in range(20):
                other.ok(b"STORE 1:* +FLAGS (\\Flagged)")
                other.ok(b"STORE 1:* -FLAGS (\\Flagged)")
        for client in clients:
            client.say(b"not done\r\n")
            assert client.answer(b"i")[1]


# ---- APPEND


def test_append_cut_off_at_every_stage(target: Mailframe) -> None:
    whole = b'a APPEND Cut (\\Seen) " 1-Jan-2020 00:00:00 +0000" {%d+}\r\n%b\r\n'
    content = message(7, body="x" * 300)
    whole = whole % (len(content), content)
    with RawImap(target, ANN) as client:
        client.ok(b"CREATE Cut")
    with undisturbed(target, PAT, "APPEND cut off", megabytes=8):
        for end in range(1, len(whole) - 2, 17):
            with RawImap(target, ANN) as client:
                client.say(whole[:end])
        with RawImap(target, ANN) as client:
            client.say(whole[:-2])
            client._socket.shutdown(socket.SHUT_WR)
            client.drained(1)
    time.sleep(0.3)
    with RawImap(target, ANN) as client:
        assert b"* 0 EXISTS" in client.ok(b"SELECT Cut")
        client.say(whole)
        assert client.answer(b"a")[1].startswith(b"OK")
        assert b"* 1 EXISTS" in client.ok(b"SELECT Cut")
    assert not list((target.maildir(ANN) / ".Cut" / "tmp").iterdir())


@pytest.fixture
def own(directory: Path) -> Iterator[Mailframe]:
    """A server that a test may ruin: not started."""
    server = Mailframe(directory, loopback_address())
    server.configure(auth={"allow_plaintext": True}, limits={"message_size": "40M"})
    yield server
    server.stop()


def test_a_full_disk_loses_nothing_and_says_so(own: Mailframe) -> None:
    need_root("a small file system")
    mail = own.base / "mail"
    mail.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(mail)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        own.add_users(ANN)
        own.start()
        with RawImap(own, ANN) as client:
            fill_the_disk(client)
            client.ok(b"SELECT INBOX")
            client.ok(b"UID FETCH 1:* (FLAGS BODY.PEEK[HEADER])")
            there = client.ok(b"SEARCH ALL")
            for command in (b"STORE 1:* +FLAGS (many words)", b"COPY 1:* Else", b"CREATE New"):
                done = client.command(command)
                assert done.startswith((b"OK", b"NO")), done
                if done.startswith(b"NO"):
                    assert b"SERVERBUG" not in done, done
            assert client.ok(b"SEARCH ALL") == there
            for command in (b"DELETE Else", b"UID STORE 1 +FLAGS (\\Deleted)"):
                done = client.command(command)
                assert done.startswith((b"OK", b"NO [OVERQUOTA]")), done
            remount = ["mount", "-o", "remount,size=40m", str(mail)]
            subprocess.run(remount, check=True, capture_output=True)
            client.ok(b"UID STORE 1:3 +FLAGS.SILENT (\\Deleted)")
            client.ok(b"EXPUNGE")
            assert client.append(b"INBOX", message(1)).startswith(b"OK")
        assert own.tracebacks == []
        own.restart()
        with RawImap(own, ANN) as client:
            client.ok(b"SELECT INBOX")
            assert len(client.ok(b"FETCH 1:* BODY.PEEK[]")) == len(own.inbox(ANN))
    finally:
        own.stop()
        subprocess.run(["umount", "-l", str(mail)], check=False)


def fill_the_disk(client: RawImap) -> None:
    """Until APPEND says NO; every OK is there."""
    client.ok(b"CREATE Else")
    large = message(1, body=("x" * 70 + "\r\n") * 10_000)
    stored = 0
    for content in [large] * 30 + [message(2)] * 3:
        done = client.append(b"INBOX", content)
        stored += done.startswith(b"OK")
        if not done.startswith(b"OK"):
            assert done.startswith(b"NO"), done
            assert b"SERVERBUG" not in done
    assert 3 <= stored < 33
    assert b"* %d EXISTS" % stored in client.ok(b"SELECT INBOX")


# ---- what happens underneath


def test_a_folder_that_vanishes_while_selected(own: Mailframe) -> None:
    own.add_users(ANN)
    own.start()
    with RawImap(own, ANN) as client, RawImap(own, ANN) as other:
        client.ok(b"CREATE Gone")
        for number in range(5):
            client.append(b"Gone", message(number))
        client.ok(b"SELECT Gone")
        other.ok(b"SELECT Gone")
        subprocess.run(["rm", "-rf", str(own.maildir(ANN) / ".Gone")], check=True)
        for command in (
            b"FETCH 1:* (FLAGS BODY[])",
            b"NOOP",
            b"STORE 1:* +FLAGS (x)",
            b"SEARCH TEXT x",
            b"COPY 1 INBOX",
            b"EXPUNGE",
            b"CLOSE",
            b"SELECT Gone",
            b"STATUS Gone (MESSAGES)",
        ):
            with contextlib.suppress(Hangup):
                done = client.command(command)
                assert b"SERVERBUG" not in done, (command, done)
                continue
            client = RawImap(own, ANN)
        assert client.append(b"INBOX", message(1)).startswith(b"OK")
        other.say(b"i IDLE\r\nDONE\r\n")
        with contextlib.suppress(Hangup):
            other.answer(b"i")
    assert own.tracebacks == []


RUINS: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda octets: octets[: len(octets) // 2],
    "empty": lambda octets: b"",
    "random": lambda octets: os.urandom(len(octets)),
    "random within": lambda octets: octets[:4096] + os.urandom(len(octets) - 4096),
    "random tail": lambda octets: octets[:-8192] + os.urandom(8192),
    "text": lambda octets: b"this is no database\n" * 100,
}


@pytest.mark.parametrize(
    ("ruin", "running", "replace"),
    [
        ("truncated", True, False),
        ("empty", True, True),
        ("random", False, False),
        ("random within", True, False),
        ("random tail", False, False),
        ("text", True, True),
    ],
)
def test_an_index_that_is_ruined_is_made_anew(
    own: Mailframe, ruin: str, running: bool, replace: bool
) -> None:
    own.add_users(ANN)
    own.start()
    with RawImap(own, ANN) as client:
        for number in range(40):
            assert client.append(b"INBOX", message(number)).startswith(b"OK")
        client.ok(b"SELECT INBOX")
        client.ok(b"STORE 1:5 +FLAGS (\\Flagged)")
    if not running:
        own.stop()
    (index,) = list(own.base.rglob("index.db"))
    octets = RUINS[ruin](index.read_bytes())
    if replace:
        other = index.with_name("other")
        other.write_bytes(octets)
        other.rename(index)
    else:
        index.write_bytes(octets)
    if not running:
        own.start()
    for _ in range(5):
        try:
            with RawImap(own, ANN) as client:
                served(client)
            break
        except (AssertionError, Hangup) as error:
            print("not yet:", error)
            time.sleep(0.3)
    with RawImap(own, ANN) as client:
        served(client)
    assert own.tracebacks == []


def served(client: RawImap) -> None:
    assert b"* 40 EXISTS" in client.ok(b"SELECT INBOX")
    lines = client.ok(b"FETCH 1:* (UID FLAGS ENVELOPE BODY.PEEK[])")
    assert len(lines) == 40
    assert all(b"Subject: message" in line for line in lines)
    assert len(client.ok(b"SEARCH FLAGGED")[0].split()) == 2 + 5
    assert len(client.ok(b"SEARCH SUBJECT message")[0].split()) == 2 + 40


# ---- names


NAMES = [
    b"../../bob/Maildir",
    b"..",
    b".",
    b"../x",
    b"a/../../b",
    b"/etc/passwd",
    b"//x",
    b"a//b",
    b"x" * 5000,
    b"/".join([b"d"] * 200),
    b"&AAo-",
    b"&AAA-x",
    b"a.b",
    b"~bob/INBOX",
    b"INBOX/INBOX",
    b"user/bob/INBOX",
    b"Other Users/bob@mf.test/INBOX",
    b"Other Users/bob@mf.test",
    b"Shared/x",
    b"&AC8-x",
    b"&AC4ALg-/x",
    b"cur",
    b"index.db",
    b"mailframe-folder",
    b"*",
    b"%",
    b"a\\b",
    b'a"b',
]


NAMING = (
    b"CREATE %b",
    b"SELECT %b",
    b"STATUS %b (MESSAGES)",
    b"SUBSCRIBE %b",
    b"COPY 1 %b",
    b"GETACL %b",
    b"GETMETADATA %b /private/comment",
    b"SETMETADATA %b (/private/comment x)",
    b"RENAME Private %b",
    b"DELETE %b",
    b"SETACL %b ann@mf.test lrswipkxtea",
    b'LIST "" %b',
    b"LIST %b *",
)


def quoted(name: bytes) -> bytes:
    return b"{%d+}\r\n%b" % (len(name), name)


def test_names_lead_nowhere_else(own: Mailframe) -> None:
    own.add_users(ANN, BOB)
    own.start()
    with RawImap(own, BOB) as client:
        client.append(b"INBOX", message(99, subject="secret"))
        client.ok(b"CREATE Private")
    outside = {path for path in own.base.parent.rglob("*") if ANN[:3] not in path.parts}
    for name in NAMES:
        with RawImap(own, ANN) as client:
            for verb in NAMING:
                try:
                    untagged, done = client.ask(verb % quoted(name))
                except Hangup:  # twenty BAD ones in a row are enough
                    client = stay(own, client, ANN)
                    continue
                told = b"".join(untagged)
                assert b"SERVERBUG" not in done, (verb, name, done)
                assert b"UNAVAILABLE" not in done, (verb, name, done)
                assert b"secret" not in told
                assert b"root:" not in told
            client.append(quoted(name), message(1))
    left = {path for path in own.base.parent.rglob("*") if ANN[:3] not in path.parts}
    new = {path for path in left - outside if not path.name.startswith(("index.db", "journal"))}
    assert not {path for path in new if "bob" in path.parts}, new
    assert set(own.base.parent.iterdir()) <= outside
    assert own.tracebacks == []


def test_nothing_of_a_client_gets_out_as_a_line_of_ours(own: Mailframe) -> None:
    own.add_users(ANN)
    own.start()
    evil = b"x\r\n* 666 EXISTS\r\nz9 OK pwned"
    with RawImap(own, ANN) as client:
        client.ok(b"SELECT INBOX")
        for command in (
            b"CREATE %b",
            b"SUBSCRIBE %b",
            b"SELECT %b",
            b'ID ("name" %b)',
            b"SETMETADATA INBOX (/private/comment %b)",
            b"SETMETADATA INBOX (/private/vendor/%b x)",
            b"GETMETADATA INBOX %b",
            b"SEARCH SUBJECT %b",
            b"SEARCH CHARSET %b ALL",
            b"SETACL INBOX %b lrs",
            b"LISTRIGHTS INBOX %b",
            b'LIST "" %b',
            b"GETQUOTA %b",
            b"ENABLE %b",
            b"STORE 1 +FLAGS (%b)",
            b"THREAD %b UTF-8 ALL",
            b"CANCELUPDATE %b",
        ):
            untagged, done = client.ask(command % quoted(evil))
            assert done[:3] in (b"OK ", b"NO ", b"BAD"), done
            for line in untagged:
                assert not line.startswith((b"* 666", b"z9")), (command, untagged)
            for ask in (b'LIST "" *', b'LSUB "" *', b"GETMETADATA INBOX /private/comment"):
                lines = client.ok(ask)
                assert not any(line.startswith((b"* 666", b"z9")) for line in lines), lines
        evil_message = b'Subject: =?utf-8?q?a=0D=0A*_666_EXISTS?=\r\nFrom: "a\x0d" <a\x0a@b>\r\n'
        client.append(b"INBOX", evil_message + b'Content-Type: a/b; c="d\x0d\x0a*_6"\r\n\r\nx')
        for line in client.ok(b"FETCH 1:* (ENVELOPE BODYSTRUCTURE PREVIEW BODY[HEADER])"):
            assert not line.startswith(b"* 666")
    assert b"pwned" not in b"".join(
        line.encode() for line in own.log.splitlines() if line.startswith("z9")
    )
    assert own.tracebacks == []


# ---- doors


def test_one_user_gets_so_many_connections(own: Mailframe) -> None:
    own.configure(limits={"imap_connections_per_user": 5})
    own.add_users(ANN, BOB)
    own.start()
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(RawImap(own, ANN))
        login = b'LOGIN %b "%b"'
        more = stack.enter_context(RawImap(own))
        assert more.command(login % (ANN.encode(), PASSWORD.encode())).startswith(b"NO [LIMIT]")
        assert more.command(login % (BOB.encode(), PASSWORD.encode())).startswith(b"OK")
    wait_until(lambda: own.log.count("step=disconnect") >= 6, "they are gone")
    RawImap(own, ANN).close()  # there is room again


def test_guessing_passwords_is_slowed_down_and_ends(own: Mailframe) -> None:
    own.add_users(ANN, BOB)
    own.start()
    tried = guesses = 0
    began = time.monotonic()
    while tried < 60:
        with RawImap(own) as client, contextlib.suppress(Hangup):
            for _ in range(4):
                done = client.command(b"LOGIN ann@mf.test guess%d" % tried)
                assert done.startswith(b"NO"), done
                tried += 1
                guesses += done.startswith(b"NO [AUTHENTICATIONFAILED]")
            pytest.fail("it lets a client guess for ever")
    print(f"{guesses} guesses in {time.monotonic() - began:.1f} s")
    assert guesses <= 20  # of the others nothing was looked at
    assert own.tracebacks == []
