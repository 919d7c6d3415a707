"""Whatever the umask: what is below base is for its owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.interop.peers.imap import fill, logged_in
from tests.interop.peers.mailframe import PASSWORD, Mailframe
from tests.interop.peers.process import wait_until

ANN = "ann@mf.test"
LARGE = "Subject: large\r\n\r\n" + ("x" * 76 + "\r\n") * 2000


def open_to_others(base: Path) -> list[str]:
    """Files that are not 0600 and directories that are not 0700."""
    return [
        f"{stat.filemode(path.lstat().st_mode)} {path}"
        for path in (base, *base.rglob("*"))
        if stat.S_IMODE(path.lstat().st_mode) != (0o700 if path.is_dir() else 0o600)
    ]


@pytest.mark.parametrize("umask", [0o000, 0o002])
def test_all_is_private(mailframe: Mailframe, umask: int) -> None:
    before = os.umask(umask)
    try:
        mailframe.configure(
            base=str(mailframe.directory / "new"),
            policy={"order": ["relay", "rate", "greylist", "content"]},
            relay={"networks": ["127.0.0.0/8"]},
            routes={"away.test": f"smtp://{mailframe.address}:1"},
        )
        mailframe.base = mailframe.directory / "new"
        mailframe.add_users(ANN, "bob@mf.test")
        mailframe.cli("dkim", "new", "mf.test")
        mailframe.start()
        with mailframe.smtp("mx") as client:
            client.sendmail("a@b.test", [ANN, "bob@mf.test"], "Subject: x\r\n\r\nx\r\n")
            client.sendmail("a@b.test", ["x@away.test", ANN], LARGE)
        wait_until(lambda: len(mailframe.inbox(ANN)) == 2, "the mail is delivered")
        with logged_in(mailframe) as imap:
            fill(imap, "INBOX", range(1, 4))
            for name in ("work", "work/deep", "Junk"):
                assert imap.create(name)[0] == "OK"
            imap.subscribe("work")
            imap.select("INBOX")
            imap.store("1:2", "+FLAGS", "(\\Seen keyword)")
            imap.copy("1:2", "work")
            imap.xatom("SETMETADATA", 'work (/private/comment "mine")')
            imap.xatom("MOVE", "3 Junk")
        # Everything is there while the server runs: logs of databases, sockets, bodies.
        files = {path.name for path in mailframe.base.rglob("*")}
        assert {"control.sock", "spool.db-wal", "directory.db", "journal.db"} <= files
        assert open_to_others(mailframe.base) == []
        box = mailframe.directory / "box"
        box.write_text(LARGE)
        mailframe.cli("user", "passwd", ANN, "--stdin", text=PASSWORD + "\n")
        mailframe.cli("mail", "import", "-u", ANN, box)
        mailframe.stop()
        assert open_to_others(mailframe.base) == []
    finally:
        os.umask(before)
