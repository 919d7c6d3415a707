"""What a client is told where the issuer cannot be asked (RFC 4954 section 6)."""

from __future__ import annotations

from twisted.logger import Logger

from mailframe.core import status
from mailframe.core.reply import Reply

CANNOT_LOG_IN = Reply(454, status.SECURITY_OTHER, "Temporary authentication failure")


class Reachability:
    """Says once that something cannot be asked, and once that it can again."""

    log = Logger()

    def __init__(self, what: str) -> None:
        self._what = what
        self.why = ""
        """It cannot be asked; empty: nothing is known against it."""

    @property
    def is_down(self) -> bool:
        return bool(self.why)

    def failed(self, why: Exception) -> None:
        was_down, self.why = self.is_down, str(why) or type(why).__name__
        if not was_down:
            self.log.warn("{what} cannot be asked: {why}", what=self._what, why=why)

    def answered(self) -> None:
        if self.is_down:
            self.why = ""
            self.log.info("{what} answers again", what=self._what)
