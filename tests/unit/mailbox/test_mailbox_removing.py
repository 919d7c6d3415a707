"""What was removed stays removed, whatever a power cut makes of the renames before it."""

from __future__ import annotations

from random import Random

from mailframe.mailbox.maildir import Maildir
from mailframe.mailbox.removing import Removal
from mailframe.mailbox.sizes import WireSizes
from mailframe.testing.disk import SimDisk

NAME = "1767225600.M1Rkey.mx,S=5,W=6"


def test_a_message_that_moved_from_new_to_cur_does_not_come_back() -> None:
    disk = SimDisk()
    maildir = Maildir("/mail", disk)
    maildir.ensure()
    file = disk.create(f"/mail/tmp/{NAME}")
    file.write(b"text\n")
    file.sync()
    file.close()
    disk.rename(f"/mail/tmp/{NAME}", f"/mail/new/{NAME}")
    disk.sync_directory("/mail/new")
    disk.sync_directory("/mail/tmp")
    # Nobody waits for this one: a reader has seen the message.
    disk.rename(f"/mail/new/{NAME}", f"/mail/cur/{NAME}:2,")
    removal = Removal(maildir, maildir.entries(WireSizes()))
    assert (removal.messages, removal.failed) == (1, {})
    for state in disk.crash_states(disk.count, 100, Random(1)):
        assert Maildir("/mail", state.disk()).files() == []
