"""What trouble with the disk becomes for the peer: try again later, never a bounce."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.errors import INTERNAL_ERROR, TransientFailure

MAILBOX_FULL = Reply(452, status.MAILBOX_FULL, "The mailbox is full")
DISK_FULL = Reply(452, status.SYSTEM_FULL, "Insufficient system storage")
NO_SUCH_MAILBOX = Reply(550, status.BAD_DESTINATION_MAILBOX, "No such mailbox here")

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def disk_trouble(what: str) -> Iterator[None]:
    """Turn OSError into TransientFailure; ``what`` was being done, for the journal."""
    try:
        yield
    except OSError as error:
        reply = DISK_FULL if error.errno in _NO_SPACE else INTERNAL_ERROR
        raise TransientFailure(reply, f"{what}: {error}") from error
