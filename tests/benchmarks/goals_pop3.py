"""A whole POP3 mailbox, from the connect to the last octet, beside Dovecot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.goals_stage import Stage
from tests.benchmarks.goals_table import Goal, Row, Rows, in_turn
from tests.benchmarks.paired_cost import Cost
from tests.benchmarks.paired_load import bench
from tests.benchmarks.paired_servers import MAILBOX
from tests.interop.peers.dovecot import PASSWORD as DOVECOT_PASSWORD
from tests.interop.peers.dovecot import Dovecot
from tests.interop.peers.mailframe import PASSWORD, Mailframe

_ROW = b"All lines of these messages are of one length, and many of them\n"
_HEAD = b"From: <a@bench.test>\nSubject: one of many\n\n"
_OCTETS = 10_240
_MANNERS = {"--no-pipelining": "one answer after the other", "--pipelining": "50 under way"}


@dataclass(frozen=True)
class Pop3Server:
    """Serves the mailbox to ``user``."""

    name: str
    port: int
    pid: int
    user: str
    password: Path


def fetched(stage: Stage) -> Rows:
    """1,000 and 10,000 messages of 10 KB; both servers have read the mailbox before."""
    for number in (1000, 10_000):
        messages = stage.count(number, 50)
        peer, ours = _peer(stage, messages), _mailframe(stage, messages)
        for server in (ours, peer):
            _visit(server, messages, "--pipelining")
        for manner, words in _MANNERS.items():
            yield from _compared(stage, [ours, peer], messages, manner, words)


def _compared(
    stage: Stage, servers: list[Pop3Server], messages: int, manner: str, words: str
) -> Rows:
    def measure(server: Pop3Server) -> dict[str, float]:
        found = _visit(server, messages, manner)
        stage.say(f"POP3, {messages} messages, {words}: {server.name} {found}")
        return found

    ours, theirs = in_turn(servers, stage.rounds, measure)
    name, peer = f"POP3, {messages} messages of 10 KB, {words}", servers[1].name
    yield Row(name, "s", ours["seconds"], peer, theirs["seconds"], Goal(1.0))
    yield Row(f"{name}: CPU", "s", ours["CPU"], peer, theirs["CPU"])


def _visit(server: Pop3Server, messages: int, manner: str) -> dict[str, float]:
    words = ["--user", server.user, "--password-file", server.password, "--visits", 1, manner]
    with Cost(server.pid) as cost:
        found = bench("pop3", f"127.0.0.1:{server.port}", *words)
    if found["messages"] != messages:
        raise RuntimeError(f"{server.name}: {found['messages']} messages instead of {messages}")
    return {"seconds": found["latency_ms"]["session"]["max"] / 1000, "CPU": cost.cpu_seconds}


def fill(maildir: Path, messages: int, octets: int = _OCTETS) -> None:
    """With ``,S=`` and ``,W=`` in the names, as both servers write them."""
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, mode=0o700, exist_ok=True)
    content = _HEAD + _ROW * ((octets - len(_HEAD)) // len(_ROW))
    wire = len(content) + content.count(b"\n")
    for number in range(messages):
        name = f"1700000000.M{number:06}P1.bench.test,S={len(content)},W={wire}:2,"
        (maildir / "cur" / name).write_bytes(content)


def _peer(stage: Stage, messages: int) -> Pop3Server:
    if stage.against:
        return _mailframe(stage, messages, "the other mailframe", stage.against)
    directory = stage.place("dovecot")
    directory.mkdir()
    fill(directory / "template", messages)
    server = Dovecot(directory)
    server.start(directory / "template")
    stage.ends.callback(server.stop)
    return Pop3Server(
        "Dovecot", server.pop3_port, server.pid, "bench", _secret(directory, DOVECOT_PASSWORD)
    )


def _mailframe(
    stage: Stage, messages: int, name: str = "mailframe", command: str | None = None
) -> Pop3Server:
    directory = stage.place("mailframe")
    directory.mkdir()
    server = Mailframe(directory, command=command)
    server.configure(auth={"allow_plaintext": True})
    if stage.workers is not None and command is None:
        server.configure(workers=stage.workers)  # type: ignore[arg-type]
    server.add_users(MAILBOX)
    fill(server.maildir(MAILBOX), messages)
    server.start()
    stage.ends.callback(server.stop)
    password = _secret(directory, PASSWORD)
    return Pop3Server(name, server.ports["pop3"], server.pid, MAILBOX, password)


def _secret(directory: Path, password: str) -> Path:
    path = directory / "password"
    path.write_text(password + "\n")
    return path
