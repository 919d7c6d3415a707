"""Exit statuses of delivery programs, as sysexits.h and tradition have them.

Permanent is only what says something about the message or the recipient. A program that is
missing, misconfigured, killed or exits with a number of its own defers: that is our trouble,
and our trouble is never the sender's bounce.
"""

from __future__ import annotations

import re

from mailframe.core import status
from mailframe.core.reply import Reply
from mailframe.core.status import Status

_PERMANENT: dict[int, tuple[Status, str]] = {
    65: (status.CONTENT_OTHER, "The program cannot handle the message"),
    67: (status.BAD_DESTINATION_MAILBOX, "No such user"),
    68: (status.BAD_DESTINATION_SYSTEM, "No such host"),
    69: (status.SYSTEM_OTHER, "The service is unavailable"),
    76: (status.PROTOCOL_OTHER, "A remote error in protocol"),
    77: (status.NOT_AUTHORIZED, "Permission denied"),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def reply_for(exit_status: int, output: str) -> Reply:
    """``output`` is what the program wrote: its first line stands for ours."""
    said = _CONTROL.sub("?", output.strip().split("\n", 1)[0].strip())
    if exit_status == 0:
        return Reply(250, status.OTHER, said or "Taken by the program")
    if exit_status in _PERMANENT:
        kind, text = _PERMANENT[exit_status]
        return Reply(550, kind, said or text)
    return Reply(451, status.SYSTEM_OTHER, said or f"The program ended with status {exit_status}")
