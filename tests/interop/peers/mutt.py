"""What a person sees who opens a mailbox in mutt."""

from __future__ import annotations

import contextlib
import mailbox
import os
import pty
import subprocess
import threading
from pathlib import Path

from tests.interop.peers.process import need


def shown(maildir: Path, directory: Path) -> str:
    """The first message as mutt displays it, every readable part decoded."""
    out = directory / "mutt.out"
    out.unlink(missing_ok=True)
    _screen(maildir, directory, f"<pipe-message>cat > {out}<enter>")
    return out.read_text(errors="replace") if out.exists() else ""


def copied(maildir: Path, directory: Path) -> mailbox.mbox:
    """All messages that mutt finds, copied by it into an mbox."""
    out = directory / "mutt.mbox"
    out.unlink(missing_ok=True)
    _screen(maildir, directory, f"<tag-pattern>~A<enter><tag-prefix><copy-message>{out}<enter>")
    return mailbox.mbox(out)


def _screen(maildir: Path, directory: Path, keys: str) -> str:
    """Open the mailbox, press the keys, leave; what was drawn.

    ``folder`` must exist, or a question about it swallows the keys.
    """
    need("mutt")
    rc = directory / "muttrc"
    settings = "folder=~ confirmappend=no confirmcreate=no pipe_decode=yes wait_key=no quit=yes"
    rc.write_text(f'set {settings}\npush "{keys}<exit>"\n')
    master, slave = pty.openpty()  # it wants a terminal
    environment = {"HOME": str(directory), "TERM": "xterm", "LINES": "24", "COLUMNS": "80"}
    drawn: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(master, drawn))
    try:
        child = subprocess.Popen(
            ["mutt", "-n", "-R", "-F", str(rc), "-f", str(maildir)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment | {"PATH": os.environ["PATH"]},
            start_new_session=True,
        )
        reader.start()
        child.wait(60)
    finally:
        os.close(slave)
        if reader.ident is not None:
            reader.join(10)
        os.close(master)
    return b"".join(drawn).decode(errors="replace")


def _drain(master: int, drawn: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(master, 65536):
            drawn.append(data)
