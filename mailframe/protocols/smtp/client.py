"""The SMTP and LMTP client engine: replies in, commands out, no I/O.

    client = SmtpClient()
    client.receive(data) -> events      what the server said, once it means something
    client.hello(name) ...              our next command; its octets wait in
    client.take_output() -> bytes       what to send now

The engine pairs every reply with the command it answers and believes no server: a reply
nobody asked for, a code that does not fit its command, a reply without end, or anything said
in plain text after the 220 of STARTTLS raises RemoteProtocolError, after which the
connection is fit for nothing. It pipelines where the server offers it and falls into step
where not.

A message is ``begin(transaction)``; at ``BodyWanted`` the caller feeds ``send_body`` while
``wants_body`` and not ``body_blocked``, then ``finish_body``; ``TransactionEnded`` says that
the verdicts are complete. The next message may begin while ``may_begin``: with pipelining
that is right behind the content of the one before, whose end is told first.

It does not know time, TLS, passwords or which server it talks to.
"""

from __future__ import annotations

import base64
import binascii
import enum
from collections import deque
from dataclasses import dataclass

from mailframe.core.envelope import Body
from mailframe.core.reply import Reply
from mailframe.errors import LocalProtocolError, RemoteProtocolError
from mailframe.protocols.smtp import client_commands as commands
from mailframe.protocols.smtp.client_body import BdatBody, DataBody
from mailframe.protocols.smtp.client_extensions import Extensions
from mailframe.protocols.smtp.client_replies import ReplyReader, for_people
from mailframe.protocols.smtp.client_transaction import Transaction

# RFC 4954 section 4: an initial response must fit the 512 octets of a command line.
_MAX_INITIAL = 500


class Step(enum.Enum):
    """What a reply answers, in words, and the classes of codes that make sense to us there
    (RFC 5321 section 4.3.2)."""

    GREETING = ("greeting", (2, 4, 5))
    HELLO = ("EHLO", (2, 4, 5))
    STARTTLS = ("STARTTLS", (2, 4, 5))
    AUTH = ("AUTH", (2, 3, 4, 5))
    RSET = ("RSET", (2, 4, 5))
    MAIL = ("MAIL", (2, 4, 5))
    RCPT = ("RCPT", (2, 4, 5))
    DATA = ("DATA", (3, 4, 5))
    CHUNK = ("BDAT", (2, 4, 5))
    END = ("end of data", (2, 4, 5))
    QUIT = ("QUIT", (2, 4, 5))

    def __init__(self, words: str, fitting: tuple[int, ...]) -> None:
        self.words = words
        self.fitting = fitting


@dataclass(frozen=True, slots=True)
class Answered:
    """The reply to the greeting, EHLO, STARTTLS, AUTH or QUIT."""

    step: Step
    reply: Reply


@dataclass(frozen=True, slots=True)
class Challenged:
    """334 of AUTH; answer with ``answer_challenge``."""

    challenge: bytes


@dataclass(frozen=True, slots=True)
class BodyWanted:
    """Somebody was accepted: send the content."""


@dataclass(frozen=True, slots=True)
class TransactionEnded:
    """Every verdict is in."""


@dataclass(frozen=True, slots=True)
class Closing:
    """421 out of the blue: the server is about to close."""

    reply: Reply


Event = Answered | Challenged | BodyWanted | TransactionEnded | Closing


_Asked = tuple[Step, int, Transaction | None]
"""What a reply will answer; for RCPT with the recipient's place."""


class SmtpClient:
    def __init__(self, *, lmtp: bool = False) -> None:
        self.lmtp = lmtp
        self.extensions = Extensions()
        self.is_closing = False
        """No further command makes sense: 421 was said, or we said QUIT."""
        self._reader = ReplyReader()
        self._output: list[bytes] = []
        self._pending: deque[_Asked] = deque([(Step.GREETING, 0, None)])
        self._waiting: deque[tuple[_Asked, bytes]] = deque()
        self._transaction: Transaction | None = None
        """The one begun last; the one before it may lack the verdict on its content."""
        self._body: DataBody | BdatBody | None = None
        self._needs_rset = False
        self._tls_expected = False
        self._initial: bytes | None = None
        self.replies_heard = 0

    # input

    def receive(self, data: bytes) -> list[Event]:
        """Raises RemoteProtocolError: then close the connection."""
        if self._tls_expected:
            raise RemoteProtocolError("plain text where the TLS handshake belongs")
        events: list[Event] = []
        if self._is_over:
            return events
        next_reply = self._reader.next_reply
        self._reader.feed(data)
        while reply := next_reply():
            self.replies_heard += 1
            events += self._hear(reply)
            if self.is_closing and self._is_over:
                break
        return events

    @property
    def awaited(self) -> Step | None:
        """What the next reply will answer; None: nothing is awaited."""
        return self._pending[0][0] if self._pending else None

    @property
    def may_begin(self) -> bool:
        """Whether a message can be begun now."""
        if self.is_closing or self._tls_expected:
            return False
        if self._transaction is None:
            return not self._pending
        # RFC 2920 section 3.1: MAIL may follow the content of the message before.
        return self._transaction.content_sent and self.extensions.pipelining

    @property
    def _is_over(self) -> bool:
        return self.is_closing and not self._pending

    # commands

    def hello(self, name: str, *, esmtp: bool = True) -> None:
        """EHLO, or LHLO for LMTP; without ``esmtp`` HELO (RFC 5321 section 4.1.1.1)."""
        self._must_be_idle()
        verb = "HELO" if not esmtp else "LHLO" if self.lmtp else "EHLO"
        self.extensions = Extensions()
        self._send(Step.HELLO, commands.line(f"{verb} {name}"))

    def starttls(self) -> None:
        self._must_be_idle()
        self._send(Step.STARTTLS, b"STARTTLS\r\n")

    def tls_started(self) -> None:
        """The handshake is done: forget what was said in the clear (RFC 3207 section 4.2)."""
        self._tls_expected = False
        self._reader = ReplyReader()
        self.extensions = Extensions()

    def auth(self, mechanism: str, initial: bytes | None) -> None:
        """RFC 4954; ``initial`` is kept back where it does not fit the command line."""
        self._must_be_idle()
        line = f"AUTH {mechanism}"
        self._initial = None
        if initial is not None:
            encoded = base64.b64encode(initial).decode() or "="
            if len(encoded) <= _MAX_INITIAL:
                line = f"{line} {encoded}"
            else:
                self._initial = initial
        self._send(Step.AUTH, commands.line(line))

    def answer_challenge(self, response: bytes) -> None:
        self._must_be_idle()
        self._send(Step.AUTH, base64.b64encode(response) + b"\r\n")

    def quit(self) -> None:
        """Nothing after this counts. Allowed at any time but within a message."""
        if self._transaction is None and not self.is_closing:
            self._send(Step.QUIT, b"QUIT\r\n")
        self.is_closing = True

    def begin(self, transaction: Transaction) -> None:
        """MAIL, the RCPTs and, with pipelining, DATA; BDAT where the server offers it."""
        if not self.may_begin:
            raise LocalProtocolError(f"no message can be begun, waiting for {self.awaited}")
        if not transaction.recipients:
            raise LocalProtocolError("a transaction without recipients")
        offered = self.extensions
        chunking = offered.chunking
        if transaction.body is Body.BINARY and not chunking:
            raise LocalProtocolError("binary content without CHUNKING")
        mail = commands.mail(transaction.envelope, transaction.size, transaction.body, offered)
        rcpts = [commands.rcpt(recipient, offered) for recipient in transaction.recipients]
        # RFC 3030 section 2: only RSET leads out of a refused chunk, and that of the message
        # before may yet be refused.
        if self._needs_rset if self._transaction is None else chunking:
            self._waiting.append(((Step.RSET, 0, transaction), b"RSET\r\n"))
        self._waiting.append(((Step.MAIL, 0, transaction), mail))
        for index, rcpt in enumerate(rcpts):
            self._waiting.append(((Step.RCPT, index, transaction), rcpt))
        if not chunking:
            self._waiting.append(((Step.DATA, 0, transaction), b"DATA\r\n"))
        self._transaction = transaction
        self._pump(transaction)

    # content

    @property
    def wants_body(self) -> bool:
        """Whether content may still be fed; False once the server has refused it."""
        return self._body is not None

    @property
    def body_blocked(self) -> bool:
        """Without PIPELINING, every BDAT waits for the reply to the one before."""
        return bool(self._pending) and not self.extensions.pipelining

    def send_body(self, chunk: bytes) -> None:
        body, transaction = self._content_wanted()
        before = body.replies
        self._output.append(body.feed(chunk))
        self._await(Step.CHUNK, transaction, body.replies - before)

    def finish_body(self) -> None:
        body, transaction = self._content_wanted()
        self._output.append(body.finish())
        self._body = None
        transaction.content_sent = True
        # RFC 2033 section 4.2: one reply for each accepted recipient.
        self._await(Step.END, transaction, len(transaction.accepted) if self.lmtp else 1)

    def _content_wanted(self) -> tuple[DataBody | BdatBody, Transaction]:
        if self._body is None or self._transaction is None:
            raise LocalProtocolError("no content is wanted")
        return self._body, self._transaction

    def take_output(self) -> bytes:
        output = b"".join(self._output)
        self._output.clear()
        return output

    # replies

    def _hear(self, reply: Reply) -> list[Event]:
        if not self._pending:
            return self._hear_unasked(for_people(reply))
        step, index, transaction = self._pending.popleft()
        if reply.code // 100 not in step.fitting:
            raise RemoteProtocolError(f"{reply.code} makes no sense as the reply to {step.words}")
        # RFC 5321 section 3.8: 421 may answer anything, and the server then closes.
        if reply.code == 421:
            self.is_closing = True
        if transaction is not None:
            transaction.replies_awaited -= 1
            return self._hear_in_transaction(step, index, transaction, for_people(reply))
        return self._hear_alone(step, reply)

    def _hear_unasked(self, reply: Reply) -> list[Event]:
        transaction = self._transaction
        if self._body is not None and transaction is not None and not reply.is_positive:
            # The server gave up amid DATA. It may count the rest as content or as
            # commands, so nothing more can be said to it.
            self.is_closing = True
            transaction.hear_for_accepted(reply)
            return self._end(transaction)
        if reply.code == 421:
            self.is_closing = True
            return [Closing(reply)]
        raise RemoteProtocolError(f"a reply nobody asked for: {reply.code}")

    def _hear_alone(self, step: Step, reply: Reply) -> list[Event]:
        if step is Step.AUTH and 300 <= reply.code < 400:
            return self._hear_challenge(reply)
        if step is Step.HELLO and reply.is_positive:
            self.extensions = Extensions.of(reply)
        if step is Step.STARTTLS and reply.is_positive:
            if not self._reader.is_empty:
                raise RemoteProtocolError("plain text smuggled in after STARTTLS")
            self._tls_expected = True
        return [Answered(step, for_people(reply))]

    def _hear_challenge(self, reply: Reply) -> list[Event]:
        try:
            challenge = base64.b64decode(reply.text.strip().encode(), validate=True)
        except binascii.Error:
            raise RemoteProtocolError("an AUTH challenge that is not base64") from None
        initial, self._initial = self._initial, None
        if initial is None:
            return [Challenged(challenge)]
        self.answer_challenge(initial)
        return []

    def _hear_in_transaction(
        self, step: Step, index: int, transaction: Transaction, reply: Reply
    ) -> list[Event]:
        if step is Step.RCPT:
            transaction.hear_recipient(index, reply)
            if transaction.replies_awaited and not self._waiting:
                return []  # as after all of them but the last, with pipelining
        elif step is Step.MAIL:
            transaction.hear_mail(reply)
            self._needs_rset = reply.is_positive
        elif step is Step.DATA:
            return self._hear_data(transaction, reply)
        elif step is Step.END:
            self._hear_end(transaction, reply)
        elif step is Step.RSET:
            if not reply.is_positive:
                raise RemoteProtocolError(f"RSET was refused: {reply}")
            self._needs_rset = False
        elif not reply.is_positive:
            self._hear_chunk_refused(transaction, reply)
        return self._go_on(transaction, step)

    def _hear_data(self, transaction: Transaction, reply: Reply) -> list[Event]:
        if reply.code >= 400:
            transaction.hear_for_accepted(reply)
            return self._end(transaction)
        if transaction.accepted:
            self._body = DataBody()
            return [BodyWanted()]
        # RFC 2920 section 3.1: 354 although nobody was accepted: send just the dot.
        if self.lmtp:
            raise RemoteProtocolError("354 without a recipient")
        self._output.append(b".\r\n")
        self._await(Step.END, transaction, 1)
        return []

    def _hear_end(self, transaction: Transaction, reply: Reply) -> None:
        if self.lmtp:
            transaction.hear_for_next(reply)
        else:
            transaction.hear_for_accepted(reply)
        self._needs_rset = not reply.is_positive and self.extensions.chunking

    def _hear_chunk_refused(self, transaction: Transaction, reply: Reply) -> None:
        self._body = None
        transaction.hear_for_accepted(reply)
        # How many replies LMTP owes to a BDAT LAST after a failed chunk, no RFC says.
        if self.lmtp and any(step is Step.END for step, _, _ in self._pending):
            self._pending.clear()
            transaction.replies_awaited = 0
            self.is_closing = True
            if transaction is not self._transaction:
                # Nor, then, which of them would be about the message begun behind it.
                transaction.ended = True
                raise RemoteProtocolError("a chunk was refused with a message behind it")

    def _go_on(self, transaction: Transaction, step: Step) -> list[Event]:
        """After a reply: the next command, the content, or the end."""
        if self._waiting:
            self._say_what_makes_sense(transaction)
        if transaction.replies_awaited:
            return []
        if transaction is self._transaction and self._body is not None:
            return []
        if step is Step.RCPT and transaction.accepted and not self.is_closing:
            # Only BDAT comes here: DATA would be awaited.
            self._body = BdatBody(transaction.body is Body.BINARY)
            return [BodyWanted()]
        return self._end(transaction)

    def _say_what_makes_sense(self, transaction: Transaction) -> None:
        """Without pipelining, the replies so far decide whether there is more to say."""
        refused = transaction.mail_reply is not None and not transaction.mail_reply.is_positive
        (following, _, _), _ = self._waiting[0]
        nobody_left = following is Step.DATA and not transaction.accepted
        if refused or self.is_closing or nobody_left:
            self._waiting.clear()
        self._pump(transaction)

    def _end(self, transaction: Transaction) -> list[Event]:
        transaction.ended = True
        if transaction is self._transaction:
            self._transaction = None
            self._body = None
            self._waiting.clear()
        return [TransactionEnded()]

    # sending

    def _send(self, step: Step, data: bytes) -> None:
        self._output.append(data)
        self._pending.append((step, 0, None))

    def _await(self, step: Step, transaction: Transaction, replies: int) -> None:
        self._pending.extend([(step, 0, transaction)] * replies)
        transaction.replies_awaited += replies

    def _pump(self, transaction: Transaction) -> None:
        """Say what waits: all of it with PIPELINING (RFC 2920), else one at a time."""
        together = self.extensions.pipelining
        while self._waiting and (together or not self._pending):
            asked, data = self._waiting.popleft()
            self._output.append(data)
            self._pending.append(asked)
            transaction.replies_awaited += 1

    def _must_be_idle(self) -> None:
        if self._pending or self._transaction is not None:
            raise LocalProtocolError(f"still busy, waiting for {self.awaited}")
        if self.is_closing:
            raise LocalProtocolError("the connection is closing")
        if self._tls_expected:
            raise LocalProtocolError("the TLS handshake is not done")
