"""Carrying out what message policies want changed (``Amendment``), just before the commit.

A new header or body cannot replace what is in the spool already: the message is written again,
under another id, and the first writing is forgotten. The journal ties the two ids together.
"""

from __future__ import annotations

from mailframe.core import status
from mailframe.core.envelope import Recipient
from mailframe.core.reply import Reply
from mailframe.core.resolution import Moved, Refused, Resolution
from mailframe.core.verdict import Amendment, Tag
from mailframe.interfaces import IIncoming, IMessageSource
from mailframe.message.amend import amended_header
from mailframe.runtime.aio import result_of
from mailframe.servers.smtp_content import Content
from mailframe.servers.smtp_policies import Mark, Refusal
from mailframe.servers.smtp_recipients import final_recipients
from mailframe.servers.smtp_settings import SmtpParts
from mailframe.servers.smtp_transaction import Transaction

_CANNOT_ADD = Reply(451, status.SYSTEM_OTHER, "Internal error, please try again later")
_PIECE = 1 << 16


async def amend(parts: SmtpParts, transaction: Transaction) -> None:
    """Harmless where nothing is to be changed. Nobody may be left afterwards, where a policy said
    so. Raises Refusal for a recipient that a policy adds and nobody knows: 451, since it is no
    fault of the sender's."""
    wanted = [
        (index, mark.rule, mark.tag.amendment)
        for index, mark in enumerate(transaction.marks)
        if mark.tag.amendment is not None
    ]
    for _, rule, amendment in wanted:
        await _amend_envelope(parts, transaction, rule, amendment)
    if not transaction.recipients:
        if not any(amendment.may_discard for _, _, amendment in wanted):
            raise ValueError(f"policy {wanted[-1][1]} leaves no recipient")
        return
    if any(amendment.header or amendment.body is not None for _, _, amendment in wanted):
        await _amend_message(parts, transaction, [(i, amendment) for i, _, amendment in wanted])


async def _amend_envelope(
    parts: SmtpParts, transaction: Transaction, rule: str, amendment: Amendment
) -> None:
    if amendment.null_sender or amendment.sender is not None:
        transaction.change_sender(None if amendment.null_sender else amendment.sender)
    if amendment.removes_all:
        transaction.remove_all()
    transaction.remove(amendment.removed)
    for address in amendment.added:
        resolution: Resolution = await result_of(parts.resolver.resolve(address))
        if isinstance(resolution, (Refused, Moved)):
            raise Refusal(_CANNOT_ADD, rule, f"adds <{address}>, which takes no mail")
        transaction.add(final_recipients(Recipient(address), resolution))


async def _amend_message(
    parts: SmtpParts, transaction: Transaction, wanted: list[tuple[int, Amendment]]
) -> None:
    old = transaction.incoming
    assert old is not None
    header = await _kept_header(old, transaction.header.kept_octets)
    body: bytes | None = None
    for index, amendment in wanted:
        if amendment.header:
            # the policy counted what those before it had put on top
            top = transaction.tag_fields(index)
            transaction.fields_kept = index
            header = amended_header(top + header, amendment.header)
        body = amendment.body if amendment.body is not None else body
    new = await result_of(parts.spool.begin(parts.ids()))
    try:
        await _write(new, header + b"\r\n")
        if body is None:
            await _copy_body(Content(transaction, old), new)
        else:
            await _write(new, body)
    except BaseException:
        new.abort()
        raise
    old.abort()
    transaction.header.kept_octets = len(header)
    transaction.incoming, transaction.queue_id = new, new.queue_id
    transaction.marks.append(Mark("amend", Tag(f"written again, was {old.queue_id}")))
    if body is not None and not body.isascii():
        transaction.needs_eight_bits()


async def _kept_header(incoming: IIncoming, octets: int) -> bytes:
    source: IMessageSource = await result_of(incoming.open())
    kept = bytearray()
    try:
        while len(kept) < octets:
            chunk: bytes = await result_of(source.read(octets - len(kept)))
            if not chunk:
                break
            kept += chunk
    finally:
        source.close()
    return bytes(kept)


async def _copy_body(content: Content, new: IIncoming) -> None:
    source = await content.open_body()
    try:
        chunk: bytes = await result_of(source.read(_PIECE))
        while chunk:
            await _write(new, chunk)
            chunk = await result_of(source.read(_PIECE))
    finally:
        source.close()


async def _write(incoming: IIncoming, octets: bytes) -> None:
    for start in range(0, len(octets), _PIECE):
        waited = incoming.write(octets[start : start + _PIECE])
        if waited is not None:
            await waited
