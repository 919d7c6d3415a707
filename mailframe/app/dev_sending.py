"""Mail that ``mailframe dev`` is given by HTTP, and mail that it sends out of the machine.

``SendHere`` spools a message like one that came by SMTP. ``Release`` is the one way out, made only
with ``--release-to HOST:PORT``: one dialogue with that server, on a thread, without a queue, so
that the person hears at once what came of it.
"""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Callable, Sequence

from mailframe.app.dev_arrivals import Arrivals
from mailframe.core.address import Address, AddressError
from mailframe.core.resolution import Local
from mailframe.errors import MailframeError
from mailframe.interfaces import IOutbox, IRecipientResolver, IWorkers
from mailframe.message.trace import field_line
from mailframe.runtime.aio import result_of

TIMEOUT = 30.0
"""Seconds for each answer of the server that mail is released to."""


class SendHere:
    def __init__(
        self, outbox: Callable[[str], IOutbox], resolver: IRecipientResolver, arrivals: Arrivals
    ) -> None:
        """``outbox(queue_id)`` posts one message under that id."""
        self._outbox = outbox
        self._resolver = resolver
        self._arrivals = arrivals

    async def __call__(
        self, queue_id: str, date: str, sender: str, recipients: Sequence[str], content: bytes
    ) -> None:
        """``date``: for the trace field, by which the inbox finds it under its id, as one that
        came by SMTP. Raises MailframeError."""
        addresses = [_address(each) for each in recipients]
        reverse_path = _address(sender) if sender else None
        trace = field_line("Received", f"by localhost with HTTP id {queue_id};\r\n\t{date}")
        await result_of(self._outbox(queue_id).post(reverse_path, addresses, trace + content))
        found = [await result_of(self._resolver.resolve(each)) for each in addresses]
        accounts = {each.account for each in found if isinstance(each, Local) and not each.courier}
        self._arrivals.expect(queue_id, accounts)


class Release:
    def __init__(self, to: str, workers: IWorkers) -> None:
        """``to``: ``HOST:PORT``."""
        self._host, _, port = to.rpartition(":")
        self._port = int(port)
        self._workers = workers

    async def __call__(self, sender: str, recipients: Sequence[str], content: bytes) -> str:
        """Returns what the server said. Raises MailframeError with its words."""
        reverse_path = str(_address(sender)) if sender else ""
        to = [str(_address(each)) for each in recipients]
        said: str = await self._workers.run(self._talk, reverse_path, to, content)
        return said

    def _talk(self, sender: str, recipients: list[str], content: bytes) -> str:
        try:
            # Not SMTP's own context manager: what is said to QUIT changes nothing any more.
            with contextlib.closing(
                smtplib.SMTP(self._host.strip("[]"), self._port, timeout=TIMEOUT)
            ) as client:
                return _dialogue(client, sender, recipients, content)
        except (smtplib.SMTPException, OSError) as error:
            raise MailframeError(f"{self._host}:{self._port}: {error}") from error


def _dialogue(client: smtplib.SMTP, sender: str, recipients: list[str], content: bytes) -> str:
    """All recipients, or none: a person who is told of half would send it again."""
    client.ehlo_or_helo_if_needed()
    options = ["SMTPUTF8"] if not (sender + "".join(recipients)).isascii() else []
    if client.has_extn("8bitmime"):
        options.append("BODY=8BITMIME")
    _must(client.mail(sender, options))
    for recipient in recipients:
        _must(client.rcpt(recipient))
    said = _must(client.data(content))
    with contextlib.suppress(smtplib.SMTPException, OSError):
        client.quit()
    return said


def _must(reply: tuple[int, bytes]) -> str:
    code, text = reply
    words = f"{code} {text.decode('utf-8', 'replace')}".replace("\n", " ")
    if code >= 400:
        raise MailframeError(f"the server said {words}")
    return words


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except AddressError as error:
        raise MailframeError(f"{text!r} is no address: {error}") from error
