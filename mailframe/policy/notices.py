"""The notice that an account was frozen, to its owner and to the postmaster.

Written once per freeze. What cannot be spooled at the moment is tried again for some minutes;
the journal has the freeze in any case.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailframe.core.address import Address, AddressError
from mailframe.errors import PermanentFailure
from mailframe.interfaces import IOutbox
from mailframe.message.trace import rfc5322_date

_LONGEST = 500  # characters of a line; RFC 5322 section 2.1.1 allows 998 octets
_PAUSES = (5.0, 30.0, 120.0, 600.0)  # seconds between attempts


class FreezeNotices:
    """``postmaster`` None: the one of the account's domain. ``next_id`` makes Message-IDs."""

    log = Logger()

    def __init__(
        self,
        outbox: IOutbox,
        *,
        hostname: str,
        postmaster: Address | None,
        clock: IReactorTime,
        next_id: Callable[[], str],
    ) -> None:
        self._outbox = outbox
        self._hostname = hostname
        self._postmaster = postmaster
        self._clock = clock
        self._next_id = next_id

    async def send(self, account: str, reason: str) -> None:
        owner = _owner(account)
        # a domain has a postmaster, named or not (RFC 5321 section 4.5.1)
        postmaster = self._postmaster or (owner and Address("postmaster", owner.domain))
        recipients = [address for address in (owner, postmaster) if address]
        if not recipients:
            self.log.warn("nobody can be told that {account} is frozen", account=account)
            return
        message = self._message(account, reason, recipients)
        for pause in (*_PAUSES, None):
            try:
                await self._outbox.post(None, recipients, message)
                return
            except PermanentFailure:
                self.log.failure("the notice about {account} was not sent", account=account)
                return
            except CancelledError:
                raise
            except Exception:  # noqa: BLE001 - a notice must not be lost to a full disk
                self.log.failure("the notice about {account} was not sent yet", account=account)
                if pause is None:
                    return
                await deferLater(self._clock, pause)

    def _message(self, account: str, reason: str, recipients: list[Address]) -> bytes:
        sender = self._postmaster or f"postmaster@{self._hostname}"
        lines = [
            f"Date: {rfc5322_date(self._clock.seconds())}",
            f"From: Mail system <{sender}>",
            f"To: {', '.join(str(address) for address in recipients)}",
            "Subject: An account may not send mail for now",
            f"Message-ID: <{self._next_id()}@{self._hostname}>",
            # RFC 3834 section 5
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
            "",
            f"The account {_printable(account)} on {self._hostname} may not send mail for now.",
            "",
            f"Why: {_printable(reason)}",
            "",
            "Programs that send spam do this when they have somebody's password. If it was",
            "not you: change the password, then ask the postmaster to release the account.",
            "If it was you, ask the same. Mail can be read as usual meanwhile, and what",
            "waits in the queue is kept.",
            "",
            f"For the postmaster: mailframe user release {_printable(account)}",
            "",
        ]
        return "\r\n".join(lines).encode()


def _owner(account: str) -> Address | None:
    """Accounts of other people's realms need not be addresses."""
    try:
        return Address.parse(account)
    except AddressError:
        return None


def _printable(text: str) -> str:
    """On one line, whatever a realm or another server said."""
    harmless = "".join(c if c.isprintable() else "?" for c in text)
    return harmless[:_LONGEST].encode(errors="replace").decode()
