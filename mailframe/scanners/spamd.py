"""SpamAssassin's spamd as a policy: strangers' messages are shown to it (``SYMBOLS``, SPAMC/1.5).

The message is streamed with a Received field of ours on top, by which SpamAssassin learns who the
client is. Its score, times ``weight``, becomes the symbol ``SPAMASSASSIN``; with ``rejects`` what
it calls spam is refused. A spamd that is not there, too slow, or answers nonsense has no opinion.

The user whose preferences and Bayes database count is ``user``, or the account of the recipient
where there is only one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Session
from mailframe.core.verdict import Symbol, Tag, Verdict
from mailframe.errors import PermanentFailure
from mailframe.interfaces import IContent, IMessagePolicy, IMessageSource
from mailframe.message import trace
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.scanners.paced import PacedConnection

REJECTED = Reply(550, status.MESSAGE_REFUSED, "The message looks like spam")
_LARGEST_ANSWER = 1 << 18
_PIECE = 1 << 16
_STATUS = re.compile(rb"SPAMD/\d+\.\d+ (\d+) ([^\r\n]*)")
_SPAM = re.compile(
    rb"^Spam:\s*(True|False)\s*;\s*(-?\d+(?:\.\d+)?)\s*/\s*(-?\d+(?:\.\d+)?)",
    re.IGNORECASE | re.MULTILINE,
)
_UNSAFE = re.compile(r"[^!-~]")
_MOST_NAMED = 12


class SpamdFailed(Exception):
    """No usable answer; the text says why, for the journal."""


@dataclass(frozen=True, slots=True)
class SpamdOpinion:
    is_spam: bool
    score: float
    required: float
    rules: tuple[str, ...]


@implementer(IMessagePolicy)
class SpamdPolicy:
    """``address`` is ``host:port`` or the path of a Unix socket; ValueError for others.
    ``is_stranger`` is that of ``policy.strangers``; ``timeout`` in seconds, for all of it."""

    name = "spamassassin"
    log = Logger()

    def __init__(
        self,
        address: str,
        *,
        is_stranger: Callable[[Session], bool],
        reactor: Any,
        hostname: str,
        user: str = "",
        timeout: float = 30.0,
        weight: float = 1.0,
        rejects: bool = False,
    ) -> None:
        self._endpoint = spamd_endpoint(address, reactor, timeout)
        self._is_stranger = is_stranger
        self._clock = reactor
        self._hostname = hostname
        self._user = user
        self._timeout = timeout
        self._weight = weight
        self._rejects = rejects
        self._is_down = False

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        if not self._is_stranger(session):
            return None
        asking = as_deferred(self._ask(session, envelope, content))
        try:
            opinion = await asking.addTimeout(self._timeout, self._clock)
        except TimeoutError:
            return self._no_opinion(f"no answer within {self._timeout:g} s")
        except SpamdFailed as error:
            return self._no_opinion(str(error))
        return self._verdict(opinion)

    def _verdict(self, opinion: SpamdOpinion) -> Verdict:
        if self._is_down:
            self._is_down = False
            self.log.info("spamd answers again")
        score = f"{opinion.score:g}/{opinion.required:g}"
        word = "spam" if opinion.is_spam else "ham"
        reason = f"{word} {score} {', '.join(opinion.rules[:_MOST_NAMED])}".rstrip()
        if opinion.is_spam and self._rejects:
            raise PermanentFailure(REJECTED, reason)
        points = opinion.score * self._weight
        return Tag(reason, symbols=(Symbol("SPAMASSASSIN", points, score),) if points else ())

    def _no_opinion(self, why: str) -> Tag:
        if not self._is_down:
            self._is_down = True
            self.log.warn("spamd cannot be asked: {why}", why=why)
        return Tag(f"not asked: {why}")

    async def _ask(self, session: Session, envelope: Envelope, content: IContent) -> SpamdOpinion:
        prefix = self._received(session, envelope, content) + content.added
        source: IMessageSource = await result_of(content.open())
        connection: _Connection | None = None
        try:
            connecting: Deferred[Any] = self._endpoint.connect(Factory.forProtocol(_Connection))
            connection = await connecting
            assert connection is not None
            size = len(prefix) + source.size
            connection.write(self._request(envelope, size) + prefix)
            chunk: bytes = await result_of(source.read(_PIECE))
            while chunk and not connection.answer.called:
                connection.write(chunk)
                await connection.drained()
                chunk = await result_of(source.read(_PIECE))
            return read_opinion(await connection.answer)
        except (ConnectError, OSError) as error:
            raise SpamdFailed(f"no connection: {error}") from None
        finally:
            source.close()
            if connection is not None:
                connection.abort()

    def _request(self, envelope: Envelope, size: int) -> bytes:
        lines = ["SYMBOLS SPAMC/1.5", f"Content-length: {size}"]
        accounts = {r.mailbox.account if r.mailbox else "" for r in envelope.recipients}
        user = self._user or (accounts.pop() if len(accounts) == 1 else "")
        if user:
            lines.append(f"User: {_UNSAFE.sub('?', user)[:200]}")
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")

    def _received(self, session: Session, envelope: Envelope, content: IContent) -> bytes:
        sender = f"X-Envelope-From: <{envelope.reverse_path or ''}>\r\n".encode()
        return sender + trace.received_field(
            helo=session.helo,
            peer_ip=session.peer_ip,
            by=self._hostname,
            protocol=trace.with_protocol(
                session.role,
                esmtp=session.esmtp,
                tls=session.tls is not None,
                authenticated=session.account is not None,
                smtputf8=envelope.smtputf8,
            ),
            queue_id=content.queue_id,
            seconds=self._clock.seconds(),
            tls=session.tls,
        )


def spamd_endpoint(address: str, reactor: Any, timeout: float) -> IStreamClientEndpoint:
    """Raises ValueError."""
    if address.startswith("/"):
        made: IStreamClientEndpoint = UNIXClientEndpoint(reactor, address, timeout=timeout)
        return made
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65_535:
        raise ValueError(f"{address!r} is neither host:port nor the path of a socket")
    return HostnameEndpoint(reactor, host, int(port), timeout=timeout)


def read_opinion(answer: bytes) -> SpamdOpinion:
    """Raises SpamdFailed."""
    header, _, body = answer.partition(b"\r\n\r\n")
    match = _STATUS.match(header)
    if match is None:
        raise SpamdFailed(f"an answer that is none: {answer[:60]!r}")
    if match[1] != b"0":
        raise SpamdFailed(f"it says {match[1].decode()} {match[2][:80].decode('ascii', 'replace')}")
    spam = _SPAM.search(header)
    if spam is None:
        raise SpamdFailed("an answer without a score")
    score, required = float(spam[2]), float(spam[3])
    if not (math.isfinite(score) and math.isfinite(required)):
        raise SpamdFailed("a score that is no number")
    rules = (_UNSAFE.sub("?", word.strip()) for word in body.decode("ascii", "replace").split(","))
    named = tuple(rule[:60] for rule in rules if rule)
    return SpamdOpinion(spam[1].lower() == b"true", score, required, named)


class _Connection(PacedConnection):
    """One question: spamd closes after its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Deferred[bytes] = Deferred()
        self._held = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > _LARGEST_ANSWER:
            self._held.clear()
            self._ended(SpamdFailed(f"an answer of more than {_LARGEST_ANSWER} octets"))
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._ended(bytes(self._held))

    def _ended(self, outcome: bytes | SpamdFailed) -> None:
        if self.answer.called:
            return
        if isinstance(outcome, SpamdFailed):
            self.answer.errback(outcome)
        else:
            self.answer.callback(outcome)
