"""The inbox for other programs' tests: its life, whatever becomes of the test."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mailframe.testing.inbox import InboxError, MailframeInbox
from tests.interop.peers.process import listens, wait_until


def send(inbox: MailframeInbox, to: str, subject: str = "Hello") -> None:
    with smtplib.SMTP(inbox.host, inbox.port) as client:
        client.sendmail("me@x.test", [to], f"Subject: {subject}\r\n\r\nhi\r\n")


def pid_of(inbox: MailframeInbox) -> int:
    assert inbox._process is not None
    return inbox._process.pid


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_it_leaves_nothing_behind() -> None:
    with MailframeInbox() as inbox:
        pid, port = pid_of(inbox), inbox.port
        assert inbox._directory is not None
        directory = Path(inbox._directory.name)
        assert inbox.start() is inbox  # a second time is nothing
        send(inbox, "ann@x.test")
        assert listens(inbox.host, port)
        assert all(listens(*address) for address in (inbox.pop3, inbox.imap))
    assert not is_running(pid)
    assert not directory.exists()
    assert not listens("127.0.0.1", port)
    inbox.stop()
    with pytest.raises(InboxError):
        inbox.messages()
    with inbox:  # anew
        assert inbox.messages() == []


def test_waiting() -> None:
    with MailframeInbox() as inbox:
        threading.Timer(0.3, send, [inbox, "ann@x.test", "Later"]).start()
        assert inbox.wait(to="ann@x.test", subject="Later").subject == "Later"
        send(inbox, "ann@x.test", "Newer")
        assert inbox.wait(to="ANN@x.test").subject == "Newer"
        assert [each.subject for each in inbox.messages()] == ["Later", "Newer"]
        with pytest.raises(TimeoutError) as caught:
            inbox.wait(to="bob@x.test", subject="absent", timeout=0.2)
        told = str(caught.value)
        assert "to bob@x.test with 'absent' in its subject within 0.2 s" in told
        assert "'Newer' from" in told
        assert "to ann@x.test" in told
        inbox.clear()
        with pytest.raises(TimeoutError, match="none has arrived at all"):
            inbox.wait(timeout=0.1)


def test_threads() -> None:
    with MailframeInbox() as inbox:
        got: list[str] = []

        def test(number: int) -> None:
            address = f"user{number}@x.test"
            send(inbox, address, f"For {number}")
            got.append(inbox.wait(to=address, timeout=30).subject)

        threads = [threading.Thread(target=test, args=[number]) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == sorted(f"For {number}" for number in range(12))


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(InboxError, match="No such option"):
        MailframeInbox("--absent").start()
    taken = MailframeInbox()
    with taken, pytest.raises(InboxError, match="has ended"):
        MailframeInbox("--smtp", str(taken.port)).start()


PROGRAM = """
import sys, time
from mailframe.testing.inbox import MailframeInbox
inbox = MailframeInbox().start()
print(inbox._process.pid, inbox._directory.name, flush=True)
if len(sys.argv) > 1:
    raise SystemExit("forgotten")
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, None], ids=str)
def test_no_server_outlives_the_test(how: signal.Signals | None) -> None:
    words = [sys.executable, "-c", PROGRAM, *(["forget"] if how is None else [])]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    pid, directory = child.stdout.readline().split()
    if how is not None:
        assert is_running(int(pid))
        os.kill(child.pid, how)
    child.wait(30)
    wait_until(lambda: not is_running(int(pid)), "the server ends with the test", 30)
    assert Path(directory).exists() is (how == signal.SIGKILL)
    if how == signal.SIGKILL:
        subprocess.run(["rm", "-rf", directory], check=True)


def test_the_working_directory_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is tested may have a module that is called as one of ours, or of Python's."""
    for name in ("email", "json", "queue", "mailframe"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    monkeypatch.chdir(tmp_path)
    with MailframeInbox() as inbox:
        send(inbox, "ann@x.test")
        assert inbox.wait(to="ann@x.test").subject == "Hello"


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with MailframeInbox() as inbox:
        assert inbox.messages() == []
