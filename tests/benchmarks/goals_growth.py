"""Ten times as much of everything: one more operation must not cost more.

Each figure is the server's CPU time for an operation with much there, divided by that with a
tenth of it; both in the same round, on servers of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.goals_pop3 import fill
from tests.benchmarks.goals_stage import Stage
from tests.benchmarks.goals_table import Goal, Row, Rows
from tests.benchmarks.goals_users import add_copies
from tests.benchmarks.paired_cost import Cost, settle
from tests.benchmarks.paired_load import bench
from tests.benchmarks.paired_servers import MAILBOX, MailframeServer
from tests.interop.peers.mailframe import PASSWORD
from tests.interop.peers.process import free_port

_CONSTANT = Goal(1.3)
_DEAD = "dead.test"
_OPERATIONS = 300
Operation = Callable[[Stage, MailframeServer], float]
"""Milliseconds of CPU time for one."""


def mailbox(stage: Stage) -> Rows:
    sizes = [stage.count(number, 20 * each) for each, number in enumerate((1000, 10_000), 1)]
    servers = [_with_messages(stage, size) for size in sizes]
    operations: dict[str, Operation] = {
        "a delivery into it": _deliver,
        "an IMAP APPEND": _append,
        "a POP3 message fetched": _fetch,
    }
    yield from _compared(stage, f"mailbox of {_steps(sizes)} messages", servers, operations)


def queue(stage: Stage) -> Rows:
    """Deferred mail that nobody is due to be tried again of."""
    sizes = [stage.count(number, 50 * each) for each, number in enumerate((10_000, 100_000), 1)]
    servers = [_with_queue(stage, size) for size in sizes]
    operations: dict[str, Operation] = {"a delivery beside it": _deliver}
    yield from _compared(stage, f"queue of {_steps(sizes)} messages", servers, operations)


def directory(stage: Stage) -> Rows:
    sizes = [stage.count(number, 100 * each) for each, number in enumerate((10_000, 100_000), 1)]
    servers = [_with_users(stage, size) for size in sizes]
    operations: dict[str, Operation] = {
        "a delivery": _deliver,
        "a recipient refused": _refuse,
        "a login": _log_in,
    }
    yield from _compared(stage, f"directory of {_steps(sizes)} users", servers, operations)


def _steps(sizes: list[int]) -> str:
    return " and ".join(f"{size:,}" for size in sizes)


def _compared(
    stage: Stage, name: str, servers: list[MailframeServer], operations: dict[str, Operation]
) -> Rows:
    for what, operation in operations.items():
        for server in servers:
            operation(stage, server)  # caches are filled, code is loaded
        few: list[float] = []
        many: list[float] = []
        for number in range(stage.rounds):
            pair = list(zip(servers, (few, many), strict=True))
            for server, found in pair if number % 2 == 0 else reversed(pair):
                settle([server.pid])
                found.append(operation(stage, server))
            stage.say(f"{name}, {what}: {few[-1]:.3f} and {many[-1]:.3f} ms")
        yield Row(f"{name}: {what}", "ms CPU", many, "a tenth of it", few, _CONSTANT)
    for server in servers:
        server.stop()


# ---- servers that have much


def _with_messages(stage: Stage, number: int) -> MailframeServer:
    return stage.mailframe(lambda server: fill(server.maildir(MAILBOX), number, 2000))


def _with_queue(stage: Stage, number: int) -> MailframeServer:
    """Their next hop does not listen, and is tried once a day."""
    dead = free_port()
    server = stage.mailframe(
        routes={_DEAD: f"smtp://127.0.0.1:{dead}"}, queue={"retry": ["1d"], "warn_after": "3d"}
    )
    words = ["--to", f"user{{n}}@{_DEAD}", "--mailboxes", 1000, "--messages", number]
    bench("smtp", f"127.0.0.1:{server.port}", *words, "--reuse", "--pipelining")
    settle([server.pid], 600)
    return server


def _with_users(stage: Stage, number: int) -> MailframeServer:
    return stage.mailframe(lambda server: add_copies(server, number))


# ---- operations


def _deliver(stage: Stage, server: MailframeServer) -> float:
    """Until it is in the Maildir; each run adds some to what is there."""
    words = ["--to", MAILBOX, "--sessions", 10, "--reuse", "--delivered", server.maildir]
    return _cpu(stage, server, "smtp", "mx", "--messages", words)


def _refuse(stage: Stage, server: MailframeServer) -> float:
    words = ["--to", "nobody{n}@bench.test", "--sessions", 10]
    return _cpu(stage, server, "smtp", "mx", "--messages", words)


def _append(stage: Stage, server: MailframeServer) -> float:
    number = stage.count(_OPERATIONS, 20)
    words = ["--visits", 1, "--commands", ",".join(["select", *["append"] * number])]
    return _cpu(stage, server, "imap", "imap", "", words + _login(server), number)


def _fetch(stage: Stage, server: MailframeServer) -> float:
    words = ["--visits", 1, "--pipelining", *_login(server)]
    return _cpu(stage, server, "pop3", "pop3", "", words, counted="messages")


def _log_in(stage: Stage, server: MailframeServer) -> float:
    """Of few users, so that every worker has hashed their passwords before."""
    number = stage.count(_OPERATIONS, 60)
    words = ["--user", "user{n}@bench.test", "--users", 3, "--visits", number, "--retr", 0]
    words += ["--password-file", _secret(server)]
    return _cpu(stage, server, "pop3", "pop3", "", words, number)


def _cpu(
    stage: Stage,
    server: MailframeServer,
    protocol: str,
    listener: str,
    option: str,
    words: list[object],
    number: int = 0,
    counted: str = "",
) -> float:
    """``option`` is told how many; ``counted`` is a figure of the report that tells it."""
    number = number or stage.count(_OPERATIONS, 20)
    if option:
        words = [*words, option, number]
    with Cost(server.pid) as cost:
        target = f"127.0.0.1:{server.server.ports[listener]}"
        found = bench(protocol, target, *words, problems=True)
        settle([server.pid], 5)
    return 1000 * cost.cpu_seconds / (found[counted] if counted else number)


def _login(server: MailframeServer) -> list[object]:
    return ["--user", MAILBOX, "--password-file", _secret(server)]


def _secret(server: MailframeServer) -> Path:
    path = server.server.directory / "password"
    path.write_text(PASSWORD + "\n")
    return path
