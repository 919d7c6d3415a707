"""``mailframe bench`` against mailframe, Postfix and Dovecot: what it says is what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers.dovecot import PASSWORD as DOVECOT_PASSWORD
from tests.interop.peers.dovecot import Dovecot
from tests.interop.peers.mailframe import PASSWORD, Mailframe, mailframe_command
from tests.interop.peers.postfix import Postfix
from tests.interop.peers.process import free_port, loopback_address, run, workdir

ANN, BOB = "ann@mf.test", "bob@mf.test"
SINK = free_port("127.0.0.1")


@pytest.fixture(scope="module")
def server() -> Iterator[Mailframe]:
    with workdir("bench") as path:
        server = Mailframe(path, loopback_address())
        server.configure(
            auth={"allow_plaintext": True},
            relay={"networks": ["127.0.0.0/8"]},
            routes={"elsewhere.test": f"smtp://127.0.0.1:{SINK}"},
        )
        server.add_users(ANN, BOB)
        server.start()
        yield server
        server.stop()
        assert server.tracebacks == []


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return path


def bench(*words: object, status: int = 0) -> dict[str, Any]:
    done = run([mailframe_command(), "bench", *map(str, words), "--json"])
    assert done.returncode == status, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def at(server: Mailframe, listener: str) -> str:
    return f"{server.address}:{server.ports[listener]}"


def stored(maildir: Path) -> int:
    new = maildir / "new"
    return len(os.listdir(new)) if new.is_dir() else 0


@pytest.mark.parametrize(
    "manner", [["--new-connections"], ["--reuse"], ["--reuse", "--pipelining"]]
)
def test_what_it_sends_arrives_and_is_measured(server: Mailframe, manner: list[str]) -> None:
    maildir = server.maildir(ANN)
    before = stored(maildir)
    found = bench(
        *("smtp", "--config", server.config, "--to", ANN, "--messages", 60, "--sessions", 7),
        *(*manner, "--processes", 2, "--delivered", maildir),
    )
    assert found["messages"] == found["delivered"] == stored(maildir) - before == 60
    assert found["connections"] == (60 if manner == ["--new-connections"] else 7)
    assert found["failures"] == []
    times = found["latency_ms"]["message"]
    assert 0 < times["p50"] <= times["p90"] <= times["p99"] <= times["max"]
    assert found["server"]["cpu_seconds"] > 0
    assert found["server"]["peak_rss"] > 10_000_000


@pytest.mark.parametrize(
    ("listener", "tls"),
    [("mx", "starttls"), ("submission", "starttls"), ("submissions", "implicit")],
)
def test_tls_and_login(server: Mailframe, password: Path, listener: str, tls: str) -> None:
    words: list[object] = ["smtp", at(server, listener), "--tls", tls, "--from", ANN, "--to", BOB]
    words += ["--messages", 10, "--sessions", 2, "--ca-file", server.certificate]
    if listener != "mx":
        words += ["--user", ANN, "--password-file", password]
    assert bench(*words)["messages"] == 10


def test_a_certificate_of_nobody_is_not_taken_but_when_told(server: Mailframe) -> None:
    words = ["smtp", at(server, "mx"), "--tls", "starttls", "--to", ANN, "--messages", 2]
    refused = bench(*words, status=1)
    assert "--insecure" in refused["failures"][0]["text"]
    assert bench(*words, "--insecure")["messages"] == 2


def test_refused_recipients_are_counted_with_their_reply(server: Mailframe) -> None:
    found = bench(
        *("smtp", at(server, "mx"), "--to", ANN, "--to", "nobody@mf.test"),
        *("--recipients", 2, "--messages", 10, "--reuse"),
        status=1,
    )
    assert (found["messages"], found["recipients"]) == (10, 10)
    (failure,) = found["failures"]
    assert (failure["kind"], failure["count"]) == ("RCPT 550", 10)
    assert failure["text"].startswith("550 5.1.1")


def test_relay(server: Mailframe) -> None:
    found = bench(
        *("relay", at(server, "mx"), "--to", "user{n}@elsewhere.test", "--recipients", 3),
        *("--messages", 20, "--sessions", 4, "--sink", f"127.0.0.1:{SINK}"),
    )
    assert found["messages"] == 20
    assert found["delivered"] == found["sink"]["recipients"] == 60
    assert found["sink"]["relayed_ms"]["max"] > 0


@pytest.mark.parametrize("pipelining", ["--no-pipelining", "--pipelining"])
def test_pop3(server: Mailframe, password: Path, pipelining: str) -> None:
    number = stored(server.maildir(ANN))
    bench("smtp", at(server, "mx"), "--to", ANN, "--messages", 5, "--size", 300_000)
    words = ["--user", ANN, "--password-file", password, "--visits", 3, pipelining]
    found = bench("pop3", at(server, "pop3"), *words)
    assert found["sessions"] == 3
    assert found["messages"] >= 3 * (number + 5)
    assert found["octets_received"] > 3 * 5 * 300_000
    assert {"greeting", "login", "STAT", "UIDL", "LIST", "session"} <= set(found["latency_ms"])
    one = bench(
        "pop3", at(server, "pop3"), *words[:4], "--retr", 1, "--tls", "starttls", "--insecure"
    )
    assert one["messages"] == 1


def test_imap(server: Mailframe, password: Path) -> None:
    names = "select,append,flags,envelope,bodies,search,store,unstore,noop"
    login = ["--user", ANN, "--password-file", password]
    found = bench(
        *("imap", at(server, "imap"), *login, "--visits", 4, "--sessions", 2),
        *("--commands", names, "--size", 5000),
    )
    assert (found["sessions"], found["commands"]) == (4, 36)
    assert set(names.split(",")) <= set(found["latency_ms"])
    implicit = [*login, "--tls", "implicit", "--insecure", "--visits", 1]
    assert bench("imap", at(server, "imaps"), *implicit)["sessions"] == 1


def test_push(server: Mailframe, password: Path) -> None:
    login = ["--user", BOB, "--password-file", password]
    found = bench("imap", at(server, "imap"), *login, "--push", "--sessions", 3, "--visits", 5)
    assert (found["messages"], found["pushes"]) == (5, 15)
    assert found["latency_ms"]["push"]["max"] > 0


@pytest.mark.parametrize("protocol", ["smtp", "pop3", "imap"])
def test_idle_connections_and_what_each_costs(
    server: Mailframe, password: Path, protocol: str
) -> None:
    words: list[object] = [protocol, at(server, "mx" if protocol == "smtp" else protocol)]
    words += ["--config", server.config, "--idle", 15, "--seconds", 0.5]
    words += ["--to", ANN] if protocol == "smtp" else []
    if protocol == "imap":
        words += ["--user", ANN, "--password-file", password]
    found = bench(*words)
    assert found["held"] == 15
    assert "dropped" not in found
    assert "pss_per_connection" in found["server"]


def test_a_wrong_password_is_told(server: Mailframe, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("wrong\n")
    words = ["--user", BOB, "--password-file", path, "--visits", 1]
    assert bench("pop3", at(server, "pop3"), *words, status=1)["failures"][0]["kind"] == "PASS"
    assert bench("imap", at(server, "imap"), *words, status=1)["failures"][0]["kind"] == "LOGIN"


def test_nobody_listens() -> None:
    found = bench("smtp", f"127.0.0.1:{free_port()}", "--to", ANN, "--seconds", 20, status=69)
    assert found["failures"][0]["text"] == "connection refused"
    assert found["seconds"] < 10


def test_control_c_ends_it_with_the_report_so_far(server: Mailframe) -> None:
    command = [mailframe_command(), "bench", "smtp", at(server, "mx"), "--to", ANN]
    command += ["--seconds", "60", "--rate", "20", "--json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(3)
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=10)
    found = json.loads(output)
    assert child.returncode == 130
    assert found["interrupted"]
    assert 20 < found["messages"] < 100


def test_postfix(directory: Path) -> None:
    server = Postfix(directory, "127.0.0.1", free_port(), "postfix.test")
    server.start(mailboxes=["user@bench.test"])
    try:
        found = bench(
            *("smtp", f"127.0.0.1:{server.port}", "--to", "user@bench.test", "--pid", server.pid),
            *("--messages", 30, "--sessions", 5, "--size", 4000),
            *("--delivered", directory / "mail" / "bench.test" / "user"),
        )
        assert found["messages"] == found["delivered"] == 30
        assert found["server"]["processes"] > 3
        content = server.inbox("user@bench.test")[0]
        assert 4000 - 100 < len(content.replace(b"\n", b"\r\n")) < 5000
    finally:
        server.stop()


def test_dovecot(directory: Path, tmp_path: Path) -> None:
    (directory / "template" / "cur").mkdir(parents=True)
    for name in ("new", "tmp"):
        (directory / "template" / name).mkdir()
    for number in range(30):
        path = directory / "template" / "cur" / f"170000000{number:02}.M1P1.host:2,"
        path.write_text("Subject: one\n\n.dot\n..dots\n" + "text\n" * number)
    (directory / "dovecot").mkdir()
    server = Dovecot(directory / "dovecot")
    server.start(directory / "template")
    password = tmp_path / "password"
    password.write_text(DOVECOT_PASSWORD + "\n")
    login = ["--user", "bench", "--password-file", password, "--pid", server.pid]
    try:
        for window in ("--pipelining", "--no-pipelining"):
            found = bench("pop3", f"127.0.0.1:{server.pop3_port}", *login, "--visits", 2, window)
            assert found["messages"] == 60
        names = "select,flags,bodies,append,search"
        place = f"127.0.0.1:{server.imap_port}"
        assert bench("imap", place, *login, "--commands", names, "--visits", 2)["commands"] == 10
        assert bench("imap", place, *login, "--push", "--visits", 2)["pushes"] == 2
    finally:
        server.stop()
