"""IMAP on a large mailbox, command by command, beside Dovecot.

    python -m tests.benchmarks.paired_imap [--messages 10000] [--size 10000] [--rounds 5]
        [--idle 1000] [--only WORD]

Both serve the same mail: mail of several parts with differing subjects, senders, dates and
threads, ``,S=`` and ``,W=`` in the names. Each line of the table is one command, sent by the
same client to one server after the other in turn; the ratio is of mailframe's time to
Dovecot's, round by round: below 1 mailframe is faster. ``select cold`` begins without any
index file, so Dovecot has none and mailframe is started anew; it selects a copy of the INBOX,
which mailframe opens at the login already. Only ``fetch ... first``, which begins like that
too, meets messages that were not read yet: before every other line both are left alone until
they are quiet, since mailframe reads what is new in the background. ``idle`` opens connections that
have selected the mailbox and wait in IDLE, spread over a hundred users, and counts the memory
(PSS) of all processes. Needs root (Dovecot does) and Debian's dovecot-imapd.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import itertools
import os
import random
import shutil
import smtplib
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mailframe.bench.cost import Trees, pss
from tests.benchmarks.paired_cost import settle
from tests.interop.peers.dovecot import PASSWORD as DOVECOT_PASSWORD
from tests.interop.peers.dovecot import Dovecot
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import workdir

USER = "bench@bench.test"
COPY = "Copy"
_WORDS = ("report", "meeting", "invoice", "network", "holiday", "archive", "delivery", "question")


# ---- mail


def messages(number: int, size: int) -> Iterator[bytes]:
    """The same every time: conversations, two parts each, ``size`` octets or a little more."""
    choose = random.Random(1)
    subjects = [" ".join(choose.sample(_WORDS, 3)) for _ in range(max(1, number // 5))]
    for index in range(number):
        topic = index % len(subjects)
        first = index < len(subjects)
        text = "\n".join(" ".join(choose.choices(_WORDS, k=10)) for _ in range(max(1, size // 110)))
        yield _message(index, topic, subjects[topic], first, text, choose).encode()


def _message(
    index: int, topic: int, subject: str, first: bool, text: str, choose: random.Random
) -> str:
    day, hour = 1 + index % 28, index % 24
    earlier = (
        "" if first else f"In-Reply-To: <{topic}@bench.test>\nReferences: <{topic}@bench.test>\n"
    )
    attached = base64.encodebytes(choose.randbytes(max(30, len(text) // 3))).decode()
    return (
        f"From: Sender {index % 97} <s{index % 97}@example.org>\n"
        f"To: bench@bench.test, Other {index % 13} <o{index % 13}@example.org>\n"
        f"Subject: {'' if first else 'Re: '}{subject}\n"
        f"Date: Mon, {day} Jan 2024 {hour:02}:00:00 +0100\n"
        f"Message-ID: <{index}@bench.test>\n{earlier}"
        "MIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="==bound=="\n\n'
        "--==bound==\nContent-Type: text/plain; charset=utf-8\n\n"
        f"{text}\nneedle{index % 1000:04}\n"
        '--==bound==\nContent-Type: application/octet-stream; name="data.bin"\n'
        "Content-Transfer-Encoding: base64\nContent-Disposition: attachment\n\n"
        f"{attached}--==bound==--\n"
    )


def fill(maildir: Path, number: int, size: int) -> None:
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, mode=0o700, exist_ok=True)
    for index, content in enumerate(messages(number, size)):
        wire = len(content) + content.count(b"\n")
        name = (
            f"{1_700_000_000 + index}.M{index % 10**6:06}P1.bench.test,S={len(content)},W={wire}:2,"
        )
        (maildir / "cur" / name).write_bytes(content)


# ---- client


class Client:
    """As fast as Python can: looks only for the end of the answer."""

    def __init__(self, address: tuple[str, int], user: str, password: str) -> None:
        self._socket = socket.create_connection(address, 600)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tags = itertools.count(1)
        self._socket.recv(4096)
        self.command(f"LOGIN {user} {password}")

    def command(self, line: str) -> bytes:
        """The answer's last 64 KB, which is all of a short one."""
        tag = b"t%d" % next(self._tags)
        self._socket.sendall(tag + b" " + line.encode() + b"\r\n")
        return self._answer(tag)

    def append(self, box: str, content: bytes) -> None:
        tag = b"t%d" % next(self._tags)
        head = b"%s APPEND %s {%d+}\r\n" % (tag, box.encode(), len(content))
        self._socket.sendall(head + content + b"\r\n")
        self._answer(tag)

    def idle(self) -> None:
        self._socket.sendall(b"i IDLE\r\n")
        while not self._socket.recv(4096).startswith(b"+"):
            pass

    def wait(self, seconds: float = 30) -> None:
        """Until anything comes."""
        self._socket.settimeout(seconds)
        self._socket.recv(65536)

    def close(self) -> None:
        self._socket.close()

    def _answer(self, tag: bytes) -> bytes:
        tail = b""
        begin, inner = tag + b" ", b"\r\n" + tag + b" "
        while True:
            data = self._socket.recv(1 << 20)
            if not data:
                raise RuntimeError("the server went away")
            tail = (tail + data)[-65536:]
            if not tail.endswith(b"\r\n"):
                continue
            at = 0 if tail.startswith(begin) else tail.rfind(inner) + 2
            if at >= 2 or tail.startswith(begin):
                if not tail[at + len(begin) :].startswith(b"OK"):
                    raise RuntimeError(tail[at:].decode("utf-8", "replace"))
                return tail


# ---- servers


class Contender:
    def __init__(self, name: str) -> None:
        self.name = name

    def login(self) -> Client:
        raise NotImplementedError

    def cold(self) -> None:
        raise NotImplementedError

    def deliver(self) -> None:
        """One more message into the INBOX, as mail arrives."""
        raise NotImplementedError

    def pids(self) -> list[int]:
        raise NotImplementedError


class OfMailframe(Contender):
    def __init__(self, directory: Path, template: Path, command: str | None) -> None:
        super().__init__("mailframe")
        directory.mkdir()
        self._server = Mailframe(directory, command=command)
        self._server.configure(
            auth={"allow_plaintext": True},
            limits={"imap_connections_per_user": 0, "connections": 0},
        )
        self._server.add_users(USER)
        maildir = self._server.maildir(USER)
        maildir.parent.mkdir(parents=True, exist_ok=True)
        if maildir.exists():
            shutil.rmtree(maildir)
        shutil.copytree(template, maildir)
        self._maildir = maildir
        self._server.start()

    def login(self) -> Client:
        return Client(("127.0.0.1", self._server.ports["imap"]), USER, f'"{PASSWORD}"')

    def cold(self) -> None:
        self._server.stop()
        for path in self._maildir.parent.glob("index.db*"):
            path.unlink()
        self._server.start()

    def deliver(self) -> None:
        with smtplib.SMTP("127.0.0.1", self._server.ports["mx"]) as client:
            client.sendmail("a@example.org", [USER], b"Subject: new\r\n\r\nx\r\n")

    def pids(self) -> list[int]:
        return Trees([self._server.pid]).processes()

    def stop(self) -> None:
        self._server.stop()


class OfDovecot(Contender):
    def __init__(self, directory: Path, template: Path) -> None:
        super().__init__("dovecot")
        directory.mkdir()
        self._directory = directory
        self._server = Dovecot(directory)
        self._server.start(template)
        self._number = itertools.count()

    def login(self) -> Client:
        return Client(("127.0.0.1", self._server.imap_port), "bench", DOVECOT_PASSWORD)

    def cold(self) -> None:
        for path in (self._directory / "Maildir").rglob("dovecot*"):
            path.unlink()

    def deliver(self) -> None:
        maildir = self._directory / "Maildir"
        name = f"{time.time():.0f}.M{next(self._number)}P9.bench.test"
        (maildir / "tmp" / name).write_bytes(b"Subject: new\n\nx\n")
        os.chown(maildir / "tmp" / name, 65534, 65534)
        (maildir / "tmp" / name).rename(maildir / "new" / name)

    def pids(self) -> list[int]:
        return Trees([self._server.pid]).processes()

    def stop(self) -> None:
        self._server.stop()


# ---- what is measured

Work = Callable[[Contender, Client], float]


def timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def plain(line: str) -> Work:
    return lambda contender, client: timed(lambda: client.command(line))


def select_cold(contender: Contender, client: Client) -> float:
    contender.cold()
    fresh = contender.login()
    taken = timed(lambda: fresh.command(f"SELECT {COPY}"))
    fresh.close()
    return taken


def fetch_first(contender: Contender, client: Client) -> float:
    contender.cold()
    fresh = contender.login()
    fresh.command(f"SELECT {COPY}")
    taken = timed(lambda: fresh.command("FETCH 1:* (ENVELOPE BODYSTRUCTURE)"))
    fresh.close()
    return taken


def select_warm(contender: Contender, client: Client) -> float:
    fresh = contender.login()
    taken = timed(lambda: fresh.command("SELECT INBOX"))
    fresh.close()
    return taken


def stored(change: str, back: str) -> Work:
    """Every message is changed each time: what ``change`` does is undone before."""

    def work(contender: Contender, client: Client) -> float:
        client.command(f"STORE 1:* {back} (\\Flagged)")
        return timed(lambda: client.command(f"STORE 1:* {change} (\\Flagged)"))

    return work


def moved(contender: Contender, client: Client) -> float:
    """There and back again."""

    def both() -> None:
        client.command("MOVE 1:1000 Other")
        client.command("SELECT Other")
        client.command("MOVE 1:* INBOX")

    with contextlib.suppress(RuntimeError):
        client.command("CREATE Other")
    taken = timed(both)
    client.command("SELECT INBOX")
    return taken


def appended(contender: Contender, client: Client) -> float:
    content = (b"Subject: appended\r\n\r\n" + b"x" * 76 + b"\r\n") * 12
    with contextlib.suppress(RuntimeError):
        client.command("CREATE Drop")
    return timed(lambda: [client.append("Drop", content) for _ in range(200)])


def pushed(contender: Contender, client: Client) -> float:
    """From the delivery (mailframe: the 250; Dovecot: the rename) to the untagged EXISTS."""
    watching = contender.login()
    watching.command("SELECT INBOX")
    watching.idle()
    time.sleep(0.3)
    contender.deliver()
    taken = timed(watching.wait)
    watching.close()
    return taken


WORKS: dict[str, Work] = {
    "select cold": select_cold,
    "select warm": select_warm,
    "fetch flags": plain("FETCH 1:* (UID FLAGS)"),
    "fetch envelope structure, first": fetch_first,
    "fetch envelope structure": plain("FETCH 1:* (ENVELOPE BODYSTRUCTURE)"),
    "fetch header fields": plain("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])"),
    "fetch bodies": plain("FETCH 1:* (BODY.PEEK[])"),
    "search text": plain("SEARCH TEXT needle0042"),
    "search from": plain("SEARCH FROM s42@example.org"),
    "search unseen since": plain("SEARCH UNSEEN SINCE 1-Jan-2020"),
    "sort subject": plain("SORT (SUBJECT) UTF-8 ALL"),
    "sort reverse date": plain("SORT (REVERSE DATE) UTF-8 ALL"),
    "thread references": plain("THREAD REFERENCES UTF-8 ALL"),
    "store +flags": stored("+FLAGS", "-FLAGS.SILENT"),
    "store -flags silent": stored("-FLAGS.SILENT", "+FLAGS.SILENT"),
    "move 1000 and back": moved,
    "append 200": appended,
    "idle push": pushed,
}
ONCE = ("select cold", "fetch envelope structure, first")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--only", default="", help="lines whose name contains this")
    parser.add_argument("--command", help="another mailframe to measure")
    options = parser.parse_args()
    with contextlib.ExitStack() as ends:
        directory = ends.enter_context(workdir("imap"))
        fill(directory / "template", options.messages, options.size)
        fill(directory / "template" / f".{COPY}", options.messages, options.size)
        pair: list[Contender] = []
        for contender in (
            OfDovecot(directory / "dovecot", directory / "template"),
            OfMailframe(directory / "mailframe", directory / "template", options.command),
        ):
            ends.callback(contender.stop)
            pair.append(contender)
        for name, work in WORKS.items():
            if options.only in name:
                _line(name, work, pair, options.rounds)
        if options.idle and options.only in "idle memory":
            _idle(pair, options.idle)


def _line(name: str, work: Work, pair: list[Contender], rounds: int) -> None:
    found: dict[str, list[float]] = {contender.name: [] for contender in pair}
    clients = {contender.name: _selected(contender) for contender in pair}
    if name not in ONCE:
        settle(itertools.chain.from_iterable(contender.pids() for contender in pair))
    for number in range(rounds):
        for contender in pair if number % 2 == 0 else reversed(pair):
            found[contender.name].append(work(contender, clients[contender.name]))
    for client in clients.values():
        client.close()
    theirs, ours = found[pair[0].name], found[pair[1].name]
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    print(
        f"{name:32} dovecot {statistics.median(theirs) * 1000:9.1f} ms   mailframe "
        f"{statistics.median(ours) * 1000:9.1f} ms   ratio {statistics.median(ratios):6.2f} "
        f"({min(ratios):.2f}-{max(ratios):.2f})",
        flush=True,
    )


def _selected(contender: Contender) -> Client:
    client = contender.login()
    client.command("SELECT INBOX")
    return client


def _idle(pair: list[Contender], number: int) -> None:
    for contender in pair:
        clients: list[Client] = []
        before = pss(contender.pids())
        try:
            for _ in range(number):
                clients.append(_selected(contender))
                clients[-1].idle()
        except (OSError, RuntimeError) as error:
            print(f"{contender.name}: stopped at {len(clients)}: {error}", file=sys.stderr)
        time.sleep(1)
        each = (pss(contender.pids()) - before) / max(1, len(clients)) / 1024
        print(f"idle memory, {len(clients)} connections  {contender.name} {each:.1f} KB each")
        for client in clients:
            client.close()
        time.sleep(1)


if __name__ == "__main__":
    main()
