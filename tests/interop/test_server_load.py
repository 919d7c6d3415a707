"""Slow and large: thousands of dawdling sockets, and a message that fits in no buffer."""

from __future__ import annotations

import contextlib
import resource
import smtplib
import socket
import time
from pathlib import Path

import pytest

from tests.interop.peers.mailframe import PASSWORD, Mailframe, any_certificate
from tests.interop.peers.process import (
    Process,
    free_port,
    listens,
    loopback_address,
    need,
    run,
    wait_until,
)

ANN, BOB = "ann@mf.test", "bob@mf.test"
MEGABYTE = 1 << 20


def dawdle(server: Mailframe, count: int, sources: list[str]) -> list[socket.socket]:
    """Open connections that say half a command; each from the next of ``sources``."""
    opened = []
    for number in range(count):
        source = sources[number % len(sources)]
        with contextlib.suppress(OSError):
            one = socket.create_connection(
                (server.address, server.ports["mx"]), 10, source_address=(source, 0)
            )
            opened.append(one)
    for one in opened:
        with contextlib.suppress(OSError):
            one.settimeout(30)
            one.recv(1024)  # the greeting: who talks before it is shown the door
            one.send(b"EH")
    return opened


def seconds_to_deliver(server: Mailframe, source: str) -> float:
    started = time.monotonic()
    with server.smtp("mx", source=source) as client:
        client.sendmail("a@sender.test", [BOB], "Subject: x\n\nx\n")
    return time.monotonic() - started


@pytest.mark.slow
def test_a_slow_loris_of_5000_sockets_does_not_keep_a_client_waiting(mailframe: Mailframe) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 6000:
        pytest.skip(f"only {hard} open files are allowed here (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    mailframe.configure(limits={"connections": 6000, "connections_per_ip": 0})
    mailframe.start()
    before = mailframe.memory()
    started = time.monotonic()
    loris = dawdle(mailframe, 5000, [loopback_address() for _ in range(50)])
    print(f"5000 connections in {time.monotonic() - started:.1f} s")
    try:
        assert len(loris) == 5000
        for one in loris[::100]:
            one.send(b"L")  # still alive
        assert seconds_to_deliver(mailframe, loopback_address()) < 3
        with mailframe.submission(ANN) as client:
            client.sendmail(ANN, [BOB], f"From: {ANN}\n\nx\n")
        assert (mailframe.memory() - before) / 5000 < 40  # kilobytes a connection
    finally:
        for one in loris:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: len(mailframe.inbox(BOB)) == 2, "both arrive")
    assert mailframe.tracebacks == []


def test_one_address_gets_its_share_and_no_more(mailframe: Mailframe) -> None:
    mailframe.configure(limits={"connections": 1000, "connections_per_ip": 20})
    mailframe.start()
    attacker = loopback_address()
    loris = dawdle(mailframe, 300, [attacker])
    try:
        with pytest.raises((smtplib.SMTPConnectError, smtplib.SMTPServerDisconnected)) as refused:
            mailframe.smtp("mx", source=attacker)
        if isinstance(refused.value, smtplib.SMTPConnectError):
            assert refused.value.smtp_code == 421
        assert seconds_to_deliver(mailframe, loopback_address()) < 3
    finally:
        for one in loris:
            one.close()


def large_message(path: Path, megabytes: int) -> Path:
    line = b"0123456789" * 7 + b"\r\n"
    with path.open("wb") as file:
        file.write(f"From: {ANN}\r\nTo: {BOB}\r\nSubject: large\r\n\r\n".encode())
        for _ in range(megabytes * MEGABYTE // len(line)):
            file.write(line)
    return path


def fetch_size(server: Mailframe, user: str, number: int) -> int:
    """RETR over TLS, counting what comes instead of keeping it."""
    address = (server.address, server.ports["pop3s"])
    with (
        socket.create_connection(address, 60) as bare,
        any_certificate().wrap_socket(bare) as connection,
    ):
        connection.sendall(f"USER {user}\r\nPASS {PASSWORD}\r\nRETR {number}\r\nQUIT\r\n".encode())
        total = 0
        while data := connection.recv(65536):
            total += len(data)
    return total


def test_a_message_of_50_mb_takes_less_than_10_mb_of_memory(
    mailframe: Mailframe, tmp_path: Path
) -> None:
    need("curl", "smtp-sink")
    sink_port = free_port()
    sink = Process(
        ["smtp-sink", "-u", "nobody", f"127.0.0.1:{sink_port}", "100"], tmp_path / "sink.log"
    )
    try:
        sink.wait_for(lambda: listens("127.0.0.1", sink_port), "smtp-sink listens")
        mailframe.configure(
            limits={"message_size": "60M"},
            routes={"away.test": f"smtp://127.0.0.1:{sink_port}"},
        )
        mailframe.start()
        url = f"smtp://{mailframe.address}:{mailframe.ports['submission']}/client.test"
        login = ["curl", "-sS", "-k", "--ssl-reqd", "--user", f"{ANN}:{PASSWORD}", "--url", url]
        login += ["--mail-from", ANN, "--mail-rcpt", BOB, "--mail-rcpt", "x@away.test"]

        def through(path: Path, total: int) -> None:
            done = run([*login, "-T", path])
            assert done.returncode == 0, done.stderr
            wait_until(lambda: mailframe.queue() == [], "it is stored and gone", 60)
            wait_until(lambda: len(mailframe.inbox(BOB)) == total, "it is stored")
            assert fetch_size(mailframe, BOB, total) > path.stat().st_size

        # threads, TLS and caches are there after a small one
        for number in range(1, 6):
            through(large_message(tmp_path / "small", 1), number)
        mailframe.forget_memory_peak()
        before = mailframe.memory("VmHWM")
        through(large_message(tmp_path / "large", 50), 6)
        growth = mailframe.memory("VmHWM") - before
        assert growth < 10 * 1024, f"the peak grew by {growth} kB"
        assert mailframe.tracebacks == []
    finally:
        sink.stop()
