"""Faults of the machine below the server: what its disk, its kernel and its clock may do to it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import smtplib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fire.ground import EVE, OUTSIDER, Ground
from tests.fire.ledger import Ledger
from tests.fire.letters import letter
from tests.interop.peers.process import need, need_root


def send(
    ground: Ground, ledger: Ledger, recipient: str = EVE, number: int = 1, account: str = ""
) -> list[int]:
    """Messages of ``account``, or from outside, each over a connection of its own; the codes that
    were heard."""
    heard = []
    server, sender = ground.mailframe, account or OUTSIDER
    for count in range(number):
        made = letter(ledger.new_id("f"), sender, (recipient,), random.Random(count))
        ledger.sending(made)
        try:
            with server.submission(account) if account else server.smtp("mx", timeout=10) as client:
                client.sendmail(sender, [recipient], made.content, ["body=8bitmime"])
        except smtplib.SMTPRecipientsRefused as refused:
            heard.append(next(iter(refused.recipients.values()))[0])
        except smtplib.SMTPResponseException as refusal:
            heard.append(refusal.smtp_code)
        except OSError:
            heard.append(0)
        else:
            ledger.sent(made, [recipient])
            heard.append(250)
    return heard


@contextlib.contextmanager
def stopped(ground: Ground) -> Iterator[None]:
    """The whole process stands still."""
    ground.mailframe.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        ground.mailframe.signal(signal.SIGCONT)


def on_small_disk(ground: Ground, size: str) -> None:
    """From its next start on, its base is a copy of what is there now, on a tmpfs that only it
    sees. Skips where that is not allowed."""
    need_root("a file system of its own")
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("mount namespaces are not allowed here")
    base, template = ground.mailframe.base, ground.directory / "template"
    shutil.copytree(base, template, symlinks=True)
    script = (
        f"mount -t tmpfs -o size={size},mode=700 tmpfs {base} && cp -a {template}/. {base}"
        ' && exec "$@"'
    )
    ground.mailframe.before = [
        *("unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh")
    ]


def its_base(ground: Ground) -> Path:
    """As the process sees it."""
    return Path(f"/proc/{ground.mailframe.pid}/root{ground.mailframe.base}")


def fill(ground: Ground, leave: int = 0) -> Path:
    """Leave so many octets of its disk; the file to remove again. What the server gives up while
    this goes on is left to it."""
    ballast = its_base(ground) / "ballast"
    room = free(ground) - leave
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while room > 0:
            room -= file.write(b"x" * min(room, 1 << 20)) or 0
    return ballast


def free(ground: Ground) -> int:
    facts = os.statvfs(its_base(ground))
    return facts.f_bavail * facts.f_frsize


@contextlib.contextmanager
def failing_calls(ground: Ground, calls: str, when: str, error: str = "EIO") -> Iterator[Path]:
    """``error`` from the ``when``-th (strace's words) of these system calls of each thread; the
    trace is in the file. The server runs on when it ends."""
    need("strace")
    trace = ground.directory / "strace.log"
    trace.unlink(missing_ok=True)
    command = ["strace", "-f", "-qq", "-y", "-o", str(trace), "-e", f"trace={calls}"]
    command += ["-e", f"inject={calls}:error={error}:when={when}", "-p", str(ground.mailframe.pid)]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(0.5)
        if child.poll() is not None:
            pytest.skip(f"strace may not attach: {child.communicate()[1].decode()[:100]}")
        yield trace
    finally:
        child.terminate()
        child.wait(10)


# -- descriptors ----------------------------------------------------------------------------


@contextlib.contextmanager
def many_connections(ground: Ground, number: int) -> Iterator[list[socket.socket]]:
    """Opened at once; the kernel completes them whether or not they are accepted."""
    server = ground.mailframe
    held = []
    try:
        for _ in range(number):
            held.append(socket.create_connection((server.address, server.ports["mx"]), 10))
        yield held
    finally:
        for one in held:
            one.close()


def greetings(held: list[socket.socket]) -> list[bytes]:
    """The codes that they have heard by now; empty for silence."""
    heard = []
    for one in held:
        one.setblocking(False)
        try:
            heard.append(one.recv(1024)[:3])
        except OSError:
            heard.append(b"")
    return heard


def cpu_seconds(ground: Ground) -> float:
    fields = Path(f"/proc/{ground.mailframe.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def keep(ground: Ground) -> None:
    """What is on the small disk becomes what the next process finds in its base."""
    source, target = its_base(ground), ground.mailframe.base
    copy = ground.directory / "kept"
    ground.mailframe.signal(signal.SIGSTOP)
    try:
        shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("*.sock"))
    finally:
        ground.mailframe.signal(signal.SIGCONT)
    shutil.rmtree(target)
    copy.rename(target)


# -- the clock --------------------------------------------------------------------------------


def settable_clock(ground: Ground) -> None:
    """From its next start on, the wall clock of the process can be set; the monotonic one is
    left as it is. Skips where there is no libfaketime."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("libfaketime is not installed")
    set_clock(ground, "+0")
    ground.mailframe.environment = {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(ground.directory / "faketime"),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(ground: Ground, by: str) -> None:
    """``+1d``: a day ahead of the true time."""
    made = ground.directory / "faketime.new"
    made.write_text(by + "\n")
    made.rename(ground.directory / "faketime")
