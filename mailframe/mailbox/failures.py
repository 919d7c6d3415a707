"""What trouble with the disk becomes for the peer: try again later, never a bounce."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.runtime.disk import disk_failure

MAILBOX_FULL = Reply(452, status.MAILBOX_FULL, "The mailbox is full")
NO_SUCH_MAILBOX = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such mailbox here")


@contextmanager
def disk_trouble(what: str) -> Iterator[None]:
    """Turn OSError into TransientFailure; ``what`` was being done, for the journal."""
    try:
        yield
    except OSError as error:
        raise disk_failure(error, what) from error
