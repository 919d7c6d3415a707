"""Mutt shows our reports as what they are: a text, the delivery status, the message."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from mailframe.core import status
from mailframe.core.address import Address
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.reply import Reply
from mailframe.message.dsn import Action, Notification, Original, ReportedRecipient, build_dsn

MUTT = shutil.which("mutt")
pytestmark = pytest.mark.skipif(MUTT is None, reason="mutt is not installed")


def report() -> bytes:
    bob = Recipient(Address("bob", "far.example"))
    words = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such user here")
    original = Original(
        "Q1",
        Envelope(Address("ann", "sender.example")),
        1_800_000_000.0,
        "<1@sender.example>",
        "Subject: Lunch\r\nFrom: ann@sender.example\r\n\r\nAt noön?\r\n".encode(),
        True,
    )
    reported = ReportedRecipient(bob, Action.FAILED, words, remote="mx.far.example")
    return build_dsn(
        Notification(
            "<D1@mail.example>", "mail.example", Address("ann", "sender.example"),
            1_800_000_600.0, (reported,), original,
        )
    )  # fmt: skip


def screens(maildir: Path, keys: str) -> str:
    """All that mutt draws; it gets each of the ``keys`` when it is quiet."""
    assert MUTT is not None
    commands = f"set folder={maildir.parent}; set pager_index_lines=0; set markers=no; set quit=yes"
    environment = {
        **os.environ,
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "LINES": "60",
        "COLUMNS": "100",
    }
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(
            MUTT, [MUTT, "-F", "/dev/null", "-n", "-e", commands, "-f", str(maildir)], environment
        )
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 120, 100, 0, 0))
    drawn, left, deadline = b"", list(keys), time.monotonic() + 20
    try:
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.4)[0]:
                drawn += os.read(terminal, 65536)
            elif left:
                os.write(terminal, left.pop(0).encode())
    except OSError:
        pass  # mutt has left: Linux says EIO on a pty whose other end is closed
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return drawn.decode("utf-8", "replace")


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("cur", "new", "tmp"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    (tmp_path / "Maildir" / "new" / "1.1.host").write_bytes(report().replace(b"\r\n", b"\n"))
    return tmp_path / "Maildir"


def test_the_parts_and_their_types(maildir: Path) -> None:
    drawn = screens(maildir, "\nvqix")
    for kind in ("text/plain, 7bit", "message/delivery-s", "message/rfc822, 8bit"):
        assert kind in drawn, drawn
    assert "Delivery report" in drawn


def test_the_text_and_the_status_are_readable(maildir: Path) -> None:
    drawn = screens(maildir, "\nix")
    assert "Your message could not be delivered" in drawn
    assert "mx.far.example said: 550 5.1.1 No such user here" in drawn
    assert "Final-Recipient: rfc822; bob@far.example" in drawn
    assert "Action: failed" in drawn
    assert "Subject: Lunch" in drawn
    assert "At noön?" in drawn


def test_mutt_is_what_draws(maildir: Path) -> None:
    """The other tests would prove nothing if mutt had not read the folder."""
    assert MUTT is not None
    version = subprocess.run([MUTT, "-v"], capture_output=True, text=True, check=True).stdout
    assert version.startswith("Mutt")
    assert "could not be delivered" not in screens(maildir.parent / "nowhere", "x")
