"""Values to rows and back. Nothing here decides anything.

``Row`` is one recipient as the scheduler leased it, ``Message`` what its message's row says.
Addresses are stored as rendered and split again without the checks that they passed when
they came in: a stricter parser of a later release must not make stored mail unreadable.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from mailframe.core.address import Address, AddressError, split_local_part
from mailframe.core.envelope import Body, Envelope, Notify, Recipient, Return
from mailframe.core.reply import Reply
from mailframe.core.resolution import Local
from mailframe.core.status import Status
from mailframe.interfaces import Arrival
from mailframe.queue.schema import MICROSECONDS, Lease, State, micros
from mailframe.queue.statements import insert_rows

MESSAGE_COLUMNS = "queue_id, arrived, size, prefix, in_file, reverse_path, options, arrival"
ROW_COLUMNS = (
    "queue_id, number, lane, state, next_at, token, lease, attempts, warned, address, notify, "
    "orcpt, original, account, folder, last_at, reply_code, reply_status, reply_text, remote, "
    "headers, courier"
)
FIRST_TOKEN = 1
"""Of the first lease."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message's row; ``envelope`` has no recipients."""

    queue_id: str
    arrived: float
    """Seconds since the epoch."""
    size: int
    prefix: bytes
    in_file: bool
    envelope: Envelope
    arrival: Arrival
    head: bytes = field(default=b"", repr=False, compare=False)
    """The first octets of a body file, where they are in memory: no column of the row."""


@dataclass(frozen=True, slots=True)
class Row:
    """A recipient's row."""

    queue_id: str
    number: int
    lane: str
    state: State
    next_at: float
    """Seconds since the epoch."""
    token: int
    lease: Lease
    attempts: int
    """How many ended; the one under way does not count."""
    warned: bool
    recipient: Recipient
    last_at: float | None
    reply: Reply | None
    """Of the last attempt."""
    remote: str


def is_for_program(recipient: Recipient) -> bool:
    """Whether a program here takes it, not a mailbox and no other host."""
    return recipient.mailbox is not None and bool(recipient.mailbox.courier)


# Between the courier and the account: an account may have mail that waits for its mailbox and
# mail that waits for a program. RFC 5321 section 4.1.2 has no control characters in addresses.
_TAKEN_BY = "\t"


def lane_of(recipient: Recipient) -> str:
    """What waits together: the account here, for its mailbox or for a program, or else the mail
    domain."""
    mailbox = recipient.mailbox
    if mailbox is None:
        return recipient.address.domain
    if mailbox.courier:
        return f"{mailbox.courier}{_TAKEN_BY}{mailbox.account}"
    return mailbox.account


def probe_of(lane: str) -> Recipient:
    """Somebody in that lane, to ask the router about the way before looking at the rows."""
    courier, _, account = lane.rpartition(_TAKEN_BY)
    local_part, at, domain = account.rpartition("@")
    if at:
        return Recipient(Address(local_part, domain), mailbox=Local(account, courier=courier))
    return Recipient(Address("postmaster", lane))


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that is to be written down with its recipients, none of whom was tried."""

    message: Message
    content: bytes | None
    """None: it lies in its body file."""
    recipients: tuple[Recipient, ...]
    taken: Collection[int] = ()
    """Numbers of the recipients who are leased from the start; the others are due at once."""
    until: float = 0.0
    """When those leases end, in seconds since the epoch."""


def new_messages(connection: sqlite3.Connection, new: Sequence[NewMessage], node: str) -> None:
    """Insert them; ``node`` holds the leases."""
    insert_rows(connection, _MESSAGES, [_message_values(each.message) for each in new])
    bodies = [(each.message.queue_id, each.content) for each in new if each.content is not None]
    insert_rows(connection, "body", bodies)
    recipients = [values for each in new for values in _recipient_values(each, node)]
    insert_rows(connection, _RECIPIENTS, recipients)


_MESSAGES = f"message ({MESSAGE_COLUMNS})"
_RECIPIENTS = (
    "recipient (queue_id, number, lane, state, attempts, warned, next_at, token, lease, node,"
    " address, notify, orcpt, original, account, folder, headers, courier)"
)
_UNTRIED = (int(State.FRESH), 0, 0)
# What of a row depends on whether it is leased: token, lease and node, after ``next_at``.
_UNTAKEN = (0, int(Lease.FREE), None)


def _message_values(message: Message) -> tuple[object, ...]:
    sender = message.envelope.reverse_path
    return (
        message.queue_id,
        micros(message.arrived),
        message.size,
        message.prefix,
        int(message.in_file),
        None if sender is None else str(sender),
        _options_to_json(message.envelope),
        _arrival_to_json(message.arrival),
    )


def _recipient_values(new: NewMessage, node: str) -> Iterator[tuple[object, ...]]:
    queue_id = new.message.queue_id
    due = (micros(new.message.arrived), *_UNTAKEN)
    leased = (micros(new.until), FIRST_TOKEN, int(Lease.TAKEN), node)
    for number, recipient in enumerate(new.recipients):
        hold = leased if number in new.taken else due
        yield (queue_id, number, lane_of(recipient), *_UNTRIED, *hold, *_wishes(recipient))


def fresh_row(message: Message, number: int, recipient: Recipient) -> Row:
    """What a lease would have brought of a recipient that was inserted as taken."""
    return Row(
        queue_id=message.queue_id,
        number=number,
        lane=lane_of(recipient),
        state=State.FRESH,
        next_at=message.arrived,
        token=FIRST_TOKEN,
        lease=Lease.FREE,
        attempts=0,
        warned=False,
        recipient=recipient,
        last_at=None,
        reply=None,
        remote="",
    )


def _wishes(recipient: Recipient) -> tuple[str | None, ...]:
    notify = recipient.notify
    return (
        str(recipient.address),
        None if notify is None else ",".join(sorted(keyword.value for keyword in notify)),
        recipient.orcpt,
        None if recipient.original is None else str(recipient.original),
        *_place(recipient.mailbox),
    )


def _place(mailbox: Local | None) -> tuple[str | None, ...]:
    """Account, folder, headers and courier."""
    if mailbox is None:
        return _NO_PLACE
    headers = json.dumps(mailbox.headers) if mailbox.headers else None
    return mailbox.account, mailbox.folder, headers, mailbox.courier or None


_NO_PLACE = (None, None, None, None)


def message_from(row: Sequence[object]) -> Message:
    """From MESSAGE_COLUMNS. Raises whatever a damaged row leads to."""
    queue_id, arrived, size, prefix, in_file, reverse_path, options, arrival = row
    return Message(
        queue_id=_text(queue_id),
        arrived=_seconds(arrived),
        size=_int(size),
        prefix=_octets(prefix),
        in_file=_flag(in_file),
        envelope=_envelope_from(reverse_path, _text(options)),
        arrival=Arrival(**json.loads(_text(arrival))),
    )


def _mailbox_from(account: object, folder: object, headers: object, courier: object) -> Local:
    lines = json.loads(_text(headers)) if headers is not None else ()
    return Local(
        _text(account),
        _text(folder),
        tuple((name, value) for name, value in lines),
        "" if courier is None else _text(courier),
    )


def row_from(row: Sequence[object]) -> Row:
    """From ROW_COLUMNS. Raises whatever a damaged row leads to."""
    recipient = Recipient(
        address=stored_address(_text(row[9])),
        notify=None if row[10] is None else _notify_from(_text(row[10])),
        orcpt=None if row[11] is None else _text(row[11]),
        original=None if row[12] is None else stored_address(_text(row[12])),
        mailbox=None if row[13] is None else _mailbox_from(row[13], row[14], row[20], row[21]),
    )
    return Row(
        queue_id=_text(row[0]),
        number=_int(row[1]),
        lane=_text(row[2]),
        state=State(_int(row[3])),
        next_at=_seconds(row[4]),
        token=_int(row[5]),
        lease=Lease(_int(row[6])),
        attempts=_int(row[7]),
        warned=_flag(row[8]),
        recipient=recipient,
        last_at=None if row[15] is None else _seconds(row[15]),
        reply=reply_from(row[16], row[17], row[18]),
        remote="" if row[19] is None else _text(row[19]),
    )


def reply_from(code: object, status: object, text: object) -> Reply | None:
    if code is None:
        return None
    subject, _, detail = _text(status or "").partition(".")
    known = Status(int(subject), int(detail)) if status is not None else None
    return Reply(_int(code), known, _text(text))


def stored_address(text: str) -> Address:
    """The inverse of ``str(Address)``; a bare local-part has the empty domain."""
    try:
        local_part, rest = split_local_part(text)
    except AddressError:
        local_part, _, domain = text.rpartition("@")
        return Address(local_part, domain)
    return Address(local_part, rest[1:])


def _notify_from(text: str) -> frozenset[Notify]:
    return frozenset(Notify(word) for word in text.split(",") if word)


def _options_to_json(envelope: Envelope) -> str:
    options: dict[str, object] = {"body": envelope.body.value}
    if envelope.smtputf8:
        options["smtputf8"] = True
    if envelope.ret is not None:
        options["ret"] = envelope.ret.value
    if envelope.envid is not None:
        options["envid"] = envelope.envid
    if envelope.declared_size is not None:
        options["size"] = envelope.declared_size
    if envelope.extra:
        options["extra"] = envelope.extra
    return json.dumps(options)


def _envelope_from(reverse_path: object, options: str) -> Envelope:
    found = json.loads(options)
    return Envelope(
        reverse_path=None if reverse_path is None else stored_address(_text(reverse_path)),
        body=Body(found["body"]),
        smtputf8=found.get("smtputf8", False),
        ret=Return(found["ret"]) if "ret" in found else None,
        envid=found.get("envid"),
        declared_size=found.get("size"),
        extra=found.get("extra", {}),
    )


def _arrival_to_json(arrival: Arrival) -> str:
    names = ("session_id", "peer_ip", "helo", "account", "protocol", "message_id", "extra")
    return json.dumps({name: getattr(arrival, name) for name in names if getattr(arrival, name)})


def _seconds(value: object) -> float:
    return _int(value) / MICROSECONDS


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where the table holds a text")
    return value


def _octets(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"{value!r} where the table holds octets")
    return value


def _flag(value: object) -> bool:
    if value not in (0, 1):
        raise ValueError(f"{value!r} where the table holds 0 or 1")
    return bool(value)


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} where the table holds a number")
    return value
