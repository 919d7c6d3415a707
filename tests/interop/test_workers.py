"""Several processes that are one server: killed, stopped, replaced one by one, left alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import smtplib
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers.imap import ANN, logged_in
from tests.interop.peers.imap_watch import watching
from tests.interop.peers.maildir import header
from tests.interop.peers.mailframe import Mailframe, mailframe_command
from tests.interop.peers.process import Process, free_port, wait_until

BODY = "Subject: {}\r\nMessage-ID: <{}@there.test>\r\n\r\ntext\r\n"


@pytest.fixture
def server(mailframe: Mailframe) -> Mailframe:
    """Two workers, not started."""
    mailframe.configure(workers=2)
    return mailframe


@pytest.fixture
def up(server: Mailframe) -> Iterator[Mailframe]:
    server.start(60)
    yield server
    server.stop()
    assert server.tracebacks == []


def workers(server: Mailframe) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.cli("workers", "--json").splitlines()]


def pids(server: Mailframe) -> list[int]:
    return [worker["pid"] for worker in workers(server)]


def is_there(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def both_serve(server: Mailframe) -> bool:
    answering = [one for one in workers(server) if "connections" in one]
    return [one["state"] for one in answering] == ["serving"] * 2


def send(server: Mailframe, name: str) -> None:
    with server.smtp(timeout=20) as client:
        client.sendmail("friend@there.test", [ANN], BODY.format(name, name))


class Load:
    """Clients that send all the time, a connection for each message."""

    def __init__(self, server: Mailframe, clients: int = 4) -> None:
        self._server = server
        self._ends = threading.Event()
        self.acknowledged: list[str] = []
        self.failed: list[str] = []
        """Each with what went wrong."""
        self._threads = [
            threading.Thread(target=self._send, args=(number,)) for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _send(self, client: int) -> None:
        number = 0
        while not self._ends.is_set():
            number += 1
            name = f"m{client}-{number}"
            try:
                send(self._server, name)
            except (OSError, smtplib.SMTPException) as error:
                self.failed.append(f"{name}: {error!r}")
            else:
                self.acknowledged.append(name)

    def has_sent(self, more: int) -> None:
        """Returns when so many more were acknowledged."""
        goal = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= goal, f"{more} messages are taken", 60)


def all_are_there_once(server: Mailframe, names: list[str]) -> None:
    def subjects() -> Counter[str]:
        return Counter(header(each, "Subject")[0] for each in server.inbox(ANN))

    wait_until(lambda: not set(names) - set(subjects()), "all messages arrive", 60)
    assert [name for name, times in subjects().items() if times > 1] == []


def test_two_processes_one_server(up: Mailframe) -> None:
    assert both_serve(up)
    assert up.log.count("mailframe ready") == 1
    status = json.loads(up.cli("status", "--json"))
    assert status["pid"] == up.pid
    assert status["listeners"].keys() == up.ports.keys()
    assert [one["pid"] for one in status["workers"]] == pids(up)
    with up.smtp(), up.smtp(), up.smtp():
        assert json.loads(up.cli("status", "--json"))["connections"] == 3
    names = [f"m{number}" for number in range(20)]
    for name in names:
        send(up, name)
    all_are_there_once(up, names)


def test_killed_workers_lose_nothing_and_are_replaced(up: Mailframe) -> None:
    killed = []
    with Load(up) as load:
        for _ in range(3):
            load.has_sent(30)
            victim = pids(up)[0]
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)
            wait_until(lambda: victim not in pids(up) and both_serve(up), "it is replaced", 60)  # noqa: B023
        load.has_sent(30)
    assert up.log.count("was killed by SIGKILL") == 3
    assert not set(killed) & set(pids(up))
    all_are_there_once(up, load.acknowledged)
    wait_until(lambda: not up.queue(), "nothing is left in the queue", 30)


def test_a_stopped_worker_holds_nobody_up(up: Mailframe) -> None:
    victim = pids(up)[0]
    os.kill(victim, signal.SIGSTOP)
    try:
        names = [f"m{number}" for number in range(20)]
        for name in names:
            send(up, name)
        all_are_there_once(up, names)
        silent = [one["pid"] for one in workers(up) if "connections" not in one]
        assert silent == [victim]
    finally:
        os.kill(victim, signal.SIGCONT)
    wait_until(lambda: both_serve(up), "it goes on")
    assert victim in pids(up)


def test_a_restart_one_by_one_refuses_and_loses_nothing(up: Mailframe) -> None:
    before = pids(up)
    with Load(up) as load:
        load.has_sent(20)
        up.cli("workers", "restart")
        load.has_sent(20)
    assert load.failed == []
    assert len(pids(up)) == 2
    assert not set(before) & set(pids(up))
    all_are_there_once(up, load.acknowledged)


def connections(server: Mailframe) -> dict[str, int]:
    return {one["name"]: one["connections"] for one in workers(server)}


def where_it_is(server: Mailframe, before: dict[str, int]) -> str:
    """The worker with a connection more."""
    after = connections(server)
    return next(name for name, count in after.items() if count > before[name])


def test_who_waits_at_one_worker_hears_of_mail_that_another_delivered(up: Mailframe) -> None:
    before = connections(up)
    with watching(up, "IDLE") as watcher, contextlib.ExitStack() as open_ones:
        here = where_it_is(up, before)
        there = here
        for _ in range(200):
            before = connections(up)
            client = open_ones.enter_context(up.smtp())
            there = where_it_is(up, before)
            if there != here:
                break
        assert there != here, "all connections went to one worker"
        began = time.monotonic()
        client.sendmail("friend@there.test", [ANN], BODY.format("across", "across"))
        assert watcher.hears(r"\* 1 EXISTS") - began < 2.0
    with logged_in(up) as reader:
        assert reader.select("INBOX")[1] == [b"1"]


def test_no_worker_outlives_its_supervisor(server: Mailframe) -> None:
    server.start(60)
    names = ["m1", "m2"]
    send(server, "m1")
    orphans = pids(server)
    server.kill()
    wait_until(lambda: not any(map(is_there, orphans)), "the workers end", 30)
    server.start(60)
    send(server, "m2")
    all_are_there_once(server, names)
    server.stop()
    assert os.listdir(server.base / "run" / "workers") == []


def test_stopping_ends_all_with_status_0(server: Mailframe) -> None:
    server.start(60)
    there = pids(server)
    # Its QUIT may be answered with 421.
    with contextlib.suppress(smtplib.SMTPResponseException), server.smtp() as client:
        process = server._process
        assert process is not None
        process.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in server.log, "it drains")
        assert client.noop()[0] in (250, 421)
    wait_until(lambda: not process.running, "the supervisor ends", 40)
    assert process.stop() == 0
    assert not any(map(is_there, there))
    assert "mailframe stopped" in server.log


def size_of(server: Mailframe) -> set[str]:
    """What several connections, some at each worker, are told."""
    found = set()
    for _ in range(30):
        with server.smtp() as client:
            found.add(client.esmtp_features["size"])
    return found


def test_a_reload_is_for_all_and_a_new_listener_is_opened(up: Mailframe) -> None:
    before = pids(up)
    up.configure(limits={"message_size": 1_000_000})
    up.cli("reload")
    assert size_of(up) == {"1000000"}
    assert pids(up) == before
    port = free_port(up.address)
    up.configure(listen={"more": {"endpoint": f"tcp:{port}:interface={up.address}", "role": "mx"}})
    up.ports["more"] = port
    up.signal(signal.SIGHUP)
    wait_until(lambda: "Supervisor#info] reloaded" in up.log, "it rolls", 90)
    with up.smtp("more") as client:
        assert client.noop()[0] == 250
    assert not set(before) & set(pids(up))
    up.configure(limits={"message_size": "nonsense"})
    up.signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded" in up.log, "it says why not")
    up.configure(limits={"message_size": 1_000_000})
    assert size_of(up) == {"1000000"}
    assert both_serve(up)


def children(server: Mailframe) -> list[int]:
    """As ``pids``, without asking the server."""
    text = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
    return [int(pid) for pid in text.split() if is_there(int(pid))]


def test_workers_that_are_just_starting_go_by_a_reload_too(up: Mailframe) -> None:
    before = children(up)
    up.configure(limits={"message_size": 1_000_000})
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(children(up)) - set(before)) == 2, "others are started", 30)
    up.signal(signal.SIGHUP)
    wait_until(lambda: both_serve(up), "they serve", 60)
    wait_until(lambda: size_of(up) == {"1000000"}, "they go by it", 10)


ACTIVATE = """
import os, socket, sys
listening = socket.socket()
listening.bind((sys.argv[1], int(sys.argv[2])))
listening.listen(50)
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "smtp"}
os.execv(sys.argv[3], sys.argv[3:])
"""


def test_sockets_of_systemd_are_handed_on(server: Mailframe) -> None:
    address, port = server.address, str(server.ports["mx"])
    server.configure(listen={"mx": {"endpoint": "systemd:domain=INET:name=smtp"}})
    server.before = [sys.executable, "-c", ACTIVATE, address, port]
    server.start(90)
    names = [f"m{number}" for number in range(10)]
    for name in names:
        send(server, name)
    all_are_there_once(server, names)
    # Commands do not have the sockets that their configuration names, so they are not asked.
    os.kill(children(server)[0], signal.SIGKILL)
    wait_until(lambda: re.search("worker .* serves", server.log), "it is replaced", 60)
    send(server, "m10")
    all_are_there_once(server, [*names, "m10"])
    server.stop()
    assert server.tracebacks == []


def test_what_no_worker_can_start_with_ends_the_server(server: Mailframe) -> None:
    spool = server.base / "queue" / "spool.db"
    spool.parent.mkdir(parents=True, exist_ok=True)
    spool.mkdir()
    process = server.launch()
    wait_until(lambda: not process.running, "it ends", 60)
    assert process.stop() == 75
    assert server.log.count("mailframe cannot start") == 2  # a worker, and so the server
    assert "mailframe ready" not in server.log


def test_under_twistd_there_is_one_log_too(server: Mailframe, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile"]
    command += [str(tmp_path / "pid"), "mailframe", "--config", str(server.config)]
    if not Path(command[0]).is_file() or "MAILFRAME_BIN" in os.environ:
        pytest.skip(f"no twistd beside {mailframe_command()}")
    log = tmp_path / "log"
    process = Process(command, log)
    try:
        process.wait_for(lambda: "mailframe ready" in log.read_text(), "it is ready", 60)
        send(server, "m1")
        journalled = re.compile(r"^\S+ \[mailframe\.journal#info\] id=\w+ step=", re.MULTILINE)
        wait_until(lambda: journalled.search(log.read_text()), "the journal is in the log")
        all_are_there_once(server, ["m1"])
    finally:
        assert process.stop(40) == -signal.SIGTERM  # as twistd has it
    assert "mailframe stopped" in log.read_text()
    assert "Traceback" not in log.read_text()
