"""``msg``: the message as an application's hooks see it.

Everything is read when it is asked for, once, and from a bounded part of the message. Broken mail
yields empty values, never an error. Texts have no control characters but tabs and line ends, so
that what one message said can be written into the next. Nothing here waits for anything: a thread
may use it as well as the reactor's, where ``prepare`` keeps what is large from taking its time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mailframe.core.address import Address, AddressError
from mailframe.core.authentication import Authentication
from mailframe.core.envelope import Envelope, Recipient
from mailframe.core.facts import Fact, Part
from mailframe.core.verdict import Symbol
from mailframe.hooks.arrival import ArrivalFacts
from mailframe.hooks.attachments import MAX_TEXT, Attachment
from mailframe.hooks.automatic import why_automatic
from mailframe.hooks.clean_text import clean_text, html_as_text, on_one_line
from mailframe.hooks.header_fields import MAX_VALUE, Correspondent, Headers
from mailframe.hooks.once import Once
from mailframe.message import body_parts, headers
from mailframe.message.address_texts import address_texts
from mailframe.message.facts import read_facts
from mailframe.message.sent_date import sent_date

if TYPE_CHECKING:
    from mailframe.hooks.outgoing import Dispatch, Outgoing

__all__ = ["Attachment", "Correspondent", "Headers", "Message", "html_as_text"]

MAX_PARTS = 1_000
"""Parts of one message that are looked at."""
MAX_ADDRESSES = 1_000
"""Addresses of one field that are looked at."""

_SYMBOL = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class Message:
    """A message, and how it came. Read it only: what is written here changes nothing."""

    def __init__(
        self,
        raw: bytes,
        *,
        id: str,
        envelope: Envelope,
        arrival: ArrivalFacts,
        auth: Authentication,
        address: Address | None = None,
        recipient: Recipient | None = None,
        size: int | None = None,
        outgoing: Outgoing | None = None,
        added: bytes = b"",
        received: float = 0.0,
    ) -> None:
        """``raw`` in wire format; ``added``: fields that are on top of it and not in it;
        ``outgoing``: takes what hooks send, None where they cannot."""
        self._data = raw
        self._added = added
        self._outgoing = outgoing
        self.id = id
        """Of the queue, the same each time a hook is called for this message."""
        self.envelope = envelope
        """Reverse-path and recipients: in ``@app.deliver``, those who get it together."""
        self.session = arrival
        """Who brought it."""
        self.auth = auth
        """SPF, DKIM, DMARC ...: ``if not msg.auth.dmarc`` is right for a failure and for no check
        at all."""
        self.address = address
        """The one that this hook was called for, the detail included; None before the commit."""
        self.recipient = recipient
        """The one that this hook was called for, with what its sender wants to hear; None before
        the commit."""
        self.size = len(raw) + len(added) if size is None else size
        """Octets of the whole message."""
        self.received_at = received
        """Seconds since the epoch."""

    # ---- the envelope

    @property
    def sender(self) -> str:
        """The reverse-path; empty for the null one, of bounces and automatic answers. Anybody can
        write anything there: ``auth`` says what was proved."""
        return str(self.envelope.reverse_path or "")

    @property
    def recipients(self) -> list[str]:
        """For whom it is, as far as this hook is to know."""
        return [str(recipient.address) for recipient in self.envelope.recipients]

    @property
    def received(self) -> datetime:
        """When it came in, UTC."""
        return datetime.fromtimestamp(self.received_at, UTC)

    # ---- the header

    @property
    def raw(self) -> bytes:
        """All of it, in wire format."""
        return self._added + self._data

    @Once
    def header(self) -> bytes:
        """The header section in wire format, its first megabyte."""
        # of which the reader of parts sees no more
        end = self._root.body if self._root is not None else 0
        return self._added + self._data[:end]

    @Once
    def headers(self) -> Headers:
        """All fields, by name: ``msg.headers["Subject"]``."""
        return Headers(self.header)

    @property
    def subject(self) -> str:
        """Decoded, on one line; empty for none."""
        return self.headers.get("Subject", "")

    @property
    def message_id(self) -> str:
        """With its angle brackets; empty for none."""
        return headers.message_id(self.header)

    @Once
    def date(self) -> datetime | None:
        """Of the Date field, in UTC; None where it has none that can be read."""
        try:
            found = sent_date(headers.unfolded(self.headers.raw("Date")))
            return datetime.fromtimestamp(found.seconds, UTC) if found is not None else None
        except (ValueError, OverflowError, OSError):  # a year that no calendar has
            return None

    @Once
    def from_(self) -> Correspondent:
        """The author, the first of several; empty (and false) where there is none."""
        return next(iter(self._correspondents("From")), Correspondent(""))

    @Once
    def to(self) -> list[Correspondent]:
        """Whom the header names, which need not be who gets it: that is ``recipients``."""
        return self._correspondents("To")

    @Once
    def cc(self) -> list[Correspondent]:
        """Likewise."""
        return self._correspondents("Cc")

    def _correspondents(self, name: str) -> list[Correspondent]:
        value = self.headers.raw(name)[:MAX_VALUE]
        found = (
            Correspondent(_spelt(each.mailbox, each.domain), on_one_line(each.name))
            for each in address_texts(value)
            if each.domain
        )
        return [each for each, _ in zip(found, range(MAX_ADDRESSES), strict=False)]

    @Once
    def why_automatic(self) -> str:
        """What says so, for ``is_automatic``; empty where it is a person's, as far as is known."""
        return why_automatic(self.header, self.envelope.reverse_path)

    @property
    def is_automatic(self) -> bool:
        """Written by a program, or come from a list (RFC 3834 section 2): not to be answered by
        another program, and ``reply`` does not."""
        return bool(self.why_automatic)

    # ---- the body

    @Once
    def _root(self) -> Part | None:
        return read_facts(self._data, Fact.PARTS).parts

    @Once
    def parts(self) -> list[Attachment]:
        """The leaves of the MIME tree in order, the texts too; not those of attached messages."""
        found = body_parts.leaves(self._root, attached=False)
        return [
            Attachment(self._data, leaf) for leaf, _ in zip(found, range(MAX_PARTS), strict=False)
        ]

    @property
    def attachments(self) -> list[Attachment]:
        """All parts but the message's own words."""
        return [part for part in self.parts if not part.is_text_of_message]

    @Once
    def text(self) -> str:
        """What its author wrote: the plain text, else the text of the HTML. Lines end with LF; of
        what is quoted, signed or flowed nothing is taken out."""
        plain = self._texts("text/plain")
        return plain if plain.strip() else html_as_text(self.html)

    @Once
    def html(self) -> str:
        """As it came: whoever shows it must make it harmless first. Empty for none."""
        return self._texts("text/html")

    def _texts(self, kind: str) -> str:
        found: list[str] = []
        left = MAX_TEXT
        for part in self.parts:
            if part.type == kind and part.is_text_of_message and left > 0:
                found.append(clean_text(body_parts.text(self._data, part._part, left)))
                left -= part.size
        return "\n".join(found)

    def prepare(self) -> None:
        """Read all of it that takes time, for a thread to do before the reactor's asks."""
        _ = (self.headers.get(""), self.parts, self.text)

    # ---- what is sent because of it

    def reply(
        self,
        text: str | None = None,
        *,
        html: str | None = None,
        attachments: Any = (),
        to: str | Address | None = None,
        from_: str | Address | None = None,
        reply_to: str | Address | None = None,
        subject: str | None = None,
        headers: Mapping[str, str] | None = None,
        even_automatic: bool = False,
    ) -> Dispatch:
        """Answer it, as RFC 3834 wants programs to: to the reverse-path, from the address that the
        message came to, with the null reverse-path, so that nothing ever answers the answer. It
        goes out when the hook has succeeded.

        ``text``, ``html``, ``attachments`` and ``headers`` are as for ``app.send``. ``subject``:
        another one than ``Re:`` and that of the message. ``to``: somebody else, ``msg.from_`` for
        instance; anybody can write anything there, too. ``from_``: another address than the message
        came to; ``reply_to``: where people answer. No answer is made to what ``is_automatic``: the
        result's ``why`` says so and ``queue_id`` stays None. ``even_automatic`` answers lists and
        programs all the same, but never what would make a loop. Need not be awaited. ValueError and
        TypeError for arguments of which no mail can be made, AppError in a hook that cannot send
        (before the 250, but for ``before_ack``).
        """
        from mailframe.hooks.replies import answer_to

        return answer_to(
            self,
            self._must_send("reply"),
            text=text,
            html=html,
            attachments=attachments,
            to=to,
            from_=from_,
            answers=reply_to,
            subject=subject,
            headers=headers,
            even_automatic=even_automatic,
        )

    def forward(
        self, *addresses: str | Address, note: str = "", as_attachment: bool = False
    ) -> Dispatch:
        """Send it on: as a new message with its text and attachments below ``note``, or with the
        whole of it attached, to the octet. The author is in Reply-To. What came back from where it
        was sent before is not sent again: ``why`` says so. ValueError as for ``reply``."""
        from mailframe.hooks.replies import forward_of

        return forward_of(
            self, self._must_send("forward"), addresses, note=note, as_attachment=as_attachment
        )

    def send(self, **what: Any) -> Dispatch:
        """A new message, as ``app.send`` writes it (``replies.new_mail`` has the arguments), from
        the address that this one came to unless ``from_`` says otherwise. Unlike ``app.send`` it
        goes out when the hook has succeeded."""
        from mailframe.hooks.replies import new_mail

        outgoing = self._must_send("send")
        what.setdefault("from_", self.address or None)
        return outgoing.add(new_mail(outgoing.server, message_id=outgoing.next_id(), **what))

    def _must_send(self, method: str) -> Outgoing:
        if self._outgoing is None:
            from mailframe.hooks.hook import AppError

            raise AppError(f"msg.{method}: no mail can be sent from this hook")
        return self._outgoing

    def score(self, name: str, points: float, why: str = "") -> Symbol:
        """What a filter answers: ``points`` towards spam, below zero for ham. ValueError for a
        name that is not of capitals, digits and ``_``, and for points that are no number."""
        weight = float(points)
        if not _SYMBOL.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a symbol: LIKE_THIS, 64 characters at most")
        if not abs(weight) <= 1_000:
            raise ValueError(f"{points!r} are no points between -1000 and 1000")
        return Symbol(name, weight, on_one_line(why)[:200])

    def __repr__(self) -> str:
        return f"<Message {self.id} from <{self.sender}>, {self.size} octets>"


def _spelt(local_part: str, domain: str) -> str:
    """As ``Address`` spells it, where it is one."""
    try:
        return str(Address.build(local_part, domain))
    except AddressError:
        return on_one_line(f"{local_part}@{domain.lower()}")
