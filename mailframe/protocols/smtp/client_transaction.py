"""One message on its way to one server: what was asked, and every recipient's verdict."""

from __future__ import annotations

from collections.abc import Sequence

from mailframe.core.envelope import Body, Envelope, Recipient
from mailframe.core.reply import Reply


class Transaction:
    """Filled in by the client engine; read by who asked for it, also when the connection
    broke: ``verdicts`` then lack those that were never heard."""

    def __init__(
        self, envelope: Envelope, recipients: Sequence[Recipient], size: int, body: Body
    ) -> None:
        self.envelope = envelope
        self.recipients = tuple(recipients)
        self.size = size
        self.body = body
        """How the content really goes out, which a conversion may have changed."""
        self.verdicts: list[Reply | None] = [None] * len(self.recipients)
        """Final reply for each recipient; None: not known (yet)."""
        self.mail_reply: Reply | None = None
        self.content_sent = False
        """Whether the end of the content went out: from here on a lost connection leaves
        open whether the server took the message."""
        self.ended = False
        self.replies_awaited = 0
        """To what has been said about this message."""
        self._accepted: list[int] = []

    @property
    def accepted(self) -> Sequence[int]:
        """Indices of the recipients that RCPT accepted, in order."""
        return self._accepted

    def hear_mail(self, reply: Reply) -> None:
        self.mail_reply = reply
        if not reply.is_positive:
            self.verdicts = [reply] * len(self.recipients)

    def hear_recipient(self, index: int, reply: Reply) -> None:
        # After a refused MAIL every RCPT is refused too, and MAIL's reply says why.
        if self.mail_reply is None or not self.mail_reply.is_positive:
            return
        if reply.is_positive:
            self._accepted.append(index)
        else:
            self.verdicts[index] = reply

    def hear_for_accepted(self, reply: Reply) -> None:
        """A reply about the content, for everybody who has no verdict yet."""
        for index in self._accepted:
            if self.verdicts[index] is None:
                self.verdicts[index] = reply

    def hear_for_next(self, reply: Reply) -> None:
        """LMTP's reply for one recipient (RFC 2033 section 4.2): in the order of RCPT."""
        for index in self._accepted:
            if self.verdicts[index] is None:
                self.verdicts[index] = reply
                return
