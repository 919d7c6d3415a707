"""Memory of a server that has nothing to do, and of connections that do nothing."""

from __future__ import annotations

import time
from pathlib import Path

from mailframe.bench.cost import Trees, pss, rss
from tests.benchmarks.goals_stage import Stage
from tests.benchmarks.goals_table import Goal, Row, Rows
from tests.benchmarks.goals_users import add_copies
from tests.benchmarks.paired_load import bench
from tests.benchmarks.paired_servers import MAILBOX, MailframeServer
from tests.interop.peers.mailframe import PASSWORD

_REST = 3.0  # seconds after the start
_LIMITS = {
    "connections": 0,
    "connections_per_ip": 0,
    "imap_connections_per_user": 0,
}
_KINDS = (
    ("SMTP", "smtp", "mx", "none"),
    ("SMTP", "smtp", "submissions", "implicit"),
    ("POP3", "pop3", "pop3", "none"),
    ("POP3", "pop3", "pop3s", "implicit"),
    ("IMAP", "imap", "imap", "none"),
    ("IMAP", "imap", "imaps", "implicit"),
)
_USERS = 50


def idle_server(stage: Stage) -> Rows:
    """Once it has started, with every listener open."""
    found: dict[str, list[float]] = {"PSS": [], "RSS": []}
    for _ in range(stage.rounds):
        server = stage.mailframe()
        time.sleep(_REST)
        processes = Trees([server.pid]).processes()
        found["PSS"].append(pss(processes) / 1e6)
        found["RSS"].append(rss(processes) / 1e6)
        server.stop()
    yield Row("idle server, PSS of all processes", "MB", found["PSS"], goal=Goal(60))
    yield Row("idle server, RSS of all processes", "MB", found["RSS"])


def idle_connections(stage: Stage) -> Rows:
    """What each more costs. Not logged in; and by IMAP also in IDLE with the INBOX open."""
    number = stage.count(2000, 50)
    for name, protocol, listener, tls in _KINDS:
        kilobytes = [_each(stage, protocol, listener, tls, number) for _ in range(stage.rounds)]
        secure = "TLS" if tls == "implicit" else "plain"
        goal = Goal(30 if tls == "implicit" else 4)
        yield Row(f"idle {secure} connection, {name}", "KB", kilobytes, goal=goal)
    in_idle = [
        _each(stage, "imap", "imap", "none", stage.count(500, 50), log_in=True)
        for _ in range(stage.rounds)
    ]
    yield Row("connection in IMAP IDLE, mailbox empty", "KB", in_idle)


def _each(
    stage: Stage, protocol: str, listener: str, tls: str, number: int, *, log_in: bool = False
) -> float:
    """Kilobytes (PSS) of each connection, of a server that has never had so many."""
    server = stage.mailframe(lambda made: add_copies(made, _USERS), limits=_LIMITS)
    words = [*_target(server, protocol, listener, tls), "--seconds", 0.5, "--pid", server.pid]
    if log_in:
        words += ["--user", "user{n}@bench.test", "--users", _USERS]
        words += ["--password-file", _secret(server)]
    try:
        # What the first connections load is no cost of the others.
        bench(*words, "--idle", _USERS)
        found = bench(*words, "--idle", number)
    finally:
        server.stop()
    stage.say(f"{listener}: {found['server']}")
    return float(found["server"]["pss_per_connection"]) / 1024


def _target(server: MailframeServer, protocol: str, listener: str, tls: str) -> list[object]:
    port = server.server.ports[listener]
    words: list[object] = [protocol, f"127.0.0.1:{port}", "--tls", tls, "--insecure"]
    return words + (["--to", MAILBOX] if protocol == "smtp" else [])


def _secret(server: MailframeServer) -> Path:
    path = server.server.directory / "password"
    path.write_text(PASSWORD + "\n")
    return path
