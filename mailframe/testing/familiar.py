"""The inbox by the names that other helpers for tests made familiar, so that tests which were
written for them stay as they are and only their import changes::

    from smtpdfix import SMTPDFix                # from mailframe.testing.familiar import SMTPDFix
    from pytest_localserver.smtp import Server   # from mailframe.testing.familiar import Server

Both are a ``MailframeInbox``, which ``.inbox`` leads to: a mail server in a process of its own,
with its limits and its replies, in the place of a handler within the test's process. What has
been answered with 250 is in ``messages`` and ``outbox`` at once. Recipients are told in the order
of To and Cc, then those who are in neither, by name: in which order RCPT named them, nobody knows
any more.

They have what tests ask of those helpers: where the server is, and what came. They do not have
their settings (``smtpd.config``): the options of ``mailframe dev`` stand for these, as in
``SMTPDFix(options=["--tls"])``; logins take the password ``dev``. A handler of one's own cannot
be plugged in: there is none.
"""

from __future__ import annotations

import email
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from email.utils import getaddresses
from types import TracebackType
from typing import SupportsIndex

from mailframe.testing.inbox import MailframeInbox, ReceivedMessage

_OURS = ("Return-Path", "Delivered-To")


class _Familiar:
    """``inbox`` on that port, 0 for any."""

    def __init__(self, port: int, options: Iterable[str]) -> None:
        # Elsewhere an address such as 550@x.test is one like others.
        self.inbox = MailframeInbox("--no-magic", "--smtp", str(port), *options)
        """The server behind it."""

    @property
    def hostname(self) -> str:
        """Of SMTP; known once it is started."""
        return self.inbox.host

    @property
    def port(self) -> int:
        """Of SMTP; known once it is started."""
        return self.inbox.port

    def start(self) -> None:
        """Returns when it serves. Raises InboxError with the end of its log."""
        self.inbox.start()

    def stop(self, timeout: float | None = None) -> None:
        """Harmless where it does not run. ``timeout`` is not needed: it takes what it takes."""
        self.inbox.stop()


class SMTPDFix(_Familiar):
    """As smtpdfix has it: a ``with`` statement, ``hostname``, ``port`` and ``messages``."""

    def __init__(
        self, hostname: str | None = None, port: int | None = None, *, options: Iterable[str] = ()
    ) -> None:
        """``hostname`` may be any name of 127.0.0.1: the server listens there."""
        super().__init__(port or 0, options)

    @property
    def messages(self) -> list[Message]:
        """What came, oldest first. ``X-MailFrom`` and ``X-RcptTo`` are the envelope."""
        return [_with_envelope(each) for each in self.inbox.messages()]

    def __enter__(self) -> SMTPDFix:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class Details:
    """The envelope. Unlike elsewhere, ``peer`` is not among it."""

    mailfrom: str
    """The reverse-path; empty for the null one."""
    rcpttos: list[str]
    """The forward-paths, those of Bcc included."""


class OutboxMessage(Message):
    """A message as the library parses it, with its envelope."""

    details: Details
    """Its envelope."""


class Outbox(list[OutboxMessage]):
    """What came, oldest first, at the time when it was asked for. To clear it, or to delete
    ``[:]``, is to forget the mail; nothing else can be taken out or put in."""

    def __init__(self, inbox: MailframeInbox) -> None:
        super().__init__(map(_with_details, inbox.messages()))
        self._inbox = inbox

    def clear(self) -> None:
        """Forget the mail, on the server too."""
        self._inbox.clear()
        super().clear()

    def __delitem__(self, which: SupportsIndex | slice) -> None:
        if which != slice(None):
            raise TypeError("only all of it can be deleted")
        self.clear()


class Server(_Familiar):
    """As pytest-localserver has it: ``start``, ``stop``, ``addr`` and ``outbox``."""

    def __init__(
        self, host: str = "localhost", port: int = 0, *, options: Iterable[str] = ()
    ) -> None:
        """``host`` may be any name of 127.0.0.1: the server listens there."""
        super().__init__(port, options)

    @property
    def addr(self) -> tuple[str, int]:
        """Host and port of SMTP."""
        return self.hostname, self.port

    @property
    def outbox(self) -> Outbox:
        """What came until now; ask again for what comes later."""
        return Outbox(self.inbox)


def _with_envelope(received: ReceivedMessage) -> Message:
    message = email.message_from_bytes(received.raw)
    for name in _OURS:
        del message[name]
    message["X-MailFrom"] = received.sender
    message["X-RcptTo"] = ", ".join(_recipients(received))
    return message


def _with_details(received: ReceivedMessage) -> OutboxMessage:
    message = email.message_from_bytes(received.raw, OutboxMessage)
    for name in _OURS:
        del message[name]
    message.details = Details(received.sender, _recipients(received))
    return message


def _recipients(received: ReceivedMessage) -> list[str]:
    fields = [str(field) for name in ("To", "Cc") for field in received.headers.get_all(name, [])]
    shown = [address.casefold() for _, address in getaddresses(fields)]

    def rank(address: str) -> tuple[int, str]:
        key = address.casefold()
        return shown.index(key) if key in shown else len(shown), key

    return sorted(received.to, key=rank)
