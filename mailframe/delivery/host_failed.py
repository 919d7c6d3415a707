"""What it is called when a host does not work out: another one may."""

from __future__ import annotations

from mailframe.core.reply import Reply
from mailframe.errors import MailframeError


class HostFailed(MailframeError):
    """``reply`` is what it said where it is ``heard``, else our words for what happened."""

    def __init__(self, reply: Reply, detail: str = "", *, heard: bool = False) -> None:
        super().__init__(f"{reply} ({detail})" if detail else str(reply))
        self.reply = reply
        self.detail = detail
        self.heard = heard

    def again(self) -> HostFailed:
        """For one more who has to hear of it: a traceback belongs to one."""
        return type(self)(self.reply, self.detail, heard=self.heard)


class TlsFailed(HostFailed):
    """The handshake failed: plain text may still work, where that is allowed."""
