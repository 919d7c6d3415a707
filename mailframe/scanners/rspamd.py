"""rspamd as a policy: every message is shown to its normal worker (``POST /checkv2``).

The message is streamed, with the facts of the session beside it in header fields of the request.
Its score, times ``weight``, becomes the symbol ``RSPAMD``; with ``follows_actions`` its
``reject`` refuses, ``soft reject`` and ``greylist`` put off. All mail is shown: rspamd learns from
``User`` that somebody sends who has logged in, and treats that by its own rules. An rspamd that
is not there, too slow, or answers nonsense has no opinion.
"""

from __future__ import annotations

import math
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.logger import Logger
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface import implementer

from mailframe.core import status
from mailframe.core.envelope import Envelope
from mailframe.core.reply import Reply
from mailframe.core.session import Session
from mailframe.core.verdict import Symbol, Tag, Verdict
from mailframe.errors import PermanentFailure, TransientFailure
from mailframe.interfaces import IContent, IMessagePolicy, IMessageSource
from mailframe.runtime.aio import as_deferred, result_of
from mailframe.runtime.http_exchange import NoAnswer, agent_for, exchange, json_object

REJECTED = Reply(550, status.MESSAGE_REFUSED, "The message looks like spam")
PUT_OFF = Reply(451, status.MESSAGE_REFUSED, "Put off by a filter, please try again later")
_REPLIES = {"reject": REJECTED, "soft reject": PUT_OFF, "greylist": PUT_OFF}
_LARGEST_ANSWER = 1 << 20
_MOST_NAMED = 12  # symbols of rspamd's that the journal names
_PIECE = 1 << 16


class RspamdFailed(Exception):
    """No usable answer; the text says why, for the journal."""


@implementer(IMessagePolicy)
class RspamdPolicy:
    """``url`` of its normal worker; ``timeout`` in seconds for all of it."""

    name = "rspamd"
    log = Logger()

    def __init__(
        self,
        url: str,
        *,
        reactor: Any,
        hostname: str,
        password: str = "",
        timeout: float = 10.0,
        weight: float = 1.0,
        follows_actions: bool = True,
        agent: IAgent | None = None,
    ) -> None:
        self._url = url.rstrip("/").encode("ascii") + b"/checkv2"
        self._clock: IReactorTime = reactor
        self._hostname = hostname
        self._password = password
        self._timeout = timeout
        self._weight = weight
        self._follows = follows_actions
        self._agent = agent or agent_for(reactor, timeout)
        self._is_down = False

    async def message(self, session: Session, envelope: Envelope, content: IContent) -> Verdict:
        asking = as_deferred(self._ask(session, envelope, content))
        try:
            answer = await asking.addTimeout(self._timeout, self._clock)
            return self._verdict(answer)
        except TimeoutError:
            return self._no_opinion(f"no answer within {self._timeout:g} s")
        except RspamdFailed as error:
            return self._no_opinion(str(error))

    def _verdict(self, answer: dict[str, Any]) -> Verdict:
        score, required = _number(answer, "score"), _number(answer, "required_score")
        action = str(answer.get("action", ""))[:40]
        if self._is_down:
            self._is_down = False
            self.log.info("rspamd answers again")
        names = ", ".join(_names(answer))
        reason = f"{action} {score:g}/{required:g} {names}".rstrip()
        if self._follows and action in _REPLIES:
            reply = _REPLIES[action]
            kind = TransientFailure if reply.is_transient else PermanentFailure
            raise kind(reply, reason)
        points = score * self._weight
        symbols = (Symbol("RSPAMD", points, f"{action} {score:g}"),) if points else ()
        return Tag(reason, symbols=symbols)

    def _no_opinion(self, why: str) -> Tag:
        if not self._is_down:
            self._is_down = True
            self.log.warn("rspamd cannot be asked: {why}", why=why)
        return Tag(f"not asked: {why}")

    async def _ask(self, session: Session, envelope: Envelope, content: IContent) -> dict[str, Any]:
        source: IMessageSource = await result_of(content.open())
        body = MessageBody(content.added, source)
        try:
            facts = self._facts(session, envelope, content)
            code, octets = await exchange(
                self._agent, b"POST", self._url, facts, body, largest=_LARGEST_ANSWER
            )
            return _answer(code, octets)
        except NoAnswer as error:
            raise RspamdFailed(str(error)) from None
        finally:
            body.stopProducing()

    def _facts(self, session: Session, envelope: Envelope, content: IContent) -> Headers:
        """What rspamd knows only from us."""
        iprev = session.found.auth.iprev
        facts = [
            ("From", str(envelope.reverse_path or "")),
            *(("Rcpt", str(each.original or each.address)) for each in envelope.recipients),
            ("IP", session.peer_ip),
            ("Helo", session.helo),
            ("Hostname", iprev.name if iprev is not None else ""),
            ("User", session.account or ""),
            ("Queue-Id", content.queue_id),
            ("MTA-Name", self._hostname),
            ("TLS-Version", session.tls.version if session.tls else ""),
            ("TLS-Cipher", session.tls.cipher if session.tls else ""),
            ("Password", self._password),
        ]
        made = Headers()
        for name, value in facts:
            if value or name == "From":
                made.addRawHeader(name, _field_value(value))
        return made


def _field_value(text: str) -> bytes:
    octets = text.encode("utf-8", "replace")
    return bytes(octet if octet >= 32 and octet != 127 else 63 for octet in octets)


def _answer(code: int, body: bytes) -> dict[str, Any]:
    if code != 200:
        raise RspamdFailed(f"HTTP {code}")
    try:
        answer = json_object(body)
    except ValueError as error:
        raise RspamdFailed(str(error)) from None
    if "score" not in answer:
        raise RspamdFailed(str(answer.get("error", "no score"))[:200])
    return answer


def _number(answer: dict[str, Any], key: str) -> float:
    value = answer.get(key, 0)
    try:
        number = float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:  # a whole number of thousands of digits
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise RspamdFailed(f"{key} is no number")
    return number


def _names(answer: dict[str, Any]) -> list[str]:
    """The symbols that count, the weightiest first."""
    symbols = answer.get("symbols")
    if not isinstance(symbols, dict):
        return []
    scores = {
        str(name)[:40]: each["score"]
        for name, each in symbols.items()
        if isinstance(each, dict) and isinstance(each.get("score"), (int, float)) and each["score"]
    }
    return sorted(scores, key=lambda name: -abs(scores[name]))[:_MOST_NAMED]


@implementer(IBodyProducer)
class MessageBody:
    """``prefix`` and the source as the body of a request, read as fast as it is sent."""

    def __init__(self, prefix: bytes, source: IMessageSource) -> None:
        self.length = len(prefix) + source.size
        self._prefix = prefix
        self._source = source
        self._paused: Deferred[None] | None = None
        self._sending: Deferred[None] | None = None

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self._sending = as_deferred(self._send(consumer))
        return self._sending

    async def _send(self, consumer: IConsumer) -> None:
        consumer.write(self._prefix)
        while True:
            if self._paused is not None:
                await self._paused
            chunk: bytes = await result_of(self._source.read(_PIECE))
            if not chunk:
                return
            consumer.write(chunk)

    def pauseProducing(self) -> None:
        if self._paused is None:
            self._paused = Deferred()

    def resumeProducing(self) -> None:
        paused, self._paused = self._paused, None
        if paused is not None and not paused.called:
            paused.callback(None)

    def stopProducing(self) -> None:
        """Also once all is sent."""
        sending, self._sending = self._sending, None
        if sending is not None and not sending.called:
            sending.addErrback(lambda failure: failure.trap(CancelledError))
            sending.cancel()
        self._source.close()
